//! `cargo xtask interpreters --get`: interpreters of Debian's suites, unpacked below target/.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::str::FromStr;

use super::debian::{self, Suite};
use super::interpreter::Interpreter;
use super::relocate;
use crate::process::{output, step};

/// An interpreter to be had from Debian.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wanted {
    /// CPython 3.N
    CPython(u32),
    /// CPython 3.N without the GIL, which has to be compiled.
    FreeThreaded(u32),
    PyPy,
}

/// What can be asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Request {
    One(Wanted),
    All,
}

/// Those that a machine with an older Debian lacks.
const ALL: [Wanted; 3] = [Wanted::CPython(14), Wanted::CPython(15), Wanted::PyPy];

/// The release of PyPy whose own HPy has been tried.
const PYPY: &str = "7.3.19";

impl FromStr for Request {
    type Err = String;

    fn from_str(text: &str) -> Result<Request, String> {
        let minor = || text.strip_prefix("3.")?.parse().ok();
        match text {
            "all" => Ok(Request::All),
            "pypy" => Ok(Request::One(Wanted::PyPy)),
            _ => {
                let free = || text.strip_suffix('t')?.strip_prefix("3.")?.parse().ok().filter(|&minor| minor >= 13);
                let wanted = minor().map(Wanted::CPython).or_else(|| free().map(Wanted::FreeThreaded));
                wanted.map(Request::One).ok_or("not 3.N, 3.Nt (from 3.13t on), pypy or all".to_string())
            }
        }
    }
}

impl fmt::Display for Wanted {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Wanted::CPython(minor) => write!(f, "CPython 3.{minor}"),
            Wanted::FreeThreaded(minor) => write!(f, "CPython 3.{minor}t"),
            Wanted::PyPy => write!(f, "PyPy {PYPY}"),
        }
    }
}

impl Wanted {
    /// The name of its folder.
    fn folder(self) -> String {
        match self {
            Wanted::CPython(minor) => format!("3.{minor}"),
            Wanted::FreeThreaded(minor) => format!("3.{minor}t"),
            Wanted::PyPy => "pypy".to_string(),
        }
    }

    /// Its name in the folder `bin`.
    fn executable(self) -> &'static str {
        match self {
            Wanted::CPython(_) | Wanted::FreeThreaded(_) => "python3",
            Wanted::PyPy => "pypy3",
        }
    }

    /// The suites that may have it, the likeliest first.
    fn suites(self) -> [&'static str; 3] {
        match self {
            Wanted::CPython(_) => ["sid", "forky", "trixie"],
            Wanted::FreeThreaded(_) => ["trixie", "forky", "sid"],
            Wanted::PyPy => ["trixie", "forky", "sid"],
        }
    }

    /// The package that decides, and all that are needed with it. patchelf is for the binary.
    fn packages(self) -> (String, Vec<String>) {
        let (main, parts) = match self {
            Wanted::CPython(minor) => (format!("python3.{minor}"), &["", "-dev", "-venv"][..]),
            // Only its sources are used.
            Wanted::FreeThreaded(minor) => (format!("python3.{minor}"), &[][..]),
            Wanted::PyPy => ("pypy3".to_string(), &["", "-dev"][..]),
        };
        let names = parts.iter().map(|part| format!("{main}{part}")).chain(["patchelf".to_string()]);
        (main.clone(), names.collect())
    }

    /// Whether a package is a version of this interpreter, and with which others it is worth naming if it is not.
    fn is_sibling(self, package: &str) -> bool {
        match self {
            Wanted::CPython(_) | Wanted::FreeThreaded(_) => {
                package.strip_prefix("python3.").is_some_and(|minor| minor.parse::<u32>().is_ok())
            }
            Wanted::PyPy => package == "pypy3",
        }
    }

    fn accepts(self, package: &str, version: &str) -> bool {
        match self {
            Wanted::CPython(minor) | Wanted::FreeThreaded(minor) => package == format!("python3.{minor}"),
            Wanted::PyPy => {
                version.strip_prefix(PYPY).is_some_and(|rest| !rest.starts_with(|c: char| c.is_ascii_digit()))
            }
        }
    }

    /// Whether it is there and works.
    fn ready(self, home: &Path) -> Option<Interpreter> {
        let found = Interpreter::ask(&home.join("bin").join(self.executable()))?;
        let fits = match self {
            Wanted::CPython(minor) => {
                found.implementation == "cpython" && found.version.1 == minor && found.flags.is_empty()
            }
            Wanted::FreeThreaded(minor) => {
                found.implementation == "cpython" && found.version.1 == minor && found.flags == "t"
            }
            Wanted::PyPy => found.implementation == "pypy",
        };
        (fits && found.headers).then_some(found)
    }
}

