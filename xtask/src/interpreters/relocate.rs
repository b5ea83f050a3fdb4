//! Makes an interpreter that was built for /usr work where it was unpacked.
//!
//! CPython and PyPy find their standard library from where they lie, and sysconfig's paths follow. What does not: the
//! loader and the libraries of the binary, and the values that were recorded when the interpreter was built.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::process::output;

/// Prepares what lies in `tree` (the unpacked /usr) for being moved to `home`.
pub fn relocate(tree: &Path, home: &Path, binary: &str) -> Result<(), String> {
    let problem = |error: io::Error| format!("{}: {error}", tree.display());
    let (libraries, loader) = find_loader(tree).map_err(problem)?;
    patch(tree, home, &libraries, &loader, binary)?;
    let triple = libraries.file_name().unwrap_or_default().to_string_lossy().into_owned();
    for (name, target) in [("python3", binary), ("python", "python3")] {
        let link = tree.join("bin").join(name);
        if binary.starts_with("python") && !link.exists() {
            output(Command::new("ln").args(["-s", target]).arg(&link))?;
        }
    }
    let library = tree.join("lib").join(binary);
    // Debian's leads to the system's, which belongs to the system's Python.
    let customization = library.join("sitecustomize.py");
    if customization.is_symlink() {
        fs::remove_file(customization).map_err(problem)?;
    }
    // The header that includes the processor's does so by a path that is only looked up in /usr/include.
    let header = tree.join("include").join(&triple).join(binary).join("pyconfig.h");
    if header.exists() {
        fs::copy(header, tree.join("include").join(binary).join("pyconfig.h")).map_err(problem)?;
    }
    for path in records(&library, &libraries).map_err(problem)? {
        let text = fs::read_to_string(&path).map_err(problem)?;
        let text = with_own_compiler(&moved(&text, &home.display().to_string()), &triple);
        fs::write(&path, text).map_err(problem)?;
    }
    Ok(())
}

/// The folder of the C library, `lib/x86_64-linux-gnu`, and the name of the program in it that loads all others.
fn find_loader(tree: &Path) -> io::Result<(PathBuf, String)> {
    for dir in fs::read_dir(tree.join("lib"))?.flatten().map(|entry| entry.path()).filter(|path| path.is_dir()) {
        for entry in fs::read_dir(&dir)?.flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            if name.starts_with("ld") && name.contains(".so.") {
                return Ok((dir, name));
            }
        }
    }
    Err(io::Error::other("no dynamic loader among the unpacked packages"))
}

/// Makes the binary use the unpacked loader and libraries.
fn patch(tree: &Path, home: &Path, libraries: &Path, loader: &str, binary: &str) -> Result<(), String> {
    let inside = libraries.strip_prefix(tree).map_err(|error| error.to_string())?;
    // patchelf is of the same suite: what it needs lies here as well.
    let mut patchelf = Command::new(libraries.join(loader));
    patchelf.arg("--library-path").arg(libraries).arg(tree.join("bin/patchelf"));
    // With its headers sorted, a binary that is not position-independent crashes.
    patchelf.arg("--no-sort").arg("--set-interpreter").arg(home.join(inside).join(loader));
    // An old-style path serves what is loaded later, too.
    patchelf.args(["--force-rpath", "--set-rpath"]).arg(format!("$ORIGIN/../{}", inside.display()));
    output(patchelf.arg(tree.join("bin").join(binary)))?;
    Ok(())
}

/// The files in which the interpreter's build has recorded paths and compilers.
fn records(library: &Path, libraries: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for dir in [library.to_path_buf(), libraries.join("pkgconfig")] {
        for entry in fs::read_dir(dir).into_iter().flatten() {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            let recorded = name.starts_with("_sysconfigdata_")
                || name.starts_with("_sysconfig_vars_")
                || name == "build-details.json"
                || (name.starts_with("python") && name.ends_with(".pc"));
            // A second name for the same file must not be moved a second time.
            if recorded && entry.file_type()?.is_file() {
                found.push(entry.path());
            }
        }
    }
    Ok(found)
}

/// Replaces /usr where it is the beginning of a folder that was unpacked.
fn moved(text: &str, home: &str) -> String {
    let mut parts = text.split("/usr");
    let mut moved = parts.next().unwrap_or_default().to_string();
    for part in parts {
        let begins = ["/include", "/lib", "/share", "/bin/python", "\"", "'", "\n"];
        let is_ours = begins.iter().any(|begin| part.starts_with(begin)) && !part.starts_with("/libexec");
        moved.push_str(if is_ours { home } else { "/usr" });
        moved.push_str(part);
    }
    moved
}

/// Replaces Debian's names of its compilers by those that each machine has.
fn with_own_compiler(text: &str, triple: &str) -> String {
    // gcc-ar first: gcc is the beginning of its name.
    [("gcc-ar", "ar"), ("gcc-nm", "nm"), ("gcc-ranlib", "ranlib"), ("gcc", "cc"), ("g++", "c++")]
        .iter()
        .fold(text.to_string(), |text, (theirs, ours)| text.replace(&format!("{triple}-{theirs}"), ours))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn recorded_paths_move() {
        let text = "'LIBDIR': '/usr/lib/x', 'prefix': '/usr', 'INSTALL': '/usr/bin/install', 'A': '-I/usr/include -I/usr/local/x'";
        let expected = "'LIBDIR': '/usr/lib/h/lib/x', 'prefix': '/usr/lib/h', 'INSTALL': '/usr/bin/install', 'A': '-I/usr/lib/h/include -I/usr/local/x'";
        assert_eq!(moved(text, "/usr/lib/h"), expected);
        assert_eq!(moved("prefix=/usr\nlibdir=${prefix}/lib", "/h"), "prefix=/h\nlibdir=${prefix}/lib");
    }

    #[test]
    fn compilers_are_the_machines() {
        let text =
            "'AR': 'a-linux-gnu-gcc-ar', 'LDSHARED': 'a-linux-gnu-gcc -shared', 'SOABI': 'cpython-314-a-linux-gnu'";
        let expected = "'AR': 'ar', 'LDSHARED': 'cc -shared', 'SOABI': 'cpython-314-a-linux-gnu'";
        assert_eq!(with_own_compiler(text, "a-linux-gnu"), expected);
    }
}
