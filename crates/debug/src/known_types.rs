//! The types that extensions have made, and the structs of their live instances.

use core::cell::Cell;
use core::ffi::c_void;
use core::ptr::null_mut;
use core::sync::atomic::Ordering::*;
use std::collections::{BTreeMap, HashSet};

use hpy_abi::*;
use hpy_layer::inner::InnerHandle;
use hpy_layer::names;

use crate::call::Call;
use crate::closed_objects;
use crate::hash::Map;
use crate::kept::Kept;
use crate::slot::{self, Kind};
use crate::types::Type;

#[derive(Default)]
struct Types {
    types: HashSet<&'static Type>,
    /// By the identity of the type object, with the host's mark of it: one that is gone may stand here until its place is taken by
    /// one that debug mode sees made.
    by_identity: Map<usize, (usize, &'static Type)>,
    /// Where HPyMember_OBJECT attributes lie in their structs: Python stores to these fields.
    member_offsets: HashSet<usize>,
    /// The structs of live objects whose fields are followed, by their beginning.
    live: BTreeMap<usize, &'static Type>,
}

static KNOWN: Kept<Types> = Kept::new();

/// The type of the instance whose struct this is, if its fields are followed.
pub fn of_live(data: usize) -> Option<&'static Type> {
    KNOWN.with(|known| known.live.get(&data).copied())
}

/// The instance is gone.
pub fn is_gone(data: usize) {
    KNOWN.with(|known| known.live.remove(&data));
}

/// The HPyMember_OBJECT attributes of a type that is to be made.
///
/// # Safety
/// The definitions are complete.
pub unsafe fn add_members(defines: *mut *mut HPyDef) {
    // SAFETY: as this function's.
    let offsets = unsafe { members(defines) };
    KNOWN.with(|known| known.member_offsets.extend(offsets));
}

pub fn is_member(offset: usize) -> bool {
    KNOWN.with(|known| known.member_offsets.contains(&offset))
}

/// Whether definitions have an HPy_tp_traverse.
unsafe fn has_traverse(defines: *mut *mut HPyDef) -> bool {
    let mut next = defines;
    // SAFETY: the list is null or ends with null; the kind says which part of the union is in use.
    unsafe {
        while !next.is_null() && !(*next).is_null() {
            let define = &**next;
            if define.kind == HPyDef_Kind_Slot
                && define.u.slot.slot == HPy_tp_traverse
                && define.u.slot.r#impl.is_some()
            {
                return true;
            }
            next = next.add(1);
        }
    }
    false
}

/// Where definitions have HPyMember_OBJECT attributes.
unsafe fn members(defines: *mut *mut HPyDef) -> Vec<usize> {
    let mut offsets = Vec::new();
    let mut next = defines;
    // SAFETY: the list is null or ends with null; the kind says which part of the union is in use.
    unsafe {
        while !next.is_null() && !(*next).is_null() {
            let define = &**next;
            if define.kind == HPyDef_Kind_Member
                && matches!(define.u.member.r#type, HPyMember_OBJECT | HPyMember_OBJECT_EX)
            {
                offsets.push(define.u.member.offset as usize);
            }
            next = next.add(1);
        }
    }
    offsets
}

/// The type has been made.
///
/// # Safety
/// The spec is the extension's, and the place that of its functions in the pool, if they have one; the inner handle is open.
pub unsafe fn made(call: Call, spec: &HPyType_Spec, place: Option<usize>, inner: InnerHandle) -> &'static Type {
    // SAFETY: as this function's.
    unsafe {
        let base = base_of(call, inner).and_then(|base| {
            let found = find(call, base);
            call.inner.ctx_Close(base);
            found
        });
        let base_size = base.map_or(0, |base| base.size);
        let own = spec.basicsize.max(0) as usize;
        let is_visited = has_traverse(spec.defines);
        let followed = is_visited && place.is_some();
        let of = Type {
            name: names::text(spec.name),
            size: if own == 0 { base_size } else { own },
            base_size,
            base,
            shape: spec.builtin_shape,
            members: members(spec.defines),
            is_visited: is_visited || base.is_some_and(|base| base.is_visited),
            followed: followed || base.is_some_and(|base| base.followed),
            place,
        };
        // Types are made from few specs, however many they are.
        let of = KNOWN.with(|known| match known.types.get(&of) {
            Some(same) => *same,
            None => {
                let of: &'static Type = Box::leak(Box::new(of));
                known.types.insert(of);
                of
            }
        });
        let host = &call.layer().host;
        let (identity, mark) = ((host.identity)(inner), (host.type_mark)(inner));
        KNOWN.with(|known| known.by_identity.insert(identity, (mark, of)));
        closed_objects::TYPES_MADE.fetch_add(1, Relaxed);
        of
    }
}

