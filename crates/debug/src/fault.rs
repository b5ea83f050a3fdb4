//! The handler of faults on the copies in `memory`.

use core::ffi::{c_int, c_void};
use core::mem::{MaybeUninit, transmute};
use core::ptr::null_mut;
use std::sync::OnceLock;

use crate::memory::{Found, find, zeroed};

/// Told of a fault on a copy: the address, whether it was a write if that is known, and the instruction's address, or 0.
pub type OnFault = unsafe fn(address: usize, write: Option<bool>, ip: usize) -> !;

type Handler = extern "C" fn(c_int, *mut libc::siginfo_t, *mut c_void);

/// A fault on pages that may not be touched so: on Apple's systems that can be either.
#[cfg(target_vendor = "apple")]
const SIGNALS: [c_int; 2] = [libc::SIGSEGV, libc::SIGBUS];
#[cfg(not(target_vendor = "apple"))]
const SIGNALS: [c_int; 1] = [libc::SIGSEGV];

/// Reports have to fit on the stack for signals. Python's faulthandler makes one of 16 KiB.
const STACK: usize = 256 << 10;

static ON_FAULT: OnceLock<OnFault> = OnceLock::new();
static PREVIOUS: [OnceLock<libc::sigaction>; SIGNALS.len()] = [const { OnceLock::new() }; SIGNALS.len()];

/// Handles faults on copies, once for the process: `on_fault` shall report and abort. It runs in the signal handler.
/// All other faults go on to the handlers there were.
pub fn install(on_fault: OnFault) {
    if ON_FAULT.set(on_fault).is_err() {
        return;
    }
    enlarge_stack();
    for (signal, previous) in SIGNALS.into_iter().zip(&PREVIOUS) {
        let mut action = MaybeUninit::<libc::sigaction>::zeroed();
        // SAFETY: sigaction writes the action there is, and then reads one that is like it but for the handler.
        unsafe {
            if libc::sigaction(signal, null_mut(), action.as_mut_ptr()) != 0 {
                continue;
            }
            let mut action = action.assume_init();
            // The handler must find it from the first moment on.
            let _ = previous.set(action);
            action.sa_sigaction = handle as Handler as usize;
            action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK;
            libc::sigemptyset(&mut action.sa_mask);
            libc::sigaction(signal, &action, null_mut());
        }
    }
}

/// Where this thread has a small stack for signals, it gets a larger one. Without one they use the usual stack.
fn enlarge_stack() {
    let mut stack = MaybeUninit::<libc::stack_t>::zeroed();
    // SAFETY: sigaltstack writes the stack there is, and then is told of one that is mapped for good.
    unsafe {
        if libc::sigaltstack(null_mut(), stack.as_mut_ptr()) != 0 {
            return;
        }
        let mut stack = stack.assume_init();
        if stack.ss_flags & libc::SS_DISABLE == 0
            && stack.ss_size < STACK
            && let Some(address) = zeroed(STACK)
        {
            (stack.ss_sp, stack.ss_size, stack.ss_flags) = (address as *mut c_void, STACK, 0);
            libc::sigaltstack(&stack, null_mut());
        }
    }
}

extern "C" fn handle(signal: c_int, info: *mut libc::siginfo_t, context: *mut c_void) {
    // SAFETY: the system passes both; a code above 0 says that it is a fault, which has an address.
    let fault = unsafe { ((*info).si_code > 0).then(|| (*info).si_addr() as usize) };
    if let (Some(address), Some(on_fault)) = (fault, ON_FAULT.get())
        && find(address) != Found::Not
    {
        let (write, ip) = registers(context.cast());
        // SAFETY: what it was installed for.
        unsafe { on_fault(address, write, ip) }
    }
    let previous = SIGNALS.iter().position(|&own| own == signal).and_then(|index| PREVIOUS[index].get());
    // SAFETY: the handler is called as it asked for, or the signal happens again with its default.
    unsafe {
        match previous {
            Some(previous) if previous.sa_sigaction > libc::SIG_IGN => {
                if previous.sa_flags & libc::SA_SIGINFO != 0 {
                    transmute::<usize, Handler>(previous.sa_sigaction)(signal, info, context);
                } else {
                    transmute::<usize, extern "C" fn(c_int)>(previous.sa_sigaction)(signal);
                }
            }
            // A fault can't be ignored.
            Some(previous) if previous.sa_sigaction == libc::SIG_IGN && fault.is_none() => {}
            _ => {
                libc::signal(signal, libc::SIG_DFL);
                if fault.is_none() {
                    libc::raise(signal);
                }
            }
        }
    }
}

/// Was it a write, and at which instruction?
#[allow(unused_variables)]
fn registers(context: *const libc::ucontext_t) -> (Option<bool>, usize) {
    #[cfg(all(target_os = "linux", target_arch = "x86_64"))]
    // SAFETY: the context that the system passed.
    return unsafe {
        let registers = &(*context).uc_mcontext.gregs;
        (Some(registers[libc::REG_ERR as usize] & 2 != 0), registers[libc::REG_RIP as usize] as usize)
    };
    #[cfg(all(target_os = "linux", target_arch = "aarch64"))]
    // SAFETY: the context that the system passed.
    return unsafe { (None, (*context).uc_mcontext.pc as usize) };
    #[cfg(all(target_os = "macos", target_arch = "x86_64"))]
    // SAFETY: the context that the system passed.
    return unsafe { (None, (*(*context).uc_mcontext).__ss.__rip as usize) };
    #[cfg(all(target_os = "macos", target_arch = "aarch64"))]
    // SAFETY: the context that the system passed.
    return unsafe { (None, (*(*context).uc_mcontext).__ss.__pc as usize) };
    #[allow(unreachable_code)]
    (None, 0)
}

#[cfg(test)]
mod tests;
