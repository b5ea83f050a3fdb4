//! A Python that can be asked.

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
pub const SUPPORTED: std::ops::RangeInclusive<(u32, u32)> = (3, 9)..=(3, 15);

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
    pub fn ask(executable: &Path) -> Option<Interpreter> {
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

    /// `3.11`, and `3.13t` without the GIL.
    pub fn short_version(&self) -> String {
        format!("{}.{}{}", self.version.0, self.version.1, self.flags)
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
            && (self.flags.is_empty() || self.is_free_threaded())
            && self.headers
            && SUPPORTED.contains(&(self.version.0, self.version.1))
    }

    /// Whether it is CPython built to run without the GIL.
    pub fn is_free_threaded(&self) -> bool {
        self.implementation == "cpython" && self.flags == "t"
    }
}
