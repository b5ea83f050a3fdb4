//! `cargo xtask gen`: everything that is derived from the spec.

mod abi;
mod banner;
mod c;
mod cpython;
mod debug;
mod layer;
mod reference;
mod runtime;
mod rust;
mod trace;
mod trampolines;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::spec::Spec;

/// One generated file: its place below the workspace root, and what is in it.
struct Output {
    path: PathBuf,
    text: String,
}

/// Writes all generated files; with `check` only compares them and fails when one is stale.
pub fn run(root: &Path, check: bool) -> Result<(), String> {
    let spec = Spec::load(root)?;
    let outputs = generate(root, &spec)?;
    let mut stale = Vec::new();
    for Output { path, text } in &outputs {
        let path = root.join(path);
        if fs::read_to_string(&path).is_ok_and(|current| current == *text) {
            continue;
        }
        stale.push(path.strip_prefix(root).unwrap_or(&path).display().to_string());
        if !check {
            let dir = path.parent().expect("a generated file lies in a folder");
            fs::create_dir_all(dir)
                .and_then(|()| fs::write(&path, text))
                .map_err(|error| format!("{}: {error}", path.display()))?;
        }
    }
    for orphan in orphans(root, &outputs)? {
        stale.push(format!("{} (no longer generated)", orphan.display()));
        if !check {
            fs::remove_file(root.join(&orphan)).map_err(|error| format!("{}: {error}", orphan.display()))?;
        }
    }
    match (stale.is_empty(), check) {
        (true, _) => println!("{} generated files are up to date", outputs.len()),
        (false, false) => println!("wrote {}", stale.join(", ")),
        (false, true) => {
            return Err(format!("stale: {}\nrun 'cargo xtask gen' and commit the result", stale.join(", ")));
        }
    }
    Ok(())
}

/// Generated files in our folders that no generator writes any more.
fn orphans(root: &Path, outputs: &[Output]) -> Result<Vec<PathBuf>, String> {
    let mut dirs: Vec<_> = outputs.iter().filter_map(|output| output.path.parent()).collect();
    dirs.sort();
    dirs.dedup();
    let mut orphans = Vec::new();
    for dir in dirs {
        let Ok(entries) = fs::read_dir(root.join(dir)) else { continue };
        for entry in entries {
            let name = entry.map_err(|error| format!("{}: {error}", dir.display()))?.file_name();
            let path = dir.join(&name);
            let ours = name.to_string_lossy().starts_with("autogen_") || dir == Path::new(reference::DIR);
            if ours && !outputs.iter().any(|output| output.path == path) {
                orphans.push(path);
            }
        }
    }
    Ok(orphans)
}

fn generate(root: &Path, spec: &Spec) -> Result<Vec<Output>, String> {
    let mut outputs = Vec::new();
    let include = Path::new("include/hpy/generated");
    for (name, text) in c::headers(spec).into_iter().chain(cpython::headers(spec)) {
        outputs.push(Output { path: include.join(name), text });
    }
    let crates = [
        abi::sources(spec),
        trampolines::sources(spec),
        runtime::sources(spec),
        layer::sources(spec),
        debug::sources(spec),
        trace::sources(spec),
    ];
    for (path, text) in crates.into_iter().flatten() {
        outputs.push(Output {
            path: path.into(),
            text: rustfmt(root, &text).map_err(|error| format!("{path}: {error}"))?,
        });
    }
    for (name, text) in reference::pages(spec) {
        outputs.push(Output { path: Path::new(reference::DIR).join(name), text });
    }
    Ok(outputs)
}

fn rustfmt(root: &Path, source: &str) -> Result<String, String> {
    let mut child = Command::new("rustfmt")
        .args(["--edition", "2024"])
        .current_dir(root)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| format!("can't run rustfmt ({error}); install it with 'rustup component add rustfmt'"))?;
    let mut stdin = child.stdin.take().expect("stdin is piped");
    let text = source.to_string();
    let writer = std::thread::spawn(move || std::io::Write::write_all(&mut stdin, text.as_bytes()));
    let output = child.wait_with_output().map_err(|error| error.to_string())?;
    writer.join().expect("the writer does not panic").map_err(|error| error.to_string())?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned());
    }
    String::from_utf8(output.stdout).map_err(|error| error.to_string())
}
