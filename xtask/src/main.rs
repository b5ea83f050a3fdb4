//! What a contributor runs: `cargo xtask COMMAND`.

mod bench;
mod codegen;
mod ctype;
mod demo;
mod environment;
mod interpreters;
mod process;
mod spec;
mod test;
mod wheels;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Everything a contributor runs. What it builds lies below target/; nothing else is touched.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Write all files that are generated from spec/
    Gen {
        /// Write nothing; fail when a generated file is stale
        #[arg(long)]
        check: bool,
    },
    /// Build examples/wordcount once and run the same binary on every CPython
    Demo,
    /// Run all tests: formatting, lints, generated files, Rust's and the conformance suite
    Test(test::Options),
    Bench(bench::Options),
    /// List the Pythons on this machine, or get more of them
    Interpreters(interpreters::Options),
    Wheels(wheels::Options),
}

/// The workspace's folder.
fn workspace_root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("xtask lies in the workspace").to_path_buf()
}

fn main() -> ExitCode {
    let root = workspace_root();
    let result = match Cli::parse().command {
        Command::Gen { check } => codegen::run(&root, check),
        Command::Demo => demo::run_all(&root),
        Command::Test(options) => test::run_all(&root, &options),
        Command::Bench(options) => bench::run_all(&root, &options),
        Command::Interpreters(options) => interpreters::run(&root, &options),
        Command::Wheels(options) => wheels::run_all(&root, &options),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("error: {message}");
            ExitCode::FAILURE
        }
    }
}
