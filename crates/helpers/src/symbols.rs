//! Hides what C calls: an extension must not export it, or two extensions could end up with each other's copy.

/// Says in the assembler's language that a symbol is not for the loader. Rust has no stable way of its own.
macro_rules! hide {
    ($($name:literal)*) => {
        #[cfg(all(not(test), panic = "abort", any(target_os = "linux", target_os = "android", target_os = "freebsd")))]
        core::arch::global_asm!($(concat!(".hidden ", $name)),*);
        #[cfg(all(not(test), panic = "abort", target_vendor = "apple"))]
        core::arch::global_asm!($(concat!(".private_extern _", $name)),*);

        #[cfg(test)]
        #[allow(dead_code, reason = "only that of this file is compared with something")]
        const HIDDEN: &[&str] = &[$($name),*];
    };
}
pub(crate) use hide;

hide! {
    "_HPyArg_CountOutputs"
    "_HPyArg_CountKeywordOutputs"
    "_HPyArg_ParseArray"
    "_HPyArg_ParseKeywordsArray"
    "_HPyArg_ParseKeywordsDictArray"
    "_HPyBuildValue_NextArg"
    "_HPy_BuildValueArray"
    "_HPyFormat_NextArg"
    "_HPyUnicode_FromFormatArray"
    "_HPyErr_FormatArray"
    "HPyHelpers_AddType"
    "HPyHelpers_PackArgsAndKeywords"
    "HPyStructSequence_NewType"
    "HPyStructSequence_New"
}

#[cfg(feature = "cpython")]
hide! {
    "_HPyArg_ParseObjects"
    "_HPyModule_Init"
    "_HPyModule_CheckCreated"
    "_HPyType_Traverse"
    "_HPy_field_load"
    "_HPy_global_load"
    "_HPy_several_interpreters"
    "_HPyContext_Here"
    "_HPyGlobal_LoadHere"
}

#[cfg(test)]
mod tests {
    /// Every exported function is hidden, and nothing else is.
    #[test]
    fn the_list_is_complete() {
        let sources = [
            include_str!("addtype.rs"),
            include_str!("argparse.rs"),
            include_str!("arguments.rs"),
            include_str!("buildvalue.rs"),
            include_str!("format.rs"),
            include_str!("keywords.rs"),
            include_str!("structseq.rs"),
        ];
        let mut exported: Vec<_> = sources
            .iter()
            .flat_map(|source| source.split("#[unsafe(no_mangle)]\npub unsafe extern \"C\" fn ").skip(1))
            .map(|rest| rest.split('(').next().unwrap())
            .collect();
        let mut hidden = super::HIDDEN.to_vec();
        exported.sort();
        hidden.sort();
        assert_eq!(exported, hidden);
    }
}
