//! Types of extensions: their structs, and the functions that have no context, tp_traverse and tp_destroy.

use core::cell::{Cell, RefCell};
use core::ffi::{c_int, c_void};
use core::mem::transmute;
use core::ptr::null_mut;
use core::sync::atomic::{AtomicBool, AtomicPtr, AtomicUsize, Ordering::*};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Mutex, PoisonError};

use hpy_abi::*;

use crate::autogen_misuses::Misuse;
use crate::call::Call;
use crate::hash::Map;
use crate::slot::{self, Kind};
use crate::thread::{FORBIDDEN, TRAVERSING, Thread};
use crate::trouble::Trouble;
use crate::{Layer, fields, inspect, interpreter, summary};
use hpy_layer::names::{self, Function};
use hpy_layer::place;

/// A type made from a spec. Never freed.
#[derive(PartialEq, Eq, Hash)]
pub struct Type {
    pub name: String,
    /// Of the struct, 0 if it is the base's.
    pub size: usize,
    /// What the bases' structs take of it.
    base_size: usize,
    pub shape: HPyType_BuiltinShape,
    base: Option<&'static Type>,
    /// Where it has HPyMember_OBJECT attributes.
    members: Vec<usize>,
    /// It or a base has a tp_traverse.
    pub is_visited: bool,
    /// Its instances' fields are followed: it has a tp_traverse that goes through us, and we are told when an instance goes.
    pub followed: bool,
    /// In the pool, of its own functions.
    place: Option<usize>,
}

impl Type {
    /// Its name, without the module.
    pub fn short_name(&self) -> &str {
        self.name.rsplit('.').next().unwrap_or_default()
    }

    /// Whether it is `other`, or one of its bases is.
    pub fn derives_from(&self, other: &Type) -> bool {
        core::ptr::eq(self, other) || self.base.is_some_and(|base| base.derives_from(other))
    }

    /// The type or the nearest of its bases that has this place in the pool.
    fn at(&'static self, place: usize) -> Option<&'static Type> {
        if self.place == Some(place) { Some(self) } else { self.base?.at(place) }
    }
}

#[derive(Default)]
struct Known {
    types: HashSet<&'static Type>,
    /// By the identity of the type object, with the host's mark of it: one that is gone may stand here until its place is taken by
    /// one that debug mode sees made.
    by_identity: Map<usize, (usize, &'static Type)>,
    /// Where HPyMember_OBJECT attributes lie in their structs: Python stores to these fields.
    member_offsets: HashSet<usize>,
    /// The structs of live objects whose fields are followed, by their beginning.
    live: BTreeMap<usize, &'static Type>,
    /// What has been told, so that it is told once.
    told: HashSet<(usize, usize)>,
    /// Buffers that have been filled and not yet released, of types that want to know.
    buffers: Vec<Buffer>,
    /// The HPy_bf_getbuffer functions of those types.
    fillers: HashSet<usize>,
    /// Specs whose definitions have been replaced, by where they were and what was in them: the place in the pool, and the address of
    /// what replaces them.
    replaced: HashMap<(usize, Vec<usize>), (usize, usize)>,
    /// The places of the pool that are in use, by the functions that are called there.
    places: HashMap<[usize; 2], usize>,
}

#[derive(Clone)]
pub struct Buffer {
    /// The identity of the one whose buffer it is, which is alive as long as it is not released.
    pub object: usize,
    memory: usize,
    internal: usize,
    order: u64,
    /// Filled it.
    pub by: &'static Function,
    interpreter: u16,
}

static KNOWN: Mutex<Option<Known>> = Mutex::new(None);

fn with<T>(use_it: impl FnOnce(&mut Known) -> T) -> T {
    let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    use_it(known.get_or_insert_default())
}

/// Runs a function of an extension that may call nothing of the API.
pub fn forbidding<T>(thread: &Thread, function: usize, run: impl FnOnce() -> T) -> T {
    with_flags(thread, FORBIDDEN, function, run)
}

/// Runs a tp_traverse, or what is done in one.
fn traversing<T>(thread: &Thread, function: usize, run: impl FnOnce() -> T) -> T {
    with_flags(thread, FORBIDDEN | TRAVERSING, function, run)
}

fn with_flags<T>(thread: &Thread, flags: u32, function: usize, run: impl FnOnce() -> T) -> T {
    let before = thread.flags.fetch_or(flags, Relaxed);
    let function = thread.forbidding.replace(function);
    let result = run();
    thread.forbidding.set(function);
    thread.flags.fetch_and(!(flags & !before), Relaxed);
    result
}

/// How many different pairs of a tp_traverse and a tp_destroy are called through us; further ones are called without, and the fields of
/// those types are not followed.
const POOL: usize = 1024;

/// Functions of extensions, which any number of types may have.
struct Place {
    /// The type that has them, as long as there is but one.
    only: AtomicPtr<Type>,
    are_several: AtomicBool,
    traverse: AtomicUsize,
    destroy: AtomicUsize,
}

static PLACES: [Place; POOL] = [const {
    Place {
        only: AtomicPtr::new(null_mut()),
        are_several: AtomicBool::new(false),
        traverse: AtomicUsize::new(0),
        destroy: AtomicUsize::new(0),
    }
}; POOL];

impl Place {
    /// A type has these functions.
    fn serves(&self, of: &'static Type) {
        let of = core::ptr::from_ref(of).cast_mut();
        let known = self.only.compare_exchange(null_mut(), of, AcqRel, Acquire).unwrap_or_else(|known| known);
        if !known.is_null() && known != of {
            self.are_several.store(true, Release);
        }
    }

