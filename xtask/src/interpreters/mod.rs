//! The Pythons on this machine.

mod debian;
mod find;
mod get;
mod interpreter;
mod relocate;
mod sources;

use std::path::Path;

pub use find::{preferred, pypy, supported};
pub use interpreter::{Interpreter, SUPPORTED};

#[derive(clap::Args)]
pub struct Options {
    /// Unpack interpreters from Debian's suites into target/interpreters: 3.14, 3.15 (or another 3.N that
    /// Debian has), pypy (7.3.19) or all (these three). 3.13t, without the GIL, is compiled from Debian's sources, which takes
    /// a quarter of an hour on two cores. Needs apt, whose configured mirror is used; installs nothing
    #[arg(long, value_name = "VERSION", num_args = 1..)]
    get: Vec<get::Request>,
}

/// `cargo xtask interpreters`
pub fn run(root: &Path, options: &Options) -> Result<(), String> {
    if options.get.is_empty() { list(root) } else { get::get(root, &options.get) }
}

fn list(root: &Path) -> Result<(), String> {
    let found = find::find(root);
    if found.is_empty() {
        return Err("found no Python at all".into());
    }
    let used: Vec<_> = supported(root).unwrap_or_default().into_iter().map(|used| used.executable).collect();
    for interpreter in found {
        let note = if interpreter.implementation == "pypy" && interpreter.headers {
            "tested with 'cargo xtask test --python pypy'"
        } else if used.contains(&interpreter.executable) {
            "used for tests and the demo"
        } else if interpreter.is_supported() {
            "not used: another of this version is newer or found first"
        } else if !SUPPORTED.contains(&(interpreter.version.0, interpreter.version.1)) {
            "not used: not a version that the runtime supports"
        } else if interpreter.implementation != "cpython" || !["", "t"].contains(&interpreter.flags.as_str()) {
            "not used: neither an ordinary nor a free-threaded build of CPython"
        } else {
            "not used: its C headers are missing"
        };
        println!("{:<18} {}  ({note})", interpreter.name(), interpreter.executable.display());
    }
    Ok(())
}
