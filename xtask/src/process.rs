//! Running other programs, in folders for them.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

/// The command line, for messages.
fn describe(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
}

/// Runs a command whose output belongs to the reader.
pub fn run(command: &mut Command) -> Result<(), String> {
    let status = command.status().map_err(|error| format!("can't run '{}': {error}", describe(command)))?;
    if status.success() { Ok(()) } else { Err(format!("'{}' failed ({status})", describe(command))) }
}

/// Runs a command and gives what it wrote to its standard output. Its errors are shown only if it fails.
pub fn output(command: &mut Command) -> Result<String, String> {
    let output =
        command.stdin(Stdio::null()).output().map_err(|error| format!("can't run '{}': {error}", describe(command)))?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    if output.status.success() {
        return Ok(text);
    }
    let errors = String::from_utf8_lossy(&output.stderr);
    Err(format!("'{}' failed ({}):\n{text}{errors}", describe(command), output.status))
}

/// Says what is being done while it is done, and how long it took.
pub fn step<T>(what: &str, work: impl FnOnce() -> Result<T, String>) -> Result<T, String> {
    print!("{what} ... ");
    // Progress that can't be shown is no reason to stop.
    let _ = std::io::stdout().flush();
    let start = Instant::now();
    let result = work();
    match &result {
        Ok(_) => println!("{:.1} s", start.elapsed().as_secs_f32()),
        Err(_) => println!("failed"),
    }
    result
}

/// Makes a folder empty, or makes it.
pub fn renew(folder: &Path) -> Result<(), String> {
    let say = |error: std::io::Error| format!("{}: {error}", folder.display());
    if folder.exists() {
        fs::remove_dir_all(folder).map_err(say)?;
    }
    fs::create_dir_all(folder).map_err(say)
}
