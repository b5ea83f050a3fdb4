//! A look at a file before the system loads it.
//!
//! The system's loader maps a file as its headers say and trusts them: with a truncated file the process dies. Such files
//! are refused here; for all others the system's own words are kept, and this module only explains them.

use std::env::consts::{ARCH, OS};
use std::fs::File;
use std::io;
use std::path::Path;

use object::read::elf::{FileHeader, ProgramHeader};
use object::read::{Object, ObjectSegment, ReadCache};
use object::{Architecture, BinaryFormat, Endianness, FileKind, elf};

use crate::exports;

/// What is wrong with a file.
pub struct Diagnosis {
    /// What the system would say, if asking it could crash.
    pub instead_of_system: Option<&'static str>,
    pub help: String,
}

/// Looks for what keeps a file from being loaded. `None`: nothing that can be seen from outside.
pub fn diagnose(path: &Path) -> Option<Diagnosis> {
    let explain = |help: String| Some(Diagnosis { instead_of_system: None, help });
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return explain(
                "There is no such file. Was the extension built for another version or moved away from its stub?"
                    .into(),
            );
        }
        Err(error) => return explain(format!("The file can't be opened: {error}.")),
    };
    let metadata = file.metadata().ok()?;
    if metadata.is_dir() {
        return explain("This is a folder; the path has to name the binary in it.".into());
    }
    let length = metadata.len();
    if length == 0 {
        return explain("The file is empty. Build or install the extension again.".into());
    }
    let cache = ReadCache::new(file);
    let truncated = || {
        Some(Diagnosis {
            instead_of_system: Some("file too short"),
            help: format!(
                "The file is truncated: it ends after {length} bytes, before what its headers announce. Copy or install it again."
            ),
        })
    };
    let (machine, end) = match (FileKind::parse(&cache), native_format()) {
        (Ok(FileKind::Elf32), BinaryFormat::Elf) => elf_extent::<elf::FileHeader32<Endianness>>(&cache),
        (Ok(FileKind::Elf64), BinaryFormat::Elf) => elf_extent::<elf::FileHeader64<Endianness>>(&cache),
        (Ok(kind), native) if is_of_format(kind, native) => match object::File::parse(&cache) {
            Ok(file) => (Some(file.architecture()), file.segments().map(|segment| end_of(segment.file_range())).max()),
            // A Mach-O file for several processors, for instance: the system knows better.
            Err(_) => return None,
        },
        (Ok(kind), _) => {
            return explain(format!(
                "This is a file of another system or kind ({kind:?}), not a shared library for {OS}."
            ));
        }
        (Err(_), _) => {
            return explain(format!(
                "This is not a shared library for {OS}: its first bytes are those of another kind of file."
            ));
        }
    };
    if let Some(theirs) = machine.and_then(other_processor) {
        return explain(format!("The binary is for the processor {theirs}, this Python runs on {ARCH}."));
    }
    if end.is_none_or(|end| end > length) { truncated() } else { None }
}

/// The processor of an ELF file, and where the last of what is mapped ends. Only the headers that the system's loader reads
/// are looked at. No end: the headers themselves are cut off.
fn elf_extent<Elf: FileHeader<Endian = Endianness>>(data: &ReadCache<File>) -> (Option<Architecture>, Option<u64>) {
    let Ok(header) = Elf::parse(data) else { return (None, None) };
    let Ok(endian) = header.endian() else { return (None, None) };
    let machine = match header.e_machine(endian) {
        elf::EM_X86_64 => Some(Architecture::X86_64),
        elf::EM_386 => Some(Architecture::I386),
        elf::EM_AARCH64 => Some(Architecture::Aarch64),
        elf::EM_ARM => Some(Architecture::Arm),
        elf::EM_RISCV => Some(Architecture::Riscv64),
        elf::EM_S390 => Some(Architecture::S390x),
        elf::EM_PPC64 => Some(Architecture::PowerPc64),
        elf::EM_LOONGARCH => Some(Architecture::LoongArch64),
        _ => None,
    };
    let Ok(segments) = header.program_headers(endian, data) else { return (machine, None) };
    let loaded = segments.iter().filter(|segment| segment.p_type(endian) == elf::PT_LOAD);
    (machine, Some(loaded.map(|segment| end_of(segment.file_range(endian))).max().unwrap_or(0)))
}

