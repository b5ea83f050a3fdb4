//! The generated part of the C headers.

use std::fmt::Write;

use super::banner::banner;
use crate::ctype::Decl;
use crate::spec::{Fails, Function, Member, Signature, Spec, Struct};

/// Parameters that CPython passes and that the argument struct of the trampoline has no room for.
const UNUSED_TRAMPOLINE_PARAMS: [(&str, &str); 2] =
    [("NOARGS", "cpy_PyObject *noargs"), ("MOD_CREATE", "cpy_PyModuleDef *def")];

/// The header whose structs the typedefs of implementations mention, so that they have to come before those.
const BEFORE_SIGNATURES: &str = "hpyfunc";

pub fn headers(spec: &Spec) -> Vec<(&'static str, String)> {
    vec![
        ("autogen_types.h", types(spec)),
        ("autogen_signatures.h", signatures(spec)),
        ("autogen_slots.h", slots(spec)),
        ("autogen_structs.h", structs(spec)),
        ("autogen_context.h", context(spec)),
        ("autogen_functions.h", functions(spec)),
        ("autogen_trampolines.h", trampolines(spec)),
    ]
}

/// A header's frame: banner, include guard, body.
pub fn header(name: &str, sources: &str, body: &str) -> String {
    let guard = format!("HPY_GENERATED_{}_H", name.to_uppercase());
    let [first, second] = banner(sources);
    format!("/* {first}\n   {second} */\n#ifndef {guard}\n#define {guard}\n\n{body}\n#endif /* {guard} */\n")
}

/// A documentation comment, indented by `indent`.
fn comment(doc: &str, indent: &str) -> String {
    let doc = doc.trim();
    if !doc.contains('\n') && doc.len() + indent.len() < 105 {
        return format!("{indent}/** {doc} */\n");
    }
    let mut text = format!("{indent}/**\n");
    for line in doc.lines() {
        text += format!("{indent} * {line}").trim_end();
        text += "\n";
    }
    text + indent + " */\n"
}

fn types(spec: &Spec) -> String {
    let mut body = String::new();
    for handle in &spec.handles {
        body += &comment(&handle.doc, "");
        writeln!(body, "typedef struct {{ intptr_t {}; }} {};\n", handle.field, handle.name).unwrap();
    }
    for item in &spec.enums {
        body += &comment(&item.doc, "");
        body += "typedef enum {\n";
        for value in &item.values {
            body += &comment(&value.doc, "    ");
            writeln!(body, "    {} = {},", value.name, value.value).unwrap();
        }
        writeln!(body, "}} {};\n", item.name).unwrap();
    }
    for flag in &spec.flags {
        body += &comment(&flag.doc, "");
        let bits: Vec<_> = flag.bits.iter().map(|bit| format!("(1UL << {bit})")).collect();
        writeln!(body, "#define {} ({})\n", flag.name, bits.join(" | ")).unwrap();
    }
    // Python.h has them, too.
    body += "#ifdef HPY_ABI_UNIVERSAL\n";
    for flag in &spec.buffer_flags {
        body += &comment(&flag.doc, "");
        writeln!(body, "#define {} {:#06x}", flag.name, flag.value).unwrap();
    }
    body += "#endif\n\n";
    for item in spec.structs.iter().filter(|item| item.header == BEFORE_SIGNATURES) {
        body += &definition(item);
    }
    header("types", "spec/structs.toml and spec/enums.toml", body.trim_end_matches('\n').trim_start())
        .replace("\n#endif", "\n\n#endif")
}

fn definition(item: &Struct) -> String {
    let mut text = comment(&item.doc, "");
    text += "typedef struct {\n";
    for field in &item.fields {
        text += &comment(&field.doc, "    ");
        if let Some(members) = &field.union {
            text += "    union {\n";
            for member in members {
                writeln!(text, "        {member};").unwrap();
            }
            text += "    };\n";
        }
        if let Some(c) = &field.c {
            writeln!(text, "    {c};").unwrap();
        }
    }
    writeln!(text, "}} {};\n", item.name).unwrap();
    text
}

fn structs(spec: &Spec) -> String {
    let body: String = spec.structs.iter().filter(|item| item.header != BEFORE_SIGNATURES).map(definition).collect();
    header("structs", "spec/structs.toml", &body)
}

fn signatures(spec: &Spec) -> String {
    let mut body = String::from("/** The kinds of functions that an extension implements. */\ntypedef enum {\n");
    for signature in &spec.signatures {
        body += &comment(&signature.doc, "    ");
        writeln!(body, "    {} = {},", signature.name, signature.value).unwrap();
    }
    body += "} HPyFunc_Signature;\n\n";
    body += "/* HPyFunc_noargs and so on: a pointer to an implementation. */\n";
    for signature in &spec.signatures {
        if let Some(implementation) = &signature.implementation {
            let name = format!("HPyFunc_{}", signature.short_name().to_lowercase());
            writeln!(body, "typedef {};", implementation.replace("(*impl)", &format!("(*{name})"))).unwrap();
        }
    }
    body += "\n/* Forward declarations of implementations, for HPyFunc_DECLARE. */\n";
    for signature in &spec.signatures {
        if let Some(implementation) = &signature.implementation {
            let declaration = implementation.replace("(*impl)", "SYM");
            writeln!(body, "#define _HPyFunc_DECLARE_{}(SYM) static {declaration}", signature.name).unwrap();
        }
    }
    header("signatures", "spec/signatures.toml", &body)
}

