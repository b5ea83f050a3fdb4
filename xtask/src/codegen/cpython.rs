//! The generated part of the CPython ABI's headers, where a function is one of `Python.h` if there is one.

use std::fmt::Write;

use super::c::{Trampoline, after_call, header, macro_definition, params};
use crate::ctype::{CType, Decl};
use crate::spec::{Fails, Function, Member, Signature, Spec};

pub fn headers(spec: &Spec) -> Vec<(&'static str, String)> {
    vec![
        ("autogen_cpython_context.h", context(spec)),
        ("autogen_cpython_functions.h", functions(spec)),
        ("autogen_cpython_trampolines.h", trampolines(spec)),
    ]
}

/// The symbol of a function in the static library.
pub fn symbol(function: &Function) -> String {
    format!("_HPy_{}", function.member)
}

fn context(spec: &Spec) -> String {
    let mut body = String::from(
        "/** The context of the CPython ABI: the constants only, in the places they have in every ABI. */\n\
         struct _HPyContext_s {\n\
         \x20   /** Name of the ABI, for people. */\n    const char *name;\n    void *_private;\n\
         \x20   /** Major version of the ABI. */\n    int abi_version;\n",
    );
    let mut functions = 0;
    let gap = |body: &mut String, index: usize, functions: &mut usize| {
        if *functions > 0 {
            writeln!(body, "    void *_no_functions_{}[{functions}];", index - *functions).unwrap();
        }
        *functions = 0;
    };
    for member in spec.members() {
        match member {
            Member::Constant(constant) => {
                gap(&mut body, constant.index, &mut functions);
                writeln!(body, "    HPy {};", constant.name).unwrap();
            }
            Member::Function(_) => functions += 1,
        }
    }
    gap(&mut body, spec.members().len(), &mut functions);
    body += "};\n";
    header("cpython_context", "spec/constants.toml and spec/functions/", &body)
}

fn functions(spec: &Spec) -> String {
    let mut body =
        String::from("/* What the functions do is said in autogen_functions.h and in docs/reference/. */\n\n");
    for family in &spec.families {
        writeln!(body, "/* {} */\n", family.title).unwrap();
        for function in family.functions.iter().filter(|function| !function.runtime_only) {
            body += &definition(spec, function);
        }
    }
    header("cpython_functions", "spec/functions/", &body)
}

fn definition(spec: &Spec, function: &Function) -> String {
    let mut text = String::new();
    let params = params(function);
    if function.is_in_library() {
        let (result, symbol) = (function.member_returns(), symbol(function));
        writeln!(text, "HPyAPI_HELPER {result} {symbol}({params});\n").unwrap();
    }
    let noreturn = if function.fails == Fails::Aborts { "_HPy_NO_RETURN " } else { "" };
    writeln!(text, "HPyAPI_FUNC {noreturn}{} {}({params})\n{{", function.returns.c, function.name).unwrap();
    if !function.is_in_library() {
        text += "    (void)ctx;\n";
    }
    if let Some(code) = &function.inline {
        for line in code.trim_end().lines() {
            let indent = if line.starts_with('#') { "" } else { "    " };
            writeln!(text, "{indent}{line}").unwrap();
        }
    } else {
        let result = Decl::parse_type(function.member_returns());
        let call = match &function.cpython {
            Some(cpython) => {
                let arguments: Vec<_> = function.params().iter().map(|param| to_cpython(spec, param)).collect();
                from_cpython(spec, &result, format!("{cpython}({})", arguments.join(", ")))
            }
            None => {
                let arguments: String = function.params().iter().map(|param| format!(", {}", param.name)).collect();
                format!("{}(ctx{arguments})", symbol(function))
            }
        };
        let before = if result.is_void() { "" } else { "return " };
        writeln!(text, "    {before}{call};{}", after_call(function)).unwrap();
    }
    text + "}\n\n"
}

/// An argument as CPython takes it.
fn to_cpython(spec: &Spec, param: &Decl) -> String {
    let name = &param.name;
    match (spec.is_handle(&param.ty.base), param.ty.is_pointer()) {
        (true, false) if param.ty.base == "HPyThreadState" => format!("(PyThreadState *){name}._i"),
        (true, false) => format!("_h2py({name})"),
        (true, true) => format!("(PyObject **){name}"),
        (false, _) => name.clone(),
    }
}

/// A result of CPython's as HPy gives it.
fn from_cpython(spec: &Spec, result: &CType, call: String) -> String {
    match result.base.as_str() {
        "HPyThreadState" => format!("_htsconv((intptr_t){call})"),
        base if spec.is_handle(base) => format!("_py2h({call})"),
        _ => call,
    }
}

fn trampolines(spec: &Spec) -> String {
    let mut body = String::from(
        "/* What CPython calls: the implementation, with the context in front. Compilers make one function of the two.\n\
         \x20  Those that do more are in hpy/cpython/trampolines.h. */\n\n",
    );
    for signature in &spec.signatures {
        if let Some(text) = trampoline(signature) {
            body += &text;
            body.push('\n');
        }
    }
    header("cpython_trampolines", "spec/signatures.toml", body.trim_end_matches('\n')).replace("\n#endif", "\n\n#endif")
}

fn trampoline(signature: &Signature) -> Option<String> {
    let passed = signature.passed_as_they_are()?;
    let (result, _) = signature.implementation()?;
    let trampoline = Trampoline::new(signature);
    let arguments: String = passed
        .iter()
        .map(
            |(field, is_object)| {
                if *is_object { format!(", _py2h({})", field.name) } else { format!(", {}", field.name) }
            },
        )
        .collect();
    let result = Decl::parse_type(&result);
    let lines = if result.is_void() {
        let mut lines = trampoline.head();
        lines.push(format!("    IMPL(_HPy_CONTEXT{arguments});"));
        lines.push("}".to_string());
        lines
    } else {
        let call = format!("IMPL(ctx{arguments})");
        let call = if result == Decl::parse_type("HPy") { format!("_h2py({call})") } else { call };
        let call = match trampoline.unused() {
            Some(name) => format!("((void){name}, {call})"),
            None => call,
        };
        let Trampoline { result_type, params, .. } = &trampoline;
        let names: Vec<_> = params.iter().map(|param| Decl::parse(param).name).collect();
        let head = format!("{result_type}, SYM, ({}), ({})", params.join(", "), names.join(", "));
        vec![format!("_HPy_TRAMPOLINE({head},"), format!("                {call})")]
    };
    Some(macro_definition(&format!("_HPyFunc_TRAMPOLINE_{}(SYM, IMPL)", signature.name), &lines))
}
