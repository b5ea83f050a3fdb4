//! The generated part of what the modes share: the members of the context by name, and the ways into extensions.

use std::fmt::Write;

use super::rust::{ident, source};
use crate::ctype::{CType, Decl};
use crate::spec::{Member, Signature, Spec};

pub fn sources(spec: &Spec) -> Vec<(&'static str, String)> {
    vec![
        ("crates/layer/src/autogen_members.rs", members(spec)),
        ("crates/layer/src/autogen_upcalls.rs", upcalls(spec)),
        ("crates/layer/src/autogen_inner.rs", inner(spec)),
    ]
}

/// A type of the API as the inner context has it.
fn inner_type(ty: &CType) -> String {
    ty.to_rust().replace("HPy", if ty.base == "HPy" { "InnerHandle" } else { "HPy" })
}

/// The functions of the inner context, with handles of its own.
fn inner(spec: &Spec) -> String {
    let mut methods = String::new();
    for function in spec.families.iter().flat_map(|family| &family.functions) {
        let (mut declared, mut passed) = (String::new(), String::new());
        for param in function.params() {
            let name = ident(&param.name);
            write!(declared, ", {name}: {}", inner_type(&param.ty)).unwrap();
            write!(
                passed,
                ", {name}{}",
                match (param.ty.base.as_str(), param.ty.is_pointer()) {
                    ("HPy", false) => ".handle()",
                    ("HPy", true) => ".cast()",
                    _ => "",
                }
            )
            .unwrap();
        }
        let result = Decl::parse_type(function.member_returns());
        let arrow = if result.is_void() { String::new() } else { format!(" -> {}", inner_type(&result)) };
        let call = format!("((*self.0).{})(self.0{passed})", function.member);
        let call = if result.base == "HPy" { format!("InnerHandle::of({call})") } else { call };
        writeln!(
            methods,
            "#[inline(always)]\npub unsafe fn {}(self{declared}){arrow} {{\n// SAFETY: as the type says.\nunsafe {{ {call} }}\n}}",
            function.member
        )
        .unwrap();
    }
    let body = format!(
        "use core::ffi::{{c_char, c_int, c_void}};
use hpy_abi::*;
use crate::inner::{{InnerContext, InnerHandle}};

impl InnerContext {{
{methods}}}
"
    );
    source("spec/functions/", "The functions of the inner context.", &body)
}

fn members(spec: &Spec) -> String {
    let (mut all, mut indices) = (String::new(), String::new());
    for member in spec.members() {
        let (name, index) = (member.name(), member.index());
        writeln!(indices, "pub const {name}: u16 = {index};").unwrap();
        let (public, params, pending) = match &member {
            Member::Constant(constant) => (&constant.name, String::new(), true),
            Member::Function(function) => {
                let names: Vec<_> = function.params().iter().map(|param| format!("{:?}", param.name)).collect();
                (&function.name, names.join(", "), function.pending)
            }
        };
        let is_function = matches!(member, Member::Function(_));
        writeln!(
            all,
            "Described {{ member: {name:?}, name: {public:?}, is_function: {is_function}, params: &[{params}], pending: {pending} }},"
        )
        .unwrap();
    }
    let body = format!(
        "use hpy_abi::MEMBER_COUNT;

/// A member of the context.
pub struct Described {{
    pub member: &'static str,
    /// What authors call it: `HPy_Add` for `ctx_Add`.
    pub name: &'static str,
    /// It is not a constant.
    pub is_function: bool,
    pub params: &'static [&'static str],
    /// It may be called with an exception pending.
    pub pending: bool,
}}

/// By the index of the member.
pub static MEMBERS: [Described; MEMBER_COUNT] = [
{all}];

/// The indices of members.
pub mod member {{
{indices}}}
"
    );
    source("spec/", "The members of the context.", &body)
}

