//! The Pythons on this machine.

use std::collections::BTreeMap;
use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::process;

/// A Python that can be asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Interpreter {
    pub executable: PathBuf,
    /// `cpython`, `pypy` and so on.
    pub implementation: String,
    pub version: (u32, u32, u32),
    /// The letters of special builds: `t` without the GIL, `d` for debugging.
    pub flags: String,
    /// Whether extensions can be built for it.
    pub headers: bool,
}

/// The CPython versions that the runtime is built for.
pub const SUPPORTED: std::ops::RangeInclusive<(u32, u32)> = (3, 9)..=(3, 13);

/// Printed by each interpreter, a value a line.
const QUESTIONS: &str = "
import os, platform, sys, sysconfig
print(sys.implementation.name)
print(*sys.version_info[:3], sep='.')
print(getattr(sys, 'abiflags', ''))
print(os.path.exists(os.path.join(sysconfig.get_path('include'), 'Python.h')))
print(os.path.realpath(sys.executable))
";

impl Interpreter {
    /// Asks the Python behind a path. None if it is none, or a broken one.
    fn ask(executable: &Path) -> Option<Interpreter> {
        let text = process::output(Command::new(executable).args(["-I", "-c", QUESTIONS])).ok()?;
        let [implementation, version, flags, headers, real] = text.lines().collect::<Vec<_>>()[..] else { return None };
        let numbers: Vec<u32> = version.split('.').filter_map(|part| part.parse().ok()).collect();
        let [major, minor, patch] = numbers[..] else { return None };
        Some(Interpreter {
            executable: real.into(),
            implementation: implementation.to_string(),
            version: (major, minor, patch),
            flags: flags.to_string(),
            headers: headers == "True",
        })
    }

    /// `CPython 3.11.7`
    pub fn name(&self) -> String {
        let (major, minor, patch) = self.version;
        let implementation = match self.implementation.as_str() {
            "cpython" => "CPython",
            "pypy" => "PyPy",
            other => other,
        };
        format!("{implementation} {major}.{minor}.{patch}{}", self.flags)
    }

    /// `cp311`
    pub fn tag(&self) -> String {
        let letters = if self.implementation == "cpython" { "cp" } else { &self.implementation };
        format!("{letters}{}{}{}", self.version.0, self.version.1, self.flags)
    }

    /// Whether the runtime is built and tested for it.
    pub fn is_supported(&self) -> bool {
        self.implementation == "cpython"
            && self.flags.is_empty()
            && self.headers
            && SUPPORTED.contains(&(self.version.0, self.version.1))
    }
}

/// All Pythons that can be found, oldest first, each once.
pub fn find(root: &Path) -> Vec<Interpreter> {
    let mut found = BTreeMap::new();
    for path in candidates(root) {
        if let Some(interpreter) = Interpreter::ask(&path) {
            found.entry(interpreter.executable.clone()).or_insert(interpreter);
        }
    }
    let mut found: Vec<_> = found.into_values().collect();
    found.sort_by(|a, b| (&a.implementation, a.version, &a.flags).cmp(&(&b.implementation, b.version, &b.flags)));
    found
}

/// The supported CPythons, one for each minor version (the latest patch), oldest first.
pub fn supported(root: &Path) -> Result<Vec<Interpreter>, String> {
    let mut newest = BTreeMap::new();
    for interpreter in find(root).into_iter().filter(Interpreter::is_supported) {
        newest.insert((interpreter.version.0, interpreter.version.1), interpreter);
    }
    if newest.is_empty() {
        let ((major, from), (_, to)) = (*SUPPORTED.start(), *SUPPORTED.end());
        return Err(format!(
            "found no CPython {major}.{from} to {major}.{to} with its C headers; 'cargo xtask interpreters' lists what there is. \
             On Debian: apt-get install python3-dev python3-venv"
        ));
    }
    Ok(newest.into_values().collect())
}

/// The one that is used where one will do: 3.11 if it is there, else the newest.
pub fn preferred(interpreters: &[Interpreter]) -> &Interpreter {
    let usual = interpreters.iter().find(|interpreter| (interpreter.version.0, interpreter.version.1) == (3, 11));
    usual.unwrap_or_else(|| interpreters.last().expect("supported() gives at least one"))
}

fn candidates(root: &Path) -> Vec<PathBuf> {
    let mut candidates = Vec::new();
    let mut versions = Vec::new();
    versions.extend(env::var_os("PYENV_ROOT").map(PathBuf::from));
    versions.extend(env::var_os("HOME").map(|home| Path::new(&home).join(".pyenv")));
    let uv = env::var_os("HOME").map(|home| Path::new(&home).join(".local/share/uv/python"));
    let dirs = versions.iter().map(|pyenv| pyenv.join("versions"));
    for dir in dirs.chain(uv).chain([root.join("target/interpreters")]) {
        for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
            candidates.extend(["bin/python3", "bin/pypy3", "python.exe"].map(|name| entry.path().join(name)));
        }
    }
    let path = env::var_os("PATH").unwrap_or_default();
    for dir in env::split_paths(&path).chain(["/usr/bin".into(), "/usr/local/bin".into()]) {
        for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            let version = name.strip_prefix("python").or_else(|| name.strip_prefix("pypy"));
            let is_python = |version: &str| {
                let version = version.strip_suffix(".exe").unwrap_or(version);
                version.chars().all(|c| c.is_ascii_digit() || c == '.') && !version.starts_with('2')
            };
            // pyenv's shims are scripts that lead to what was found above.
            if version.is_some_and(is_python) && !entry.path().to_string_lossy().contains("shims") {
                candidates.push(entry.path());
            }
        }
    }
    candidates.retain(|path| path.exists());
    candidates
}

/// `cargo xtask interpreters`
pub fn list(root: &Path) -> Result<(), String> {
    let found = find(root);
    if found.is_empty() {
        return Err("found no Python at all".into());
    }
    let used: Vec<_> = supported(root).unwrap_or_default().into_iter().map(|used| used.executable).collect();
    for interpreter in found {
        let note = if used.contains(&interpreter.executable) {
            "used for tests and the demo"
        } else if interpreter.is_supported() {
            "not used: another of this version is newer or found first"
        } else if interpreter.implementation != "cpython" || !interpreter.flags.is_empty() {
            "not used: not an ordinary build of CPython"
        } else if !SUPPORTED.contains(&(interpreter.version.0, interpreter.version.1)) {
            "not used: not a version that the runtime supports"
        } else {
            "not used: its C headers are missing"
        };
        println!("{:<18} {}  ({note})", interpreter.name(), interpreter.executable.display());
    }
    Ok(())
}
