//! The functions of the API. Most are checked as the spec says (`autogen_functions.rs`); here are those that need more.

mod builders;
mod calls;
mod data;
mod handles;
mod references;
mod threads;
mod trackers;
mod types;

use core::ffi::{c_char, c_int, c_void};

use hpy_abi::runtime::*;
use hpy_abi::*;

use crate::Debug;
use crate::autogen_functions::*;

impl Attribute for Debug {
    checked_attribute!();
}
impl Bool for Debug {
    checked_bool!();
}
impl Dict for Debug {
    checked_dict!();
}
impl Eval for Debug {
    checked_eval!();
}
impl Float for Debug {
    checked_float!();
}
impl Import for Debug {
    checked_import!();
}
impl Item for Debug {
    checked_item!();
}
impl Iter for Debug {
    checked_iter!();
}
impl List for Debug {
    checked_list!();
}
impl Long for Debug {
    checked_long!();
}
impl Number for Debug {
    checked_number!();
}
impl Object for Debug {
    checked_object!();
}
impl Slice for Debug {
    checked_slice!();
}
