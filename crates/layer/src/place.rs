//! Addresses in the code of extensions: the function, file and line they belong to, and the C stack.
//!
//! `backtrace` walks the stack, and `addr2line` reads the debug information of each binary when it is first asked for.
//! `backtrace` could read it too, but only of binaries that were loaded when it was first used, and extensions come
//! later (rust-lang/backtrace-rs#238). So it is asked only where debug information is in PDB files.
//!
//! Nothing waits forever here, as a signal handler may ask for a place while its own thread is looking one up. It is
//! told less then.

use core::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, OnceLock, PoisonError, RwLock, TryLockError, TryLockResult};
use std::time::Duration;

use crate::lock::Held;

/// How far behind the start of a function known by [`register`] an address may be to be taken for a part of it.
const REACH: usize = 64 * 1024;
/// How many frames of the interpreter a captured stack ends with.
const INTERPRETER_FRAMES: usize = 3;
/// How many milliseconds one thread waits for another one that is looking something up.
const PATIENCE: usize = 5000;

/// One function at an address; several of them share an address if they were inlined.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Place {
    pub function: Option<String>,
    pub file: Option<String>,
    pub line: Option<u32>,
    /// The path of the binary.
    pub module: Option<String>,
    /// Where the call is: bytes behind the start of the binary, or the address itself if it is in none.
    pub offset: usize,
}

impl Place {
    /// Neither what HPy's headers bring nor a helper that their macros make.
    fn is_authors(&self) -> bool {
        let by_macro = self.function.as_ref().is_some_and(|name| name.ends_with("_AsStruct"));
        self.file.is_some() && !self.is_hpy_header() && !by_macro
    }

    fn is_hpy_header(&self) -> bool {
        self.file.as_ref().is_some_and(|file| file.ends_with(".h") && file.replace('\\', "/").contains("/hpy/"))
    }

    /// `snippet.c:17`, or `mod.hpy0.so+0x11f2` without debug information.
    pub fn position(&self) -> String {
        self.position_with(file_name)
    }

    fn position_with(&self, shorten: impl Fn(&str) -> &str) -> String {
        match (&self.file, self.line, &self.module) {
            (Some(file), Some(line), _) => format!("{}:{line}", shorten(file)),
            (Some(file), None, _) => shorten(file).to_owned(),
            (None, _, Some(module)) => format!("{}+{:#x}", file_name(module), self.offset),
            (None, _, None) => format!("{:#x}", self.offset),
        }
    }

    /// `snippet.c:17 (f_impl)`
    fn brief(&self) -> String {
        let function = self.function.as_ref().map(|function| format!(" ({function})"));
        self.position() + &function.unwrap_or_default()
    }

    /// `f_impl at /path/snippet.c:17`
    fn full(&self) -> String {
        let function = self.function.as_ref().map(|function| format!("{function} at "));
        function.unwrap_or_default() + &self.position_with(|path| path)
    }
}

fn file_name(path: &str) -> &str {
    path.rsplit(['/', '\\']).next().unwrap_or(path)
}

/// The return addresses on the calling thread's C stack, innermost first, at most `limit` of them.
///
/// This library's own frames are left out. The stack ends with the first frames of the interpreter.
pub fn capture(limit: usize) -> Vec<usize> {
    let mut stack = Vec::new();
    let mut interpreter = 0;
    if limit == 0 {
        return stack;
    }
    let mut look = |frame: &backtrace::Frame| {
        let ip = frame.ip() as usize;
        let module = module_of(ip.wrapping_sub(1));
        let is = |property: fn(&Module) -> bool| module.as_deref().is_some_and(property);
        if ip != 0 && !is(|module| module.own) {
            stack.push(ip);
            interpreter += usize::from(is(|module| module.interpreter));
        }
        stack.len() < limit && interpreter < INTERPRETER_FRAMES
    };
    // SAFETY: on unix nothing that several threads could not do at once; and a lock would be left to the child of a fork.
    #[cfg(unix)]
    unsafe {
        backtrace::trace_unsynchronized(&mut look);
    }
    #[cfg(not(unix))]
    backtrace::trace(&mut look);
    stack
}