    /// The type with these functions that a struct is an instance's of, if that is known.
    fn type_of(&self, number: usize, data: usize) -> Option<&'static Type> {
        if !self.are_several.load(Acquire) {
            // SAFETY: null or a type, which is never freed.
            return unsafe { self.only.load(Acquire).as_ref() };
        }
        with(|known| known.live.get(&data).copied())?.at(number)
    }
}

type Destroy = unsafe extern "C" fn(*mut c_void);
type Traverse = unsafe extern "C" fn(*mut c_void, HPyFunc_visitproc, *mut c_void) -> c_int;

/// One function for each place of the pool, as they have no other way to know which type they are called for.
macro_rules! pool {
    ($function:ident: $($row:literal)*) => {
        [$([
            $function::<{ $row * 16 }>, $function::<{ $row * 16 + 1 }>, $function::<{ $row * 16 + 2 }>,
            $function::<{ $row * 16 + 3 }>, $function::<{ $row * 16 + 4 }>, $function::<{ $row * 16 + 5 }>,
            $function::<{ $row * 16 + 6 }>, $function::<{ $row * 16 + 7 }>, $function::<{ $row * 16 + 8 }>,
            $function::<{ $row * 16 + 9 }>, $function::<{ $row * 16 + 10 }>, $function::<{ $row * 16 + 11 }>,
            $function::<{ $row * 16 + 12 }>, $function::<{ $row * 16 + 13 }>, $function::<{ $row * 16 + 14 }>,
            $function::<{ $row * 16 + 15 }>,
        ]),*]
    };
    ($function:ident) => {
        pool!($function: 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30 31 32 33 34 35 36 37
            38 39 40 41 42 43 44 45 46 47 48 49 50 51 52 53 54 55 56 57 58 59 60 61 62 63)
    };
}

static DESTROYERS: [[Destroy; 16]; POOL / 16] = pool!(destroy);
static TRAVERSERS: [[Traverse; 16]; POOL / 16] = pool!(traverse);

unsafe extern "C" fn destroy<const N: usize>(data: *mut c_void) {
    // SAFETY: the runtime calls this for the type that has the place.
    unsafe { destroy_at(&PLACES[N], data) }
}

unsafe extern "C" fn traverse<const N: usize>(data: *mut c_void, visit: HPyFunc_visitproc, arg: *mut c_void) -> c_int {
    // SAFETY: as above.
    unsafe { traverse_at(N, data, visit, arg) }
}

unsafe fn destroy_at(place: &Place, data: *mut c_void) {
    // SAFETY: the place holds the extension's function, or 0 if it has none.
    unsafe {
        if let Some(real) = transmute::<usize, HPyFunc_destroyfunc>(place.destroy.load(Acquire)) {
            forbidding(Thread::here(), place.destroy.load(Acquire), || real(data));
        }
    }
    fields::forget(data.addr());
    with(|known| known.live.remove(&data.addr()));
}

/// What a tp_traverse visits.
struct Visiting {
    visit: HPyFunc_visitproc,
    arg: *mut c_void,
    data: usize,
    seen: RefCell<Vec<usize>>,
    stopped: bool,
    of: &'static Type,
    function: usize,
}

unsafe fn traverse_at(number: usize, data: *mut c_void, visit: HPyFunc_visitproc, arg: *mut c_void) -> c_int {
    let place = &PLACES[number];
    // SAFETY: the place holds the extension's function; the runtime passes the struct of an instance.
    unsafe {
        let Some(real) = transmute::<usize, HPyFunc_traverseproc>(place.traverse.load(Acquire)) else { return 0 };
        let Some(of) = place.type_of(number, data.addr()) else {
            // An instance without any field that has been stored to.
            return traversing(Thread::here(), real as usize, || real(data, visit, arg));
        };
        // The structs of the base are visited by the base's function, whose fields this one need not see.
        let full: Vec<_> = fields::full(data.addr());
        let mut visiting = Visiting {
            visit,
            arg,
            data: data.addr(),
            seen: RefCell::default(),
            stopped: false,
            of,
            function: real as usize,
        };
        let visit = || real(data, Some(visit_field), (&raw mut visiting).cast());
        let result = traversing(Thread::here(), real as usize, visit);
        if !visiting.stopped {
            let seen = visiting.seen.borrow();
            let own = data.addr() + of.base_size..data.addr() + of.size;
            for field in full.iter().filter(|field| own.contains(field) && !seen.contains(field)) {
                not_visited(of, real as usize, field - data.addr());
            }
            // Python stores to these. They lie in the struct, which the runtime has checked.
            for offset in of.members.iter().filter(|offset| !seen.contains(&(data.addr() + **offset))) {
                if data.byte_add(*offset).cast::<isize>().read_unaligned() != 0 {
                    not_visited(of, real as usize, *offset);
                }
            }
        }
        result
    }
}

unsafe extern "C" fn visit_field(field: *mut HPyField, arg: *mut c_void) -> c_int {
    // SAFETY: `traverse_at` passed this, and the extension hands it on; a field is a word in its struct.
    unsafe {
        let visiting = &mut *arg.cast::<Visiting>();
        let address = field.addr();
        visiting.seen.borrow_mut().push(address);
        let offset = address.wrapping_sub(visiting.data);
        if (*field)._i != 0 && fields::owner_of(address).is_none() && !is_member(offset) {
            no_field(visiting.of, visiting.function, offset, (*field)._i);
            return 0;
        }
        let result = visiting.visit.map_or(0, |visit| visit(field, visiting.arg));
        visiting.stopped |= result != 0;
        result
    }
}

pub fn is_member(offset: usize) -> bool {
    with(|known| known.member_offsets.contains(&offset))
}

#[cold]
fn not_visited(of: &'static Type, function: usize, offset: usize) {
    tell_once(of, function, offset, Misuse::FieldNotVisited, || {
        format!(
            "HPy_tp_traverse of {} does not visit the field at offset {offset} of the struct, which refers to an object",
            of.name
        )
    });
}

#[cold]
fn no_field(of: &'static Type, function: usize, offset: usize, value: isize) {
    if offset < of.size && fields::is_content(value) {
        tell_once(of, function, offset, Misuse::FieldCopied, || {
            format!(
                "the field at offset {offset} of a {} has the content of another one, and no HPyField_Store has put it there",
                of.name
            )
        });
        return;
    }
    tell_once(of, function, offset, Misuse::VisitedNoField, || {
        let place =
            if offset < of.size { format!("at offset {offset} of the struct") } else { "outside of the struct".into() };
        format!("HPy_tp_traverse of {} visits something {place} that no HPyField_Store has written", of.name)
    });
}

fn tell_once(of: &'static Type, function: usize, offset: usize, misuse: Misuse, detail: impl FnOnce() -> String) {
    let key = (core::ptr::from_ref(of).addr(), offset << 8 | misuse as usize);
    if !with(|known| known.told.insert(key)) {
        return;
    }
    let Some(layer) = inspect::layer() else { return };
    let thread = Thread::here();
    let mut trouble = Trouble::of(layer, Some(thread), None, misuse, detail());
    trouble.report.caller = format!("{}: HPy_tp_traverse", of.name);
    // What is told while the function runs is about the line it is at.
    let line = if misuse == Misuse::FieldNotVisited { None } else { place::capture(1).first().copied() };
    trouble.report.ip = line.unwrap_or(function + 1);
    traversing(thread, function, || trouble.tell());
}

/// The legacy `tp_dealloc` of a type, a function, frees its instances and never gives up the type.
pub fn type_is_kept(name: &str, function: usize) {
    let Some(layer) = inspect::layer() else { return };
    let detail = format!(
        "{name} is kept alive by instances that are gone: its tp_dealloc frees them and does not let their type go"
    );
    let mut trouble = Trouble::of(layer, Some(Thread::here()), None, Misuse::TypeKept, detail);
    trouble.report.caller = format!("{name}: tp_dealloc");
    trouble.report.ip = function + 1;
    trouble.tell();
}

/// Makes a type known, and gives the spec that the runtime is to make it from.
///
/// # Safety
/// The spec is complete, and its definitions stay.
pub unsafe fn prepare(call: Call, spec: &HPyType_Spec) -> (HPyType_Spec, Option<usize>) {
    // SAFETY: as this function's; the kind says which part of the union is in use.
    unsafe {
        let name = names::text(spec.name);
        let is_hybrid = call.frame.function().is_some_and(|function| function.is_hybrid.load(Relaxed));
        names::register_definitions(&name, spec.defines, is_hybrid);
        let mut defines = Vec::new();
        let mut next = spec.defines;
        while !next.is_null() && !(*next).is_null() {
            defines.push(*next);
            next = next.add(1);
        }
        let find = |slot: HPySlot_Slot| {
            let found =
                defines.iter().find(|define| (***define).kind == HPyDef_Kind_Slot && (***define).u.slot.slot == slot);
            found.and_then(|define| (**define).u.slot.r#impl)
        };
        let offsets = members(spec.defines);
        with(|known| known.member_offsets.extend(offsets));
        if let (Some(fill), Some(_)) = (find(HPy_bf_getbuffer), find(HPy_bf_releasebuffer)) {
            with(|known| known.fillers.insert(fill as usize));
        }
        let (traverse, destroy) = (find(HPy_tp_traverse), find(HPy_tp_destroy));
        let mut copy = HPyType_Spec { ..core::ptr::read(spec) };
        if traverse.is_none() && destroy.is_none() {
            return (copy, None);
        }
        let functions = [traverse, destroy].map(|function| function.map_or(0, |function| function as usize));
        let mut content: Vec<usize> = defines.iter().map(|define| define.addr()).collect();
        content.extend(functions);
        // A spec that is used again gets the same replacement, so that the runtime recognises it.
        let key = (spec.defines.addr(), content);
        if let Some((place, defines)) = with(|known| known.replaced.get(&key).copied()) {
            copy.defines = core::ptr::with_exposed_provenance_mut(defines);
            return (copy, Some(place));
        }
        let place = with(|known| {
            let next = known.places.len();
            *known.places.entry(functions).or_insert(next)
        });
        let Some(entry) = PLACES.get(place) else { return (copy, None) };
        entry.traverse.store(functions[0], Release);
        entry.destroy.store(functions[1], Release);
        let ours = |slot| {
            let function = match slot {
                HPy_tp_traverse => transmute::<Traverse, HPyCFunction>(TRAVERSERS[place / 16][place % 16]),
                _ => transmute::<Destroy, HPyCFunction>(DESTROYERS[place / 16][place % 16]),
            };
            let slot = HPySlot { slot, r#impl: function, cpy_trampoline: function };
            Box::into_raw(Box::new(HPyDef { kind: HPyDef_Kind_Slot, u: HPyDefUnion { slot } }))
        };
        // One by one: what is wrong with the list is for the runtime to find.
        for define in &mut defines {
            if (**define).kind == HPyDef_Kind_Slot
                && matches!((**define).u.slot.slot, HPy_tp_traverse | HPy_tp_destroy)
                && (**define).u.slot.r#impl.is_some()
            {
                *define = ours((**define).u.slot.slot);
            }
        }
        if destroy.is_none() {
            defines.push(ours(HPy_tp_destroy));
        }
        defines.push(core::ptr::null_mut());
        copy.defines = Box::leak(defines.into_boxed_slice()).as_mut_ptr();
        with(|known| known.replaced.insert(key, (place, copy.defines.expose_provenance())));
        (copy, Some(place))
    }
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
/// The spec is the one it was made from; the inner handle is open.
pub unsafe fn made(call: Call, spec: &HPyType_Spec, place: Option<usize>, inner: HPy) {
    // SAFETY: as this function's.
    unsafe {
        let base = base_of(call, inner).and_then(|base| {
            let found = find(call, base);
            ((*call.inner).ctx_Close)(call.inner, base);
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
        let of = with(|known| match known.types.get(&of) {
            Some(same) => *same,
            None => {
                let of: &'static Type = Box::leak(Box::new(of));
                known.types.insert(of);
                of
            }
        });
        if let Some(place) = place {
            PLACES[place].serves(of);
        }
        let host = &call.layer().host;
        let (identity, mark) = ((host.identity)(inner), (host.type_mark)(inner));
        with(|known| known.by_identity.insert(identity, (mark, of)));
        summary::TYPES_MADE.fetch_add(1, Relaxed);
    }
}

/// A new handle to a type's first base. None without one, or if it can't be asked for.
unsafe fn base_of(call: Call, tp: HPy) -> Option<HPy> {
    // SAFETY: the caller's handle is open.
    unsafe {
        let base = ((*call.inner).ctx_GetAttr_s)(call.inner, tp, c"__base__".as_ptr());
        if base.is_null() {
            ((*call.inner).ctx_Err_Clear)(call.inner);
            return None;
        }
        if base == (*call.inner).h_None || ((*call.inner).ctx_Is)(call.inner, base, (*call.inner).h_None) != 0 {
            ((*call.inner).ctx_Close)(call.inner, base);
            return None;
        }
        Some(base)
    }
}

/// What is known of a type or the nearest of its bases. The handle stays the caller's.
///
/// # Safety
/// The inner handle is an open one of a type, and no exception is pending.
unsafe fn find(call: Call, tp: HPy) -> Option<&'static Type> {
    // SAFETY: as this function's.
    unsafe {
        let mut tp = ((*call.inner).ctx_Dup)(call.inner, tp);
        loop {
            let found = still_known(call, tp);
            let next = if found.is_some() { None } else { base_of(call, tp) };
            ((*call.inner).ctx_Close)(call.inner, tp);
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
unsafe fn still_known(call: Call, tp: HPy) -> Option<&'static Type> {
    let host = &call.layer().host;
    // SAFETY: as this function's.
    unsafe {
        let identity = (host.identity)(tp);
        let (mark, of) = with(|known| known.by_identity.get(&identity).copied())?;
        ((host.type_mark)(tp) == mark).then_some(of)
    }
}

/// What is known of a type that is asked for instances. None with an exception pending, too.
///
/// # Safety
/// The inner handle is open.
pub unsafe fn known(call: Call, tp: HPy) -> Option<&'static Type> {
    // SAFETY: as this function's.
    unsafe {
        let inner = call.inner;
        if let Some(known) = still_known(call, tp) {
            return Some(known);
        }
        // What is no type is for the runtime to refuse.
        let is_type = ((*inner).ctx_TypeCheck)(inner, tp, (*inner).h_TypeType) != 0;
        if is_type && ((*inner).ctx_Err_Occurred)(inner) == 0 { find(call, tp) } else { None }
    }
}

/// Whether a type that is not known may have a struct all the same: debug mode has not seen all types.
///
/// # Safety
/// The inner handle is open.
pub unsafe fn may_have_struct(call: Call, tp: HPy) -> bool {
    // SAFETY: as this function's.
    unsafe {
        let inner = call.inner;
        ((*inner).ctx_TypeCheck)(inner, tp, (*inner).h_TypeType) == 0
            || ((*inner).ctx_Type_GetBuiltinShape)(inner, tp) != HPyType_BuiltinShape_Legacy
            || ((*inner).ctx_Err_Occurred)(inner) != 0
    }
}

/// The type of an object, if an extension made it.
///
/// # Safety
/// The inner handle is open, and no exception is pending.
pub unsafe fn type_of(call: Call, object: HPy) -> Option<&'static Type> {
    // SAFETY: as this function's. What is known is asked for twice, as finding out may need it.
    unsafe {
        match (*call.thread.tales.get()).type_of(call.layer(), object).of {
            Some(known) => known,
            None => {
                let tp = ((*call.inner).ctx_Type)(call.inner, object);
                let found = find(call, tp);
                ((*call.inner).ctx_Close)(call.inner, tp);
                (*call.thread.tales.get()).type_of(call.layer(), object).of = Some(found);
                found
            }
        }
    }
}

/// The type and the struct of an object, if an extension made its type.
///
/// # Safety
/// The inner handle is open, and no exception is pending.
pub unsafe fn of(call: Call, object: HPy) -> Option<(&'static Type, usize)> {
    // SAFETY: as this function's.
    unsafe {
        let inner = call.inner;
        let found = type_of(call, object)?;
        macro_rules! as_struct {
            ($($function:ident => $shape:ident),*) => {
                match found.shape {
                    $($shape => (*inner).$function,)*
                    // An unknown one was refused when the type was made.
                    _ => return None,
                }
            };
        }
        let as_struct = with_shapes!(as_struct);
        Some((found, as_struct(inner, object).addr()))
    }
}

/// An object's struct is alive, and its fields are followed.
pub fn is_alive(data: usize, of: &'static Type) {
    with(|known| known.live.insert(data, of));
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
            && unsafe { of(call, HPy { _i: slot.inner.load(Relaxed) }).is_some_and(|(of, data)| condition(of, data)) }
    })
}

/// Whether there is a type of this name, without the module, that has a struct and is not related to `of`.
pub fn is_of_stranger(short_name: &str, of: &'static Type) -> bool {
    let related = |other: &Type| of.derives_from(other) || other.derives_from(of);
    with(|known| known.types.iter().any(|other| other.short_name() == short_name && other.size > 0 && !related(other)))
}

/// The live struct around an address.
pub fn around(address: usize) -> Option<usize> {
    with(|known| {
        let (start, of) = known.live.range(..=address).next_back()?;
        (address < start + of.size).then_some(*start)
    })
}

/// Whether a field of an object has this content and is one that Python stores to.
///
/// # Safety
/// The struct is alive and as large as the type says.
pub unsafe fn member_holds(of: &Type, data: usize, value: isize) -> bool {
    let offsets: Vec<_> = with(|known| known.member_offsets.iter().copied().collect());
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

/// A buffer has been filled.
pub unsafe fn opened_buffer(layer: &Layer, object: HPy, buffer: &HPy_buffer, by: &'static Function) {
    // SAFETY: the object is alive.
    let object = unsafe { (layer.host.identity)(object) };
    let (memory, internal) = (buffer.buf.addr(), buffer.internal.addr());
    with(|known| {
        if known.fillers.contains(&by.address) {
            let order = Thread::here().next_order();
            known.buffers.push(Buffer { object, memory, internal, order, by, interpreter: layer.interpreter });
        }
    });
}

/// A buffer is being released. False if it is not one that was filled, or has been released before.
pub unsafe fn released_buffer(layer: &Layer, object: HPy, buffer: &HPy_buffer) -> bool {
    // SAFETY: the object is alive.
    let object = unsafe { (layer.host.identity)(object) };
    let (memory, internal) = (buffer.buf.addr(), buffer.internal.addr());
    with(|known| {
        let same = |open: &Buffer| (open.object, open.memory, open.internal) == (object, memory, internal);
        let position = known.buffers.iter().rposition(same);
        if let Some(position) = position {
            known.buffers.swap_remove(position);
        }
        position.is_some()
    })
}

/// Buffers of this interpreter that were filled since, and have not been released.
pub fn open_buffers(since: u64) -> Vec<Buffer> {
    let here = interpreter::here();
    with(|known| {
        let open = known.buffers.iter().filter(|buffer| buffer.order >= since && buffer.interpreter == here);
        open.cloned().collect()
    })
}