/// A new handle to a type's first base. None without one, or if it can't be asked for.
unsafe fn base_of(call: Call, tp: InnerHandle) -> Option<InnerHandle> {
    // SAFETY: the caller's handle is open.
    unsafe {
        let base = call.inner.ctx_GetAttr_s(tp, c"__base__".as_ptr());
        if base.is_null() {
            call.inner.ctx_Err_Clear();
            return None;
        }
        if base == call.inner.constant(|ctx| ctx.h_None)
            || call.inner.ctx_Is(base, call.inner.constant(|ctx| ctx.h_None)) != 0
        {
            call.inner.ctx_Close(base);
            return None;
        }
        Some(base)
    }
}

/// What is known of a type or the nearest of its bases. The handle stays the caller's.
///
/// # Safety
/// The inner handle is an open one of a type, and no exception is pending.
unsafe fn find(call: Call, tp: InnerHandle) -> Option<&'static Type> {
    // SAFETY: as this function's.
    unsafe {
        let mut tp = call.inner.ctx_Dup(tp);
        loop {
            let found = still_known(call, tp);
            let next = if found.is_some() { None } else { base_of(call, tp) };
            call.inner.ctx_Close(tp);
            match next {
                Some(base) => tp = base,
                None => return found,
            }
        }
    }
}

/// What is known of a type itself. Another one may lie where it was, made by a module that debug mode does not see.
///
/// # Safety
/// The inner handle is open.
unsafe fn still_known(call: Call, tp: InnerHandle) -> Option<&'static Type> {
    let host = &call.layer().host;
    // SAFETY: as this function's.
    unsafe {
        let identity = (host.identity)(tp);
        let (mark, of) = KNOWN.with(|known| known.by_identity.get(&identity).copied())?;
        ((host.type_mark)(tp) == mark).then_some(of)
    }
}

/// What is known of a type that is asked for instances. None with an exception pending, too.
///
/// # Safety
/// The inner handle is open.
pub unsafe fn known(call: Call, tp: InnerHandle) -> Option<&'static Type> {
    // SAFETY: as this function's.
    unsafe {
        let inner = call.inner;
        if let Some(known) = still_known(call, tp) {
            return Some(known);
        }
        // What is no type is for the runtime to refuse.
        let is_type = inner.ctx_TypeCheck(tp, inner.constant(|ctx| ctx.h_TypeType)) != 0;
        if is_type && inner.ctx_Err_Occurred() == 0 { find(call, tp) } else { None }
    }
}

/// Whether a type that is not known may have a struct all the same: debug mode has not seen all types.
///
/// # Safety
/// The inner handle is open.
pub unsafe fn may_have_struct(call: Call, tp: InnerHandle) -> bool {
    // SAFETY: as this function's.
    unsafe {
        let inner = call.inner;
        inner.ctx_TypeCheck(tp, inner.constant(|ctx| ctx.h_TypeType)) == 0
            || inner.ctx_Type_GetBuiltinShape(tp) != HPyType_BuiltinShape_Legacy
            || inner.ctx_Err_Occurred() != 0
    }
}

/// The type of an object, if an extension made it.
///
/// # Safety
/// The inner handle is open, and no exception is pending.
pub unsafe fn type_of(call: Call, object: InnerHandle) -> Option<&'static Type> {
    // SAFETY: as this function's. What is known is asked for twice, as finding out may need it.
    unsafe {
        match (*call.thread.closed_objects.get()).type_of(call.layer(), object).of {
            Some(known) => known,
            None => {
                let tp = call.inner.ctx_Type(object);
                let found = find(call, tp);
                call.inner.ctx_Close(tp);
                (*call.thread.closed_objects.get()).type_of(call.layer(), object).of = Some(found);
                found
            }
        }
    }
}

