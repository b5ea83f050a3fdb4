//! `cargo xtask bench`: what a call costs, against the C API.

use std::fs;
use std::path::Path;

use crate::environment::Environment;
use crate::interpreters;
use crate::process::{output, run, step};

#[derive(clap::Args)]
pub struct Options {
    /// Rounds of each variant; the variants take turns
    #[arg(long, default_value_t = 40)]
    rounds: u32,
}

pub fn run_all(root: &Path, options: &Options) -> Result<(), String> {
    let found = interpreters::supported(root)?;
    let environment = Environment::prepare(root, interpreters::preferred(&found))?;
    let build = root.join("target/bench");
    fs::create_dir_all(&build).map_err(|error| format!("{}: {error}", build.display()))?;
    step("building the benchmarks", || {
        let mut command = environment.command();
        command.args(["setup.py", "--quiet", "--hpy-abi=universal"]);
        command.args(["egg_info", "--egg-base"]).arg(&build);
        command.args(["build", "--build-base"]).arg(&build).arg("--build-lib").arg(build.join("lib"));
        output(command.current_dir(root.join("bench")))
    })?;
    let mut command = environment.command();
    command.arg(root.join("bench/calls.py")).arg(format!("--rounds={}", options.rounds));
    run(command.env("PYTHONPATH", build.join("lib")).env("PYTHONDONTWRITEBYTECODE", "1"))
}
