//! What an HPy_bf_getbuffer gives, against what it was asked for.

use hpy_abi::*;

/// More dimensions than any buffer has.
const MOST: i32 = 64;

/// What is wrong with a buffer that was asked for with these flags, in words.
///
/// # Safety
/// Shape and strides are null or as long as the buffer has dimensions.
pub unsafe fn not_as_asked(buffer: &HPy_buffer, flags: i32) -> Option<&'static str> {
    let asked = |flag: i32| flags & flag == flag;
    let is_bytes = buffer.format.is_null() || {
        // SAFETY: a format ends with NUL.
        unsafe { core::ffi::CStr::from_ptr(buffer.format) == c"B" }
    };
    if asked(HPyBUF_WRITABLE) && buffer.readonly != 0 {
        return Some("a read-only buffer to who asked for one to write to (PyBUF_WRITABLE)");
    }
    if !asked(HPyBUF_FORMAT) && !is_bytes {
        return Some("a format to who did not ask for one (PyBUF_FORMAT)");
    }
    // Of one dimension, the length says it all.
    if asked(HPyBUF_ND) && buffer.shape.is_null() && buffer.ndim > 1 {
        return Some("no shape to who asked for one (PyBUF_ND)");
    }
    if !asked(HPyBUF_INDIRECT) && !buffer.suboffsets.is_null() {
        return Some("suboffsets to who did not ask for them (PyBUF_INDIRECT)");
    }
    // SAFETY: as this function's.
    let order = unsafe { order(buffer) };
    if !asked(HPyBUF_STRIDES) && !order.is_c {
        return Some("memory that is not contiguous to who did not ask for strides (PyBUF_STRIDES)");
    }
    if asked(HPyBUF_C_CONTIGUOUS) && !order.is_c {
        return Some("memory that is not in the order of C to who asked for that (PyBUF_C_CONTIGUOUS)");
    }
    if asked(HPyBUF_F_CONTIGUOUS) && !order.is_fortran {
        return Some("memory that is not in the order of Fortran to who asked for that (PyBUF_F_CONTIGUOUS)");
    }
    if asked(HPyBUF_ANY_CONTIGUOUS) && !order.is_c && !order.is_fortran {
        return Some("memory that is not contiguous to who asked for that (PyBUF_ANY_CONTIGUOUS)");
    }
    None
}

struct Order {
    is_c: bool,
    is_fortran: bool,
}

/// In which orders the memory is contiguous.
///
/// # Safety
/// As [`not_as_asked`].
unsafe fn order(buffer: &HPy_buffer) -> Order {
    let both = Order { is_c: true, is_fortran: true };
    if !buffer.suboffsets.is_null() {
        return Order { is_c: false, is_fortran: false };
    }
    if buffer.len == 0 || buffer.strides.is_null() || buffer.shape.is_null() || !(1..=MOST).contains(&buffer.ndim) {
        return Order { is_fortran: buffer.ndim <= 1, ..both };
    }
    let count = buffer.ndim.unsigned_abs() as usize;
    // SAFETY: as this function's.
    let (shape, strides) = unsafe {
        (core::slice::from_raw_parts(buffer.shape, count), core::slice::from_raw_parts(buffer.strides, count))
    };
    let dimensions = shape.iter().zip(strides);
    Order {
        is_c: are_packed(buffer.itemsize, dimensions.clone().rev()),
        is_fortran: are_packed(buffer.itemsize, dimensions),
    }
}

/// Whether each of these dimensions, the innermost first, has steps as wide as all that is in it.
fn are_packed<'a>(itemsize: isize, mut dimensions: impl Iterator<Item = (&'a isize, &'a isize)>) -> bool {
    let mut step = itemsize;
    dimensions.all(|(length, stride)| {
        let fits = *length <= 1 || *stride == step;
        step = step.wrapping_mul(*length);
        fits
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn buffer(shape: &mut [isize], strides: &mut [isize]) -> HPy_buffer {
        // SAFETY: null pointers and numbers.
        let mut buffer: HPy_buffer = unsafe { core::mem::zeroed() };
        buffer.itemsize = 8;
        buffer.len = 8 * shape.iter().product::<isize>();
        buffer.ndim = shape.len() as i32;
        buffer.shape = shape.as_mut_ptr();
        buffer.strides = strides.as_mut_ptr();
        buffer
    }

    fn told(buffer: &HPy_buffer, flags: i32) -> &'static str {
        // SAFETY: the arrays are alive in the tests.
        unsafe { not_as_asked(buffer, flags) }.unwrap_or_default()
    }

    #[test]
    fn flags() {
        let (mut shape, mut c, mut fortran, mut apart) = ([2, 3], [24, 8], [8, 16], [48, 16]);
        let all = HPyBUF_FULL_RO;
        assert_eq!(told(&buffer(&mut shape, &mut c), HPyBUF_SIMPLE), "");
        assert_eq!(told(&buffer(&mut shape, &mut c), HPyBUF_C_CONTIGUOUS), "");
        assert!(told(&buffer(&mut shape, &mut c), HPyBUF_F_CONTIGUOUS).contains("Fortran"));
        assert_eq!(told(&buffer(&mut shape, &mut fortran), HPyBUF_F_CONTIGUOUS | HPyBUF_FORMAT), "");
        assert_eq!(told(&buffer(&mut shape, &mut fortran), HPyBUF_ANY_CONTIGUOUS), "");
        assert!(told(&buffer(&mut shape, &mut fortran), HPyBUF_ND).contains("PyBUF_STRIDES"));
        assert!(told(&buffer(&mut shape, &mut apart), HPyBUF_ANY_CONTIGUOUS).contains("contiguous"));
        assert_eq!(told(&buffer(&mut shape, &mut apart), all), "");
        let mut given = buffer(&mut shape, &mut c);
        given.readonly = 1;
        assert!(told(&given, HPyBUF_WRITABLE).contains("read-only"));
        given.format = c"d".as_ptr().cast_mut();
        assert!(told(&given, HPyBUF_STRIDES).contains("a format"));
        assert_eq!(told(&given, all), "");
        given.format = c"B".as_ptr().cast_mut();
        assert_eq!(told(&given, HPyBUF_SIMPLE), "");
    }
}
