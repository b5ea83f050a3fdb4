//! Trampolines for functions that are written in Rust: what `autogen_trampolines.h` is for C.

use std::fmt::Write;

use super::c::Trampoline;
use super::rust::{ident, source};
use crate::ctype::Decl;
use crate::spec::{Signature, Spec};

pub fn sources(spec: &Spec) -> Vec<(&'static str, String)> {
    let arms: String = spec.signatures.iter().filter_map(arm).collect();
    let body = format!(
        "/// An implementation and its trampoline, as definitions want them: `(HPyCFunction, HPyCFunction)`. CPython calls the trampoline. It
/// puts its arguments into the struct of the signature and calls `enter(signature, implementation, &mut struct)`, which hands them to the
/// runtime.
#[macro_export]
macro_rules! with_trampoline {{
{arms}}}
"
    );
    vec![(
        "crates/abi/src/autogen_trampolines.rs",
        source("spec/signatures.toml", "Trampolines for functions in Rust.", &body),
    )]
}

fn arm(signature: &Signature) -> Option<String> {
    if signature.trampoline_args.is_empty() {
        return None;
    }
    let short = signature.short_name();
    let trampoline = Trampoline::new(signature);
    let (mut params, mut types) = (String::new(), String::new());
    for decl in trampoline.params.iter().map(|param| Decl::parse(param)) {
        let is_used = trampoline.fields.iter().any(|field| field.name == decl.name);
        let name = if is_used { ident(&decl.name) } else { format!("_{}", decl.name) };
        write!(params, "{name}: {}, ", rust(&decl)).unwrap();
        write!(types, "{}, ", rust(&decl)).unwrap();
    }
    let mut fields: Vec<_> = trampoline.fields.iter().map(|field| ident(&field.name)).collect();
    let (returns, give) = match &trampoline.result {
        Some(result) => {
            let zero = if result.ty.is_pointer() { "core::ptr::null_mut()" } else { "0" };
            fields.push(format!("result: {zero}"));
            (format!(" -> {}", rust(result)), "a.result")
        }
        None => (String::new(), ""),
    };
    Some(format!(
        "({name}, $implementation:path, $enter:path) => {{{{
    const IMPLEMENTATION: $crate::HPyCFunction =
        // SAFETY: a pointer to a function becomes one to a function that nobody calls as it is.
        unsafe {{ core::mem::transmute::<$crate::HPyFunc_{lower}, $crate::HPyCFunction>(Some($implementation)) }};
    unsafe extern \"C\" fn trampoline({params}){returns} {{
        let mut a = $crate::HPyFunc_args_{short} {{ {fields} }};
        // SAFETY: function and struct are those of the signature.
        unsafe {{ $enter($crate::{name}, IMPLEMENTATION, (&raw mut a).cast()) }};
        {give}
    }}
    // SAFETY: a pointer to a function becomes one to a function that CPython calls as the signature says.
    let trampoline = unsafe {{
        core::mem::transmute::<unsafe extern \"C\" fn({types}){returns}, $crate::HPyCFunction>(trampoline)
    }};
    (IMPLEMENTATION, trampoline)
}}}};
",
        name = signature.name,
        lower = short.to_lowercase(),
        fields = fields.join(", "),
    ))
}

/// The type of a parameter, in a macro that other crates expand.
fn rust(decl: &Decl) -> String {
    let rust = decl.ty.to_rust();
    let (pointers, base) = match rust.rsplit_once(' ') {
        Some((pointers, base)) => (format!("{pointers} "), base),
        None => (String::new(), rust.as_str()),
    };
    match base {
        "c_void" | "c_char" | "c_int" => format!("{pointers}core::ffi::{base}"),
        "usize" | "isize" => rust,
        _ => format!("{pointers}$crate::{base}"),
    }
}
