//! The functions of types that have no context, tp_traverse and tp_destroy: they are called through us.

use core::cell::RefCell;
use core::ffi::{c_int, c_void};
use core::mem::transmute;
use core::ptr::null_mut;
use core::sync::atomic::{AtomicBool, AtomicPtr, AtomicUsize, Ordering::*};
use std::collections::{HashMap, HashSet};

use hpy_abi::*;
use hpy_layer::inner::InnerHandle;
use hpy_layer::{names, place};

use crate::autogen_misuses::Misuse;
use crate::call::Call;
use crate::incident::Incident;
use crate::kept::Kept;
use crate::layer::Layer;
use crate::thread::{FORBIDDEN, TRAVERSING, Thread};
use crate::types::Type;
use crate::{fields, known_types, open_buffers};

#[derive(Default)]
struct Replaced {
    /// What has been told, so that it is told once.
    told: HashSet<(usize, usize)>,
    /// Specs whose definitions have been replaced, by where they were and what was in them: the place in the pool, and the address of
    /// what replaces them.
    replaced: HashMap<(usize, Vec<usize>), (usize, usize)>,
    /// The places of the pool that are in use, by the functions that are called there.
    places: HashMap<[usize; 2], usize>,
}

static KNOWN: Kept<Replaced> = Kept::new();

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
struct Functions {
    /// The type that has them, as long as there is but one.
    only: AtomicPtr<Type>,
    are_several: AtomicBool,
    traverse: AtomicUsize,
    destroy: AtomicUsize,
}

static POOL_FUNCTIONS: [Functions; POOL] = [const {
    Functions {
        only: AtomicPtr::new(null_mut()),
        are_several: AtomicBool::new(false),
        traverse: AtomicUsize::new(0),
        destroy: AtomicUsize::new(0),
    }
}; POOL];

impl Functions {
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
        known_types::of_live(data)?.at(number)
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
    unsafe { destroy_at(&POOL_FUNCTIONS[N], data) }
}

unsafe extern "C" fn traverse<const N: usize>(data: *mut c_void, visit: HPyFunc_visitproc, arg: *mut c_void) -> c_int {
    // SAFETY: the runtime calls this for the type that has the place.
    unsafe { traverse_at(N, data, visit, arg) }
}

unsafe fn destroy_at(place: &Functions, data: *mut c_void) {
    // SAFETY: the place holds the extension's function, or 0 if it has none.
    unsafe {
        if let Some(real) = transmute::<usize, HPyFunc_destroyfunc>(place.destroy.load(Acquire)) {
            forbidding(Thread::here(), place.destroy.load(Acquire), || real(data));
        }
    }
    fields::forget(data.addr());
    known_types::is_gone(data.addr());
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
    let place = &POOL_FUNCTIONS[number];
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
        if (*field)._i != 0 && fields::owner_of(address).is_none() && !known_types::is_member(offset) {
            no_field(visiting.of, visiting.function, offset, (*field)._i);
            return 0;
        }
        let result = visiting.visit.map_or(0, |visit| visit(field, visiting.arg));
        visiting.stopped |= result != 0;
        result
    }
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
    if !KNOWN.with(|known| known.told.insert(key)) {
        return;
    }
    let Some(layer) = Layer::current() else { return };
    let thread = Thread::here();
    let mut incident = Incident::of(layer, Some(thread), None, misuse, detail());
    incident.report.caller = format!("{}: HPy_tp_traverse", of.name);
    // What is told while the function runs is about the line it is at.
    let line = if misuse == Misuse::FieldNotVisited { None } else { place::capture(1).first().copied() };
    incident.report.ip = line.unwrap_or(function + 1);
    traversing(thread, function, || incident.tell());
}

/// The legacy `tp_dealloc` of a type, a function, frees its instances and never gives up the type.
pub fn type_is_kept(name: &str, function: usize) {
    let Some(layer) = Layer::current() else { return };
    let detail = format!(
        "{name} is kept alive by instances that are gone: its tp_dealloc frees them and does not let their type go"
    );
    let mut incident = Incident::of(layer, Some(Thread::here()), None, Misuse::TypeKept, detail);
    incident.report.caller = format!("{name}: tp_dealloc");
    incident.report.ip = function + 1;
    incident.tell();
}

/// A definition that is a slot.
///
/// # Safety
/// The definition is an extension's.
unsafe fn slot_in<'a>(define: *mut HPyDef) -> Option<&'a HPySlot> {
    // SAFETY: as this function's; definitions stay, and the kind says which part of the union is in use.
    unsafe { if (*define).kind == HPyDef_Kind_Slot { Some(&(*define).u.slot) } else { None } }
}