/// The entries of signatures that are nothing but handles and numbers.
fn upcalls(spec: &Spec) -> String {
    let (mut entries, mut arms) = (String::new(), String::new());
    for signature in &spec.signatures {
        if let Some(text) = entry(signature) {
            entries += &text;
            let name = signature.short_name().to_lowercase();
            writeln!(
                arms,
                "{} => transmute::<HPyFunc_{name}, HPyCFunction>(Some(upcall_{name}::<E>)),",
                signature.name
            )
            .unwrap();
        }
    }
    let body = format!(
        "use core::ffi::{{c_char, c_int, c_void}};
use core::mem::transmute;
use hpy_abi::*;
use crate::upcall::{{Upcall, KEYWORDS}};
use crate::inner::{{InnerContext, InnerHandle}};
use crate::stack;

{entries}

/// What the inner runtime calls for a function of this signature.
pub fn upcall_of<E: Upcall>(signature: HPyFunc_Signature) -> HPyCFunction {{
    // SAFETY: function pointers are cast back to what they are before they are called.
    unsafe {{
        match signature {{
            {arms}
            _ => None,
        }}
    }}
}}
"
    );
    source("spec/signatures.toml", "Where the inner runtime calls functions of extensions.", &body)
}

fn entry(signature: &Signature) -> Option<String> {
    let (result, params) = signature.implementation()?;
    let short = signature.short_name().to_lowercase();
    // Without a context there are no handles; buffers have one inside.
    if params.first()?.ty.base != "HPyContext" || short.ends_with("bufferproc") {
        return None;
    }
    let params = &params[1..];
    let (mut declared, mut passed, mut opened) = (String::new(), String::new(), String::new());
    let mut position = 0;
    for (index, param) in params.iter().enumerate() {
        let name = if param.name.is_empty() { format!("arg{index}") } else { ident(&param.name) };
        write!(declared, ", {name}: {}", param.ty.to_rust()).unwrap();
        write!(passed, ", {name}").unwrap();
        if param.ty.base != "HPy" {
            continue;
        }
        if param.ty.is_pointer() {
            let count = ident(&params[index + 1].name);
            let sign = if params[index + 1].ty.base == "HPy_ssize_t" { ".cast_unsigned()" } else { "" };
            let names = if short == "keywords" { "InnerHandle::of(kwnames)" } else { "InnerHandle::NULL" };
            writeln!(opened, "let {name} = entry.arguments({name}.cast(), {count}{sign}, {names});").unwrap();
        } else {
            let place = if name.starts_with("kw") { "KEYWORDS".to_string() } else { position.to_string() };
            writeln!(opened, "let {name} = entry.argument(InnerHandle::of({name}), {place});").unwrap();
            position += 1;
        }
    }
    let call = format!("f(entry.context(){passed})");
    let rust_result = Decl::parse_type(&result).to_rust();
    // What has no result can't fail: it is called anyhow.
    let refuse = |failure: &str| format!("if stack::is_nearly_full() {{ {failure} }}\n");
    let (arrow, refusal, finish) = match rust_result.as_str() {
        "()" => (String::new(), String::new(), format!("{call};\nentry.finish();")),
        "HPy" => (
            " -> HPy".to_string(),
            refuse("return stack::refuse(InnerContext(ctx)).handle();"),
            format!("let result = {call};\nentry.finish_handle(result).handle()"),
        ),
        number => {
            let bound = |index: usize, name: &str| {
                signature.result.get(index).map_or(format!("{number}::{name}"), i64::to_string)
            };
            (
                format!(" -> {number}"),
                refuse("stack::refuse(InnerContext(ctx)); return -1;"),
                format!("let result = {call};\nentry.finish_number(result, {}, {})", bound(0, "MIN"), bound(1, "MAX")),
            )
        }
    };
    let enters = if refusal.is_empty() { "" } else { "entry.enters();\n" };
    Some(format!(
        "unsafe extern \"C\" fn upcall_{short}<E: Upcall>(ctx: *mut HPyContext{declared}){arrow} {{\n\
         // SAFETY: the inner runtime passes what the signature says, of which the function is.\nunsafe {{\n\
         {refusal}let mut entry = E::begin(InnerContext(ctx));\n{enters}{opened}\
         let f = transmute::<HPyCFunction, HPyFunc_{short}>(entry.function()).unwrap_unchecked();\n{finish}\n}}\n}}\n"
    ))
}
