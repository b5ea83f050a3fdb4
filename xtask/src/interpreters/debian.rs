//! Packages of Debian's suites, without the system's knowledge: apt works in folders of our own.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::sources::{self, Source};
use crate::process::{output, run, step};

/// A suite whose package list has been read.
pub struct Suite {
    pub name: &'static str,
    pub uri: String,
    dir: PathBuf,
}

/// A package that is to be downloaded.
#[derive(Debug, PartialEq, Eq)]
pub struct Package {
    name: String,
    version: String,
    file: String,
    size: u64,
}

/// Says what to do where the programs are missing that all of this needs.
pub fn check_tools() -> Result<(), String> {
    let missing = |tool: &&str| output(Command::new(tool).arg("--version")).is_err();
    let missing: Vec<_> = ["apt-get", "apt-cache", "apt-config", "dpkg-deb"].into_iter().filter(missing).collect();
    if missing.is_empty() {
        return Ok(());
    }
    Err(format!(
        "can't run {}: --get unpacks packages of Debian and works only where apt and dpkg are. \
         Elsewhere install the interpreter in any way you like; it is found in PATH and below the folders of pyenv and uv",
        missing.join(", ")
    ))
}

impl Suite {
    /// Fetches the suite's package list from the first of this machine's sources that has it.
    pub fn open(apt: &Path, name: &'static str) -> Result<Suite, String> {
        let (sources, files) = sources::configured()?;
        let mut errors = Vec::new();
        for source in &sources {
            let suite = Suite { name, uri: source.uri.clone(), dir: apt.join(name) };
            match step(&format!("reading Debian {name}'s package list from {}", source.uri), || suite.update(source)) {
                Ok(()) => return Ok(suite),
                Err(error) => errors.push(format!("{}: {error}", source.uri)),
            }
        }
        if errors.is_empty() {
            let files: Vec<_> = files.iter().map(|file| file.display().to_string()).collect();
            errors.push(format!("apt knows no mirror of Debian here (looked into: {})", files.join(", ")));
        }
        Err(errors.join("; "))
    }

    fn update(&self, source: &Source) -> Result<(), String> {
        let problem = |error: std::io::Error| format!("{}: {error}", self.dir.display());
        let lists = self.dir.join("state/lists");
        for dir in [lists.join("partial"), self.dir.join("cache/archives/partial"), self.dir.join("none")] {
            fs::create_dir_all(dir).map_err(problem)?;
        }
        let architecture = output(Command::new("apt-config").args(["shell", "NAME", "APT::Architecture"]))?;
        let architecture = architecture.split('\'').nth(1).unwrap_or_default();
        // Nothing counts as installed, so that all a package needs comes along, the C library too.
        let files = [
            ("status", String::new()),
            ("debian.sources", source.stanza(self.name, architecture)),
            ("apt.conf", configuration(&self.dir)),
        ];
        for (name, text) in files {
            fs::write(self.dir.join(name), text).map_err(problem)?;
        }
        output(self.apt("apt-get").arg("update")).map_err(|error| {
            // The rest repeats it.
            let line = error.lines().find(|line| line.starts_with("E:")).unwrap_or(&error);
            line.trim_start_matches("E:").trim().to_string()
        })?;
        let is_release = |path: &Path| path.to_string_lossy().ends_with("Release");
        let mut releases = fs::read_dir(lists).map_err(problem)?.flatten().map(|entry| entry.path());
        let is_debian = |text: String| text.lines().any(|line| line == "Origin: Debian");
        if releases.any(|path| is_release(&path) && fs::read_to_string(path).is_ok_and(is_debian)) {
            return Ok(());
        }
        Err(format!("what is called {} there is not Debian's", self.name))
    }

    fn apt(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.arg("-c").arg(self.dir.join("apt.conf")).env("LC_ALL", "C");
        command
    }

    /// The packages that a test says yes to, with their versions.
    pub fn versions(&self, prefix: &str, wanted: impl Fn(&str) -> bool) -> Result<Vec<(String, String)>, String> {
        let names = output(self.apt("apt-cache").args(["pkgnames", prefix]))?;
        let mut names: Vec<_> = names.lines().filter(|name| wanted(name)).collect();
        names.sort();
        if names.is_empty() {
            return Ok(Vec::new());
        }
        let table = output(self.apt("apt-cache").arg("madison").args(names))?;
        Ok(parse_versions(&table))
    }

    /// These packages and all that they need.
    pub fn resolve(&self, names: &[String]) -> Result<Vec<Package>, String> {
        let arguments = ["install", "--print-uris", "--yes", "--quiet=2", "--no-install-recommends"];
        let mut packages = parse_uris(&output(self.apt("apt-get").args(arguments).args(names))?);
        packages.retain(|package| !package.is_for_other_compilers());
        Ok(packages)
    }

    /// Downloads and gives the files. What an interrupted run has left is not loaded again.
    pub fn download(&self, packages: &[Package]) -> Result<Vec<PathBuf>, String> {
        // Not in apt's cache: it lists no address for what lies there.
        let dir = self.packages();
        fs::create_dir_all(&dir).map_err(|error| format!("{}: {error}", dir.display()))?;
        let size = packages.iter().map(|package| package.size).sum::<u64>() as f64 / 1e6;
        println!("downloading {} packages ({size:.1} MB) of Debian {} from {}", packages.len(), self.name, self.uri);
        let names = packages.iter().map(|package| format!("{}={}", package.name, package.version));
        run(self.apt("apt-get").arg("download").args(names).current_dir(&dir))?;
        Ok(packages.iter().map(|package| dir.join(&package.file)).collect())
    }

