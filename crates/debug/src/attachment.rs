//! What few slots need: copies of strings, contents of builders and trackers, stack traces.

/// Belongs to a slot until that is used again. Only the slot's thread changes it, and others look at it for reports.
#[derive(Default)]
pub struct Attachment {
    /// Copies of the object's contents that the extension has pointers to, and their size with the ends.
    pub copies: Vec<(*const u8, usize)>,
    /// Of a tracker: the handles in it, as the extension knows them.
    pub items: Vec<isize>,
    /// Of a builder.
    pub size: isize,
    pub filled: Vec<bool>,
    /// If stack traces are on.
    pub opened: Trace,
    pub closed: Trace,
}

impl Attachment {
    /// In bytes.
    pub fn size_of_copies(&self) -> usize {
        self.copies.iter().map(|(_, size)| size).sum()
    }
}

/// How it came to an opening or closing.
#[derive(Default, Clone)]
pub struct Trace {
    pub stack: Vec<usize>,
    pub python: Option<String>,
}