fn slots(spec: &Spec) -> String {
    let mut body =
        String::from("/** What a type or a module can define; each slot has one signature. */\ntypedef enum {\n");
    for slot in spec.slots.iter().filter(|slot| !slot.reserved) {
        body += &comment(&slot.doc, "    ");
        writeln!(body, "    {} = {},", slot.name, slot.number).unwrap();
    }
    body += "} HPySlot_Slot;\n\n/* The signature of each slot, for HPySlot_SIG. */\n";
    for slot in &spec.slots {
        if let Some(signature) = &slot.signature {
            writeln!(body, "#define _HPySlot_SIG__{} {signature}", slot.name).unwrap();
        }
    }
    header("slots", "spec/slots.toml", &body)
}

pub fn params(function: &Function) -> String {
    let mut text = String::from("HPyContext *ctx");
    for param in &function.params {
        write!(text, ", {}", param.c).unwrap();
    }
    text
}

fn context(spec: &Spec) -> String {
    let mut body = String::from(
        "/** The table through which an extension reaches the runtime. A member never changes its place. */\n\
         struct _HPyContext_s {\n\
         \x20   /** Name of the runtime and mode, for people. */\n    const char *name;\n\
         \x20   /** The runtime's own. */\n    void *_private;\n\
         \x20   /** Major version of the ABI. */\n    int abi_version;\n",
    );
    for member in spec.members() {
        match member {
            Member::Constant(constant) => writeln!(body, "    HPy {};", constant.name).unwrap(),
            Member::Function(function) => {
                let decl = format!("(*{})({})", function.member, params(function));
                writeln!(body, "    {} {decl};", function.member_returns()).unwrap();
            }
        }
    }
    body += "};\n";
    header("context", "spec/constants.toml and spec/functions/", &body)
}

/// What a reader of the header learns of a function.
fn function_comment(function: &Function) -> String {
    let mut doc = function.doc.trim().to_string();
    let fails = match function.fails {
        Fails::Null => Some("Returns null on failure"),
        Fails::NullWithError => Some("Returns null on failure, with an exception set"),
        Fails::MinusOne => Some("Returns -1 on failure"),
        Fails::MinusOneWithError => Some("Returns -1 on failure; HPyErr_Occurred tells it from a value of -1"),
        Fails::Never => None,
        Fails::Aborts => Some("Does not return"),
    };
    if let Some(fails) = fails {
        write!(doc, "\n\n{fails}. Raises: {}", function.raises.trim_end_matches('.')).unwrap();
        doc.push('.');
    }
    comment(&doc, "")
}

/// What follows the call in a function whose member returns nothing.
pub fn after_call(function: &Function) -> &'static str {
    match (&function.member_returns, function.fails) {
        (Some(_), _) => "\n    return HPy_NULL;",
        (None, Fails::Aborts) => "\n    abort(); /* not reached; compilers want to see it */",
        _ => "",
    }
}

/// The shapes whose structs PyPy 7.3.19 has no function for.
const SHAPES_WITHOUT_FUNCTION: [&str; 6] = ["Long", "Float", "Unicode", "Tuple", "List", "Dict"];

/// How a function's member is found in `ctx`: in its place, but for those that `include/hpy/pypy.h` is about.
fn member_of(spec: &Spec, function: &Function) -> String {
    let index = |name| spec.constants.iter().find(|constant| constant.name == name).map(|constant| constant.index);
    let member = &function.member;
    let shape = member.strip_prefix("ctx_AsStruct_");
    if shape.is_some_and(|shape| SHAPES_WITHOUT_FUNCTION.contains(&shape)) {
        return format!("_HPy_AS_STRUCT(ctx, {member})");
    }
    let is_shifted = index("h_Builtins") < Some(function.index) && Some(function.index) < index("h_DictType");
    format!("{}->{member}", if is_shifted { "_HPy_SHIFTED(ctx)" } else { "ctx" })
}