    /// Downloads the sources of a package, and gives the archive that its authors have released.
    pub fn download_source(&self, package: &str) -> Result<PathBuf, String> {
        let dir = self.packages();
        fs::create_dir_all(&dir).map_err(|error| format!("{}: {error}", dir.display()))?;
        println!("downloading the sources of {package} of Debian {} from {}", self.name, self.uri);
        run(self.apt("apt-get").args(["source", "--download-only"]).arg(package).current_dir(&dir))?;
        let files = fs::read_dir(&dir).map_err(|error| format!("{}: {error}", dir.display()))?;
        let is_original = |path: &PathBuf| {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            name.starts_with(&format!("{package}_")) && name.contains(".orig.tar.") && !name.ends_with(".asc")
        };
        let mut originals = files.flatten().map(|entry| entry.path()).filter(is_original);
        originals.next().ok_or_else(|| format!("Debian's sources of {package} have no original archive"))
    }

    /// Removes the packages that have been downloaded.
    pub fn clean(&self) -> Result<(), String> {
        let dir = self.packages();
        fs::remove_dir_all(&dir).map_err(|error| format!("{}: {error}", dir.display()))
    }

    /// Removes what apt makes from the package list whenever it needs it. The list itself stays.
    pub fn close(&self) {
        // It costs nothing but space.
        let _ = fs::remove_dir_all(self.dir.join("cache"));
    }

    fn packages(&self) -> PathBuf {
        self.dir.join("packages")
    }
}

/// apt's configuration: all folders ours, none of the machine's hooks and preferences.
fn configuration(dir: &Path) -> String {
    let dir = dir.display();
    format!(
        r#"#clear APT::Update::Pre-Invoke;
#clear APT::Update::Post-Invoke;
#clear APT::Update::Post-Invoke-Success;
#clear DPkg::Post-Invoke;
Dir::State "{dir}/state";
Dir::State::status "{dir}/status";
Dir::Cache "{dir}/cache";
Dir::Cache::pkgcache "pkgcache.bin";
Dir::Cache::srcpkgcache "srcpkgcache.bin";
Dir::Etc::sourcelist "{dir}/debian.sources";
Dir::Etc::sourceparts "{dir}/none";
Dir::Etc::preferences "{dir}/none/preferences";
Dir::Etc::preferencesparts "{dir}/none";
APT::Sandbox::User "root";
APT::Update::Error-Mode "any";
APT::Default-Release "";
Acquire::Languages "none";
Acquire::Retries "3";
"#
    )
}

/// `python3.14 | 3.14.10-1 | http://mirror/debian sid/main amd64 Packages`
fn parse_versions(table: &str) -> Vec<(String, String)> {
    let row = |line: &str| {
        let mut columns = line.split('|').map(|column| column.trim().to_string());
        Some((columns.next()?, columns.next()?))
    };
    table.lines().filter_map(row).collect()
}

/// `'http://mirror/pool/z/zlib1g_1%3a1.3-1_amd64.deb' zlib1g_1%3a1.3-1_amd64.deb 92424 SHA256:...`
fn parse_uris(text: &str) -> Vec<Package> {
    let package = |line: &str| {
        let mut words = line.split(' ').skip(1);
        let file = words.next()?;
        let size = words.next()?.parse().ok()?;
        let mut parts = file.strip_suffix(".deb")?.split('_');
        let (name, version) = (parts.next()?, parts.next()?.replace("%3a", ":"));
        Some(Package { name: name.to_string(), version, file: file.to_string(), size })
    };
    text.lines().filter_map(package).collect()
}

impl Package {
    /// Headers and libraries to link with that are not Python's own. The machine's compiler has its own, which fit it.
    fn is_for_other_compilers(&self) -> bool {
        (self.name.ends_with("-dev") && !self.name.contains("python") && !self.name.contains("pypy"))
            || self.name == "libc-dev-bin"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_of_apt_are_read() {
        let table = " python3.14 |  3.14.10-1 | http://a.example/debian sid/main amd64 Packages\n\
                     \u{20}    pypy3 | 8.0.1+dfsg-1 | http://a.example/debian sid/main amd64 Packages\n";
        let pair = |a: &str, b: &str| (a.to_string(), b.to_string());
        assert_eq!(parse_versions(table), [pair("python3.14", "3.14.10-1"), pair("pypy3", "8.0.1+dfsg-1")]);
        let uris = "'http://a.example/z/zlib1g_1%3a1.3-4_amd64.deb' zlib1g_1%3a1.3-4_amd64.deb 92424 SHA256:00\n\
                    Reading package lists...\n";
        let zlib = Package {
            name: "zlib1g".into(),
            version: "1:1.3-4".into(),
            file: "zlib1g_1%3a1.3-4_amd64.deb".into(),
            size: 92424,
        };
        assert_eq!(parse_uris(uris), [zlib]);
    }

    #[test]
    fn headers_are_only_pythons() {
        let skipped = |name: &str| {
            Package { name: name.into(), version: String::new(), file: String::new(), size: 0 }.is_for_other_compilers()
        };
        assert!(["libc6-dev", "linux-libc-dev", "libc-dev-bin", "zlib1g-dev"].into_iter().all(skipped));
        assert!(!["libpython3.14-dev", "python3.14-dev", "pypy3-dev", "libc6"].into_iter().any(skipped));
    }
}
