//! Where in an object the extension's struct lies.
//!
//! It starts behind what the built-in base type needs, aligned for any C type. For `int` and `tuple`, whose own items stand
//! at the end of an object, it starts behind these; then the place depends on the object.

use hpy_abi::*;
use pyo3_ffi::*;

use super::type_object::Type;

/// The alignment of `max_align_t` on all our platforms.
const MAX_ALIGN: isize = 16;

pub fn align(size: isize) -> isize {
    (size + MAX_ALIGN - 1) & !(MAX_ALIGN - 1)
}

/// The built-in type that a shape builds on. None for legacy types, which say themselves where everything is, and for unknown
/// shapes.
pub fn base_type(shape: HPyType_BuiltinShape) -> Option<Type> {
    let base = match shape {
        HPyType_BuiltinShape_Object => &raw mut PyBaseObject_Type,
        HPyType_BuiltinShape_Type => &raw mut PyType_Type,
        HPyType_BuiltinShape_Long => &raw mut PyLong_Type,
        HPyType_BuiltinShape_Float => &raw mut PyFloat_Type,
        HPyType_BuiltinShape_Unicode => &raw mut PyUnicode_Type,
        HPyType_BuiltinShape_Tuple => &raw mut PyTuple_Type,
        HPyType_BuiltinShape_List => &raw mut PyList_Type,
        HPyType_BuiltinShape_Dict => &raw mut PyDict_Type,
        _ => return None,
    };
    // SAFETY: a static type.
    Some(unsafe { Type::new(base) })
}

/// Whether the struct's place depends on the object.
pub fn is_variable(shape: HPyType_BuiltinShape) -> bool {
    matches!(shape, HPyType_BuiltinShape_Long | HPyType_BuiltinShape_Tuple)
}

/// What the struct's size is added to for the size of an object.
pub fn head_size(shape: HPyType_BuiltinShape) -> isize {
    let Some(size) = base_type(shape).map(Type::basicsize) else { return 0 };
    // With items in front of it, the struct may start up to one alignment later.
    if is_variable(shape) { align(size) + MAX_ALIGN } else { align(size) }
}

/// The struct in an object of a type with this shape.
///
/// # Safety
/// The object has to be an instance of such a type.
#[inline]
pub unsafe fn payload(object: *mut PyObject, shape: HPyType_BuiltinShape) -> *mut core::ffi::c_void {
    // SAFETY: the object is as large as its type says.
    unsafe {
        let offset = match shape {
            HPyType_BuiltinShape_Legacy => 0,
            HPyType_BuiltinShape_Object => align(size_of::<PyObject>().cast_signed()),
            HPyType_BuiltinShape_Long => align(PyLong_Type.tp_basicsize + digits(object) * PyLong_Type.tp_itemsize),
            HPyType_BuiltinShape_Tuple => align(PyTuple_Type.tp_basicsize + Py_SIZE(object) * PyTuple_Type.tp_itemsize),
            _ => head_size(shape),
        };
        object.byte_offset(offset).cast()
    }
}

/// How many digits an int has in memory. CPython says it nowhere else than in the object itself: up to 3.11 it is the size of
/// the object, negative for negative numbers; since then it stands above three bits of flags.
unsafe fn digits(object: *mut PyObject) -> isize {
    // SAFETY: the caller's object is an int.
    unsafe {
        let size = (*object.cast::<PyVarObject>()).ob_size;
        if cfg!(Py_3_12) { size.cast_unsigned() >> 3 } else { size.unsigned_abs() }.cast_signed()
    }
}
