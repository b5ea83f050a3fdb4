//! What a call of the API passes: whether it is right, and what the inner context gets for it.

use core::ffi::{c_char, c_int, c_void};
use core::sync::atomic::Ordering::*;

use hpy_abi::*;
use hpy_layer::MEMBERS;
use hpy_layer::inner::InnerHandle;

use crate::autogen_misuses::Misuse;
use crate::call::{Call, is_alive, is_inner, parameter};
use crate::incident::{Incident, Next};
use crate::layer::Layer;
use crate::slot::{self, Kind, Origin, Slot};
use crate::{fields, known_types, memory};

/// What an extension's value turns out to be.
enum Found {
    Open(&'static Slot),
    /// An open slot of something that is no handle.
    Other(&'static Slot),
    OtherThread(&'static Slot),
    OtherInterpreter(&'static Slot),
    Closed(&'static Slot),
    /// Closed, and the slot has been used again since.
    LongClosed,
    Foreign,
}

fn what_it_is(slot: &Slot) -> &'static str {
    match slot.state().kind {
        Kind::Tracker => "a tracker",
        Kind::ThreadState => "a thread state",
        Kind::ListBuilder | Kind::TupleBuilder => "a builder",
        _ => "a handle",
    }
}

fn find(value: isize, here: Origin) -> Found {
    let Some((token, slot)) = slot::of(value) else {
        return Found::Foreign;
    };
    let state = slot.state();
    if token.generation > state.generation {
        return Found::Foreign;
    }
    if token.generation < state.generation {
        return Found::LongClosed;
    }
    if !state.open {
        // One that was never opened has no story.
        return if slot.order.load(Relaxed) == 0 { Found::Foreign } else { Found::Closed(slot) };
    }
    if state.kind == Kind::Constant {
        return Found::Open(slot);
    }
    if state.interpreter != here.interpreter() {
        return Found::OtherInterpreter(slot);
    }
    if Origin::new(state.thread, state.interpreter) != here {
        return Found::OtherThread(slot);
    }
    match state.kind {
        Kind::Handle | Kind::Argument => Found::Open(slot),
        _ => Found::Other(slot),
    }
}

impl Call {
    /// The inner handle of an argument. None if there is none, which has been reported.
    #[inline(always)]
    pub fn handle(self, h: HPy, position: usize) -> Option<InnerHandle> {
        if let Some((token, slot)) = slot::of(h._i)
            && (slot.is_open_handle(token.generation, self.thread.origin()) || slot.is_constant(token.generation))
        {
            return Some(InnerHandle::from_word(slot.inner.load(Relaxed)));
        }
        self.handle_slowly(h, position)
    }

    /// As [`Call::handle`], for a parameter that may be null.
    #[inline(always)]
    pub fn handle_or_null(self, h: HPy, position: usize) -> Option<InnerHandle> {
        if h.is_null() { Some(InnerHandle::NULL) } else { self.handle(h, position) }
    }

    /// As [`Call::handle`], for a parameter for which the function refuses null.
    #[inline(always)]
    pub fn handle_or_refused(self, h: HPy, position: usize) -> Option<InnerHandle> {
        if !h.is_null() {
            return self.handle(h, position);
        }
        match self.complain_of_refused(Misuse::NullHandle, "null", position) {
            true => Some(InnerHandle::NULL),
            false => self.cannot(Misuse::NullHandle),
        }
    }

    #[cold]
    fn handle_slowly(self, h: HPy, position: usize) -> Option<InnerHandle> {
        let inner = |slot: &Slot| Some(InnerHandle::from_word(slot.inner.load(Relaxed)));
        match find(h._i, self.thread.origin()) {
            Found::Open(slot) => return inner(slot),
            Found::Closed(slot) => {
                let (misuse, what) = match slot.state().kind {
                    Kind::Argument => (Misuse::ArgumentKept, "an argument of a call that has returned"),
                    Kind::Handle => (Misuse::UseAfterClose, "a closed handle"),
                    _ => (Misuse::InventedHandle, "no handle"),
                };
                let next = self.complain_and_ask(misuse, what, position, Some(slot));
                let usable = next == Next::GoOnAnyhow || next == Next::GoOn && is_alive(slot);
                return if usable && misuse != Misuse::InventedHandle { inner(slot) } else { self.cannot(misuse) };
            }
            _ => {}
        }
        self.refuse(h._i, position, "handle")
    }

    /// Reports a value that stands for nothing that is open here.
    #[cold]
    pub fn refuse<T>(self, value: isize, position: usize, wanted: &str) -> Option<T> {
        let (misuse, what, slot) = match find(value, self.thread.origin()) {
            _ if value == 0 => (Misuse::NullHandle, "null".to_string(), None),
            Found::OtherThread(slot) => {
                (Misuse::OtherThread, format!("{} of another thread", what_it_is(slot)), Some(slot))
            }
            Found::OtherInterpreter(slot) => {
                (Misuse::OtherInterpreter, format!("{} of another interpreter", what_it_is(slot)), Some(slot))
            }
            // It was open a moment ago.
            Found::Closed(slot) if wanted == "handle" && matches!(slot.state().kind, Kind::Handle | Kind::Argument) => {
                (Misuse::UseAfterClose, "a closed handle".to_string(), Some(slot))
            }
            Found::LongClosed if wanted == "handle" => {
                (Misuse::UseAfterClose, "a handle that was closed long ago".to_string(), None)
            }
            Found::Open(slot) => (Misuse::InventedHandle, format!("a handle instead of a {wanted}"), Some(slot)),
            Found::Other(slot) => {
                (Misuse::InventedHandle, format!("{} instead of a {wanted}", what_it_is(slot)), Some(slot))
            }
            // SAFETY: the thread holds the interpreter.
            _ if unsafe { self.is_in_member(value) } => {
                (Misuse::FieldAsHandle, "the content of an HPyField".to_string(), None)
            }
            _ => {
                let (misuse, what) = foreign(self.layer(), value, wanted);
                (misuse, what, None)
            }
        };
        self.complain(misuse, &what, position, slot);
        self.cannot(misuse)
    }

    /// Whether a value is in a field that Python has stored to, of an object at hand.
    ///
    /// # Safety
    /// The thread holds the interpreter.
    unsafe fn is_in_member(self, value: isize) -> bool {
        // SAFETY: as this function's; what is looked at is alive.
        unsafe {
            self.inner.ctx_Err_Occurred() == 0
                && known_types::any_open(self, |of, data| known_types::member_holds(of, data, value))
        }
    }

    /// True to go on.
    #[cold]
    pub fn complain(self, misuse: Misuse, what: &str, position: usize, slot: Option<&'static Slot>) -> bool {
        self.complain_and_ask(misuse, what, position, slot).goes_on()
    }

    /// Reports what the function itself answers with an exception. That does no harm, so it is a warning if nothing else is wanted. True to
    /// go on, and have it refused.
    #[cold]
    fn complain_of_refused(self, misuse: Misuse, what: &str, position: usize) -> bool {
        let mut incident = self.incident_of(misuse, what, position);
        incident.report.is_refused = true;
        incident.tell().goes_on()
    }

    fn complain_and_ask(self, misuse: Misuse, what: &str, position: usize, slot: Option<&'static Slot>) -> Next {
        self.incident_of(misuse, what, position).about(slot).tell()
    }

    /// The report of an argument that is not what it should be.
    #[cold]
    fn incident_of(self, misuse: Misuse, what: &str, position: usize) -> Incident<'static> {
        let name = parameter(self.function, position);
        let detail = format!("{} got {what} as '{name}' (argument {})", self.name(), position + 1);
        self.incident(misuse, detail).argument(self.function, position)
    }

    /// Whether a C string can be read; `utf8` whether it has to be UTF-8.
    ///
    /// # Safety
    /// The string ends with NUL if it is not null.
    #[inline]
    pub unsafe fn text(self, text: *const c_char, position: usize, null: bool, utf8: bool) -> bool {
        if text.is_null() {
            return null || self.pointer(text.cast(), position);
        }
        if !self.data(text.cast(), position) {
            return false;
        }
        // SAFETY: as this function's.
        if utf8 && unsafe { core::ffi::CStr::from_ptr(text) }.to_str().is_err() {
            return self.complain(Misuse::InvalidUtf8, "text that is not UTF-8", position, None);
        }
        true
    }

    /// Whether memory is not that of a closed handle's copy.
    #[inline]
    pub fn data(self, data: *const c_void, position: usize) -> bool {
        match memory::find(data.addr()) {
            memory::Found::Closed { tag, .. } => {
                let slot = slot::get(tag as u32);
                let what = "a pointer into the buffer of a closed handle";
                self.complain(Misuse::DataAfterClose, what, position, slot);
                self.cannot::<()>(Misuse::DataAfterClose).is_some()
            }
            _ => true,
        }
    }

    #[inline]
    pub fn pointer(self, pointer: *const c_void, position: usize) -> bool {
        if pointer.is_null() {
            self.complain(Misuse::NullHandle, "a null pointer", position, None);
            return self.cannot::<()>(Misuse::NullHandle).is_some();
        }
        true
    }

    /// As [`Call::pointer`], where the function refuses null.
    #[inline]
    pub fn pointer_or_refused(self, pointer: *const c_void, position: usize) -> bool {
        !pointer.is_null() || self.complain_of_refused(Misuse::NullHandle, "a null pointer", position)
    }

    /// A number that is `least` at least.
    #[inline]
    pub fn at_least(self, number: HPy_ssize_t, least: HPy_ssize_t, position: usize) -> bool {
        number >= least || self.complain(Misuse::NegativeSize, &number.to_string(), position, None)
    }

    /// A value of an enum.
    #[inline]
    pub fn one_of(self, value: c_int, values: &[c_int], position: usize) -> bool {
        if values.contains(&value) {
            return true;
        }
        self.complain(Misuse::EnumOutOfRange, &value.to_string(), position, None);
        // Not all runtimes check.
        self.cannot::<()>(Misuse::EnumOutOfRange).is_some()
    }

    /// As [`Call::one_of`], where the function refuses what the enum does not have.
    #[inline]
    pub fn one_of_or_refused(self, value: c_int, values: &[c_int], position: usize) -> bool {
        values.contains(&value) || self.complain_of_refused(Misuse::EnumOutOfRange, &value.to_string(), position)
    }

    /// Whether an inner handle is of a type, which the API function takes for granted.
    #[inline]
    pub fn is(self, inner: InnerHandle, member: fn(&HPyContext) -> HPy, wanted: &str, position: usize) -> bool {
        // SAFETY: the handle is open, and the context's constants are.
        if unsafe { self.inner.ctx_TypeCheck(inner, self.inner.constant(member)) } != 0 {
            return true;
        }
        // The words are those of 0.9.
        let wanted = if wanted == "str" { "Unicode object" } else { wanted };
        self.wrong_type::<()>(wanted, position).is_some()
    }

    /// Reports an object of another type than the function takes for granted.
    #[cold]
    pub fn wrong_type<T>(self, wanted: &str, position: usize) -> Option<T> {
        let parameters = MEMBERS.get(usize::from(self.function)).map_or(0, |function| function.params.len());
        let what = match parameters {
            1 => format!("{} arg must be a {wanted}", self.name()),
            _ => format!("{} arg {} must be a {wanted}", self.name(), position + 1),
        };
        self.incident(Misuse::WrongType, what).argument(self.function, position).tell();
        self.cannot(Misuse::WrongType)
    }
}

/// The handles in an array, as the inner context has them. None after a report.
///
/// # Safety
/// The array has as many handles.
pub unsafe fn array(call: Call, items: *const HPy, count: usize, position: usize) -> Option<Vec<InnerHandle>> {
    if count > 0 && !call.pointer(items.cast(), position) {
        return None;
    }
    // SAFETY: as this function's.
    (0..count).map(|index| call.handle(unsafe { *items.add(index) }, position)).collect()
}

/// What a value is that does not come from debug mode.
pub fn foreign(layer: &Layer, value: isize, wanted: &str) -> (Misuse, String) {
    if fields::is_content(value) {
        return (Misuse::FieldAsHandle, "the content of an HPyField or HPyGlobal".to_string());
    }
    // SAFETY: the function looks without touching what it must not.
    if is_inner(value, |_| true) || unsafe { (layer.host.is_object)(value) } {
        return (Misuse::ForeignHandle, "a handle of another context, or an object of Python.h,".to_string());
    }
    (Misuse::InventedHandle, format!("{value:#x}, which is no {wanted},"))
}