/// The function at a place of the pool, as a definition that stays.
fn of_pool(slot: HPySlot_Slot, place: usize) -> *mut HPyDef {
    // SAFETY: a pointer to a function is as wide as any other; the runtime gets it with the slot that says what it is.
    let function = unsafe {
        match slot {
            HPy_tp_traverse => transmute::<Traverse, HPyCFunction>(TRAVERSERS[place / 16][place % 16]),
            _ => transmute::<Destroy, HPyCFunction>(DESTROYERS[place / 16][place % 16]),
        }
    };
    let slot = HPySlot { slot, r#impl: function, cpy_trampoline: function };
    Box::into_raw(Box::new(HPyDef { kind: HPyDef_Kind_Slot, u: HPyDefUnion { slot } }))
}

/// Makes a type known, and gives the spec that the runtime is to make it from.
///
/// # Safety
/// The spec is complete, and its definitions stay.
pub unsafe fn prepare(call: Call, spec: &HPyType_Spec) -> (HPyType_Spec, Option<usize>) {
    let is_hybrid = call.frame.function().is_some_and(|function| function.is_hybrid.load(Relaxed));
    // SAFETY: as this function's.
    let (defines, mut copy) = unsafe {
        names::register_definitions(&names::text(spec.name), spec.defines, is_hybrid);
        known_types::add_members(spec.defines);
        (null_ended(spec.defines).collect::<Vec<_>>(), core::ptr::read(spec))
    };
    let find = |wanted: HPySlot_Slot| {
        // SAFETY: as this function's.
        let mut slots = defines.iter().filter_map(|define| unsafe { slot_in(*define) });
        slots.find(|slot| slot.slot == wanted).and_then(|slot| slot.r#impl)
    };
    if let (Some(fill), Some(_)) = (find(HPy_bf_getbuffer), find(HPy_bf_releasebuffer)) {
        open_buffers::are_released(fill as usize);
    }
    let (traverse, destroy) = (find(HPy_tp_traverse), find(HPy_tp_destroy));
    if traverse.is_none() && destroy.is_none() {
        return (copy, None);
    }
    let functions = [traverse, destroy].map(|function| function.map_or(0, |function| function as usize));
    let mut content: Vec<usize> = defines.iter().map(|define| define.addr()).collect();
    content.extend(functions);
    // A spec that is used again gets the same replacement, so that the runtime recognises it.
    let key = (spec.defines.addr(), content);
    if let Some((place, defines)) = KNOWN.with(|known| known.replaced.get(&key).copied()) {
        copy.defines = core::ptr::with_exposed_provenance_mut(defines);
        return (copy, Some(place));
    }
    let place = KNOWN.with(|known| {
        let next = known.places.len();
        *known.places.entry(functions).or_insert(next)
    });
    let Some(entry) = POOL_FUNCTIONS.get(place) else { return (copy, None) };
    entry.traverse.store(functions[0], Release);
    entry.destroy.store(functions[1], Release);
    // SAFETY: as this function's.
    let replaced = unsafe { with_functions_of_pool(defines, place, destroy.is_none()) };
    copy.defines = Box::leak(replaced.into_boxed_slice()).as_mut_ptr();
    KNOWN.with(|known| known.replaced.insert(key, (place, copy.defines.expose_provenance())));
    (copy, Some(place))
}

/// The definitions of a type with those at a place of the pool for its own functions, ended by null.
///
/// # Safety
/// The definitions are an extension's.
unsafe fn with_functions_of_pool(mut defines: Vec<*mut HPyDef>, place: usize, add_destroy: bool) -> Vec<*mut HPyDef> {
    // One by one: what is wrong with the list is for the runtime to find.
    for define in &mut defines {
        // SAFETY: as this function's.
        if let Some(slot) = unsafe { slot_in(*define) }
            && matches!(slot.slot, HPy_tp_traverse | HPy_tp_destroy)
            && slot.r#impl.is_some()
        {
            *define = of_pool(slot.slot, place);
        }
    }
    if add_destroy {
        defines.push(of_pool(HPy_tp_destroy, place));
    }
    defines.push(core::ptr::null_mut());
    defines
}

/// The type has been made of what [`prepare`] gave for this spec.
///
/// # Safety
/// As [`known_types::made`].
pub unsafe fn made(call: Call, spec: &HPyType_Spec, place: Option<usize>, inner: InnerHandle) {
    // SAFETY: as this function's.
    let of = unsafe { known_types::made(call, spec, place, inner) };
    if let Some(place) = place {
        POOL_FUNCTIONS[place].serves(of);
    }
}
