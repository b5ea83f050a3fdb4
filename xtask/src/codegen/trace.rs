//! The generated part of trace mode: for each function of the API one that counts its calls.

use std::fmt::Write;

use super::debug::failure;
use super::rust::{arguments, ident, rust_params, rust_result, source, trait_name};
use crate::ctype::Decl;
use crate::spec::{Fails, Function, Ownership, Spec};

pub fn sources(spec: &Spec) -> Vec<(&'static str, String)> {
    let mut body = String::from(
        "use core::ffi::{c_char, c_int, c_void};
use hpy_abi::runtime::*;
use hpy_abi::*;
use hpy_layer::inner::InnerHandle;
use crate::call::Call as Counted;
use crate::{Trace, upcall};
",
    );
    for family in &spec.families {
        writeln!(body, "impl {} for Trace {{", trait_name(family)).unwrap();
        for function in &family.functions {
            body += &if function.runtime_only { by_hand(function) } else { counted(spec, function) };
        }
        body += "}\n";
    }
    vec![(
        "crates/trace/src/autogen_functions.rs",
        source("spec/functions/", "The functions of the API, counted.", &body),
    )]
}

fn method(function: &Function, safe: &str, body: &str) -> String {
    format!(
        "unsafe extern \"C\" fn {}({}){} {{\n// SAFETY: {safe}\nunsafe {{ {body} }}\n}}\n",
        function.member,
        rust_params(function),
        rust_result(function)
    )
}

fn by_hand(function: &Function) -> String {
    method(function, "a trampoline calls this.", &format!("upcall::{}(ctx{})", function.member, arguments(function)))
}

fn counted(spec: &Spec, function: &Function) -> String {
    // A name in C belongs to the place of the call: one that is always the same need not be made each time.
    let text = function.params().into_iter().find(|param| param.ty.is_pointer() && param.name.starts_with("utf8"));
    let text = text.map_or("core::ptr::null()".to_string(), |param| ident(&param.name));
    let mut body = format!("let call = Counted::enter(ctx, {}, {text});\n", function.index);
    let handles: Vec<_> =
        function.params().iter().filter(|param| param.ty.base == "HPy").map(|param| ident(&param.name)).collect();
    for value in &function.params {
        let decl = Decl::parse(&value.c);
        let name = ident(&decl.name);
        let stolen = value.own == Some(Ownership::Stolen);
        let note = match decl.ty.base.as_str() {
            "HPy" if stolen => format!("closes({name})"),
            "HPyTracker" if stolen => format!("ends_tracker({name})"),
            "HPyTracker" => match handles.first() {
                Some(added) => format!("adds_to_tracker({name}, {added})"),
                None => format!("empties_tracker({name})"),
            },
            "HPyType_Spec" => format!("sees_type({name})"),
            "HPyCallFunction" => format!("sees_call_function({name})"),
            _ => continue,
        };
        writeln!(body, "call.{note};").unwrap();
    }
    // Handles are those of the layer below.
    let passed: Vec<_> = function.params().iter().map(passed_on).collect();
    let inner = format!("call.inner.{}({})", function.member, passed.join(", "));
    let result = Decl::parse_type(function.member_returns());
    let inner = if result.base == "HPy" && !result.is_pointer() { format!("{inner}.handle()") } else { inner };
    if result.is_void() {
        writeln!(body, "{inner};\ncall.finish({});", function.member_returns.is_some()).unwrap();
        return method(function, SAFETY, &body);
    }
    writeln!(body, "let outcome = {inner};").unwrap();
    if result.base == "HPy" && function.returns.own == Some(Ownership::New) {
        body += "call.opens(outcome);\n";
    }
    let failure = failure(function);
    let failed = match result.is_pointer() || spec.is_handle(&result.base) {
        true => "outcome.is_null()".to_string(),
        false => format!("outcome == {failure}"),
    };
    for value in function.params.iter().filter(|value| value.own == Some(Ownership::Out)) {
        let name = ident(&Decl::parse(&value.c).name);
        writeln!(body, "let failed = {failed};\nif !failed {{ call.opens_out({name}) }}").unwrap();
    }
    body += &match function.fails {
        Fails::Never | Fails::Aborts => "call.finish(false);".to_string(),
        Fails::Null | Fails::MinusOne => format!("call.finish({failed});"),
        Fails::NullWithError | Fails::MinusOneWithError => format!("call.finish_perhaps({failed});"),
    };
    body += "\noutcome";
    method(function, SAFETY, &body)
}

fn passed_on(param: &Decl) -> String {
    let name = ident(&param.name);
    match (param.ty.base.as_str(), param.ty.is_pointer()) {
        ("HPy", false) => format!("InnerHandle::of({name})"),
        ("HPy", true) => format!("{name}.cast()"),
        _ => name,
    }
}

const SAFETY: &str =
    "the context is one of ours. The caller vouches for its arguments, which the inner context gets as they are.";
