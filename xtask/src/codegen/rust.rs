//! What all generated Rust code has in common.

use std::fmt::Write;

use super::banner::banner;
use crate::ctype::Decl;
use crate::spec::{Family, Function};

pub fn source(sources: &str, doc: &str, body: &str) -> String {
    let [first, second] = banner(sources);
    format!("// {first}\n// {second}\n\n//! {doc}\n\n{body}")
}

pub fn doc_comment(doc: &str) -> String {
    doc.trim().lines().map(|line| format!("{}\n", format!("/// {line}").trim_end())).collect()
}

/// `struct` field and parameter names that are keywords in Rust.
pub fn ident(name: &str) -> String {
    match name {
        "type" | "impl" | "ref" => format!("r#{name}"),
        "self" => "self_".to_string(),
        _ => name.to_string(),
    }
}

pub fn rust_params(function: &Function) -> String {
    let mut text = String::from("ctx: *mut HPyContext");
    for param in function.params() {
        write!(text, ", {}: {}", ident(&param.name), param.ty.to_rust()).unwrap();
    }
    text
}

pub fn rust_result(function: &Function) -> String {
    match Decl::parse_type(function.member_returns()).to_rust().as_str() {
        "()" => String::new(),
        result => format!(" -> {result}"),
    }
}

pub fn arguments(function: &Function) -> String {
    function.params().iter().map(|param| format!(", {}", ident(&param.name))).collect()
}

/// The trait that holds a family's functions.
pub fn trait_name(family: &Family) -> String {
    let mut name = family.name.clone();
    name[..1].make_ascii_uppercase();
    name
}
