//! Trampolines for functions that are written in Rust: what `autogen_trampolines.h` is for C.

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
{arms}    (
        @ $signature:ident, $type:ident, $struct:ident, ($($param:ident: $kind:ty),*), {{ $($field:ident),* }},
        $result:ty $(, $last:ident: $zero:expr)?; $implementation:path, $enter:path
    ) => {{{{
        const IMPLEMENTATION: $crate::HPyCFunction =
            // SAFETY: a pointer to a function becomes one to a function that nobody calls as it is.
            unsafe {{ core::mem::transmute::<$crate::$type, $crate::HPyCFunction>(Some($implementation)) }};
        unsafe extern \"C\" fn trampoline($($param: $kind),*) -> $result {{
            let mut a = $crate::$struct {{ $($field,)* $($last: $zero)? }};
            // SAFETY: function and struct are those of the signature.
            unsafe {{ $enter($crate::$signature, IMPLEMENTATION, (&raw mut a).cast()) }};
            $(a.$last)?
        }}
        // SAFETY: a pointer to a function becomes one to a function that CPython calls as the signature says.
        let trampoline = unsafe {{
            core::mem::transmute::<unsafe extern \"C\" fn($($kind),*) -> $result, $crate::HPyCFunction>(trampoline)
        }};
        (IMPLEMENTATION, trampoline)
    }}}};
}}
"
    );
    let doc = "Trampolines for functions in Rust.";
    vec![("crates/abi/src/autogen_trampolines.rs", source("spec/signatures.toml", doc, &body))]
}

fn arm(signature: &Signature) -> Option<String> {
    if signature.trampoline_args.is_empty() {
        return None;
    }
    let (name, short) = (&signature.name, signature.short_name());
    let trampoline = Trampoline::new(signature);
    let is_field = |name: &str| trampoline.fields.iter().any(|field| field.name == name);
    let params = trampoline.params.iter().map(|param| Decl::parse(param)).map(|decl| {
        let name = if is_field(&decl.name) { ident(&decl.name) } else { format!("_{}", decl.name) };
        format!("{name}: {}", rust(&decl))
    });
    let params = params.collect::<Vec<_>>().join(", ");
    let fields = trampoline.fields.iter().map(|field| ident(&field.name)).collect::<Vec<_>>().join(", ");
    let result = match &trampoline.result {
        Some(result) if result.ty.is_pointer() => format!("{}, result: core::ptr::null_mut()", rust(result)),
        Some(result) => format!("{}, result: 0", rust(result)),
        None => "()".to_string(),
    };
    let lower = short.to_lowercase();
    Some(format!(
        "    ({name}, $implementation:path, $enter:path) => {{
        $crate::with_trampoline! {{
            @ {name}, HPyFunc_{lower}, HPyFunc_args_{short},
            ({params}),
            {{ {fields} }},
            {result}; $implementation, $enter
        }}
    }};
"
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
