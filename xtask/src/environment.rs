//! Virtual environments with the package in them, one for each interpreter, below target/.

use std::collections::hash_map::DefaultHasher;
use std::env::consts::EXE_SUFFIX;
use std::fs;
use std::hash::{Hash, Hasher};
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::interpreters::Interpreter;
use crate::process::{output, step};

/// What the package is built from.
const SOURCES: [&str; 9] =
    ["Cargo.lock", "Cargo.toml", "README.md", "crates", "include", "pyproject.toml", "python", "setup.py", "LICENSE"];

/// What tests and examples need beside the package.
const TOOLS: [&str; 6] = [
    "pytest",
    "pytest-xdist",
    "setuptools>=68",
    "wheel",
    "tomli; python_version < \"3.11\"",
    // Newer and free-threaded Pythons may have none that is built.
    "greenlet; python_version < \"3.13\" and platform_python_implementation == \"CPython\"",
];

/// What ours is compared with.
const REFERENCE: &str = "hpy==0.9.0";

/// The versions of CPython that there are binaries of it for.
const REFERENCE_VERSIONS: std::ops::RangeInclusive<(u32, u32)> = (3, 9)..=(3, 12);

/// The interpreter for HPy 0.9.0: 3.11, or the newest that it works on.
pub fn reference_interpreter(interpreters: &[Interpreter]) -> Option<&Interpreter> {
    let version = |interpreter: &&Interpreter| (interpreter.version.0, interpreter.version.1);
    let usable = interpreters.iter().filter(|interpreter| REFERENCE_VERSIONS.contains(&version(interpreter)));
    usable.max_by_key(|interpreter| (version(interpreter) == (3, 11), interpreter.version))
}

/// An environment in which `hpy` is installed.
pub struct Environment {
    pub interpreter: Interpreter,
    dir: PathBuf,
}

impl Environment {
    /// Makes the environment, or brings it up to date.
    pub fn prepare(root: &Path, interpreter: &Interpreter) -> Result<Environment, String> {
        let dir = root.join("target/venvs").join(interpreter.tag());
        let environment = Environment { interpreter: interpreter.clone(), dir };
        let name = interpreter.name();
        let stamp = environment.dir.join("hpy-installed");
        let current = fingerprint(root, interpreter)?;
        if fs::read_to_string(&stamp).is_ok_and(|installed| installed == current) {
            return Ok(environment);
        }
        if !environment.works() {
            step(&format!("making an environment for {name}"), || environment.make(&TOOLS))?;
        }
        let wheel = environment.build_wheel(root)?;
        step(&format!("installing hpy for {name}"), || {
            output(environment.pip().args(["install", "--no-deps", "--force-reinstall"]).arg(&wheel))?;
            fs::write(&stamp, current).map_err(|error| format!("{}: {error}", stamp.display()))
        })?;
        Ok(environment)
    }

    /// Makes an environment with HPy 0.9.0 from the package registry, unless it is there: what ours is compared with.
    pub fn with_reference(root: &Path, interpreter: &Interpreter) -> Result<Environment, String> {
        let dir = root.join("target/venvs").join(format!("{}-{}", REFERENCE.replace("==", "-"), interpreter.tag()));
        let environment = Environment { interpreter: interpreter.clone(), dir };
        let asked = output(environment.command().args(["-c", "import hpy.universal, pytest, xdist, setuptools"]));
        if asked.is_err() {
            // It needs a part of setuptools that newer releases don't have.
            let tools = [REFERENCE, "setuptools<69", "wheel", "pytest", "pytest-xdist"];
            step(&format!("making an environment with {REFERENCE} for {}", interpreter.name()), || {
                environment.make(&tools)
            })?;
        }
        Ok(environment)
    }

    /// Makes the environment anew, with these packages.
    fn make(&self, packages: &[&str]) -> Result<String, String> {
        if self.dir.exists() {
            fs::remove_dir_all(&self.dir).map_err(|error| format!("{}: {error}", self.dir.display()))?;
        }
        let mut venv = Command::new(&self.interpreter.executable);
        venv.args(["-m", "venv"]);
        if self.interpreter.implementation == "pypy" {
            // Debian's can't install pip into an environment; that of another Python can.
            output(venv.arg("--without-pip").arg(&self.dir))?;
            output(
                Command::new("python3")
                    .args(["-m", "pip", "--quiet", "--python"])
                    .arg(self.python())
                    .args(["install", "pip"]),
            )?;
        } else {
            output(venv.arg(&self.dir))?;
        }
        output(self.pip().arg("install").args(packages))
    }

