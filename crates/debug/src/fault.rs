//! What the system does for `memory`: pages that are mapped twice, and the handler of faults on them.
#![cfg(unix)]

use core::ffi::{c_int, c_void};
use core::mem::{MaybeUninit, transmute};
use core::ptr::null_mut;
use std::sync::OnceLock;

use libc::{MAP_ANON, MAP_FAILED, MAP_FIXED, MAP_NORESERVE, MAP_PRIVATE, MAP_SHARED, PROT_NONE, PROT_READ, PROT_WRITE};

use crate::memory::{Found, find};

/// The logarithm of the size of a page.
pub fn page_bits() -> usize {
    // SAFETY: asks for a number.
    let size = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
    usize::try_from(size).map_or(12, |size| size.max(4096).ilog2() as usize)
}

/// Memory of zeroes for good, that costs nothing until touched.
pub fn zeroed(size: usize) -> Option<usize> {
    map(0, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANON, -1)
}

/// Maps at an address, in place of what is there, or at 0: anywhere.
fn map(at: usize, size: usize, access: c_int, flags: c_int, file: c_int) -> Option<usize> {
    let flags = flags | MAP_NORESERVE | if at == 0 { 0 } else { MAP_FIXED };
    // SAFETY: what is replaced is a mapping of the caller's.
    let address = unsafe { libc::mmap(at as *mut c_void, size, access, flags, file, 0) };
    if address == MAP_FAILED {
        return None;
    }
    #[cfg(any(target_os = "linux", target_os = "android"))]
    // SAFETY: keeps the mapping, most of which was never touched, out of core files.
    unsafe {
        libc::madvise(address, size, libc::MADV_DONTDUMP)
    };
    Some(address as usize)
}

fn unmap(address: usize, size: usize) {
    // SAFETY: a mapping of the caller's that nobody uses.
    unsafe { libc::munmap(address as *mut c_void, size) };
}

/// A file without a name, in memory.
struct File(c_int);

impl File {
    fn new(size: usize) -> Option<File> {
        let mut limit = MaybeUninit::<libc::rlimit>::uninit();
        // SAFETY: writes the limit, unless it fails. To go beyond the limit would be a signal.
        if unsafe {
            libc::getrlimit(libc::RLIMIT_FSIZE, limit.as_mut_ptr()) != 0 || limit.assume_init().rlim_cur < size as _
        } {
            return None;
        }
        let file = open().map(File)?;
        // SAFETY: the descriptor is ours.
        (unsafe { libc::ftruncate(file.0, size as libc::off_t) } == 0).then_some(file)
    }

    fn map(&self, at: usize, size: usize, access: c_int) -> Option<usize> {
        map(at, size, access, MAP_SHARED, self.0)
    }
}

impl Drop for File {
    fn drop(&mut self) {
        // SAFETY: the descriptor is ours.
        unsafe { libc::close(self.0) };
    }
}

/// Not `memfd_create`, which old C libraries lack.
#[cfg(any(target_os = "linux", target_os = "android"))]
fn open() -> Option<c_int> {
    // SAFETY: the name is a C string.
    let file = unsafe { libc::syscall(libc::SYS_memfd_create, c"hpy-debug".as_ptr(), libc::MFD_CLOEXEC) };
    c_int::try_from(file).ok().filter(|&file| file >= 0)
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn open() -> Option<c_int> {
    use core::sync::atomic::{AtomicU32, Ordering::Relaxed};
    // On Apple's systems the function is variadic.
    #[cfg(target_vendor = "apple")]
    type Mode = core::ffi::c_uint;
    #[cfg(not(target_vendor = "apple"))]
    type Mode = libc::mode_t;

    static COUNT: AtomicU32 = AtomicU32::new(0);
    let name = format!("/hpy-{}-{}\0", std::process::id(), COUNT.fetch_add(1, Relaxed));
    let (flags, mode): (_, Mode) = (libc::O_RDWR | libc::O_CREAT | libc::O_EXCL, 0o600);
    // SAFETY: the name ends with a NUL; nobody else needs it.
    let file = unsafe {
        let file = libc::shm_open(name.as_ptr().cast(), flags, mode);
        libc::shm_unlink(name.as_ptr().cast());
        file
    };
    (file >= 0).then_some(file)
}

/// Memory that is mapped twice, for good.
pub struct Pages {
    /// The address where it can be read.
    pub view: usize,
    /// The address where it can be written.
    pub writable: usize,
    pub size: usize,
}

impl Pages {
    pub fn map(size: usize) -> Option<Pages> {
        let file = File::new(size)?;
        let view = file.map(0, size, PROT_READ)?;
        let writable = file.map(0, size, PROT_READ | PROT_WRITE);
        if writable.is_none() {
            unmap(view, size);
        }
        Some(Pages { view, writable: writable?, size })
    }

    /// Can these pages of the view be read?
    pub fn set_readable(&self, start: usize, size: usize, readable: bool) -> bool {
        let access = if readable { PROT_READ } else { PROT_NONE };
        // SAFETY: pages of the view.
        unsafe { libc::mprotect((self.view + start) as *mut c_void, size, access) == 0 }
    }

    /// Gives the memory of these pages back to the system; they are zero when touched again.
    pub fn discard(&self, start: usize, size: usize) -> bool {
        #[cfg(any(target_os = "linux", target_os = "android"))]
        // SAFETY: pages that the caller doesn't need.
        return unsafe { libc::madvise((self.writable + start) as *mut c_void, size, libc::MADV_REMOVE) == 0 };
        #[cfg(not(any(target_os = "linux", target_os = "android")))]
        return start + size == 0;
    }

    /// Replaces the memory, at the same addresses.
    pub fn adopt(&self, heir: &Heir) -> bool {
        heir.file.map(self.view, self.size, PROT_READ).is_some()
            && heir.file.map(self.writable, self.size, PROT_READ | PROT_WRITE).is_some()
    }
}

/// Other memory, writable, that may replace the first.
pub struct Heir {
    file: File,
    pub writable: usize,
    size: usize,
}

impl Heir {
    pub fn new(size: usize) -> Option<Heir> {
        let file = File::new(size)?;
        let writable = file.map(0, size, PROT_READ | PROT_WRITE)?;
        Some(Heir { file, writable, size })
    }
}

impl Drop for Heir {
    fn drop(&mut self) {
        unmap(self.writable, self.size);
    }
}

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