fn end_of((offset, size): (u64, u64)) -> u64 {
    offset.saturating_add(size)
}

fn is_of_format(kind: FileKind, format: BinaryFormat) -> bool {
    match format {
        BinaryFormat::MachO => {
            matches!(kind, FileKind::MachO32 | FileKind::MachO64 | FileKind::MachOFat32 | FileKind::MachOFat64)
        }
        BinaryFormat::Pe => matches!(kind, FileKind::Pe32 | FileKind::Pe64),
        _ => false,
    }
}

/// Whose file is it, if it has not the symbols of the module that was asked for?
pub fn explain_missing_symbols(path: &Path, short_name: &str) -> String {
    let is_symbol = |c: char| c.is_ascii_alphanumeric() || c == '_';
    if short_name.is_empty() || !short_name.chars().all(is_symbol) {
        return format!(
            "{short_name:?} can't be the last part of an HPy module's name, which becomes part of C symbols: that consists of \
             letters, digits, '_' and '-'."
        );
    }
    let names = exported_names(path);
    if names.is_empty() {
        return "The names that the file exports can't be listed. Was it built with HPy_MODINIT, for a module of this name?".into();
    }
    let with_prefix = |prefix: &str| names.iter().find_map(|name| name.strip_prefix(prefix).map(str::to_string));
    if let Some(other) = with_prefix("HPyInit_").filter(|other| other != short_name) {
        return format!(
            "The file holds the HPy module '{other}', not '{short_name}': the name given to HPy_MODINIT has to be the last \
             part of the module's name, with '-' as '_'."
        );
    }
    if names.iter().any(|name| *name == format!("HPyInit_{short_name}")) {
        return "The file has HPyInit, but not the version functions that go with it: it was built for an HPy older than \
                0.9, or its HPy_MODINIT was written by hand. Build it again with current headers."
            .into();
    }
    if let Some(other) = with_prefix("PyInit_") {
        return format!(
            "This is an extension for CPython's own API (it has PyInit_{other}), not an HPy one: import it without HPy, \
             under a file name that CPython looks for."
        );
    }
    "This is a shared library, but not an HPy extension: it exports no HPyInit function. Is HPy_MODINIT missing, or is this \
     another library of that name?"
        .into()
}

fn exported_names(path: &Path) -> Vec<String> {
    let Ok(file) = File::open(path) else { return Vec::new() };
    let size = file.metadata().map_or(0, |data| data.len() as usize);
    let cache = ReadCache::new(file);
    let Ok(parsed) = object::File::parse(&cache) else { return Vec::new() };
    exports::of(&parsed, size).into_iter().map(|export| export.name).collect()
}

fn native_format() -> BinaryFormat {
    if cfg!(windows) {
        BinaryFormat::Pe
    } else if cfg!(target_vendor = "apple") {
        BinaryFormat::MachO
    } else {
        BinaryFormat::Elf
    }
}

/// The name of a processor that is not ours.
fn other_processor(theirs: Architecture) -> Option<String> {
    let name = match theirs {
        Architecture::X86_64 => "x86_64",
        Architecture::I386 => "x86",
        Architecture::Aarch64 => "aarch64",
        Architecture::Arm => "arm",
        Architecture::Riscv64 => "riscv64",
        Architecture::S390x => "s390x",
        Architecture::PowerPc64 => "powerpc64",
        Architecture::LoongArch64 => "loongarch64",
        // One that we can't name is left to the system.
        Architecture::Unknown => return None,
        other => return Some(format!("{other:?}")),
    };
    (name != ARCH).then(|| name.to_string())
}
