//! What an object was whose handle has been closed: it may be gone when somebody asks.
//!
//! Taken down at each closing, so it has to be quick: the type, and a simple value. The last ones of each thread are kept.

use core::sync::atomic::{AtomicU32, Ordering::*};
use std::sync::{PoisonError, RwLock};

use hpy_abi::HPyType_BuiltinShape;
use hpy_layer::inner::InnerHandle;

use crate::host::Value;
use crate::layer::Layer;
use crate::slot::{Kind, Slot};
use crate::types::Type;
use hpy_layer::lock::Held;

/// Kept for each thread; more than the handles whose stories are.
const KEPT: usize = 2048;

/// Types that are looked up quickly.
const TYPES: usize = 256;

#[derive(Clone, Copy, Default)]
struct ClosedObject {
    slot: usize,
    order: u64,
    /// Behind [`NAMES`].
    type_name: u32,
    value: Value,
}

/// Counts the types that extensions make: a new one may lie where an old one was, and be the base of what lies where another was.
pub static TYPES_MADE: AtomicU32 = AtomicU32::new(0);

/// What is known of a type as long as its marks are the same, and no extension has made a type.
#[derive(Clone, Copy, Default)]
pub struct KnownType {
    marks: (usize, usize),
    made: u32,
    name: u32,
    has_value: bool,
    /// Found out when it is first asked for.
    pub shape: Option<HPyType_BuiltinShape>,
    pub of: Option<Option<&'static Type>>,
}

/// Of one thread.
pub struct ClosedObjects {
    closed_objects: Box<[ClosedObject]>,
    next: usize,
    types: Box<[KnownType]>,
}

impl Default for ClosedObjects {
    fn default() -> ClosedObjects {
        // Made on the heap: the stack of a thread may be smaller than this.
        let (closed_objects, types) = (vec![ClosedObject::default(); KEPT], vec![KnownType::default(); TYPES]);
        ClosedObjects { closed_objects: closed_objects.into_boxed_slice(), next: 0, types: types.into_boxed_slice() }
    }
}

/// Names of types, each once.
static NAMES: RwLock<Vec<String>> = RwLock::new(Vec::new());

/// The lock of this module, for a fork.
pub fn locks() -> Vec<Held> {
    vec![Box::new(NAMES.write().unwrap_or_else(PoisonError::into_inner))]
}

impl ClosedObjects {
    /// # Safety
    /// The inner handle is open.
    #[inline(always)]
    pub unsafe fn type_of(&mut self, layer: &Layer, inner: InnerHandle) -> &mut KnownType {
        // SAFETY: as this function's.
        let marks = unsafe { (layer.host.type_of)(inner) };
        let known = &mut self.types[(marks.0 >> 4) % TYPES];
        if known.marks != marks || known.made != TYPES_MADE.load(Relaxed) {
            // SAFETY: as this function's.
            unsafe { known.learn(layer, inner, marks) };
        }
        known
    }
}

impl ClosedObjects {
    /// Keeps what the object is, before its handle is closed.
    ///
    /// # Safety
    /// The inner handle is open.
    #[inline(always)]
    pub unsafe fn take_down(&mut self, layer: &Layer, slot: &'static Slot, inner: InnerHandle) {
        // SAFETY: as this function's.
        let known = unsafe { self.type_of(layer, inner) };
        let (type_name, has_value) = (known.name, known.has_value);
        let next = self.next % KEPT;
        self.next = next + 1;
        let closed_object = &mut self.closed_objects[next];
        closed_object.slot = slot as *const Slot as usize;
        closed_object.order = slot.order.load(Relaxed);
        closed_object.type_name = type_name;
        closed_object.value = Value::None;
        if has_value {
            // SAFETY: as this function's; the host runs no code of others.
            unsafe { (layer.host.value_of)(inner, &mut closed_object.value) };
        }
        slot.closed_object.store(next as u32, Relaxed);
    }

    /// In words, if it is not too long ago.
    pub fn of_closed(&self, slot: &Slot) -> Option<String> {
        if !matches!(slot.state().kind, Kind::Handle | Kind::Argument) {
            return None;
        }
        let closed_object = self.closed_objects.get(slot.closed_object.load(Relaxed) as usize)?;
        if closed_object.slot != slot as *const Slot as usize || closed_object.order > slot.order.load(Relaxed) {
            return None;
        }
        let names = NAMES.read().unwrap_or_else(PoisonError::into_inner);
        Some(words(names.get(closed_object.type_name as usize).map_or("", String::as_str), closed_object.value))
    }
}

impl KnownType {
    #[cold]
    unsafe fn learn(&mut self, layer: &Layer, inner: InnerHandle, marks: (usize, usize)) {
        // SAFETY: the caller's handle is open.
        let (name, has_value) = unsafe { (layer.host.type_name)(inner) };
        let mut names = NAMES.write().unwrap_or_else(PoisonError::into_inner);
        let number = names.iter().position(|known| *known == name).unwrap_or_else(|| {
            names.push(name);
            names.len() - 1
        });
        let made = TYPES_MADE.load(Relaxed);
        *self = KnownType { marks, made, name: number as u32, has_value, shape: None, of: None };
    }
}

fn words(name: &str, value: Value) -> String {
    let quoted = |text: String, shown: usize, length: usize| match shown < length {
        true => format!("'{text}'... (length {length})"),
        false => format!("'{text}'"),
    };
    match value {
        Value::None => format!("{name} object"),
        Value::Integer(number) => format!("{name} {number}"),
        Value::Float(number) => format!("{name} {number:?}"),
        Value::Text(start, length) => {
            let end = start.iter().position(|byte| *byte == 0).unwrap_or(start.len());
            let text = String::from_utf8_lossy(&start[..end]);
            format!("{name} {}", quoted(text.escape_debug().to_string(), text.chars().count(), length))
        }
        Value::Bytes(start, length) => {
            let bytes = &start[..length.min(start.len())];
            format!("{name} b{}", quoted(bytes.escape_ascii().to_string(), bytes.len(), length))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::ROOM;

    fn start(text: &str) -> [u8; ROOM] {
        let mut room = [0; ROOM];
        room[..text.len()].copy_from_slice(text.as_bytes());
        room
    }

    #[test]
    fn values_are_put_into_words() {
        assert_eq!(words("Point", Value::None), "Point object");
        assert_eq!(words("int", Value::Integer(-7)), "int -7");
        assert_eq!(words("float", Value::Float(1.0)), "float 1.0");
        assert_eq!(words("str", Value::Text(start("it"), 2)), "str 'it'");
        assert_eq!(
            words("str", Value::Text(start("abcdefghijklmnopqrstuvwx"), 99)),
            "str 'abcdefghijklmnopqrstuvwx'... (length 99)"
        );
        assert_eq!(words("bytes", Value::Bytes(start("\n"), 1)), "bytes b'\\n'");
    }
}
