//! Keyword arguments by the names of parameters, for what parses arguments without going through the table.

use core::ffi::{c_char, c_int};
use core::ptr::null;

use hpy_abi::{HPy, HPyTracker};
use pyo3_ffi::*;

use crate::handle::to_object;
use crate::tracker::Filling;

/// The keyword arguments of a call.
struct Given {
    /// A tuple.
    names: *mut PyObject,
    count: usize,
    values: *const HPy,
}

/// Not known whether it is: for what is no text, only the slow way can tell what it equals.
struct Unknown;

impl Given {
    /// None if `kwnames` is not a tuple.
    ///
    /// # Safety
    /// `kwnames` is a live object or null; if it is a tuple, there are as many `values`. The caller holds the interpreter.
    #[inline(always)]
    unsafe fn new(kwnames: HPy, values: *const HPy) -> Option<Given> {
        let names = to_object(kwnames);
        if names.is_null() {
            return Some(Given { names, count: 0, values });
        }
        // SAFETY: as this function's.
        unsafe {
            if Py_TYPE(names) != &raw mut PyTuple_Type {
                return None;
            }
            Some(Given { names, count: PyTuple_GET_SIZE(names).cast_unsigned(), values })
        }
    }

    /// The value for the parameter `name`, borrowed; null if there is none, or the name is empty. `place` is where it most likely is: most
    /// often all come in the order of the parameters. `is_named` tells whether an object is text and that name.
    ///
    /// # Safety
    /// As for [`Given::new`]; `name` is a C string.
    #[inline(always)]
    unsafe fn find(
        &self,
        name: *const c_char,
        place: usize,
        is_named: unsafe fn(*mut PyObject, *const c_char) -> Result<bool, Unknown>,
    ) -> Result<HPy, Unknown> {
        let mut place = if place < self.count { place } else { 0 };
        // SAFETY: as this function's; the place is below the number of names.
        unsafe {
            let mut left = if *name == 0 { 0 } else { self.count };
            while left != 0 {
                if is_named(PyTuple_GET_ITEM(self.names, place.cast_signed()), name)? {
                    return Ok(*self.values.add(place));
                }
                left = left.wrapping_sub(1);
                place = place.wrapping_add(1);
                if place == self.count {
                    place = 0;
                }
            }
        }
        Ok(HPy::NULL)
    }
}

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
    // SAFETY: as this function's.
    unsafe {
        let Some(given) = Given::new(kwnames, given) else { return 0 };
        for index in 0..count {
            let Ok(value) = given.find(*names.add(index), index, is_text) else { return 0 };
            *values.add(index) = value;
        }
    }
    1
}

/// `HPyArg_ParseKeywords` for the frequent case: all units of the format are `O`, for `count` parameters, the first of which are `required`. All
/// parameters must have a name, and the names of keywords be ASCII. Returns 1, or 0 if it is another case, or an argument is missing. Then no
/// exception is set, and nothing has been written but outputs.
///
/// # Safety
/// As many names and outputs as said, and the arguments of `HPyArg_ParseKeywords`. The caller holds the interpreter.
#[allow(clippy::too_many_arguments)]
pub unsafe extern "C" fn parse_objects(
    ht: *mut HPyTracker,
    args: *const HPy,
    nargs: usize,
    kwnames: HPy,
    keywords: *const *const c_char,
    outputs: *const *mut HPy,
    count: usize,
    required: usize,
) -> c_int {
    if !KNOWS_ASCII || ht.is_null() || count > Filling::MOST {
        return 0;
    }
    // SAFETY: as this function's.
    unsafe {
        let Some(given) = Given::new(kwnames, args.wrapping_add(nargs)) else { return 0 };
        let Some(tracker) = Filling::new() else { return 0 };
        let mut index: usize = 0;
        while index < count {
            let name = *keywords.add(index);
            if *name == 0 {
                break;
            }
            let value = if index < nargs {
                *args.add(index)
            } else {
                let Ok(value) = given.find(name, index.wrapping_sub(nargs), is_ascii) else { break };
                value
            };
            if !value.is_null() {
                **outputs.add(index) = value;
            } else if index < required {
                break;
            }
            tracker.keep(index, value);
            index = index.wrapping_add(1);
        }
        if index == count {
            *ht = tracker.finish(count);
            return 1;
        }
        tracker.give_up(index);
    }
    0
}

/// Whether an object is text and this name.
#[inline(always)]
unsafe fn is_text(given: *mut PyObject, name: *const c_char) -> Result<bool, Unknown> {
    let mut length: Py_ssize_t = 0;
    // SAFETY: the object is alive, and so its text; the name is a C string.
    unsafe {
        let text = PyUnicode_AsUTF8AndSize(given, &raw mut length);
        if text.is_null() {
            PyErr_Clear();
            return Err(Unknown);
        }
        Ok(is_same(text, length, name))
    }
}

/// Whether an object is ASCII text and this name.
#[inline(always)]
unsafe fn is_ascii(given: *mut PyObject, name: *const c_char) -> Result<bool, Unknown> {
    // SAFETY: the object is alive, and so its text; the name is a C string.
    unsafe {
        let text = ascii(given);
        if text.is_null() {
            return Err(Unknown);
        }
        Ok(is_same(text, (*given.cast::<PyASCIIObject>()).length, name))
    }
}

/// Whether a text of so many bytes, with a NUL behind it, is this name.
#[inline(always)]
unsafe fn is_same(text: *const c_char, length: Py_ssize_t, name: *const c_char) -> bool {
    let mut at: usize = 0;
    // Names are short: calls of libc's functions would take longer.
    // SAFETY: neither is read beyond a NUL.
    unsafe {
        while *name.add(at) == *text.add(at) {
            if *name.add(at) == 0 {
                return at == length.cast_unsigned();
            }
            at = at.wrapping_add(1);
        }
    }
    false
}

/// Whether the text of ASCII strings can be found without a call. The state of a str is a field of bits, which compilers lay out in this
/// way, and another one where there is no GIL.
const KNOWS_ASCII: bool = cfg!(all(target_endian = "little", not(Py_GIL_DISABLED)));
/// The bits `compact` and `ascii`.
const ASCII: u32 = 0b110_0000;

/// The text of a str that has it right behind its struct and is ASCII; null for everything else.
///
/// # Safety
/// The object is alive.
#[inline(always)]
pub unsafe fn ascii(object: *mut PyObject) -> *const c_char {
    let text = object.cast::<PyASCIIObject>();
    // SAFETY: as this function's; only a str is looked into.
    unsafe {
        if Py_TYPE(object) == &raw mut PyUnicode_Type && (*text).state & ASCII == ASCII {
            text.add(1).cast()
        } else {
            null()
        }
    }
}