fn functions(spec: &Spec) -> String {
    let mut body = String::new();
    for family in &spec.families {
        writeln!(body, "/* {} */\n", family.title).unwrap();
        let legacy = if family.name == "legacy" { "_HPY_LEGACY " } else { "" };
        for function in &family.functions {
            body += &function_comment(function);
            // What must not be called has to stay a call.
            let kind = if family.name == "legacy" { "HPyAPI_INLINE_HELPER" } else { "HPyAPI_FUNC" };
            let noreturn = if function.fails == Fails::Aborts { "_HPy_NO_RETURN " } else { "" };
            writeln!(
                body,
                "{kind} {legacy}{noreturn}{} {}({})\n{{",
                function.returns.c,
                function.name,
                params(function)
            )
            .unwrap();
            for line in function.shortcut.iter().flat_map(|code| code.trim_end().lines()) {
                writeln!(body, "    {line}").unwrap();
            }
            let arguments: String = function.params().iter().map(|param| format!(", {}", param.name)).collect();
            let call = format!("{}(ctx{arguments});", member_of(spec, function));
            let returns_void = Decl::parse_type(function.member_returns()).is_void();
            let after = after_call(function);
            writeln!(body, "    {}{call}{after}\n}}\n", if returns_void { "" } else { "return " }).unwrap();
        }
    }
    header("functions", "spec/functions/", &body)
}

fn trampolines(spec: &Spec) -> String {
    let mut body = String::from(
        "/* What CPython calls: a function that puts its arguments into a struct and hands them to the runtime. */\n\n",
    );
    for signature in &spec.signatures {
        if !signature.trampoline_args.is_empty() {
            body += &trampoline(signature);
        }
    }
    body += "/* HPy_tp_destroy is called by the runtime only, never through a trampoline. */\n\
             #define _HPyFunc_TRAMPOLINE_HPyFunc_DESTROYFUNC(SYM, IMPL) static void SYM(void) { abort(); }\n";
    header("trampolines", "spec/signatures.toml", &body)
}

/// The function that CPython calls for a signature, as far as it follows from the argument struct.
pub struct Trampoline<'a> {
    /// What CPython passes, without the result.
    pub fields: Vec<Decl>,
    pub result: Option<Decl>,
    pub result_type: &'a str,
    /// The parameters as C has them, with one behind them that is not handed on, if CPython passes such a one.
    pub params: Vec<&'a str>,
    unused: Option<&'a str>,
}

impl<'a> Trampoline<'a> {
    pub fn new(signature: &'a Signature) -> Trampoline<'a> {
        let mut fields: Vec<Decl> = signature.trampoline_args.iter().map(|arg| Decl::parse(arg)).collect();
        let result = fields.pop_if(|field| field.name == "result");
        let result_type = match signature.trampoline_args.last() {
            Some(declared) if result.is_some() => {
                declared.strip_suffix("result").expect("the field is called result").trim_end()
            }
            _ => "void",
        };
        let mut params: Vec<_> = signature.trampoline_args[..fields.len()].iter().map(String::as_str).collect();
        let unused = UNUSED_TRAMPOLINE_PARAMS.iter().find(|(name, _)| *name == signature.short_name());
        let unused = unused.map(|(_, param)| *param);
        params.extend(unused);
        Trampoline { fields, result, result_type, params, unused }
    }

    /// The name of the parameter that is not handed on.
    pub fn unused(&self) -> Option<String> {
        self.unused.map(|param| Decl::parse(param).name)
    }

    /// `static RESULT SYM(PARAMETERS)`, the brace, and what keeps compilers quiet.
    pub fn head(&self) -> Vec<String> {
        let Trampoline { result_type, params, .. } = self;
        let mut head = vec![format!("static {result_type} SYM({})", params.join(", ")), "{".to_string()];
        head.extend(self.unused().map(|name| format!("    (void){name};")));
        head
    }
}

/// A macro over several lines.
pub fn macro_definition(head: &str, lines: &[String]) -> String {
    let mut text = format!("#define {head} \\\n");
    let last = lines.len() - 1;
    for (index, line) in lines.iter().enumerate() {
        writeln!(text, "    {line}{}", if index == last { "\n" } else { " \\" }).unwrap();
    }
    text
}

fn trampoline(signature: &Signature) -> String {
    let short = signature.short_name();
    let trampoline = Trampoline::new(signature);
    let mut lines = trampoline.head();
    let Trampoline { fields, result, .. } = trampoline;
    let names: Vec<_> = fields.iter().map(|field| field.name.as_str()).collect();
    let result_init = match &result {
        Some(result) if result.ty.is_pointer() => ", NULL",
        Some(_) => ", 0",
        None => "",
    };
    lines.push(format!("    _HPyFunc_args_{short} a = {{ {}{result_init} }};", names.join(", ")));
    lines.push("    _HPy_CallRealFunctionFromTrampoline(".to_string());
    lines.push(format!("        _ctx_for_trampolines, {}, (HPyCFunction)IMPL, &a);", signature.name));
    if result.is_some() {
        lines.push("    return a.result;".to_string());
    }
    lines.push("}".to_string());

    let mut text = String::from("typedef struct {\n");
    for arg in &signature.trampoline_args {
        writeln!(text, "    {arg};").unwrap();
    }
    writeln!(text, "}} _HPyFunc_args_{short};\n").unwrap();
    text + &macro_definition(&format!("_HPyFunc_TRAMPOLINE_{}(SYM, IMPL)", signature.name), &lines)
}
