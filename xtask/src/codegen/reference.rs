//! The API reference in Markdown: `docs/reference/`.

use std::fmt::Write;

use super::banner::banner;
use crate::ctype::Decl;
use crate::spec::{Fails, Family, Function, Ownership, Spec, Value};

pub const DIR: &str = "docs/reference";

pub fn pages(spec: &Spec) -> Vec<(String, String)> {
    let mut pages = vec![
        ("README.md".to_string(), index(spec)),
        ("constants.md".to_string(), constants(spec)),
        ("slots.md".to_string(), slots(spec)),
        ("types.md".to_string(), types(spec)),
    ];
    pages.extend(spec.families.iter().map(|family| (format!("{}.md", family.name), family_page(family))));
    pages
}

fn page(title: &str, sources: &str, body: &str) -> String {
    let [first, second] = banner(sources);
    format!("<!-- {first} {second} -->\n\n# {title}\n\n{}\n", body.trim())
}

fn index(spec: &Spec) -> String {
    let mut body = String::from(
        "Every function takes the context first; the tables leave it out. A handle that a function returns is new: close it\n\
         with `HPy_Close`. A handle that is passed in stays the caller's, unless its row says otherwise. Null is allowed only\n\
         where a row says so, and a function may be called while an exception is set only where its page says so.\n\n\
         | page | what is on it |\n| --- | --- |\n",
    );
    let count = spec.constants.len();
    writeln!(body, "| [Constants](constants.md) | {count} handles that live in the context |").unwrap();
    writeln!(body, "| [Slots](slots.md) | what types and modules can define, and the signatures |").unwrap();
    writeln!(body, "| [Types](types.md) | handles, structs, enums and flags |").unwrap();
    for family in &spec.families {
        let names: Vec<_> = family
            .functions
            .iter()
            .map(|function| format!("[`{0}`]({1}.md#{2})", function.name, family.name, function.name.to_lowercase()))
            .collect();
        writeln!(body, "| [{}]({}.md) | {} |", family.title, family.name, names.join(", ")).unwrap();
    }
    page("API reference", "spec/", &body)
}

fn family_page(family: &Family) -> String {
    let mut body = format!("{}\n\n", family.doc.trim());
    for function in &family.functions {
        body += &function_section(function);
    }
    page(&family.title, &format!("spec/functions/{}.toml", family.name), &body)
}

fn function_section(function: &Function) -> String {
    let params: Vec<_> = function.params.iter().map(|param| param.c.as_str()).collect();
    let params =
        if params.is_empty() { "HPyContext *ctx".into() } else { format!("HPyContext *ctx, {}", params.join(", ")) };
    let mut text = format!(
        "## {}\n\n```c\n{} {}({params});\n```\n\n{}\n\n",
        function.name,
        function.returns.c,
        function.name,
        function.doc.trim()
    );
    if function.params.iter().any(|param| param.own.is_some() || param.null) {
        text += "| argument | |\n| --- | --- |\n";
        for param in &function.params {
            writeln!(text, "| `{}` | {} |", Decl::parse(&param.c).name, argument(param)).unwrap();
        }
        text.push('\n');
    }
    if function.returns.own == Some(Ownership::New) {
        text += "- Returns: a new handle, which the caller closes.\n";
    }
    writeln!(text, "- On failure: {}.", failure(function.fails)).unwrap();
    writeln!(text, "- Raises: {}.", function.raises.trim_end_matches('.')).unwrap();
    let pending = if function.pending { "yes" } else { "no" };
    writeln!(text, "- May be called while an exception is set: {pending}.").unwrap();
    let mut twins = Vec::new();
    if !function.python.is_empty() {
        twins.push(format!("`{}` in Python", function.python));
    }
    if let Some(c) = function.cpython.as_ref().or(function.twin.as_ref()) {
        twins.push(format!("`{c}` in CPython's C API"));
    }
    if !twins.is_empty() {
        writeln!(text, "- Corresponds to: {}.", twins.join("; ")).unwrap();
    }
    writeln!(text, "- Context member: `{}`, index {}, since {}.\n", function.member, function.index, function.since)
        .unwrap();
    text
}

fn argument(param: &Value) -> String {
    let own = match param.own {
        Some(Ownership::Borrowed) => "borrowed",
        Some(Ownership::Stolen) => "taken over: the caller must not use it afterwards",
        Some(Ownership::Out) => "set to a new handle, which the caller closes",
        Some(Ownership::New) | None => "",
    };
    match (own, param.null) {
        ("", true) => "may be null".into(),
        (own, true) => format!("{own}; may be null"),
        (own, false) => own.into(),
    }
}

