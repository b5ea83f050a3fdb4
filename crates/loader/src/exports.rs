//! The names that a binary exports.

use object::read::{ExportTarget, NameOrOrdinal};
use object::{BinaryFormat, File, Object, ReadRef};

pub struct Export {
    /// As C has it.
    pub name: String,
    /// None if it is another library's.
    pub address: Option<u64>,
}

/// Those of a file of this size, in bytes. What can't be read is left out.
pub fn of<'data, R: ReadRef<'data>>(file: &File<'data, R>, size: usize) -> Vec<Export> {
    // A table that leads back to itself would not end.
    let exports = file.exports().into_iter().flatten().take(size).filter_map(Result::ok);
    let named = exports.filter_map(|export| {
        let NameOrOrdinal::Name(name) = export.name() else { return None };
        let address = match export.target() {
            ExportTarget::Address { address } => Some(address),
            _ => None,
        };
        Some(Export { name: c_name(file.format(), name), address })
    });
    named.collect()
}

/// A name in a table of a binary as C has it.
pub fn c_name(format: BinaryFormat, name: &[u8]) -> String {
    let name = String::from_utf8_lossy(name);
    match format {
        BinaryFormat::MachO => name.strip_prefix('_').unwrap_or(&name).to_string(),
        _ => name.into_owned(),
    }
}
