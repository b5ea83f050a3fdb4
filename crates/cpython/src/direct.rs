//! The families in which every function is one call of CPython's.

use core::ffi::{c_char, c_int};

use hpy_abi::runtime::{Attribute, Dict, Float, Import, Iter, Number, Slice, Thread, Unicode};
use hpy_abi::*;

use crate::CPython;
use crate::autogen_direct::*;

impl Attribute for CPython {
    direct_attribute!();
}

impl Dict for CPython {
    direct_dict!();
}

impl Float for CPython {
    direct_float!();
}

impl Import for CPython {
    direct_import!();
}

impl Iter for CPython {
    direct_iter!();
}

impl Number for CPython {
    direct_number!();
}

impl Slice for CPython {
    direct_slice!();
}

impl Thread for CPython {
    direct_thread!();
}

impl Unicode for CPython {
    direct_unicode!();
}