/// The type and the struct of an object, if an extension made its type.
///
/// # Safety
/// The inner handle is open, and no exception is pending.
pub unsafe fn of(call: Call, object: InnerHandle) -> Option<(&'static Type, usize)> {
    // SAFETY: as this function's.
    unsafe {
        let inner = call.inner;
        let found = type_of(call, object)?;
        macro_rules! as_struct {
            ($($function:ident => $shape:ident),*) => {
                match found.shape {
                    $($shape => inner.$function(object),)*
                    // An unknown one was refused when the type was made.
                    _ => return None,
                }
            };
        }
        let data = with_shapes!(as_struct);
        Some((found, data.addr()))
    }
}

/// An object's struct is alive, and its fields are followed.
pub fn is_alive(data: usize, of: &'static Type) {
    KNOWN.with(|known| known.live.insert(data, of));
}

/// Whether one of the objects that the thread has open handles to satisfies a condition on its type and struct. Slow.
///
/// # Safety
/// No exception is pending.
pub unsafe fn any_open(call: Call, mut condition: impl FnMut(&Type, usize) -> bool) -> bool {
    slot::all().any(|(_, slot)| {
        let state = slot.state();
        let is_handle = matches!(state.kind, Kind::Handle | Kind::Argument);
        // SAFETY: the handle is open, and stays so while this thread looks.
        is_handle
            && state.open
            && call.is_here(state)
            && unsafe {
                of(call, InnerHandle::from_word(slot.inner.load(Relaxed))).is_some_and(|(of, data)| condition(of, data))
            }
    })
}

/// Whether there is a type of this name, without the module, that has a struct and is not related to `of`.
pub fn is_of_stranger(short_name: &str, of: &'static Type) -> bool {
    let related = |other: &Type| of.derives_from(other) || other.derives_from(of);
    KNOWN.with(|known| {
        known.types.iter().any(|other| other.short_name() == short_name && other.size > 0 && !related(other))
    })
}

/// The live struct around an address.
pub fn around(address: usize) -> Option<usize> {
    KNOWN.with(|known| {
        let (start, of) = known.live.range(..=address).next_back()?;
        (address < start + of.size).then_some(*start)
    })
}

/// Whether a field of an object has this content and is one that Python stores to.
///
/// # Safety
/// The struct is alive and as large as the type says.
pub unsafe fn member_holds(of: &Type, data: usize, value: isize) -> bool {
    let offsets: Vec<_> = KNOWN.with(|known| known.member_offsets.iter().copied().collect());
    let is_inside = |offset: &usize| offset.checked_add(size_of::<isize>()).is_some_and(|end| end <= of.size);
    offsets.into_iter().filter(is_inside).any(|offset| {
        // SAFETY: as this function's; the offset is inside.
        unsafe { core::ptr::with_exposed_provenance::<isize>(data + offset).read_unaligned() == value }
    })
}

/// Whether a word of the struct has this value, whatever it is for.
///
/// # Safety
/// The struct is alive and as large as the type says.
pub unsafe fn lies_in(of: &Type, data: usize, value: isize) -> bool {
    (0..of.size / size_of::<isize>()).any(|word| {
        // SAFETY: as this function's; structs are aligned for a pointer.
        unsafe {
            core::ptr::with_exposed_provenance::<isize>(data + word * size_of::<isize>()).read_unaligned() == value
        }
    })
}

/// What an extension gets for the struct of an object that has none, so that it does not write through null: zeroes, which the
/// next misuse of the kind in this thread finds as the last one left them.
pub fn nothing() -> *mut c_void {
    #[repr(align(64))]
    struct Nothing {
        _zeroes: [u8; 4096],
    }

    thread_local! {
        static NOTHING: Cell<*mut Nothing> = const { Cell::new(null_mut()) };
    }
    // It stays when the thread ends: the extension may have kept the address.
    if NOTHING.get().is_null() {
        NOTHING.set(Box::into_raw(Box::new(Nothing { _zeroes: [0; 4096] })));
    }
    NOTHING.get().cast()
}