fn failure(fails: Fails) -> &'static str {
    match fails {
        Fails::Null => "null",
        Fails::NullWithError => "null with an exception set (null without one is a value)",
        Fails::MinusOne => "-1",
        Fails::MinusOneWithError => "-1 with an exception set (-1 without one is a value)",
        Fails::Never => "it never fails",
        Fails::Aborts => "it ends the process",
    }
}

fn constants(spec: &Spec) -> String {
    let mut body = String::from(
        "Handles in the context. They belong to the runtime: do not close them; use `HPy_Dup` where a new handle is due.\n\n\
         | member | object | index | since |\n| --- | --- | --- | --- |\n",
    );
    let mut constants: Vec<_> = spec.constants.iter().collect();
    constants.sort_by_key(|constant| constant.index);
    for constant in constants {
        writeln!(
            body,
            "| `ctx->{}` | `{}` | {} | {} |",
            constant.name, constant.python, constant.index, constant.since
        )
        .unwrap();
    }
    page("Constants", "spec/constants.toml", &body)
}

fn slots(spec: &Spec) -> String {
    let mut body = String::from(
        "## Slots\n\nA slot's function has the signature of its row. Numbers that are missing are set aside.\n\n\
         | slot | number | signature | Python | what it does |\n| --- | --- | --- | --- | --- |\n",
    );
    for slot in spec.slots.iter().filter(|slot| !slot.reserved) {
        let signature = slot.signature.as_deref().unwrap_or_default();
        let python = if slot.python.is_empty() { String::new() } else { format!("`{}`", slot.python) };
        writeln!(body, "| `{}` | {} | `{signature}` | {python} | {} |", slot.name, slot.number, slot.doc.trim())
            .unwrap();
    }
    body += "\n## Signatures\n\n| signature | value | implementation | |\n| --- | --- | --- | --- |\n";
    for signature in &spec.signatures {
        let implementation = signature.implementation.as_ref().map(|text| format!("`{text}`")).unwrap_or_default();
        writeln!(body, "| `{}` | {} | {implementation} | {} |", signature.name, signature.value, signature.doc.trim())
            .unwrap();
    }
    page("Slots and signatures", "spec/slots.toml and spec/signatures.toml", &body)
}

fn types(spec: &Spec) -> String {
    let mut body = String::from("## Handles\n\n| type | |\n| --- | --- |\n");
    for handle in &spec.handles {
        writeln!(body, "| `{}` | {} |", handle.name, handle.doc.trim()).unwrap();
    }
    for item in &spec.structs {
        write!(body, "\n## {}\n\n{}\n\n| field | |\n| --- | --- |\n", item.name, item.doc.trim()).unwrap();
        for field in &item.fields {
            let c = match (&field.c, &field.union) {
                (Some(c), _) => format!("`{c}`"),
                (None, Some(members)) => format!("union of `{}`", members.join("`, `")),
                (None, None) => String::new(),
            };
            writeln!(body, "| {c} | {} |", field.doc.trim()).unwrap();
        }
    }
    for item in &spec.enums {
        write!(
            body,
            "\n## {}\n\n{}\n\n| name | value | since | |\n| --- | --- | --- | --- |\n",
            item.name,
            item.doc.trim()
        )
        .unwrap();
        for value in &item.values {
            writeln!(body, "| `{}` | {} | {} | {} |", value.name, value.value, value.since, value.doc.trim()).unwrap();
        }
    }
    body += "\n## Type flags\n\n| flag | bits | |\n| --- | --- | --- |\n";
    for flag in &spec.flags {
        let bits: Vec<_> = flag.bits.iter().map(u32::to_string).collect();
        writeln!(body, "| `{}` | {} | {} |", flag.name, bits.join(", "), flag.doc.trim()).unwrap();
    }
    body += "\n## Buffer flags\n\nWhat an `HPy_bf_getbuffer` is asked for. Names and values are those of CPython.\n\n\
             | flag | value | |\n| --- | --- | --- |\n";
    for flag in &spec.buffer_flags {
        writeln!(body, "| `{}` | {:#06x} | {} |", flag.name, flag.value, flag.doc.trim()).unwrap();
    }
    page("Types", "spec/structs.toml and spec/enums.toml", &body)
}
