//! Where Pythons are found.

use std::collections::BTreeMap;
use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use super::interpreter::{Interpreter, SUPPORTED};

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

/// The supported CPythons, one for each minor version (the latest patch), with and without the GIL, oldest first.
pub fn supported(root: &Path) -> Result<Vec<Interpreter>, String> {
    let mut newest = BTreeMap::new();
    for interpreter in find(root).into_iter().filter(Interpreter::is_supported) {
        newest.insert((interpreter.version.0, interpreter.version.1, interpreter.flags.clone()), interpreter);
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

/// The one that is used where one will do: 3.11 if it is there, else the newest, with the GIL if there is such a one.
pub fn preferred(interpreters: &[Interpreter]) -> &Interpreter {
    let rank = |interpreter: &&Interpreter| {
        (interpreter.short_version() == "3.11", !interpreter.is_free_threaded(), interpreter.version)
    };
    interpreters.iter().max_by_key(rank).expect("supported() gives at least one")
}

/// A PyPy, whose own runtime the tests can be run on.
pub fn pypy(root: &Path) -> Option<Interpreter> {
    let found =
        find(root).into_iter().filter(|interpreter| interpreter.implementation == "pypy" && interpreter.headers);
    found.max_by_key(|interpreter| interpreter.version)
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
                let version = version.strip_suffix('t').unwrap_or(version);
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