/// The locks of this module, for a fork: those first that are held while others are taken.
pub(crate) fn locks() -> Vec<Held> {
    vec![
        Box::new(FUNCTIONS.write().unwrap_or_else(PoisonError::into_inner)),
        Box::new(SYMBOLS.lock().unwrap_or_else(PoisonError::into_inner)),
        Box::new(MODULES.write().unwrap_or_else(PoisonError::into_inner)),
    ]
}

/// Whether `ip` is in this library: the extension's function ended with a jump to the API, which returned to us.
pub fn is_own(ip: usize) -> bool {
    ip != 0 && module_of(ip.wrapping_sub(1)).is_some_and(|module| module.own)
}

/// Whether an address lies in a binary, and so in no object.
pub fn is_static(address: usize) -> bool {
    system::module(address).is_some()
}

/// Whether the file of the binary at `ip` has this text somewhere, such as a name in its debug information. Slow.
pub fn binary_contains(ip: usize, text: &str) -> bool {
    let Some(module) = module_of(ip.wrapping_sub(1)) else { return false };
    let Ok(bytes) = std::fs::read(&module.path) else { return false };
    let first = text.as_bytes().first().copied();
    let mut starts = bytes.iter().enumerate().filter(|(_, byte)| Some(**byte) == first);
    starts.any(|(start, _)| bytes.get(start..start + text.len()) == Some(text.as_bytes()))
}

/// What is at the return address `ip`: inlined functions innermost first, and at least one place.
pub fn places(ip: usize) -> Vec<Place> {
    let address = ip.wrapping_sub(1);
    let name = |place: Place| Place { function: place.function.or_else(|| registered(address)), ..place };
    look_up(address).into_iter().map(name).collect()
}

/// The place that tells most about the return address `ip`: the innermost one that is not in one of HPy's own headers.
pub fn place(ip: usize) -> Option<Place> {
    let mut places = if ip == 0 { return None } else { places(ip) };
    let not_ours = || places.iter().position(|place| !place.is_hpy_header());
    let best = places.iter().position(Place::is_authors).or_else(not_ours).unwrap_or(0);
    Some(places.swap_remove(best))
}

/// The return address that tells where in the author's code `ip` was reached: that itself, or one further out on the stack if it
/// is in a helper that is linked into the extension.
pub fn authors(ip: usize, stack: &[usize]) -> usize {
    let module = place(ip).and_then(|place| place.module);
    let is_authors = |ip: &usize| places(*ip).iter().any(|place| place.is_authors() && place.module == module);
    if ip == 0 || is_authors(&ip) {
        return ip;
    }
    let here = stack.iter().position(|each| *each == ip).map_or(0, |position| position + 1);
    stack.iter().skip(here).copied().find(is_authors).unwrap_or(ip)
}

/// The return address that tells where a function of an extension was, at `ip` or in something that it had called: that itself, or the
/// innermost one on the stack that is in the extension's binary, in the author's code if that is known.
pub fn within(ip: usize, stack: &[usize], function: usize) -> usize {
    let Some(base) = module_of(function).map(|module| module.base) else { return ip };
    let is_inside = |ip: &usize| module_of(ip.wrapping_sub(1)).is_some_and(|module| module.base == base);
    if is_inside(&ip) {
        return authors(ip, stack);
    }
    let inside = || stack.iter().copied().filter(is_inside);
    let is_authors = |ip: &usize| places(*ip).iter().any(Place::is_authors);
    inside().find(is_authors).or_else(|| inside().next()).unwrap_or(ip)
}

/// The return address `ip` in a few words: `snippet.c:17 (f_impl)`, or `mod.hpy0.so+0x11f2 (mod.f)` without debug
/// information.
pub fn describe(ip: usize) -> String {
    place(ip).map_or_else(|| "an unknown place".to_owned(), |place| place.brief())
}

/// The lines for a stack: `f_impl at /path/snippet.c:17`.
pub fn frames(stack: &[usize]) -> Vec<String> {
    stack.iter().filter(|ip| **ip != 0).flat_map(|ip| places(*ip)).map(|place| place.full()).collect()
}

