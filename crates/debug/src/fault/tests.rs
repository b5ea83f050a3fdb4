use std::hint::black_box;
use std::io::Write;
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Output};

use super::*;
use crate::memory::{Protection, close_with, copy, free, held};

const VARIABLE: &str = "HPY_TEST_FAULT";

/// Runs `child` in another process.
fn run(what: &str) -> Output {
    let name = format!("{}::child", module_path!().split_once("::").unwrap().1);
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args([&name, "--exact", "--nocapture", "--test-threads=1"]).env(VARIABLE, what).output().unwrap()
}

fn told(what: &str) -> String {
    let output = run(what);
    assert_eq!(output.status.code(), Some(42), "{output:?}");
    String::from_utf8(output.stderr).unwrap()
}

unsafe fn on_fault(address: usize, write: Option<bool>, ip: usize) -> ! {
    let near = ip.abs_diff(touch as *const () as usize) < 4096 || ip == 0;
    let _ = writeln!(std::io::stderr(), "{:?} write {write:?} near {near}", find(address));
    std::process::exit(42)
}

extern "C" fn earlier(_signal: c_int) {
    std::process::exit(43)
}

extern "C" fn earlier_with_info(_signal: c_int, info: *mut libc::siginfo_t, _context: *mut c_void) {
    // SAFETY: the system passes it.
    std::process::exit(unsafe { (*info).si_addr() as i32 })
}

#[inline(never)]
fn touch(address: usize, write: bool) {
    // SAFETY: in a process that shall die of it.
    unsafe {
        if write {
            *(address as *mut u8) = black_box(1);
        } else {
            black_box(*(address as *const u8));
        }
    }
}

/// Does nothing as a test; `run` runs it with the variable.
#[test]
fn child() {
    let Ok(what) = std::env::var(VARIABLE) else { return };
    let mut action = MaybeUninit::<libc::sigaction>::zeroed();
    let mut earlier_is = |handler: usize, flags| {
        // SAFETY: all zeroes but for what is set.
        unsafe {
            ((*action.as_mut_ptr()).sa_sigaction, (*action.as_mut_ptr()).sa_flags) = (handler, flags);
            libc::sigaction(libc::SIGSEGV, action.as_ptr(), null_mut());
        }
    };
    match what.as_str() {
        "foreign" => earlier_is(earlier as extern "C" fn(c_int) as usize, 0),
        "foreign with info" => earlier_is(earlier_with_info as Handler as usize, libc::SA_SIGINFO),
        "foreign by default" | "sent" => earlier_is(libc::SIG_DFL, 0),
        "ignored" | "sent, ignored" => earlier_is(libc::SIG_IGN, 0),
        _ => {}
    }
    install(on_fault);
    install(on_fault);
    let pointer = copy(b"text", 9);
    let large = copy(&[1; 3 << 20], 10);
    match what.as_str() {
        "read" => {
            touch(pointer as usize, false);
            close_with(pointer, || Protection::Full);
            touch(pointer as usize + 2, false);
        }
        "read large" => {
            close_with(large, || Protection::Poison);
            touch(large as usize + (2 << 20), false);
        }
        "read freed" => {
            close_with(pointer, || Protection::Full);
            free(pointer);
            touch(pointer as usize, false);
        }
        "write" => touch(pointer as usize, true),
        "write closed" => {
            close_with(pointer, || Protection::Poison);
            touch(pointer as usize, true);
        }
        "thread" => {
            let address = pointer as usize;
            std::thread::spawn(move || touch(address, true)).join().unwrap();
        }
        // SAFETY: a signal to itself.
        "sent" | "sent, ignored" => drop(unsafe { libc::raise(libc::SIGSEGV) }),
        "fork" => fork(pointer),
        _ => touch(77, false),
    }
    std::process::exit(0);
}

fn fork(pointer: *const u8) {
    let text = |pointer: *const u8| {
        // SAFETY: it ends with a NUL.
        unsafe { core::ffi::CStr::from_ptr(pointer.cast()) }.to_bytes()
    };
    let churn = |filler: u8| {
        for round in 0..3000 {
            let pointer = copy(&[filler; 40], round);
            close_with(pointer, || Protection::Poison);
            free(pointer);
        }
    };
    churn(1);
    let poisoned = copy(b"poisoned", 1);
    close_with(poisoned, || Protection::Poison);
    let held_before = held();
    // SAFETY: this process has no other threads that matter.
    let child = unsafe { libc::fork() };
    if child == 0 {
        churn(2);
        // The parent's comes to an end meanwhile.
        std::thread::sleep(std::time::Duration::from_millis(200));
        assert_eq!((text(pointer), held()), (&b"text"[..], held_before));
        assert_eq!(text(copy(b"more", 3)), b"more");
        free(pointer);
        touch(poisoned as usize, false);
    }
    churn(3);
    assert_eq!(text(pointer), b"text");
    free(pointer);
    churn(4);
    let open = copy(b"open", 4);
    let mut status = 0;
    // SAFETY: waits for the child.
    unsafe { libc::waitpid(child, &mut status, 0) };
    assert_eq!(text(open), b"open");
    std::process::exit(libc::WEXITSTATUS(status));
}

/// `None` where it isn't known.
fn ends(text: &str, state: &str, write: bool) {
    let known = cfg!(all(target_os = "linux", target_arch = "x86_64"));
    let write = if known { Some(write) } else { None };
    assert!(text.contains(state) && text.contains(&format!("write {write:?} near true")), "{text}");
}

#[test]
fn reads_of_closed_copies() {
    ends(&told("read"), "Closed {", false);
    ends(&told("read"), "len: 4, tag: 9", false);
    ends(&told("read large"), "len: 3145728, tag: 10", false);
    ends(&told("read freed"), "Closed {", false);
}

#[test]
fn writes() {
    ends(&told("write"), "Open {", true);
    ends(&told("write closed"), "Closed {", true);
    ends(&told("thread"), "Open {", true);
}

#[test]
fn foreign_faults_go_on() {
    assert_eq!(run("foreign").status.code(), Some(43));
    assert_eq!(run("foreign with info").status.code(), Some(77));
    for what in ["foreign by default", "ignored", "sent", "rust's own"] {
        assert_eq!(run(what).status.signal(), Some(libc::SIGSEGV), "{what}");
    }
    assert_eq!(run("sent, ignored").status.code(), Some(0));
}

#[test]
fn forks_have_memory_of_their_own() {
    // The child reads the copy that was poisoned before the fork.
    ends(&told("fork"), "len: 8, tag: 1 }", false);
}
