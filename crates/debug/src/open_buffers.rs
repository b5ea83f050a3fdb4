//! Buffers that have been filled and not yet released.

use std::collections::HashSet;

use hpy_abi::HPy_buffer;
use hpy_layer::inner::InnerHandle;
use hpy_layer::names::Function;

use crate::interpreter;
use crate::kept::Kept;
use crate::layer::Layer;
use crate::thread::Thread;

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

#[derive(Default)]
struct Open {
    buffers: Vec<Buffer>,
    /// The HPy_bf_getbuffer functions of types that want to know when one is released.
    fillers: HashSet<usize>,
}

static KNOWN: Kept<Open> = Kept::new();

/// A type with this HPy_bf_getbuffer function wants to know when a buffer is released.
pub fn are_released(filler: usize) {
    KNOWN.with(|known| known.fillers.insert(filler));
}

/// A buffer has been filled.
pub unsafe fn opened(layer: &Layer, object: InnerHandle, buffer: &HPy_buffer, by: &'static Function) {
    // SAFETY: the object is alive.
    let object = unsafe { (layer.host.identity)(object) };
    let (memory, internal) = (buffer.buf.addr(), buffer.internal.addr());
    KNOWN.with(|known| {
        if known.fillers.contains(&by.address) {
            let order = Thread::here().next_order();
            known.buffers.push(Buffer { object, memory, internal, order, by, interpreter: layer.interpreter });
        }
    });
}

/// A buffer is being released. False if it is not one that was filled, or has been released before.
pub unsafe fn released(layer: &Layer, object: InnerHandle, buffer: &HPy_buffer) -> bool {
    // SAFETY: the object is alive.
    let object = unsafe { (layer.host.identity)(object) };
    let (memory, internal) = (buffer.buf.addr(), buffer.internal.addr());
    KNOWN.with(|known| {
        let same = |open: &Buffer| (open.object, open.memory, open.internal) == (object, memory, internal);
        let position = known.buffers.iter().rposition(same);
        if let Some(position) = position {
            known.buffers.swap_remove(position);
        }
        position.is_some()
    })
}

/// Buffers of this interpreter that were filled since, and have not been released.
pub fn since(since: u64) -> Vec<Buffer> {
    let here = interpreter::here();
    KNOWN.with(|known| {
        let open = known.buffers.iter().filter(|buffer| buffer.order >= since && buffer.interpreter == here);
        open.cloned().collect()
    })
}
