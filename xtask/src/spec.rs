//! The spec: `spec/*.toml`, read into types and checked for sense.

use std::collections::{BTreeMap, HashSet};
use std::fs;
use std::path::Path;

use serde::Deserialize;

use crate::ctype::Decl;

/// The API, as `spec/` describes it.
#[derive(Debug)]
pub struct Spec {
    pub constants: Vec<Constant>,
    /// In the order of their file names.
    pub families: Vec<Family>,
    pub slots: Vec<Slot>,
    pub signatures: Vec<Signature>,
    pub enums: Vec<Enum>,
    pub flags: Vec<Flag>,
    pub buffer_flags: Vec<BufferFlag>,
    pub handles: Vec<Handle>,
    pub structs: Vec<Struct>,
    pub misuses: Vec<Misuse>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Constant {
    pub index: usize,
    pub name: String,
    pub since: String,
    pub group: String,
    pub python: String,
    pub cpython: Option<String>,
    pub doc: String,
}

/// The functions of one file in `spec/functions/`.
#[derive(Debug)]
pub struct Family {
    /// The file's name without `.toml`: names the trait, the test file and the reference page.
    pub name: String,
    pub title: String,
    pub doc: String,
    pub functions: Vec<Function>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Function {
    pub index: usize,
    pub name: String,
    pub member: String,
    pub since: String,
    pub returns: Value,
    /// What the context member returns where that differs from the public function (which then returns null).
    pub member_returns: Option<String>,
    pub params: Vec<Value>,
    pub fails: Fails,
    #[serde(default)]
    pub pending: bool,
    pub cpython: Option<String>,
    pub twin: Option<String>,
    /// The C code of the CPython ABI's function, over `Python.h`. A function with neither this nor `cpython` is in the static
    /// library.
    pub inline: Option<String>,
    /// C code that comes first where there is a context, over `include/hpy/shortcuts.h`: it returns, or leaves it to the table.
    pub shortcut: Option<String>,
    /// Called by trampolines of universal binaries only, and not there in the CPython ABI.
    #[serde(default)]
    pub runtime_only: bool,
    /// Debug mode knows more about it than what is said here.
    #[serde(default)]
    pub checked_by_hand: bool,
    pub raises: String,
    pub python: String,
    pub doc: String,
}

/// A parameter or a result.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Value {
    pub c: String,
    pub own: Option<Ownership>,
    #[serde(default)]
    pub null: bool,
    /// Null, or a number that the enum does not have, is a mistake that the function answers with the exception in `raises`.
    #[serde(default)]
    pub refused: bool,
    /// The lowest number that makes sense.
    pub least: Option<i64>,
    /// The enum that a plain number is of.
    #[serde(rename = "enum")]
    pub enumeration: Option<String>,
    /// Text that may be in another encoding after all.
    #[serde(default)]
    pub any_encoding: bool,
    /// The constant that is the type of the object, where the function takes that for granted.
    pub is: Option<String>,
}

#[derive(Debug, Deserialize, Clone, Copy, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum Ownership {
    Borrowed,
    New,
    Stolen,
    Out,
}

#[derive(Debug, Deserialize, Clone, Copy, PartialEq, Eq)]
pub enum Fails {
    #[serde(rename = "null")]
    Null,
    #[serde(rename = "null with error set")]
    NullWithError,
    #[serde(rename = "-1")]
    MinusOne,
    #[serde(rename = "-1 with error set")]
    MinusOneWithError,
    #[serde(rename = "never")]
    Never,
    #[serde(rename = "aborts")]
    Aborts,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Slot {
    pub name: String,
    pub number: u32,
    #[serde(default)]
    pub reserved: bool,
    pub signature: Option<String>,
    #[serde(default)]
    pub python: String,
    #[serde(default)]
    pub doc: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Signature {
    pub name: String,
    pub value: u32,
    #[serde(rename = "impl")]
    pub implementation: Option<String>,
    #[serde(default)]
    pub trampoline_args: Vec<String>,
    /// The lowest and the highest number that an implementation may return.
    #[serde(default)]
    pub result: Vec<i64>,
    pub doc: String,
}

/// What debug mode finds.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Misuse {
    pub id: u32,
    pub name: String,
    pub title: String,
    pub action: String,
    pub fix: String,
}

impl Signature {
    /// `NOARGS` for `HPyFunc_NOARGS`.
    pub fn short_name(&self) -> &str {
        self.name.strip_prefix("HPyFunc_").unwrap_or(&self.name)
    }