static FUNCTIONS: RwLock<BTreeMap<usize, Box<str>>> = RwLock::new(BTreeMap::new());

/// Makes a function of an extension known: `mod.f` starts at `address`.
pub fn register(address: usize, name: &str) {
    FUNCTIONS.write().unwrap_or_else(|poisoned| poisoned.into_inner()).insert(address, name.into());
}

/// The nearest function below `address` that was made known, if it is in the same binary.
fn registered(address: usize) -> Option<String> {
    let functions = patiently(PATIENCE, || FUNCTIONS.try_read())?;
    let (start, name) = functions.range(..=address).next_back()?;
    let together = || Some(module_of(address)?.base == module_of(*start)?.base);
    (address - start < REACH && together()?).then(|| name.to_string())
}

/// A binary in memory.
struct Module {
    base: usize,
    path: PathBuf,
    /// This library is in it.
    own: bool,
    interpreter: bool,
}

/// Where the interpreter's binary starts; 0 as long as that is not known.
static INTERPRETER: AtomicUsize = AtomicUsize::new(0);

/// Makes known which binary is the interpreter: the one that has this address.
pub fn interpreter_has(address: usize) {
    INTERPRETER.store(system::module(address).map_or(0, |(base, _)| base), Relaxed);
}

static MODULES: RwLock<BTreeMap<usize, Arc<Module>>> = RwLock::new(BTreeMap::new());

/// The binary that `address` is in. The system's answer is slow, so it is kept.
fn module_of(address: usize) -> Option<Arc<Module>> {
    static OWN: OnceLock<Option<usize>> = OnceLock::new();
    if let Some(module) = patiently(0, || MODULES.try_read()).and_then(|modules| modules.get(&address).cloned()) {
        return Some(module);
    }
    let (base, path) = system::module(address)?;
    let own = *OWN.get_or_init(|| system::module(capture as *const () as usize).map(|(base, _)| base));
    let module =
        Arc::new(Module { base, own: own == Some(base), interpreter: INTERPRETER.load(Relaxed) == base, path });
    if let Some(mut modules) = patiently(0, || MODULES.try_write()) {
        modules.insert(address, module.clone());
    }
    Some(module)
}

/// What was found in the binaries.
struct Symbols {
    /// By the address of the binary.
    files: BTreeMap<usize, Option<reader::File>>,
    known: BTreeMap<usize, Vec<Place>>,
}

static SYMBOLS: Mutex<Symbols> = Mutex::new(Symbols { files: BTreeMap::new(), known: BTreeMap::new() });

fn look_up(address: usize) -> Vec<Place> {
    let Some(module) = module_of(address) else { return vec![Place { offset: address, ..Place::default() }] };
    let offset = address.wrapping_sub(module.base);
    let nameless = Place { module: Some(module.path.to_string_lossy().into_owned()), offset, ..Place::default() };
    let Some(mut symbols) = patiently(PATIENCE, || SYMBOLS.try_lock()) else { return vec![nameless] };
    let Symbols { files, known } = &mut *symbols;
    let read = || {
        let file = files.entry(module.base).or_insert_with(|| reader::open(&module.path));
        let places = file.as_ref().map(|file| reader::find(file, module.base, address, &nameless));
        places.filter(|places| !places.is_empty()).unwrap_or_else(|| vec![nameless])
    };
    known.entry(address).or_insert_with(read).clone()
}

/// Reads symbols and DWARF debug information.
#[cfg(not(all(windows, target_env = "msvc")))]
mod reader {
    use std::path::Path;

    use super::Place;
    pub type File = addr2line::Loader;

    /// Longer names are not demangled: how deep that goes is up to the name.
    const LONG_NAME: usize = 4096;

    pub fn open(path: &Path) -> Option<File> {
        File::new(path).ok()
    }

