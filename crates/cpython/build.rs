//! Makes the versions of CPython known as `cfg(Py_3_11)` and so on, the name of its library as `cfg(python_library)`, and whether there
//! are thunks as `cfg(thunks)`.

use std::env;

fn main() {
    pyo3_build_config::use_pyo3_cfgs();
    println!("cargo::rustc-check-cfg=cfg(python_library, values(any()))");
    if let Some(library) = pyo3_build_config::get().lib_name() {
        println!("cargo::rustc-cfg=python_library=\"{library}\"");
    }
    println!("cargo::rustc-check-cfg=cfg(thunks)");
    let target = |what: &str| env::var(format!("CARGO_CFG_TARGET_{what}")).unwrap_or_default();
    let processor = matches!(target("ARCH").as_str(), "x86_64" | "aarch64");
    // Windows passes arguments in other registers.
    if env::var_os("CARGO_FEATURE_UNIVERSAL").is_some() && processor && target("OS") != "windows" {
        println!("cargo::rustc-cfg=thunks");
    }
}
