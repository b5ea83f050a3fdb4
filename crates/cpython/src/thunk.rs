//! Thunks: a few instructions that put the context in front of the arguments and jump to an extension's function.
//!
//! There is a fixed number of each kind, in the library's code, so that no memory is made executable at run time. Each reads the
//! address of its function from a slot of its own, which is written once, when the thunk is given out. None is ever given back:
//! binaries stay loaded, and one function always gets the same thunk. When a kind runs out, trampolines do.

use core::arch::naked_asm;
use core::mem::{offset_of, transmute};
use core::sync::atomic::{AtomicUsize, Ordering};
use std::collections::HashMap;
use std::sync::{PoisonError, RwLock};

use hpy_abi::*;
use pyo3_ffi::{PyTupleObject, PyVarObject};

use crate::shift::Shift;
use crate::table::UNIVERSAL;

/// The room for a thunk, which starts at a multiple of it.
const STRIDE: usize = if cfg!(target_arch = "aarch64") { 64 } else { 32 };

/// Thunks of one kind, one behind the other.
struct Pool {
    code: unsafe extern "C" fn(),
    slots: &'static [AtomicUsize],
    used: AtomicUsize,
}

/// `$count` thunks that move the arguments in one way.
macro_rules! pool {
    ($count:literal, $moves:tt $(, $operand:ident = $offset:expr)*) => {{
        static SLOTS: [AtomicUsize; $count] = [const { AtomicUsize::new(0) }; $count];

        #[unsafe(naked)]
        unsafe extern "C" fn code() {
            // In the last lines, \+ is the number of the repetition.
            naked_asm!(
                ".rept {count}",
                ".balign {stride}",
                moves!($moves),
                jump!(),
                ".endr",
                count = const $count,
                stride = const STRIDE,
                context = sym UNIVERSAL,
                slots = sym SLOTS,
                $($operand = const $offset,)*
            )
        }

        Pool { code, slots: &SLOTS, used: AtomicUsize::new(0) }
    }};
}

/// The arguments move one place up.
#[cfg(target_arch = "x86_64")]
macro_rules! moves {
    (1) => {
        "mov rsi, rdi"
    };
    (2) => {
        concat!("mov rdx, rsi\n", moves!(1))
    };
    (3) => {
        concat!("mov rcx, rdx\n", moves!(2))
    };
    (4) => {
        concat!("mov r8, rcx\n", moves!(3))
    };
    (vectorcall) => {
        concat!("btr rdx, 63\n", moves!(4))
    };
    (tuple_and_dict) => {
        "mov r8, rdx
        mov rcx, [rsi + {size}]
        lea rdx, [rsi + {items}]
        mov rsi, rdi"
    };
}

#[cfg(target_arch = "x86_64")]
macro_rules! jump {
    () => {
        "lea rdi, [rip + {context}]
        jmp qword ptr [rip + {slots} + 8 * \\+]"
    };
}

#[cfg(target_arch = "aarch64")]
macro_rules! moves {
    (1) => {
        "mov x1, x0"
    };
    (2) => {
        concat!("mov x2, x1\n", moves!(1))
    };
    (3) => {
        concat!("mov x3, x2\n", moves!(2))
    };
    (4) => {
        concat!("mov x4, x3\n", moves!(3))
    };
    (vectorcall) => {
        concat!("and x2, x2, #0x7fffffffffffffff\n", moves!(4))
    };
    (tuple_and_dict) => {
        "mov x4, x2
        ldr x3, [x1, {size}]
        add x2, x1, {items}
        mov x1, x0"
    };
}

#[cfg(all(target_arch = "aarch64", not(target_vendor = "apple")))]
macro_rules! jump {
    () => {
        "adrp x0, {context}
        add x0, x0, :lo12:{context}
        adrp x16, {slots} + 8 * \\+
        ldr x16, [x16, :lo12:{slots} + 8 * \\+]
        br x16"
    };
}

#[cfg(all(target_arch = "aarch64", target_vendor = "apple"))]
macro_rules! jump {
    () => {
        "adrp x0, {context}@PAGE
        add x0, x0, {context}@PAGEOFF
        adrp x16, {slots}@PAGE + (8 * \\+)
        ldr x16, [x16, {slots}@PAGEOFF + (8 * \\+)]
        br x16"
    };
}

static POOLS: [Pool; 6] = [
    pool!(2048, 1),
    pool!(2048, 2),
    pool!(2048, 3),
    pool!(2048, 4),
    pool!(512, vectorcall),
    pool!(1024, tuple_and_dict, size = offset_of!(PyVarObject, ob_size), items = offset_of!(PyTupleObject, ob_item)),
];

impl Pool {
    fn of(shift: Shift) -> Option<&'static Pool> {
        let index = match shift {
            Shift::Arguments(count) => count.checked_sub(1).filter(|&index| index < 4)?,
            Shift::Vectorcall => 4,
            Shift::TupleAndDict => 5,
        };
        POOLS.get(index)
    }

    /// The next thunk that nobody has. Called under the lock of [`GIVEN`].
    fn take(&self, function: usize) -> Option<usize> {
        let number = self.used.load(Ordering::Relaxed);
        self.slots.get(number)?.store(function, Ordering::Release);
        self.used.store(number + 1, Ordering::Relaxed);
        // The function that the thunks are the body of may start in front of the first one.
        Some((self.code as usize).next_multiple_of(STRIDE) + number * STRIDE)
    }
}

/// The thunks that have been given out.
static GIVEN: RwLock<Option<HashMap<(Shift, usize), usize>>> = RwLock::new(None);

/// The thunk for an extension's function; null if there is none left, or the context is not the one of universal binaries.
pub fn make(ctx: *mut HPyContext, shift: Shift, function: HPyCFunction) -> HPyCFunction {
    let address = function? as usize;
    if ctx != UNIVERSAL.address() {
        return None;
    }
    let key = (shift, address);
    let known =
        GIVEN.read().unwrap_or_else(PoisonError::into_inner).as_ref().and_then(|given| given.get(&key).copied());
    let thunk = known.or_else(|| {
        let mut given = GIVEN.write().unwrap_or_else(PoisonError::into_inner);
        let given = given.get_or_insert_default();
        // Another thread may have been faster.
        let thunk = given.get(&key).copied().or_else(|| Pool::of(shift)?.take(address))?;
        given.insert(key, thunk);
        Some(thunk)
    })?;
    // SAFETY: the address is that of a thunk's first instruction, and whoever calls it passes what the shift wants.
    Some(unsafe { transmute::<usize, unsafe extern "C" fn()>(thunk) })
}
