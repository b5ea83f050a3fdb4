//! C's lists that end with null.

/// The items of a list that ends with null; none for null.
///
/// # Safety
/// The list stays while the items are asked for.
pub unsafe fn null_ended<T>(list: *mut *mut T) -> impl Iterator<Item = *mut T> {
    let mut next = list;
    core::iter::from_fn(move || {
        // SAFETY: null, or within the list: it is not left behind its null.
        let item = unsafe { next.as_ref() }.copied().filter(|item| !item.is_null())?;
        // SAFETY: the item is not the last.
        next = unsafe { next.add(1) };
        Some(item)
    })
}