    fn works(&self) -> bool {
        self.python().exists() && output(self.command().args(["-c", "import pytest, xdist, setuptools, wheel"])).is_ok()
    }

    /// The package's wheel for this interpreter, built if it is not there; the environment has to be up to date.
    pub fn wheel(&self, root: &Path) -> Result<PathBuf, String> {
        match only_wheel(&self.wheels(root)) {
            Ok(wheel) => Ok(wheel),
            Err(_) => self.build_wheel(root),
        }
    }

    fn wheels(&self, root: &Path) -> PathBuf {
        root.join("target/wheels").join(self.interpreter.tag())
    }

    /// Builds the package as any installer would, and gives the wheel's path.
    fn build_wheel(&self, root: &Path) -> Result<PathBuf, String> {
        let dir = self.wheels(root);
        step(&format!("building hpy for {}", self.interpreter.name()), || {
            if dir.exists() {
                fs::remove_dir_all(&dir).map_err(|error| error.to_string())?;
            }
            let mut command = self.pip();
            command.args(["wheel", "--no-deps", "--wheel-dir"]).arg(&dir).arg(root);
            // Objects of one interpreter are not those of another.
            command.env("CARGO_TARGET_DIR", root.join("target/python").join(self.interpreter.tag()));
            output(&mut command)?;
            only_wheel(&dir)
        })
    }

    /// The environment's Python.
    pub fn python(&self) -> PathBuf {
        program(&self.dir, "python")
    }

    /// Runs the environment's Python.
    pub fn command(&self) -> Command {
        let mut command = Command::new(self.python());
        command.env_remove("PYTHONPATH").env_remove("HPY").env_remove("HPY_LOG");
        command
    }

    pub fn pip(&self) -> Command {
        let mut command = self.command();
        command.args(["-m", "pip", "--disable-pip-version-check", "--quiet"]);
        command
    }
}

/// A program of a virtual environment.
pub fn program(environment: &Path, name: &str) -> PathBuf {
    environment.join(if cfg!(windows) { "Scripts" } else { "bin" }).join(format!("{name}{EXE_SUFFIX}"))
}

/// The one wheel in a folder.
pub fn only_wheel(dir: &Path) -> Result<PathBuf, String> {
    let entries = fs::read_dir(dir).map_err(|error| format!("{}: {error}", dir.display()))?;
    let mut wheels =
        entries.flatten().map(|entry| entry.path()).filter(|path| path.extension() == Some("whl".as_ref()));
    match (wheels.next(), wheels.next()) {
        (Some(wheel), None) => Ok(wheel),
        _ => Err(format!("there should be one wheel in {}", dir.display())),
    }
}

/// Changes whenever the installed package would.
fn fingerprint(root: &Path, interpreter: &Interpreter) -> Result<String, String> {
    let mut hasher = DefaultHasher::new();
    interpreter.executable.hash(&mut hasher);
    interpreter.version.hash(&mut hasher);
    // It may be built again in its place.
    fs::metadata(&interpreter.executable).and_then(|file| file.modified()).ok().hash(&mut hasher);
    for source in SOURCES {
        hash_tree(&root.join(source), &mut hasher).map_err(|error| format!("{source}: {error}"))?;
    }
    Ok(format!("{:016x}", hasher.finish()))
}

fn hash_tree(path: &Path, hasher: &mut DefaultHasher) -> std::io::Result<()> {
    if path.is_dir() {
        let mut entries: Vec<_> = fs::read_dir(path)?.collect::<Result<_, _>>()?;
        entries.sort_by_key(fs::DirEntry::file_name);
        for entry in entries {
            if entry.file_name() != "__pycache__" {
                hash_tree(&entry.path(), hasher)?;
            }
        }
        return Ok(());
    }
    path.hash(hasher);
    fs::read(path)?.hash(hasher);
    Ok(())
}
