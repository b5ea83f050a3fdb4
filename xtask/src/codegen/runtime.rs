//! The generated part of the runtime for CPython, and of the library for the CPython ABI.

use std::fmt::Write;

use super::cpython::symbol;
use super::rust::{arguments, ident, rust_params, rust_result, source};
use crate::ctype::Decl;
use crate::spec::{Function, Signature, Spec};

pub fn sources(spec: &Spec) -> Vec<(&'static str, String)> {
    vec![
        ("crates/cpython/src/autogen_constants.rs", constants(spec)),
        ("crates/cpython/src/autogen_direct.rs", direct(spec)),
        ("crates/cpython/src/autogen_trampolines.rs", trampolines(spec)),
        ("crates/helpers/src/autogen_library.rs", library(spec)),
    ]
}

fn constants(spec: &Spec) -> String {
    let mut body = String::from(
        "use hpy_abi::HPyContext;\nuse pyo3_ffi::*;\nuse crate::handle::to_handle;\n\n\
         /// Fills in the constants that CPython has as C objects.\n///\n/// # Safety\n/// The interpreter has to be initialised, and the context be the caller's to write.\n\
         pub unsafe fn fill(ctx: *mut HPyContext) {\n// SAFETY: as this function's; the objects live as long as the interpreter does.\nunsafe {\n",
    );
    for constant in &spec.constants {
        let Some(cpython) = &constant.cpython else { continue };
        let value = match constant.group.as_str() {
            "singleton" => format!("{cpython}()"),
            "type" => format!("&raw mut {cpython} as *mut PyObject"),
            _ => cpython.clone(),
        };
        writeln!(body, "(*ctx).{} = to_handle({value});", constant.name).unwrap();
    }
    body += "}\n}\n";
    source("spec/constants.toml", "The constant handles.", &body)
}

/// For each family a macro with the functions that are one call of CPython's, to be used inside the trait's `impl`.
fn direct(spec: &Spec) -> String {
    let mut body = String::new();
    for family in &spec.families {
        let functions: Vec<_> = family.functions.iter().filter(|function| function.cpython.is_some()).collect();
        if functions.is_empty() {
            continue;
        }
        writeln!(body, "macro_rules! direct_{} {{\n() => {{", family.name).unwrap();
        for function in functions {
            body += &direct_function(spec, function);
        }
        writeln!(body, "}};\n}}\npub(crate) use direct_{};\n", family.name).unwrap();
    }
    source("spec/functions/", "The functions that are exactly one call of CPython's.", &body)
}

fn direct_function(spec: &Spec, function: &Function) -> String {
    let cpython = function.cpython.as_ref().expect("only called for direct functions");
    let arguments: Vec<_> = function
        .params()
        .iter()
        .map(|param| {
            let name = ident(&param.name);
            if param.ty.base == "HPyThreadState" {
                format!("{name}._i as *mut pyo3_ffi::PyThreadState")
            } else if spec.is_handle(&param.ty.base) && !param.ty.is_pointer() {
                format!("crate::handle::to_object({name})")
            } else if spec.is_handle(&param.ty.base) {
                format!("{name}.cast()")
            } else {
                name
            }
        })
        .collect();
    let call = format!("pyo3_ffi::{cpython}({})", arguments.join(", "));
    let result = Decl::parse_type(function.member_returns());
    let call = if result.is_void() {
        format!("{call};")
    } else if result.base == "HPyThreadState" {
        format!("HPyThreadState {{ _i: {call} as isize }}")
    } else if spec.is_handle(&result.base) {
        format!("crate::handle::to_handle({call})")
    } else {
        call
    };
    let params = rust_params(function).replacen("ctx:", "_ctx:", 1);
    let result = rust_result(function);
    format!(
        "unsafe extern \"C\" fn {}({params}){result} {{\n\
         // SAFETY: the caller's handles are live objects, and it holds the interpreter.\nunsafe {{ {call} }}\n}}\n",
        function.member
    )
}

/// The entry for all signatures whose implementation takes just what CPython passes, object by object.
fn trampolines(spec: &Spec) -> String {
    let (mut arms, mut counts) = (String::new(), String::new());
    for signature in &spec.signatures {
        arms += &trampoline_arm(signature).unwrap_or_default();
        if let Some(passed) = signature.passed_as_they_are() {
            writeln!(counts, "{} => {},", signature.name, passed.len()).unwrap();
        }
    }
    let body = format!(
        "use core::ffi::c_void;
use core::mem::transmute;
use hpy_abi::*;
use crate::handle::{{to_handle, to_object}};

/// Calls `func`, unless its signature is one of the few that need more work. Returns whether it did.
///
/// # Safety
/// `func` and `args` have to be of the signature's types.
pub unsafe fn enter(ctx: *mut HPyContext, sig: HPyFunc_Signature, func: HPyCFunction, args: *mut c_void) -> bool {{
    // SAFETY: the caller vouches for the types; objects in the arguments are alive during the call.
    unsafe {{
        match sig {{
            {arms}
            _ => return false,
        }}
    }}
    true
}}

/// How many arguments an implementation takes behind the context, if they are just those that CPython passes.
pub const fn passed_as_they_are(sig: HPyFunc_Signature) -> Option<usize> {{
    Some(match sig {{
        {counts}
        _ => return None,
    }})
}}
"
    );
    source("spec/signatures.toml", "Entering an extension: the signatures that need no work of their own.", &body)
}

fn trampoline_arm(signature: &Signature) -> Option<String> {
    let passed = signature.passed_as_they_are()?;
    let (result, _) = signature.implementation()?;
    let arguments: Vec<_> = passed
        .iter()
        .map(|(field, is_object)| {
            let name = ident(&field.name);
            if *is_object { format!("to_handle(a.{name}.cast())") } else { format!("a.{name}") }
        })
        .collect();
    let short = signature.short_name();
    let call = format!("f(ctx, {})", arguments.join(", "));
    let assign = match Decl::parse_type(&result) {
        ty if ty.is_void() => format!("{call};"),
        ty if ty == Decl::parse_type("HPy") => format!("a.result = to_object({call}).cast();"),
        _ => format!("a.result = {call};"),
    };
    Some(format!(
        "{} => {{
            let f = transmute::<HPyCFunction, HPyFunc_{}>(func).unwrap_unchecked();
            let a = &mut *args.cast::<HPyFunc_args_{short}>();
            {assign}
        }}",
        signature.name,
        short.to_lowercase()
    ))
}

/// What C calls in the CPython ABI where a function is not inline.
fn library(spec: &Spec) -> String {
    let mut body = String::from(
        "use core::ffi::{c_char, c_int, c_void};\nuse hpy_abi::runtime::*;\nuse hpy_abi::*;\nuse hpy_cpython::CPython;\n",
    );
    let functions: Vec<_> = spec.functions().filter(|function| function.is_in_library()).collect();
    for function in &functions {
        writeln!(
            body,
            "/// `{}`\n#[unsafe(no_mangle)]\nunsafe extern \"C\" fn {}({}){} {{\n\
             // SAFETY: as for the function of the context.\nunsafe {{ CPython::{}(ctx{}) }}\n}}",
            function.name,
            symbol(function),
            rust_params(function),
            rust_result(function),
            function.member,
            arguments(function)
        )
        .unwrap();
    }
    body += "crate::symbols::hide! {\n";
    for function in &functions {
        writeln!(body, "\"{}\"", symbol(function)).unwrap();
    }
    body += "}\n";
    source("spec/functions/", "The functions of the CPython ABI that are not inline in its headers.", &body)
}
