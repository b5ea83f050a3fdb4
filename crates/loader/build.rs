//! Links as an extension module, and hands the revision to `get_version()`, where the sources are a git checkout.

use std::process::Command;

fn main() {
    pyo3_build_config::add_extension_module_link_args();

    let git = |args: &[&str]| {
        let output = Command::new("git").args(args).output().ok().filter(|output| output.status.success())?;
        Some(String::from_utf8(output.stdout).ok()?.trim().to_string())
    };
    // HEAD names a branch, whose log grows with each commit.
    if let Some(log) = git(&["rev-parse", "--git-path", "logs/HEAD"]) {
        println!("cargo::rerun-if-changed={log}");
    }
    println!("cargo::rerun-if-env-changed=HPY_GIT_REVISION");
    let revision = std::env::var("HPY_GIT_REVISION").ok();
    let revision = revision.or_else(|| git(&["rev-parse", "--short", "HEAD"])).unwrap_or_else(|| "unknown".into());
    println!("cargo::rustc-env=HPY_GIT_REVISION={revision}");
}
