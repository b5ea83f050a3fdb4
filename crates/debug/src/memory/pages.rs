//! Pages that are mapped twice.

use core::ffi::{c_int, c_void};
use core::mem::MaybeUninit;

use libc::{MAP_ANON, MAP_FAILED, MAP_FIXED, MAP_NORESERVE, MAP_PRIVATE, MAP_SHARED, PROT_NONE, PROT_READ, PROT_WRITE};

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
