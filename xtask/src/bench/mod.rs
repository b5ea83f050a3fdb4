//! `cargo xtask bench`: what operations cost in HPy, against the C API and others.
//!
//! The variants are built and measured by the scripts in bench/. Here is who runs them, and in which environments.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::environment::{self, Environment};
use crate::interpreters::{self, Interpreter};
use crate::process::run;
use crate::test::choose;

/// Measure operations in HPy against the C API, its abi3 part, HPy 0.9.0, nanobind and PyO3.
///
/// Prints tables, and leaves all figures as JSON and a chart as SVG. Peers that can't be had are skipped. The method is
/// described in docs/performance.md.
#[derive(clap::Args)]
pub struct Options {
    /// What to measure instead of single operations
    what: Option<What>,
    /// Rounds of each variant; the variants take turns
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(2..))]
    rounds: u32,
    /// On this version, such as 3.11, or pypy (may be repeated; default: 3.11, if there, and the newest)
    #[arg(long = "python", value_name = "VERSION")]
    pythons: Vec<String>,
    /// Only operations with this in their name, label or group, such as call or "p + q"; only ports with this in their name
    #[arg(long, value_name = "OPERATION", default_value = "")]
    only: String,
    /// Leave out the instructions, which are counted by valgrind and take half of the time
    #[arg(long)]
    no_instructions: bool,
    /// Also measure import time, sizes of files, memory, and the creation of many types
    #[arg(long)]
    costs: bool,
    /// Measure debug mode instead, against the C API and the debug mode of HPy 0.9.0
    #[arg(long, conflicts_with_all = ["only", "costs"])]
    debug: bool,
    /// Measure trace mode instead, against universal mode and the trace mode of HPy 0.9.0
    #[arg(long, conflicts_with_all = ["only", "costs", "debug"])]
    trace: bool,
    /// The folder for results and charts (default: target/bench)
    #[arg(long, value_name = "FOLDER")]
    output: Option<PathBuf>,
    /// Write what was measured into docs/performance.md, and the charts beside it
    #[arg(long, conflicts_with = "only")]
    document: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum What {
    /// The packages in ports/, against their originals
    Ports,
}

pub fn run_all(root: &Path, options: &Options) -> Result<(), String> {
    let supported = interpreters::supported(root)?;
    let chosen = if options.pythons.is_empty() {
        let first = interpreters::preferred(&supported);
        let newest = supported.last().filter(|newest| *newest != first);
        std::iter::once(first).chain(newest).cloned().collect()
    } else {
        choose(root, &supported, &options.pythons)?
    };
    let build = root.join("target/bench");
    let results = options.output.clone().unwrap_or_else(|| build.clone());
    for folder in [&build, &results] {
        fs::create_dir_all(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    }
    // The scripts run in a folder of their own.
    let results = results.canonicalize().map_err(|error| format!("{}: {error}", results.display()))?;
    let builder = Environment::prepare(root, interpreters::preferred(&supported))?;
    for interpreter in &chosen {
        Bench { root, build: &build, results: &results, builder: &builder, options }.measure(interpreter)?;
    }
    if options.document && options.what.is_none() {
        let mut command = script(root, &builder, "document.py");
        run(command.arg(root.join("docs")).arg(&results).args(chosen.iter().map(Interpreter::tag)))?;
    }
    Ok(())
}

struct Bench<'a> {
    root: &'a Path,
    build: &'a Path,
    results: &'a Path,
    /// Compiles the universal binary that all interpreters load.
    builder: &'a Environment,
    options: &'a Options,
}

impl Bench<'_> {
    fn measure(&self, interpreter: &Interpreter) -> Result<(), String> {
        let environment = Environment::prepare(self.root, interpreter)?;
        let reference = self.reference(interpreter);
        let tag = interpreter.tag();
        let file = |kind: &str, suffix: &str| self.results.join(format!("{kind}-{tag}.{suffix}"));
        let plan = self.build.join(format!("plan-{tag}.json"));
        let result = file("results", "json");
        let mode =
            [(self.options.debug, "debug"), (self.options.trace, "trace")].into_iter().find(|(chosen, _)| *chosen);
        let instructions = !self.options.no_instructions && mode.is_none();

        if self.options.what == Some(What::Ports) {
            return self.measure_ports(&environment, interpreter, &file("ports", "json"));
        }
        println!("building the variants for {}", interpreter.name());
        let mut build = script(self.root, &environment, "build.py");
        build.arg("--folder").arg(self.build.join(&tag)).arg("--shared").arg(self.build.join("shared"));
        build.arg("--universal-python").arg(self.builder.python()).arg("--plan").arg(&plan);
        if let Some(reference) = &reference {
            build.arg("--reference-python").arg(reference.python());
        }
        if instructions {
            build.arg("--instructions");
        }
        run(&mut build)?;

        if let Some((_, mode)) = mode {
            println!("measuring {mode} mode on {}, {} rounds", interpreter.name(), self.options.rounds);
            let mut measure = script(self.root, &environment, &format!("{mode}_mode.py"));
            measure.arg(&plan).arg(file(mode, "json"));
            return run(measure.arg(format!("--rounds={}", self.options.rounds)));
        }

        println!("measuring on {}, {} rounds", interpreter.name(), self.options.rounds);
        let mut measure = script(self.root, &environment, "measure.py");
        measure.arg(&plan).arg(&result).arg(format!("--rounds={}", self.options.rounds));
        run(measure.arg(format!("--only={}", self.options.only)))?;
        if instructions {
            println!("counting instructions on {}", interpreter.name());
            run(script(self.root, &environment, "instructions.py").arg(&plan).arg(&result))?;
        }
        run(script(self.root, &environment, "report.py").arg(&result).arg("--chart").arg(file("chart", "svg")))?;
        if self.options.costs {
            println!("measuring other costs on {}", interpreter.name());
            run(script(self.root, &environment, "costs.py").arg(&plan).arg(file("costs", "json")))?;
        }
        Ok(())
    }

    fn measure_ports(&self, environment: &Environment, interpreter: &Interpreter, result: &Path) -> Result<(), String> {
        println!("building and measuring the ports on {}, {} rounds", interpreter.name(), self.options.rounds);
        let mut ports = script(self.root, environment, "ports.py");
        ports.arg(result).arg(format!("--rounds={}", self.options.rounds));
        ports.arg("--folder").arg(self.build.join(interpreter.tag())).arg("--shared").arg(self.build.join("shared"));
        ports.arg("--universal-python").arg(self.builder.python()).arg(format!("--only={}", self.options.only));
        if self.options.document {
            ports.arg("--document");
        }
        run(&mut ports)
    }

    /// An environment with HPy 0.9.0 for the same version, if there can be one.
    fn reference(&self, interpreter: &Interpreter) -> Option<Environment> {
        let interpreter = environment::reference_interpreter(std::slice::from_ref(interpreter))?;
        Environment::with_reference(self.root, interpreter)
            .inspect_err(|error| println!("HPy 0.9.0 can't be installed: {}", error.lines().next().unwrap_or_default()))
            .ok()
    }
}

/// One of the scripts, to be run in an environment.
fn script(root: &Path, environment: &Environment, name: &str) -> Command {
    let mut command = environment.command();
    command.arg(root.join("bench").join(name)).env("PYTHONDONTWRITEBYTECODE", "1");
    command
}
