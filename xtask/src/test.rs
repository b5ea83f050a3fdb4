//! `cargo xtask test`: everything that has to hold.

use std::path::Path;
use std::process::Command;

use crate::environment::Environment;
use crate::process::{output, run};
use crate::{codegen, interpreters};

#[derive(clap::Args)]
pub struct Options {
    /// Only this version, such as 3.11 (may be repeated; default: every supported CPython on the machine)
    #[arg(long = "python", value_name = "VERSION")]
    pythons: Vec<String>,
    /// Only the conformance suite: leave out formatting, lints, generated files and Rust tests
    #[arg(long)]
    suite: bool,
    /// Arguments for pytest, behind --
    #[arg(last = true)]
    pytest: Vec<String>,
}

pub fn run_all(root: &Path, options: &Options) -> Result<(), String> {
    let mut chosen = interpreters::supported(root)?;
    if !options.pythons.is_empty() {
        let version =
            |interpreter: &interpreters::Interpreter| format!("{}.{}", interpreter.version.0, interpreter.version.1);
        for wanted in &options.pythons {
            if !chosen.iter().any(|interpreter| version(interpreter) == *wanted) {
                let there: Vec<_> = chosen.iter().map(version).collect();
                return Err(format!("no CPython {wanted} to test on; there are {}", there.join(", ")));
            }
        }
        chosen.retain(|interpreter| options.pythons.contains(&version(interpreter)));
    }
    if !options.suite {
        rust(root, interpreters::preferred(&chosen))?;
    }
    let mut failed = Vec::new();
    // Universal binaries are compiled with the first, and the others load the same files.
    let first = interpreters::preferred(&chosen).clone();
    chosen.sort_by_key(|interpreter| (interpreter.executable != first.executable, interpreter.version));
    for interpreter in &chosen {
        let environment = Environment::prepare(root, interpreter)?;
        println!("conformance suite on {}", interpreter.name());
        let mut pytest = environment.command();
        pytest.args(["-m", "pytest", "-q", "-p", "no:cacheprovider", "--numprocesses=auto"]);
        // The hybrid ABI differs least from one version to the next.
        if interpreter.executable != first.executable {
            pytest.args(["--abi", "universal,cpython"]);
        }
        pytest.args(&options.pytest).current_dir(root);
        if !options.pytest.iter().any(|argument| argument.starts_with("tests")) {
            pytest.arg("tests");
        }
        pytest.env("HPY_TEST_CACHE", root.join("target/test-cache")).env("PYTHONDONTWRITEBYTECODE", "1");
        // One interpreter's failures are no reason not to know those of the others.
        if run(&mut pytest).is_err() {
            failed.push(interpreter.name());
        }
    }
    if failed.is_empty() { Ok(()) } else { Err(format!("the conformance suite fails on {}", failed.join(", "))) }
}

/// What needs no Python but to compile against.
fn rust(root: &Path, python: &interpreters::Interpreter) -> Result<(), String> {
    let cargo = |arguments: &[&str]| {
        println!("cargo {}", arguments.join(" "));
        let mut cargo = Command::new("cargo");
        // Compiled against one Python's headers, linked with no libpython: as it is for a package.
        cargo.env("PYO3_PYTHON", &python.executable).env("PYO3_BUILD_EXTENSION_MODULE", "1");
        run(cargo.args(arguments).current_dir(root))
    };
    for tool in ["fmt", "clippy"] {
        output(Command::new("cargo").args([tool, "--version"]))
            .map_err(|_| format!("cargo {tool} is missing; install it with 'rustup component add rustfmt clippy'"))?;
    }
    cargo(&["fmt", "--check"])?;
    cargo(&["clippy", "--quiet", "--workspace", "--all-targets", "--", "-D", "warnings"])?;
    cargo(&["clippy", "--quiet", "--package", "hpy-helpers", "--features", "cpython", "--", "-D", "warnings"])?;
    println!("generated files");
    codegen::run(root, true)?;
    cargo(&["test", "--quiet", "--workspace"])
}
