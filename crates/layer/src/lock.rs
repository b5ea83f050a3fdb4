//! Locks that are taken before a [fork](mod@crate::fork).

use core::any::Any;

/// A lock, or several, until this is dropped.
pub type Held = Box<dyn Any>;
