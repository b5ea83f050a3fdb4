//! `cargo xtask demo`: the main job on real input.

use std::path::Path;

use crate::environment::Environment;
use crate::interpreters;
use crate::process::{output, renew, run, step};

/// Builds examples/wordcount once and runs the same binary on every supported CPython.
pub fn run_all(root: &Path) -> Result<(), String> {
    let found = interpreters::supported(root)?;
    let builder = interpreters::preferred(&found);
    println!("HPy demo: one binary, built on {}, for {} interpreters\n", builder.name(), found.len());

    let environment = Environment::prepare(root, builder)?;
    let example = root.join("examples/wordcount");
    let build = root.join("target/demo");
    step("building examples/wordcount for the universal ABI", || {
        renew(&build)?;
        let mut command = environment.command();
        command.args(["setup.py", "--quiet", "--hpy-abi=universal"]);
        command.args(["egg_info", "--egg-base"]).arg(&build);
        command.args(["build", "--build-base"]).arg(&build).arg("--build-lib").arg(build.join("lib"));
        output(command.current_dir(&example))
    })?;
    for interpreter in &found {
        let environment = Environment::prepare(root, interpreter)?;
        println!();
        let mut command = environment.command();
        command.arg(example.join("demo.py")).env("PYTHONPATH", build.join("lib"));
        run(command.env("PYTHONDONTWRITEBYTECODE", "1"))?;
    }
    println!("\nThe same file was loaded by each of them ({} in all).", found.len());
    Ok(())
}
