//! The generated part of debug mode: a check for each thing that the spec says of a function.

use std::fmt::Write;

use super::rust::{arguments, ident, rust_params, rust_result, source};
use crate::ctype::{CType, Decl};
use crate::spec::{Fails, Family, Function, Ownership, Spec, Value};

pub fn sources(spec: &Spec) -> Vec<(&'static str, String)> {
    vec![
        ("crates/debug/src/autogen_misuses.rs", misuses(spec)),
        ("crates/debug/src/autogen_functions.rs", functions(spec)),
    ]
}

fn misuses(spec: &Spec) -> String {
    let (mut variants, mut all, mut identifiers) = (String::new(), String::new(), String::new());
    let (mut titles, mut fixes, mut actions) = (String::new(), String::new(), String::new());
    for misuse in &spec.misuses {
        let name = &misuse.name;
        let mut action = misuse.action.clone();
        action[..1].make_ascii_uppercase();
        writeln!(variants, "/// {}\n{name} = {},", misuse.title, misuse.id).unwrap();
        writeln!(all, "Misuse::{name},").unwrap();
        writeln!(identifiers, "Misuse::{name} => \"HPY-D{:03}\",", misuse.id).unwrap();
        writeln!(titles, "Misuse::{name} => {:?},", misuse.title).unwrap();
        writeln!(fixes, "Misuse::{name} => {:?},", misuse.fix).unwrap();
        writeln!(actions, "Misuse::{name} => Action::{action},").unwrap();
    }
    let body = format!(
        "use crate::action::Action;

/// What debug mode finds.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
#[repr(u8)]
pub enum Misuse {{ {variants} }}

impl Misuse {{
    pub const ALL: &[Misuse] = &[{all}];

    /// What people, settings and programs know it by.
    pub fn identifier(self) -> &'static str {{ match self {{ {identifiers} }} }}

    pub fn title(self) -> &'static str {{ match self {{ {titles} }} }}

    /// What to do about it.
    pub fn fix(self) -> &'static str {{ match self {{ {fixes} }} }}

    /// What happens unless the user says something else.
    pub fn action(self) -> Action {{ match self {{ {actions} }} }}
}}
"
    );
    source("spec/misuses.toml", "The misuses and their identifiers.", &body)
}

/// Whether all there is to check about a function is said in the spec.
fn is_regular(spec: &Spec, function: &Function) -> bool {
    let fits = |value: &Value| {
        let decl = Decl::parse(&value.c);
        let foreign = decl.ty.base.starts_with("cpy_") || decl.ty.base == "HPyCFunction";
        let plain_handle = decl.ty.base == "HPy" && !decl.ty.is_pointer() && value.own == Some(Ownership::Borrowed);
        !foreign && (plain_handle || !spec.is_handle(&decl.ty.base))
    };
    let result = Decl::parse_type(&function.returns.c);
    let known_result = !spec.is_handle(&result.base) || result.base == "HPy";
    let is_text = result.is_pointer() && result.base == "char";
    !function.checked_by_hand && function.params.iter().all(fits) && known_result && !is_text
}

fn functions(spec: &Spec) -> String {
    let mut body = String::new();
    for family in &spec.families {
        let regular: Vec<_> = family.functions.iter().filter(|function| is_regular(spec, function)).collect();
        if !regular.is_empty() {
            body += &family_macro(spec, family, &regular);
        }
    }
    source("spec/functions/", "The functions of the API whose checks follow from what the spec says.", &body)
}

fn family_macro(spec: &Spec, family: &Family, functions: &[&Function]) -> String {
    let mut text = format!("macro_rules! checked_{} {{\n() => {{", family.name);
    for function in functions {
        text += &checked(spec, function);
    }
    writeln!(text, "}};\n}}\npub(crate) use checked_{};\n", family.name).unwrap();
    text
}

/// What a function returns that failed.
pub(super) fn failure(function: &Function) -> String {
    let result = Decl::parse_type(function.member_returns());
    let minus_one = matches!(function.fails, Fails::MinusOne | Fails::MinusOneWithError);
    match result.to_rust().as_str() {
        "()" => "()".into(),
        "HPy" => "HPy::NULL".into(),
        "f64" if minus_one => "-1.0".into(),
        unsigned @ ("u32" | "u64" | "usize" | "HPy_UCS4") if minus_one => format!("{unsigned}::MAX"),
        rust if rust.starts_with("*const") => "core::ptr::null()".into(),
        rust if rust.starts_with("*mut") => "core::ptr::null_mut()".into(),
        "HPyType_BuiltinShape" => "HPyType_BuiltinShape(-2)".into(),
        _ if minus_one => "-1".into(),
        _ => "0".into(),
    }
}

