//! `hpy.universal._inspect`: what a binary is, read from its tables and without loading it. For `hpy check`.

use core::ptr::null_mut;

use hpy_cpython::raised::{PythonError, Result};
use object::read::elf::{ElfFile32, ElfFile64, FileHeader, SectionHeader};
use object::read::{NameOrOrdinal, Object, ObjectSection, ObjectSymbol};
use object::{Architecture, BinaryFormat, Endianness, File, FileKind, elf};
use pyo3_ffi::*;

use crate::binding::{append, error};
use crate::exports;
use crate::owned::Owned;

/// What is found in a binary.
#[derive(Default)]
struct Found {
    exports: Vec<String>,
    /// Names that it expects others to have.
    imports: Vec<String>,
    libraries: Vec<String>,
    /// Versions of symbols that it expects, such as `GLIBC_2.34`.
    versions: Vec<String>,
    /// For each function that says so, the part of the ABI's version that it returns.
    numbers: Vec<(String, u32)>,
}

/// `_inspect(data) -> dict`
///
/// # Safety
/// Called by CPython.
pub unsafe fn inspect(_module: *mut PyObject, argument: *mut PyObject) -> Result<Owned> {
    // SAFETY: the argument is alive, and a bytes object stays as it is.
    unsafe {
        let (mut start, mut size) = (null_mut(), 0);
        if PyBytes_AsStringAndSize(argument, &mut start, &mut size) < 0 {
            return Err(PythonError);
        }
        let data = core::slice::from_raw_parts(start.cast::<u8>(), size.unsigned_abs());
        let refuse = |text: String| error(PyExc_ValueError, &text);
        let kind =
            FileKind::parse(data).map_err(|_| refuse("its first bytes are those of no kind of binary".into()))?;
        let file = File::parse(data).map_err(|_| refuse(format!("a damaged or truncated file of kind {kind:?}")))?;
        if last_byte(&file, data) > data.len() as u64 {
            return Err(refuse(format!("truncated: it ends after {size} bytes, before what its headers announce")));
        }
        let found = look(&file, data);

        let result = Owned::new(PyDict_New())?;
        let set = |key: &core::ffi::CStr, value: Owned| match PyDict_SetItemString(
            result.as_ptr(),
            key.as_ptr(),
            value.as_ptr(),
        ) {
            0 => Ok(()),
            _ => Err(PythonError),
        };
        set(c"format", Owned::str(format_name(file.format()))?)?;
        set(c"processor", Owned::str(&processor_name(file.architecture()))?)?;
        set(c"exports", list_of(&found.exports)?)?;
        set(c"imports", list_of(&found.imports)?)?;
        set(c"libraries", list_of(&found.libraries)?)?;
        set(c"versions", list_of(&found.versions)?)?;
        let numbers = Owned::new(PyDict_New())?;
        for (name, number) in &found.numbers {
            let (name, number) = (Owned::str(name)?, Owned::new(PyLong_FromUnsignedLong((*number).into()))?);
            if PyDict_SetItem(numbers.as_ptr(), name.as_ptr(), number.as_ptr()) < 0 {
                return Err(PythonError);
            }
        }
        set(c"numbers", numbers)?;
        Ok(result)
    }
}

fn list_of(names: &[String]) -> Result<Owned> {
    // SAFETY: CPython holds the interpreter.
    unsafe {
        let list = Owned::new(PyList_New(0))?;
        for name in names {
            append(&list, Owned::str(name)?)?;
        }
        Ok(list)
    }
}

fn format_name(format: BinaryFormat) -> &'static str {
    match format {
        BinaryFormat::Elf => "ELF",
        BinaryFormat::MachO => "Mach-O",
        BinaryFormat::Pe => "PE",
        _ => "unknown",
    }
}

/// As `platform.machine()` of Linux has it.
fn processor_name(architecture: Architecture) -> String {
    format!("{architecture:?}").to_ascii_lowercase()
}

/// Where the last thing that is loaded ends in the file.
fn last_byte(file: &File, data: &[u8]) -> u64 {
    use object::ObjectSegment;
    let ranges = file.segments().map(|segment| segment.file_range());
    ranges.map(|(start, size)| start.saturating_add(size)).max().unwrap_or(data.len() as u64)
}

