//! As much of C's declarations as the spec uses: parsing, and the Rust type of each.

/// `const char *const *`: a base type and, from the inside out, whether each pointer is itself const.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CType {
    pub base: String,
    pub base_const: bool,
    pub pointers: Vec<bool>,
}

/// A parameter or field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decl {
    pub ty: CType,
    /// Empty where the declaration names none.
    pub name: String,
}

const TYPE_WORDS: [&str; 8] = ["unsigned", "signed", "long", "short", "int", "char", "double", "float"];

impl Decl {
    /// Parses `const HPy items[]`, `HPy_ssize_t *size`, `HPy` and the like.
    pub fn parse(text: &str) -> Decl {
        let spaced = text.replace('*', " * ").replace("[]", " [] ");
        let mut base = Vec::new();
        let mut base_const = false;
        let mut pointers: Vec<bool> = Vec::new();
        let mut name = String::new();
        for word in spaced.split_whitespace() {
            match word {
                "const" => match pointers.last_mut() {
                    Some(last) => *last = true,
                    None => base_const = true,
                },
                // An array parameter is a pointer.
                "*" | "[]" => pointers.push(false),
                _ if base.is_empty() || (pointers.is_empty() && TYPE_WORDS.contains(&word)) => base.push(word),
                _ => name = word.to_string(),
            }
        }
        Decl { ty: CType { base: base.join(" "), base_const, pointers }, name }
    }

    /// Parses a type without a name.
    pub fn parse_type(text: &str) -> CType {
        Decl::parse(text).ty
    }
}

impl CType {
    pub fn is_pointer(&self) -> bool {
        !self.pointers.is_empty()
    }

    pub fn is_void(&self) -> bool {
        self.base == "void" && !self.is_pointer()
    }

    pub fn to_rust(&self) -> String {
        let mut rust = match self.base.as_str() {
            "void" if self.is_pointer() => "c_void",
            "void" => "()",
            "char" => "c_char",
            "int" => "c_int",
            "long" => "c_long",
            "unsigned long" => "c_ulong",
            "double" => "f64",
            "bool" => "bool",
            "int32_t" => "i32",
            "uint32_t" => "u32",
            "int64_t" => "i64",
            "uint64_t" => "u64",
            "size_t" => "usize",
            base => base,
        }
        .to_string();
        let mut pointee_const = self.base_const;
        for &pointer_const in &self.pointers {
            rust = format!("*{} {rust}", if pointee_const { "const" } else { "mut" });
            pointee_const = pointer_const;
        }
        rust
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(c: &str, rust: &str, name: &str) {
        let decl = Decl::parse(c);
        assert_eq!((decl.ty.to_rust().as_str(), decl.name.as_str()), (rust, name), "{c}");
    }

    #[test]
    fn declarations_become_rust_types() {
        check("HPy h", "HPy", "h");
        check("HPy", "HPy", "");
        check("const HPy items[]", "*const HPy", "items");
        check("const char *utf8", "*const c_char", "utf8");
        check("const char*", "*const c_char", "");
        check("cpy_PyObject *const *args", "*const *mut cpy_PyObject", "args");
        check("void **data", "*mut *mut c_void", "data");
        check("unsigned long flags", "c_ulong", "flags");
        check("HPyDef **defines", "*mut *mut HPyDef", "defines");
        check("void", "()", "");
    }
}