    /// The places at `address`: copies of `nameless`, with what is known.
    pub fn find(file: &File, base: usize, address: usize, nameless: &Place) -> Vec<Place> {
        let mut places = Vec::new();
        let address = address_in_file(file, base, address);
        if let Ok(mut frames) = file.find_frames(address) {
            while let Ok(Some(frame)) = frames.next() {
                let function = frame.function.and_then(|name| {
                    if name.raw_name().ok()?.len() > LONG_NAME {
                        return Some(name.raw_name().ok()?.into_owned());
                    }
                    Some(name.demangle().ok()?.into_owned())
                });
                let (path, line) = frame.location.map_or((None, None), |location| (location.file, location.line));
                let (file, line) = (path.map(str::to_owned), line.filter(|line| *line != 0));
                places.push(Place { function, file, line, ..nameless.clone() });
            }
        }
        let symbol = file.find_symbol(address).map(|name| match name.len() > LONG_NAME {
            true => name.to_owned(),
            false => addr2line::demangle_auto(name.into(), None).into_owned(),
        });
        match places.last_mut() {
            Some(outermost) => outermost.function = outermost.function.take().or(symbol),
            None => places.push(Place { function: symbol, ..nameless.clone() }),
        }
        places
    }

    fn address_in_file(file: &File, base: usize, address: usize) -> u64 {
        match file.get_section_range(b".text") {
            // A program that can't be moved is where its file says.
            Some(text) if (text.begin..text.end).contains(&(address as u64)) => address as u64,
            _ => (address.wrapping_sub(base) as u64).wrapping_add(file.relative_address_base()),
        }
    }
}

/// Asks Windows, which finds and reads PDB files, and knows of every binary that is loaded.
#[cfg(all(windows, target_env = "msvc"))]
mod reader {
    use std::path::Path;

    use super::Place;
    pub type File = ();

    pub fn open(_path: &Path) -> Option<File> {
        Some(())
    }

    pub fn find(_file: &File, _base: usize, address: usize, nameless: &Place) -> Vec<Place> {
        let mut places = Vec::new();
        // It takes a return address, as we do.
        backtrace::resolve((address + 1) as *mut _, |symbol| {
            places.push(Place {
                function: symbol.name().map(|name| format!("{name:#}")),
                file: symbol.filename().map(|path| path.to_string_lossy().into_owned()),
                line: symbol.lineno(),
                ..nameless.clone()
            });
        });
        places
    }
}

#[cfg(unix)]
mod system {
    use std::ffi::{CStr, OsStr, c_void};
    use std::os::unix::ffi::OsStrExt;
    use std::path::PathBuf;

    /// The start and the path of the binary that `address` is in.
    pub fn module(address: usize) -> Option<(usize, PathBuf)> {
        let mut info = core::mem::MaybeUninit::<libc::Dl_info>::zeroed();
        // SAFETY: dladdr takes any address. All zeros are a valid `Dl_info`.
        let (found, info) = unsafe { (libc::dladdr(address as *const c_void, info.as_mut_ptr()), info.assume_init()) };
        if found == 0 || info.dli_fname.is_null() {
            return None;
        }
        // SAFETY: the dynamic linker's names end with a NUL.
        let path = unsafe { CStr::from_ptr(info.dli_fname) }.to_bytes();
        // The program itself has the name it was called by.
        let program = if path.contains(&b'/') { None } else { std::env::current_exe().ok() };
        Some((info.dli_fbase as usize, program.unwrap_or_else(|| OsStr::from_bytes(path).into())))
    }
}

#[cfg(windows)]
mod system {
    use std::ffi::{OsString, c_void};
    use std::os::windows::ffi::OsStringExt;
    use std::path::PathBuf;
    use std::ptr::null_mut;

    #[link(name = "kernel32")]
    unsafe extern "system" {
        fn GetModuleHandleExW(flags: u32, address: *const c_void, module: *mut *mut c_void) -> i32;
        fn GetModuleFileNameW(module: *mut c_void, path: *mut u16, size: u32) -> u32;
    }

    /// By an address in the module, and without counting a reference.
    const FLAGS: u32 = 4 | 2;