fn look(file: &File, data: &[u8]) -> Found {
    let mut found = Found::default();
    let plain = |name: &[u8]| exports::c_name(file.format(), name);
    for export in exports::of(file, data.len()) {
        if export.name.starts_with("get_required_hpy_")
            && let Some(address) = export.address
        {
            let number = code_at(file, address).and_then(returned);
            found.numbers.extend(number.map(|number| (export.name.clone(), number)));
        }
        found.exports.push(export.name);
    }
    for symbol in file.dynamic_symbols().filter(|symbol| symbol.is_undefined()) {
        found.imports.extend(symbol.name_bytes().ok().filter(|name| !name.is_empty()).map(plain));
    }
    for import in file.imports().into_iter().flatten().flatten() {
        if let NameOrOrdinal::Name(name) = import.name() {
            found.imports.push(plain(name));
        }
        if file.format() != BinaryFormat::Elf {
            found.libraries.extend(
                Some(import.library())
                    .filter(|name| !name.is_empty())
                    .map(|name| String::from_utf8_lossy(name).into_owned()),
            );
        }
    }
    match file {
        File::Elf32(_) => {
            elf_tables(&ElfFile32::<Endianness>::parse(data).ok().map(|elf| *elf.elf_header()), data, &mut found)
        }
        File::Elf64(_) => {
            elf_tables(&ElfFile64::<Endianness>::parse(data).ok().map(|elf| *elf.elf_header()), data, &mut found)
        }
        _ => {}
    }
    for names in [&mut found.exports, &mut found.imports, &mut found.libraries, &mut found.versions] {
        names.sort();
        names.dedup();
    }
    found
}

/// The libraries that an ELF file needs, and the versions of their symbols.
fn elf_tables<Elf: FileHeader<Endian = Endianness>>(header: &Option<Elf>, data: &[u8], found: &mut Found) {
    let Some(header) = header else { return };
    let Ok(endian) = header.endian() else { return };
    let Ok(sections) = header.sections(endian, data) else { return };
    for section in sections.iter() {
        if let Ok(Some((entries, link))) = section.dynamic(endian, data) {
            let Ok(strings) = sections.strings(endian, data, link) else { continue };
            for entry in entries {
                use object::read::elf::Dyn;
                if entry.tag(endian) == elf::DT_NEEDED {
                    found.libraries.extend(
                        entry.string(endian, strings).ok().map(|name| String::from_utf8_lossy(name).into_owned()),
                    );
                }
            }
        }
    }
    let Ok(Some((mut needed, link))) = sections.gnu_verneed(endian, data) else { return };
    let Ok(strings) = sections.strings(endian, data, link) else { return };
    while let Ok(Some((_, mut names))) = needed.next() {
        while let Ok(Some(version)) = names.next() {
            found
                .versions
                .extend(version.name(endian, strings).ok().map(|name| String::from_utf8_lossy(name).into_owned()));
        }
    }
}

/// The first bytes of the code at an address.
fn code_at<'data>(file: &File<'data>, address: u64) -> Option<(Architecture, &'data [u8])> {
    let section = file
        .sections()
        .find(|section| section.address() <= address && address < section.address().saturating_add(section.size()))?;
    let code = section.data().ok()?;
    let start = usize::try_from(address - section.address()).ok()?;
    Some((file.architecture(), code.get(start..code.len().min(start + 32))?))
}

/// What a function returns that has nothing to do but that, as compilers write it.
fn returned((architecture, code): (Architecture, &[u8])) -> Option<u32> {
    match architecture {
        Architecture::X86_64 | Architecture::I386 => {
            // Prologues: endbr, push rbp, mov rbp rsp.
            let mut code = code;
            for prologue in
                [&[0xf3, 0x0f, 0x1e, 0xfa][..], &[0xf3, 0x0f, 0x1e, 0xfb], &[0x55], &[0x48, 0x89, 0xe5], &[0x89, 0xe5]]
            {
                code = code.strip_prefix(prologue).unwrap_or(code);
            }
            match code {
                // mov eax, number
                [0xb8, a, b, c, d, ..] => Some(u32::from_le_bytes([*a, *b, *c, *d])),
                // xor eax, eax
                [0x31 | 0x33, 0xc0, ..] => Some(0),
                _ => None,
            }
        }
        Architecture::Aarch64 => {
            let words = code.chunks_exact(4).map(|word| u32::from_le_bytes([word[0], word[1], word[2], word[3]]));
            // bti c; then mov w0, number, or mov w0, wzr
            let first = words.into_iter().find(|&word| word != 0xd503_245f)?;
            match first {
                0x2a1f_03e0 => Some(0),
                word if word & 0xffe0_001f == 0x5280_0000 => Some(word >> 5 & 0xffff),
                _ => None,
            }
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn constants_are_read_from_code() {
        let x86 = |code: &[u8]| returned((Architecture::X86_64, code));
        assert_eq!(x86(&[0xb8, 7, 0, 0, 0, 0xc3]), Some(7));
        assert_eq!(x86(&[0x31, 0xc0, 0xc3]), Some(0));
        assert_eq!(x86(&[0xf3, 0x0f, 0x1e, 0xfa, 0x55, 0x48, 0x89, 0xe5, 0xb8, 1, 2, 0, 0]), Some(513));
        assert_eq!(x86(&[0x48, 0x8b, 0x05]), None);
        let arm = |words: &[u32]| {
            let code: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
            returned((Architecture::Aarch64, &code))
        };
        assert_eq!(arm(&[0x5280_0060, 0xd65f_03c0]), Some(3));
        assert_eq!(arm(&[0xd503_245f, 0x2a1f_03e0]), Some(0));
        assert_eq!(arm(&[0xd65f_03c0]), None);
    }
}