/// Unpacks what is not there yet.
pub fn get(root: &Path, requests: &[Request]) -> Result<(), String> {
    let mut all: Vec<Wanted> = Vec::new();
    for request in requests {
        let wanted = match request {
            Request::One(wanted) => std::slice::from_ref(wanted),
            Request::All => &ALL,
        };
        all.extend(wanted.iter().filter(|wanted| !all.contains(wanted)).collect::<Vec<_>>());
    }
    let interpreters = root.join("target/interpreters");
    let mut suites = Suites { apt: interpreters.join("apt"), open: Vec::new() };
    let mut errors = Vec::new();
    for wanted in all {
        let home = interpreters.join(wanted.folder());
        // One that is not to be had is no reason not to get the others.
        match wanted.ready(&home).map_or_else(|| fetch(wanted, &home, &mut suites), Ok) {
            Ok(found) => println!("{:<18} {}", found.name(), found.executable.display()),
            Err(error) => errors.push(error),
        }
    }
    suites.open.iter().flat_map(|(_, suite)| suite).for_each(Suite::close);
    if errors.is_empty() { Ok(()) } else { Err(errors.join("\n")) }
}

/// The suites that have been looked at, each read once.
struct Suites {
    apt: PathBuf,
    open: Vec<(&'static str, Result<Suite, String>)>,
}

impl Suites {
    fn get(&mut self, name: &'static str) -> Result<&Suite, String> {
        if !self.open.iter().any(|(known, _)| *known == name) {
            self.open.push((name, Suite::open(&self.apt, name)));
        }
        let (_, suite) = self.open.iter().find(|(known, _)| *known == name).expect("it was just put there");
        suite.as_ref().map_err(Clone::clone)
    }
}

fn fetch(wanted: Wanted, home: &Path, suites: &mut Suites) -> Result<Interpreter, String> {
    debian::check_tools()?;
    if let Wanted::FreeThreaded(minor) = wanted {
        compile(minor, home, suites)?;
        return check(wanted, home);
    }
    let (main, names) = wanted.packages();
    let mut seen = Vec::new();
    for name in wanted.suites() {
        let apt = suites.apt.clone();
        let found = suites.get(name).and_then(|suite| {
            let versions =
                suite.versions(&main[..main.find('.').unwrap_or(main.len())], |name| wanted.is_sibling(name))?;
            if versions.iter().any(|(package, version)| wanted.accepts(package, version)) {
                return suite.resolve(&names).map(|packages| (suite, packages));
            }
            let has: Vec<_> = versions.iter().map(|(package, version)| format!("{package} {version}")).collect();
            Err(if has.is_empty() { format!("has no {main}") } else { format!("has {}", has.join(", ")) })
        });
        match found {
            Ok((suite, packages)) => {
                let files = suite.download(&packages)?;
                step(&format!("unpacking {wanted}"), || unpack(wanted, &files, &apt.join("unpacked"), home))?;
                suite.clean()?;
                return check(wanted, home);
            }
            Err(why) => seen.push(format!("  {name}: {why}")),
        }
    }
    Err(format!("can't get {wanted} from Debian:\n{}", seen.join("\n")))
}

/// Unpacks elsewhere and moves the whole into its place.
fn unpack(wanted: Wanted, files: &[PathBuf], stage: &Path, home: &Path) -> Result<(), String> {
    let stage = stage.join(wanted.folder());
    remove(&stage)?;
    fs::create_dir_all(&stage).map_err(|error| format!("{}: {error}", stage.display()))?;
    for file in files {
        output(Command::new("dpkg-deb").arg("--extract").arg(file).arg(&stage))?;
    }
    let tree = stage.join("usr");
    let link = tree.join("bin").join(wanted.executable());
    let binary = match wanted {
        Wanted::CPython(minor) | Wanted::FreeThreaded(minor) => format!("python3.{minor}"),
        // pypy3 is a link to pypy3.11.
        Wanted::PyPy => {
            fs::read_link(&link).map_err(|error| format!("{}: {error}", link.display()))?.to_string_lossy().into_owned()
        }
    };
    relocate::relocate(&tree, home, &binary)?;
    remove(home)?;
    fs::rename(&tree, home).map_err(|error| format!("{}: {error}", home.display()))?;
    remove(&stage)
}

/// Compiles a CPython without the GIL: Debian has its sources, and no package of it.
fn compile(minor: u32, home: &Path, suites: &mut Suites) -> Result<(), String> {
    let wanted = Wanted::FreeThreaded(minor);
    let package = format!("python3.{minor}");
    let mut seen = Vec::new();
    for name in wanted.suites() {
        let stage = suites.apt.join("unpacked").join(wanted.folder());
        let found = suites.get(name).and_then(|suite| suite.download_source(&package).map(|archive| (suite, archive)));
        let (suite, archive) = match found {
            Ok(found) => found,
            Err(why) => {
                seen.push(format!("  {name}: {}", why.lines().last().unwrap_or_default()));
                continue;
            }
        };
        remove(&stage)?;
        fs::create_dir_all(&stage).map_err(|error| format!("{}: {error}", stage.display()))?;
        output(
            Command::new("tar")
                .arg("--extract")
                .arg("--strip-components=1")
                .arg("--file")
                .arg(&archive)
                .arg("-C")
                .arg(&stage),
        )?;
        let jobs = std::thread::available_parallelism().map_or(1, usize::from);
        let work = |what: &str, command: &mut Command| {
            step(&format!("{what} {wanted}"), || output(command.current_dir(&stage)))
        };
        work(
            "configuring",
            Command::new("./configure")
                .args(["--quiet", "--disable-gil", "--with-ensurepip=install"])
                .arg(format!("--prefix={}", home.display())),
        )?;
        work("compiling, for some minutes,", Command::new("make").args(["--silent", &format!("--jobs={jobs}")]))?;
        remove(home)?;
        work("installing", Command::new("make").args(["--silent", "install"]))?;
        remove(&stage)?;
        return suite.clean();
    }
    Err(format!("can't get the sources of {wanted} from Debian:\n{}", seen.join("\n")))
}

/// Runs it, now that it is where it was made for.
fn check(wanted: Wanted, home: &Path) -> Result<Interpreter, String> {
    let problem = match wanted.ready(home) {
        Some(interpreter) => {
            // These need libraries that came in other packages.
            let modules = "import bz2, ctypes, hashlib, lzma, sqlite3, ssl, zlib";
            match output(Command::new(&interpreter.executable).args(["-I", "-c", modules])) {
                Ok(_) => return Ok(interpreter),
                Err(error) => error,
            }
        }
        None => {
            let executable = home.join("bin").join(wanted.executable());
            let answer = output(Command::new(executable).args(["-I", "-c", "import sys; print(sys.version)"]));
            answer.map_or_else(|error| error, |version| format!("it is {version} or lacks its headers"))
        }
    };
    remove(home)?;
    Err(format!("{wanted} was unpacked but does not work: {problem}"))
}

fn remove(dir: &Path) -> Result<(), String> {
    if !dir.exists() {
        return Ok(());
    }
    fs::remove_dir_all(dir).map_err(|error| format!("{}: {error}", dir.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_read() {
        assert_eq!("3.14".parse(), Ok(Request::One(Wanted::CPython(14))));
        assert_eq!("3.13t".parse(), Ok(Request::One(Wanted::FreeThreaded(13))));
        assert_eq!("pypy".parse(), Ok(Request::One(Wanted::PyPy)));
        assert_eq!("all".parse(), Ok(Request::All));
        for wrong in ["", "3", "3.", "3.x", "2.7", "3.14.1", "3.12t", "3.t", "PyPy"] {
            assert!(wrong.parse::<Request>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn only_what_was_wanted_is_accepted() {
        assert!(Wanted::CPython(14).accepts("python3.14", "3.14.10-1"));
        assert!(!Wanted::CPython(14).accepts("python3.13", "3.13.5-2"));
        assert!(Wanted::PyPy.accepts("pypy3", "7.3.19+dfsg-2"));
        assert!(!Wanted::PyPy.accepts("pypy3", "8.0.1+dfsg-1"));
        assert!(!Wanted::PyPy.accepts("pypy3", "7.3.190-1"));
        assert!(Wanted::CPython(14).is_sibling("python3.15") && !Wanted::CPython(14).is_sibling("python3.15-dev"));
    }
}