    /// The start and the path of the binary that `address` is in.
    pub fn module(address: usize) -> Option<(usize, PathBuf)> {
        let (mut module, mut path) = (null_mut(), [0; 1024]);
        // SAFETY: takes any address with these flags. A module's handle is its address.
        if unsafe { GetModuleHandleExW(FLAGS, address as *const c_void, &mut module) } == 0 {
            return None;
        }
        // SAFETY: the module is loaded, and the size is the array's.
        let length = unsafe { GetModuleFileNameW(module, path.as_mut_ptr(), path.len() as u32) };
        Some((module as usize, OsString::from_wide(path.get(..length as usize)?).into()))
    }
}

/// What a lock guards, if it can be had within so many milliseconds. That a thread has panicked with it does no harm:
/// there are only caches here.
fn patiently<G>(milliseconds: usize, attempt: impl Fn() -> TryLockResult<G>) -> Option<G> {
    for turn in 0..=milliseconds {
        match attempt() {
            Ok(guard) => return Some(guard),
            Err(TryLockError::Poisoned(poisoned)) => return Some(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) if turn == milliseconds => {}
            Err(TryLockError::WouldBlock) => std::thread::sleep(Duration::from_millis(1)),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(file: Option<&str>, line: Option<u32>, function: Option<&str>) -> Place {
        let [file, function, module] = [file, function, Some("/x/mod.hpy0.so")].map(|text| text.map(str::to_owned));
        Place { function, file, line, module, offset: 0x11f2 }
    }

    #[test]
    fn places_in_words() {
        let whole = at(Some("/path/snippet.c"), Some(17), Some("f_impl"));
        assert_eq!(whole.brief(), "snippet.c:17 (f_impl)");
        assert_eq!(whole.full(), "f_impl at /path/snippet.c:17");
        assert_eq!(at(Some("C:\\x\\snippet.c"), None, None).brief(), "snippet.c");
        assert_eq!(at(None, None, Some("f_impl")).brief(), "mod.hpy0.so+0x11f2 (f_impl)");
        assert_eq!(at(None, None, None).full(), "mod.hpy0.so+0x11f2");
        assert_eq!(Place { offset: 255, ..Place::default() }.brief(), "0xff");
    }

    #[test]
    fn headers_of_hpy() {
        let header = |file| at(Some(file), Some(1), None).is_hpy_header();
        assert!(header("/usr/include/hpy/generated/autogen_functions.h"));
        assert!(header("C:\\include\\hpy\\hpyfunc.h"));
        assert!(!header("/home/me/hpy/snippet.c"));
        assert!(!header("/home/me/snippet.h"));
    }

    #[inline(never)]
    fn some_function() -> u32 {
        line!()
    }

    #[test]
    fn addresses() {
        assert_eq!((place(0), describe(0).as_str()), (None, "an unknown place"));
        assert_eq!(describe(2), "0x1");
        let ip = some_function as *const () as usize + 1;
        let all = places(ip);
        assert_eq!(all, places(ip));
        assert!(all[0].module.is_some() && all[0].offset > 0);
        // Tests may be built without debug information.
        if let Some(line) = all[0].line {
            assert!(line.abs_diff(some_function()) < 3);
            assert_eq!(place(ip).map(|place| place.position()), Some(format!("place.rs:{line}")));
            assert!(describe(ip).contains("some_function"), "{}", describe(ip));
        }
    }

    #[test]
    fn registered_functions() {
        let start = some_function as *const () as usize;
        register(start, "mod.f");
        assert_eq!(registered(start).as_deref(), Some("mod.f"));
        assert_ne!(registered(start - 1).as_deref(), Some("mod.f"));
        // There is no binary.
        register(8, "mod.g");
        assert_eq!(registered(9), None);
    }

    #[test]
    fn capturing() {
        assert!(capture(0).is_empty() && capture(2).len() <= 2);
        // All but the system's own frames are in the tests' binary, which is this library here.
        let own = module_of(capture as *const () as usize).map(|module| module.base);
        assert!(own.is_some() && capture(64).into_iter().all(|ip| module_of(ip - 1).map(|module| module.base) != own));
    }

    #[test]
    fn a_lock_that_is_held() {
        let lock = Mutex::new(1);
        let held = lock.lock();
        assert!(patiently(2, || lock.try_lock()).is_none());
        drop(held);
        assert!(patiently(0, || lock.try_lock()).is_some());
    }
}
