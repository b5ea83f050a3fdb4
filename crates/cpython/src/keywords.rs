//! Keyword arguments by the names of parameters, for what parses arguments without going through the table.

use core::ffi::{c_char, c_int};

use hpy_abi::HPy;
use pyo3_ffi::*;

use crate::handle::to_object;

/// Puts the values of keyword arguments to the parameters that they are for: `values[i]` for `names[i]`, of `count`; null for what is not
/// given, and for parameters without a name. `kwnames` has the names that are given, and `given` their values. All is borrowed.
///
/// Returns 0 if `kwnames` is not a tuple of strings that are text of UTF-8. Then nothing is known of `values`, and no exception is set.
///
/// # Safety
/// `kwnames` is a live object; if it is a tuple, `given` has as many items. The caller holds the interpreter.
pub unsafe extern "C" fn match_names(
    kwnames: HPy,
    given: *const HPy,
    names: *const *const c_char,
    count: usize,
    values: *mut HPy,
) -> c_int {
    let kwnames = to_object(kwnames);
    // SAFETY: as this function's; no index is beyond what was counted.
    unsafe {
        if Py_TYPE(kwnames) != &raw mut PyTuple_Type {
            return 0;
        }
        let length = PyTuple_GET_SIZE(kwnames).cast_unsigned();
        for index in 0..count {
            let name = *names.add(index);
            let mut value = HPy::NULL;
            // Most often all come in the order of the parameters.
            let mut place = if index < length { index } else { 0 };
            let mut left = if *name == 0 { 0 } else { length };
            while left != 0 {
                match is_named(PyTuple_GET_ITEM(kwnames, place.cast_signed()), name) {
                    Some(true) => {
                        value = *given.add(place);
                        break;
                    }
                    Some(false) => {}
                    None => return 0,
                }
                left = left.wrapping_sub(1);
                place = place.wrapping_add(1);
                if place == length {
                    place = 0;
                }
            }
            *values.add(index) = value;
        }
    }
    1
}

/// None for what is no text.
#[inline(always)]
unsafe fn is_named(given: *mut PyObject, name: *const c_char) -> Option<bool> {
    let mut length: Py_ssize_t = 0;
    // SAFETY: the object is alive, and so its text; the name is a C string, and looked at up to its end.
    unsafe {
        let text = PyUnicode_AsUTF8AndSize(given, &raw mut length);
        if text.is_null() {
            PyErr_Clear();
            return None;
        }
        let length = length.cast_unsigned();
        let mut at: usize = 0;
        // Names are short: calls of libc's functions would take longer.
        while at < length {
            let byte = *name.add(at);
            if byte == 0 || byte != *text.add(at) {
                return Some(false);
            }
            at = at.wrapping_add(1);
        }
        Some(*name.add(length) == 0)
    }
}
