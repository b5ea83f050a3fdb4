//! `cargo xtask test`: everything that has to hold.

use std::path::Path;
use std::process::Command;

use crate::codegen;
use crate::environment::{self, Environment};
use crate::interpreters::{self, Interpreter};
use crate::process::{output, run};

#[derive(clap::Args)]
pub struct Options {
    /// Only this version, such as 3.11 or 3.13t, or pypy (may be repeated; default: every supported CPython on the machine)
    #[arg(long = "python", value_name = "VERSION")]
    pythons: Vec<String>,
    /// Only the conformance suite: leave out formatting, lints, generated files and Rust tests
    #[arg(long)]
    suite: bool,
    /// Run the conformance suite on HPy 0.9.0 from the package registry instead, to compare (CPython 3.9 to 3.12)
    #[arg(long, conflicts_with = "pythons")]
    reference: bool,
    /// Arguments for pytest, behind --
    #[arg(last = true)]
    pytest: Vec<String>,
}

pub fn run_all(root: &Path, options: &Options) -> Result<(), String> {
    let supported = interpreters::supported(root)?;
    if options.reference {
        let interpreter = environment::reference_interpreter(&supported).ok_or(
            "HPy 0.9.0 works on CPython 3.9 to 3.12, and none of them is there; see 'cargo xtask interpreters'",
        )?;
        let reference = Environment::with_reference(root, interpreter)?;
        println!("conformance suite on HPy 0.9.0, {}", interpreter.name());
        return suite(root, &reference, None, options, &[]);
    }
    let chosen = choose(root, &supported, &options.pythons)?;
    let first = interpreters::preferred(&chosen);
    if !options.suite {
        rust(root, interpreters::preferred(&supported))?;
    }
    let reference = match environment::reference_interpreter(&supported) {
        Some(interpreter) => Some(Environment::with_reference(root, interpreter)?),
        None => None,
    };
    let mut failed = Vec::new();
    // Universal binaries are compiled with the first, and the others load the same files.
    let others = chosen.iter().filter(|interpreter| *interpreter != first);
    let newest = supported.iter().map(|interpreter| interpreter.version).max().unwrap_or_default();
    for interpreter in std::iter::once(first).chain(others) {
        let environment = Environment::prepare(root, interpreter)?;
        println!("conformance suite on {}", interpreter.name());
        // The hybrid ABI differs least from one version to the next. Debug mode and trace mode know no interpreter, but for what they
        // ask of each: the first and the newest have to do.
        let is_newest = interpreter.version == newest;
        let variants: &[&str] = match interpreter.implementation.as_str() {
            "cpython" if interpreter.is_free_threaded() => {
                &["--abi", "universal,cpython", "--mode", "universal,cpython,debug"]
            }
            "cpython" if interpreter == first && is_newest => &[],
            "cpython" if interpreter == first => &["--mode", "universal,cpython,debug"],
            "cpython" if is_newest => &["--abi", "universal,cpython", "--mode", "universal,cpython,debug_trace"],
            "cpython" => &["--abi", "universal,cpython", "--mode", "universal,cpython"],
            _ => &["--abi", "universal"],
        };
        let mut result = suite(root, &environment, reference.as_ref(), options, variants);
        if interpreter.is_free_threaded() && options.pytest.is_empty() {
            // Once a second thread has run, 3.13 keeps all classes. pytest's workers have one.
            let alone = [variants, &["-m", "frees_classes", "--numprocesses=0"]].concat();
            result = result.and(suite(root, &environment, reference.as_ref(), options, &alone));
        }
        // One interpreter's failures are no reason not to know those of the others.
        if result.is_err() {
            failed.push(interpreter.name());
        }
    }
    if failed.is_empty() { Ok(()) } else { Err(format!("the conformance suite fails on {}", failed.join(", "))) }
}

/// The interpreters of the wanted versions, or all.
pub fn choose(root: &Path, supported: &[Interpreter], wanted: &[String]) -> Result<Vec<Interpreter>, String> {
    if wanted.is_empty() {
        return Ok(supported.to_vec());
    }
    let find = |wanted: &String| {
        if wanted == "pypy" {
            let missing = "no PyPy to test on; get one with 'cargo xtask interpreters --get pypy'";
            return interpreters::pypy(root).ok_or(missing.to_string());
        }
        let there = || supported.iter().map(Interpreter::short_version).collect::<Vec<_>>().join(", ");
        let found = supported.iter().find(|interpreter| interpreter.short_version() == *wanted);
        found.cloned().ok_or_else(|| format!("no CPython {wanted} to test on; there are {}", there()))
    };
    wanted.iter().map(find).collect()
}

/// Runs the conformance suite in an environment; some tests also need one with HPy 0.9.0.
fn suite(
    root: &Path,
    environment: &Environment,
    reference: Option<&Environment>,
    options: &Options,
    defaults: &[&str],
) -> Result<(), String> {
    let mut pytest = environment.command();
    pytest.args(["-m", "pytest", "-q", "-p", "no:cacheprovider", "--numprocesses=auto"]);
    pytest.args(defaults).args(&options.pytest).current_dir(root);
    if !options.pytest.iter().any(|argument| argument.starts_with("tests")) {
        pytest.arg("tests");
    }
    if defaults.contains(&"frees_classes") {
        pytest.env("HPY_TEST_CLASSES", "have to be freed");
    }
    if environment.interpreter.is_free_threaded() {
        // Most binaries of the suite have not declared that they need none. Tests about that set it themselves.
        pytest.env("PYTHON_GIL", "0");
    }
    if let Some(reference) = reference {
        pytest.env("HPY_TEST_REFERENCE", reference.python());
    }
    pytest.env("HPY_TEST_CACHE", root.join("target/test-cache")).env("PYTHONDONTWRITEBYTECODE", "1");
    run(&mut pytest)
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