    /// The result and the parameters of an implementation: `HPy (*impl)(HPyContext *ctx, HPy self)` in parts.
    pub fn implementation(&self) -> Option<(String, Vec<Decl>)> {
        let text = self.implementation.as_ref()?;
        let (result, params) = text.split_once("(*impl)(")?;
        let params = params.strip_suffix(')')?;
        Some((result.trim().to_string(), params.split(',').map(Decl::parse).collect()))
    }

    /// What CPython passes, and whether it is an object that becomes a handle: for signatures whose implementation takes just
    /// that, one by one, behind the context.
    pub fn passed_as_they_are(&self) -> Option<Vec<(Decl, bool)>> {
        let (_, params) = self.implementation()?;
        let fields = self.trampoline_args.iter().map(|arg| Decl::parse(arg));
        let fields: Vec<_> = fields.filter(|field| field.name != "result").collect();
        // Without arguments there is no trampoline; a created module may not be a plain one, and a finalizer may not touch the
        // pending exception.
        let by_hand = self.trampoline_args.is_empty() || matches!(self.short_name(), "MOD_CREATE" | "DESTRUCTOR");
        if by_hand || params.len() != fields.len() + 1 {
            return None;
        }
        let (object, handle) = (Decl::parse_type("cpy_PyObject *"), Decl::parse_type("HPy"));
        let with_kind = |(param, field): (&Decl, Decl)| match () {
            () if field.ty == object && param.ty == handle => Some((field, true)),
            () if field.ty == param.ty => Some((field, false)),
            () => None,
        };
        params[1..].iter().zip(fields).map(with_kind).collect()
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Enum {
    pub name: String,
    pub doc: String,
    pub values: Vec<EnumValue>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EnumValue {
    pub name: String,
    pub value: i32,
    #[serde(default = "first_release")]
    pub since: String,
    pub doc: String,
}

fn first_release() -> String {
    "0.9.0".into()
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BufferFlag {
    pub name: String,
    pub value: u32,
    pub doc: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Flag {
    pub name: String,
    pub bits: Vec<u32>,
    pub doc: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Handle {
    pub name: String,
    pub field: String,
    pub doc: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Struct {
    pub name: String,
    /// The header that includes the definition.
    pub header: String,
    pub doc: String,
    pub fields: Vec<Field>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Field {
    /// The field's C declaration, or:
    pub c: Option<String>,
    /// the declarations of the members of an unnamed union.
    pub union: Option<Vec<String>>,
    pub doc: String,
}

/// A member of `HPyContext`, in memory order.
pub enum Member<'a> {
    Constant(&'a Constant),
    Function(&'a Function),
}

impl Member<'_> {
    pub fn index(&self) -> usize {
        match self {
            Member::Constant(constant) => constant.index,
            Member::Function(function) => function.index,
        }
    }

    pub fn name(&self) -> &str {
        match self {
            Member::Constant(constant) => &constant.name,
            Member::Function(function) => &function.member,
        }
    }
}

impl Function {
    pub fn params(&self) -> Vec<Decl> {
        self.params.iter().map(|param| Decl::parse(&param.c)).collect()
    }

    /// Whether the CPython ABI has it in its static library, and not inline in a header.
    pub fn is_in_library(&self) -> bool {
        self.cpython.is_none() && self.inline.is_none() && !self.runtime_only
    }

    /// What the function behind the context member returns.
    pub fn member_returns(&self) -> &str {
        self.member_returns.as_deref().unwrap_or(&self.returns.c)
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FamilyFile {
    family: FamilyHead,
    function: Vec<Function>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FamilyHead {
    title: String,
    doc: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ConstantsFile {
    constant: Vec<Constant>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SlotsFile {
    slot: Vec<Slot>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SignaturesFile {
    signature: Vec<Signature>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct EnumsFile {
    #[serde(rename = "enum")]
    enums: Vec<Enum>,
    flag: Vec<Flag>,
    buffer_flag: Vec<BufferFlag>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct StructsFile {
    handle: Vec<Handle>,
    #[serde(rename = "struct")]
    structs: Vec<Struct>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct MisusesFile {
    misuse: Vec<Misuse>,
}

fn read<T: serde::de::DeserializeOwned>(path: &Path) -> Result<T, String> {
    let text = fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
    toml::from_str(&text).map_err(|error| format!("{}: {error}", path.display()))
}

impl Spec {
    /// Reads the spec below `root` and checks it.
    pub fn load(root: &Path) -> Result<Spec, String> {
        let dir = root.join("spec");
        let mut families = Vec::new();
        let mut paths = fs::read_dir(dir.join("functions"))
            .and_then(|entries| entries.map(|entry| entry.map(|entry| entry.path())).collect::<Result<Vec<_>, _>>())
            .map_err(|error| format!("{}: {error}", dir.join("functions").display()))?;
        paths.sort();
        for path in paths {
            let file: FamilyFile = read(&path)?;
            let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
            families.push(Family { name, title: file.family.title, doc: file.family.doc, functions: file.function });
        }
        let enums: EnumsFile = read(&dir.join("enums.toml"))?;
        let structs: StructsFile = read(&dir.join("structs.toml"))?;
        let spec = Spec {
            constants: read::<ConstantsFile>(&dir.join("constants.toml"))?.constant,
            families,
            slots: read::<SlotsFile>(&dir.join("slots.toml"))?.slot,
            signatures: read::<SignaturesFile>(&dir.join("signatures.toml"))?.signature,
            enums: enums.enums,
            flags: enums.flag,
            buffer_flags: enums.buffer_flag,
            handles: structs.handle,
            structs: structs.structs,
            misuses: read::<MisusesFile>(&dir.join("misuses.toml"))?.misuse,
        };
        spec.check()?;
        Ok(spec)
    }

    pub fn functions(&self) -> impl Iterator<Item = &Function> {
        self.families.iter().flat_map(|family| &family.functions)
    }

    /// Every member of the context, in memory order.
    pub fn members(&self) -> Vec<Member<'_>> {
        let mut members: Vec<_> =
            self.constants.iter().map(Member::Constant).chain(self.functions().map(Member::Function)).collect();
        members.sort_by_key(Member::index);
        members
    }

    pub fn is_handle(&self, base: &str) -> bool {
        self.handles.iter().any(|handle| handle.name == base)
    }

    fn check(&self) -> Result<(), String> {
        for (position, member) in self.members().iter().enumerate() {
            if member.index() != position {
                return Err(format!(
                    "spec: '{}' has index {}, but {position} is the next free one: indices run from 0 without a gap",
                    member.name(),
                    member.index()
                ));
            }
        }
        let mut names = HashSet::new();
        for function in self.functions() {
            if !names.insert(&function.name) {
                return Err(format!("spec: '{}' is described twice", function.name));
            }
            self.check_function(function).map_err(|problem| format!("spec: {}: {problem}", function.name))?;
        }
        let signatures: BTreeMap<_, _> = self.signatures.iter().map(|sig| (&sig.name, sig)).collect();
        for slot in &self.slots {
            match (&slot.signature, slot.reserved) {
                (Some(name), false) if !signatures.contains_key(name) => {
                    return Err(format!("spec: slot {} names the unknown signature {name}", slot.name));
                }
                (None, false) => return Err(format!("spec: slot {} has no signature", slot.name)),
                (Some(_), true) => return Err(format!("spec: slot {} is reserved, yet has a signature", slot.name)),
                _ => {}
            }
        }
        Ok(())
    }

    /// Ownership and failure have to fit the types they are said of.
    fn check_function(&self, function: &Function) -> Result<(), String> {
        for param in &function.params {
            let decl = Decl::parse(&param.c);
            if self.is_handle(&decl.ty.base) != param.own.is_some() {
                return Err(format!("'{}': handles, and only they, say who owns them", param.c));
            }
            if param.own == Some(Ownership::New) {
                return Err(format!("'{}': only a result can be 'new'", param.c));
            }
        }
        let result = Decl::parse_type(&function.returns.c);
        match (function.returns.own, self.is_handle(&result.base)) {
            (Some(Ownership::New | Ownership::Borrowed), true) | (None, false) => {}
            (None, true) if function.member_returns.is_some() => {}
            (own, _) => return Err(format!("a result '{}' can't be owned as {own:?}", function.returns.c)),
        }
        let pointer_like = self.is_handle(&result.base) || result.is_pointer();
        match function.fails {
            Fails::Null | Fails::NullWithError if !pointer_like => Err("a number can't fail with null".into()),
            Fails::MinusOne | Fails::MinusOneWithError if pointer_like || result.base == "void" => {
                Err(format!("'{}' can't fail with -1", function.returns.c))
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workspace_root;
    use toml::Table;

    fn published(name: &str) -> Table {
        read(&workspace_root().join("tests/data/abi").join(name)).unwrap()
    }

    fn text<'a>(table: &'a Table, key: &str) -> &'a str {
        table[key].as_str().unwrap()
    }

    fn strings(value: &toml::Value) -> Vec<String> {
        // White space around `*` carries no meaning.
        value.as_array().unwrap().iter().map(|item| item.as_str().unwrap().replace("* ", "*")).collect()
    }

    #[test]
    fn context_members_stand_where_the_published_abi_puts_them() {
        let spec = Spec::load(&workspace_root()).unwrap();
        let published = published("context.toml");
        let published = published["member"].as_array().unwrap();
        let members = spec.members();
        assert!(members.len() >= published.len());
        for (member, published) in members.iter().zip(published) {
            let published = published.as_table().unwrap();
            assert_eq!(member.name(), text(published, "name"));
            assert_eq!(member.index() as i64, published["index"].as_integer().unwrap());
            match member {
                Member::Constant(constant) => {
                    assert_eq!(text(published, "kind"), "handle");
                    assert_eq!(constant.since, text(published, "since"));
                }
                Member::Function(function) => {
                    assert_eq!(text(published, "kind"), "function");
                    assert_eq!(function.since, text(published, "since"));
                    assert_eq!(function.name, text(published, "api"));
                    assert_eq!(function.returns.c, text(published, "returns"));
                    let member_returns = published.get("ctx_returns").map(|value| value.as_str().unwrap());
                    assert_eq!(function.member_returns.as_deref(), member_returns);
                    let params: Vec<_> = function.params.iter().map(|param| param.c.clone()).collect();
                    assert_eq!(params, strings(&published["params"]), "{}", function.name);
                }
            }
        }
    }

    #[test]
    fn slots_are_the_published_ones() {
        let spec = Spec::load(&workspace_root()).unwrap();
        let published = published("slots.toml");
        let published = published["slot"].as_array().unwrap();
        assert!(spec.slots.len() >= published.len());
        for (slot, published) in spec.slots.iter().zip(published) {
            let published = published.as_table().unwrap();
            assert_eq!(slot.name, text(published, "name"));
            assert_eq!(i64::from(slot.number), published["number"].as_integer().unwrap());
            assert_eq!(slot.reserved, published.contains_key("reserved"));
            assert_eq!(slot.signature.as_deref(), published.get("signature").map(|value| value.as_str().unwrap()));
        }
    }

    #[test]
    fn signatures_are_the_published_ones() {
        let spec = Spec::load(&workspace_root()).unwrap();
        let published = published("signatures.toml");
        let published = published["signature"].as_array().unwrap();
        assert_eq!(spec.signatures.len(), published.len());
        for (signature, published) in spec.signatures.iter().zip(published) {
            let published = published.as_table().unwrap();
            assert_eq!(signature.name, text(published, "name"));
            assert_eq!(i64::from(signature.value), published["value"].as_integer().unwrap());
            let implementation = published.get("impl").map(|value| value.as_str().unwrap());
            assert_eq!(signature.implementation.as_deref(), implementation);
            let args = published.get("trampoline_args").map(strings).unwrap_or_default();
            assert_eq!(signature.trampoline_args, args);
        }
    }
}
