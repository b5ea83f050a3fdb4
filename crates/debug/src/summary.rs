//! What an object was whose handle has been closed: it may be gone when somebody asks.
//!
//! Taken down at each closing, so it has to be quick: the type's name, and a simple value. The last ones of each thread are kept.

use core::sync::atomic::Ordering::*;

use hpy_abi::HPy;

use crate::Layer;
use crate::slot::{Kind, Slot};
use crate::thread::Thread;

/// Kept for each thread; more than the handles whose stories are.
const KEPT: usize = 2048;

/// The value of an object, if it has a simple one.
#[derive(Clone, Copy, Default, Debug, PartialEq)]
pub enum Value {
    #[default]
    None,
    Integer(i64),
    Float(f64),
    /// The length of the whole, of which `Taken::text` has the beginning, in UTF-8.
    Text(usize),
    Bytes(usize),
}

/// The beginnings of names and texts.
#[derive(Clone, Copy, Default)]
pub struct Taken {
    /// Ended by NUL unless it is full.
    pub type_name: [u8; 24],
    pub value: Value,
    pub text: [u8; 24],
}

#[derive(Clone, Copy, Default)]
pub struct Tale {
    slot: usize,
    order: u64,
    taken: Taken,
}

/// Keeps what the object is, before its handle is closed.
#[inline(always)]
pub fn take_down(layer: &Layer, slot: &'static Slot, inner: HPy) {
    let thread = Thread::here();
    // SAFETY: the tales are the thread's own, and the host runs no code of others.
    unsafe {
        let tales = &mut *thread.tales.get();
        if tales.is_empty() {
            tales.resize(KEPT, Tale::default());
        }
        let next = thread.next_tale.get() as usize % KEPT;
        thread.next_tale.set(next as u32 + 1);
        if let Some(tale) = tales.get_mut(next) {
            tale.slot = slot as *const Slot as usize;
            tale.order = slot.order.load(Relaxed);
            (layer.host.take_down)(inner, &mut tale.taken);
            slot.tale.store(next as u32, Relaxed);
        }
    }
}

/// In words, if the thread that asks is the one that closed it and it is not too long ago.
pub fn of_closed(slot: &Slot) -> Option<String> {
    let thread = Thread::known()?;
    let state = slot.state();
    if state.thread != thread.id || !matches!(state.kind, Kind::Handle | Kind::Argument) {
        return None;
    }
    // SAFETY: the tales are the thread's own.
    let tale = unsafe { (&*thread.tales.get()).get(slot.tale.load(Relaxed) as usize).copied()? };
    (tale.slot == slot as *const Slot as usize && tale.order <= slot.order.load(Relaxed)).then(|| words(&tale.taken))
}

fn words(taken: &Taken) -> String {
    let until_nul = |bytes: &[u8]| {
        let length = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
        String::from_utf8_lossy(&bytes[..length]).into_owned()
    };
    let name = until_nul(&taken.type_name);
    let quoted = |text: String, shown: usize, length: usize| match shown < length {
        true => format!("'{text}'... (length {length})"),
        false => format!("'{text}'"),
    };
    match taken.value {
        Value::None => format!("{name} object"),
        Value::Integer(number) => format!("{name} {number}"),
        Value::Float(number) => format!("{name} {number:?}"),
        Value::Text(length) => {
            let text = until_nul(&taken.text);
            let shown = text.chars().count();
            format!("{name} {}", quoted(text.escape_debug().to_string(), shown, length))
        }
        Value::Bytes(length) => {
            let bytes = &taken.text[..length.min(taken.text.len())];
            format!("{name} b{}", quoted(bytes.escape_ascii().to_string(), bytes.len(), length))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(name: &str, value: Value, text: &str) -> Taken {
        let mut taken = Taken { value, ..Taken::default() };
        taken.type_name[..name.len()].copy_from_slice(name.as_bytes());
        taken.text[..text.len()].copy_from_slice(text.as_bytes());
        taken
    }

    #[test]
    fn values_are_put_into_words() {
        assert_eq!(words(&taken("Point", Value::None, "")), "Point object");
        assert_eq!(words(&taken("int", Value::Integer(-7), "")), "int -7");
        assert_eq!(words(&taken("float", Value::Float(1.0), "")), "float 1.0");
        assert_eq!(words(&taken("str", Value::Text(2), "it")), "str 'it'");
        assert_eq!(
            words(&taken("str", Value::Text(99), "abcdefghijklmnopqrstuvwx")),
            "str 'abcdefghijklmnopqrstuvwx'... (length 99)"
        );
        assert_eq!(words(&taken("bytes", Value::Bytes(1), "\n")), "bytes b'\\n'");
    }
}
