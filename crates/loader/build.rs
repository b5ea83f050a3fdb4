//! Links as an extension module, and hands the revision to `get_version()`, where the sources are a git checkout.

use std::path::Path;
use std::process::Command;

fn main() {
    pyo3_build_config::add_extension_module_link_args();
    pyo3_build_config::use_pyo3_cfgs();

    let git = |args: &[&str]| {
        let output = Command::new("git").args(args).output().ok().filter(|output| output.status.success())?;
        Some(String::from_utf8(output.stdout).ok()?.trim().to_string())
    };
    // These sources may merely lie in a checkout of something else.
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().ok();
    let is_ours = git(&["rev-parse", "--show-toplevel"]).and_then(|dir| Path::new(&dir).canonicalize().ok()) == root;
    let ours = |args: &[&str]| git(args).filter(|_| is_ours);
    // HEAD names a branch, whose log grows with each commit.
    if let Some(log) = ours(&["rev-parse", "--git-path", "logs/HEAD"]) {
        println!("cargo::rerun-if-changed={log}");
    }
    let revision = ours(&["rev-parse", "--short", "HEAD"]).unwrap_or_else(|| "unknown".into());
    println!("cargo::rustc-env=HPY_GIT_REVISION={revision}");
}