fn values_of(spec: &Spec, name: &str) -> Option<String> {
    let item = spec.enums.iter().find(|item| item.name == name)?;
    let values: Vec<_> = item.values.iter().map(|value| value.value.to_string()).collect();
    Some(values.join(", "))
}

/// The condition that an argument has to meet, if it is no handle.
fn condition(spec: &Spec, value: &Value, position: usize) -> Option<String> {
    let decl = Decl::parse(&value.c);
    let name = ident(&decl.name);
    let CType { base, .. } = &decl.ty;
    let refused = if value.refused { "_or_refused" } else { "" };
    if decl.ty.is_pointer() {
        let pointer = (!value.null).then(|| format!("call.pointer{refused}({name}.cast(), {position})"));
        if base == "char" && decl.ty.base_const {
            let utf8 = decl.name.starts_with("utf8") && !value.any_encoding;
            let text = |null: bool| format!("call.text({name}, {position}, {null}, {utf8})");
            // Text is asked for null as well, but not whether the function refuses it.
            return match pointer {
                Some(pointer) if value.refused => Some(format!("{pointer} && {}", text(true))),
                _ => Some(text(value.null)),
            };
        }
        return pointer;
    }
    if let Some(least) = value.least {
        return Some(format!("call.at_least({name}, {least}, {position})"));
    }
    if let Some(enumeration) = &value.enumeration {
        return Some(format!("call.one_of{refused}({name}, &[{}], {position})", values_of(spec, enumeration)?));
    }
    values_of(spec, base).map(|values| format!("call.one_of{refused}({name}.0, &[{values}], {position})"))
}

fn checked(spec: &Spec, function: &Function) -> String {
    let failure = failure(function);
    let return_failure = if failure == "()" { "return;".to_string() } else { format!("return {failure};") };
    let mut body =
        format!("let Some(call) = crate::call::Call::enter(ctx, {}) else {{ {return_failure} }};\n", function.index);
    let conditions: Vec<_> =
        function.params.iter().enumerate().filter_map(|(index, value)| condition(spec, value, index)).collect();
    let fails = matches!(function.fails, Fails::Never | Fails::Aborts);
    let note = if fails { "" } else { "call.has_failed();\n" };
    if !conditions.is_empty() {
        writeln!(body, "if !({}) {{ {note}{return_failure} }}", conditions.join(" && ")).unwrap();
    }
    for (index, value) in function.params.iter().enumerate() {
        let decl = Decl::parse(&value.c);
        if decl.ty.base != "HPy" {
            continue;
        }
        let name = ident(&decl.name);
        let get = match (value.null, value.refused) {
            (true, _) => "handle_or_null",
            (false, true) => "handle_or_refused",
            (false, false) => "handle",
        };
        writeln!(body, "let Some({name}) = call.{get}({name}, {index}) else {{ {return_failure} }};").unwrap();
        if let Some(constant) = &value.is {
            let python =
                spec.constants.iter().find(|each| each.name == *constant).map_or("", |each| each.python.as_str());
            writeln!(body, "if !call.is({name}, |ctx| ctx.{constant}, {python:?}, {index}) {{ {return_failure} }}")
                .unwrap();
        }
    }
    let inner = format!("call.inner.{}({})", function.member, arguments(function).trim_start_matches(", "));
    let result = Decl::parse_type(function.member_returns());
    body += &if result.is_void() {
        let raised = if function.member_returns.is_some() { "\ncall.has_raised();" } else { "" };
        format!("{inner};{raised}")
    } else if result.base == "HPy" && !result.is_pointer() {
        let open = if matches!(function.fails, Fails::Never) { "opened_or_null" } else { "opened" };
        format!("call.{open}({inner})")
    } else {
        match function.fails {
            Fails::Null | Fails::NullWithError => {
                format!("let result = {inner};\nif result.is_null() {{ call.has_failed(); }}\nresult")
            }
            Fails::MinusOne | Fails::MinusOneWithError => {
                format!("let result = {inner};\nif result == {failure} {{ call.has_failed(); }}\nresult")
            }
            Fails::Never | Fails::Aborts => inner,
        }
    };
    format!(
        "unsafe extern \"C\" fn {}({}){} {{\n\
         // SAFETY: the context is one of ours, and what is passed on has been checked.\nunsafe {{ {body} }}\n}}\n",
        function.member,
        rust_params(function),
        rust_result(function)
    )
}
