//! Copies of the contents of str and bytes objects that extensions can't write, nor read once the handle is closed.
//!
//! On unix the same memory is mapped twice: writable for us, and read-only for extensions (the view). So making a copy
//! is no system call, and closing one only if its pages become unreadable ([`Protection::Full`]) rather than
//! overwritten ([`Protection::Poison`]). Elsewhere copies are on the heap, and always overwritten. `pages` has the mappings, and
//! [`fault`](crate::fault) the handler of faults on them.

use core::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering::Relaxed};

#[cfg(unix)]
mod arena;
#[cfg(unix)]
mod class;
mod found;
#[cfg(any(not(unix), test))]
#[cfg_attr(unix, allow(dead_code))]
mod heap;

#[cfg(unix)]
mod pages;

#[cfg(unix)]
use arena as backend;
#[cfg(not(unix))]
use heap as backend;

pub use found::{Found, Protection};
#[cfg(unix)]
pub use pages::zeroed;

/// Copies `bytes` and puts a NUL behind them. Null if there is no memory for it.
/// `tag` is the caller's; [`find`] returns it.
pub fn copy(bytes: &[u8], tag: u64) -> *const u8 {
    backend::copy(bytes, tag)
}

/// The handle was closed at `site`: nobody may read the copy any more. Closing it again, or no copy, does nothing.
pub fn close(pointer: *const u8, site: usize) {
    close_with(pointer, || protection(site));
}

/// [`close`] with a rule of the caller's own; it isn't asked for copies that are cheaper to protect than to poison.
pub fn close_with(pointer: *const u8, rule: impl FnOnce() -> Protection) {
    backend::close(pointer as usize, rule);
}

/// The pages of this copy, open or closed, may be used again. Until they are, [`find`] calls it closed.
pub fn free(pointer: *const u8) {
    backend::free(pointer as usize);
}

/// What is at this address? Takes no lock on unix, so signal handlers may ask; and no time if it isn't ours.
pub fn find(address: usize) -> Found {
    backend::find(address)
}

/// Bytes of copies, with their NUL, that are closed and not freed.
pub fn retained() -> usize {
    backend::retained().0
}

/// Bytes of memory that they take: whole pages. What keeps memory flat is a limit on this.
pub fn held() -> usize {
    backend::retained().1
}

static ALWAYS: AtomicBool = AtomicBool::new(false);

/// Protects each closed copy from now on, whatever it costs.
pub fn set_always(always: bool) {
    ALWAYS.store(always, Relaxed);
}

struct Site {
    key: AtomicUsize,
    closes: AtomicU32,
}

const SITE_BITS: u32 = 10;

static SITES: [Site; 1 << SITE_BITS] =
    [const { Site { key: AtomicUsize::new(0), closes: AtomicU32::new(0) } }; 1 << SITE_BITS];

/// The default rule: the first 256 closes of each site are protected, and one in 64 behind that.
pub fn protection(site: usize) -> Protection {
    if ALWAYS.load(Relaxed) {
        return Protection::Full;
    }
    // Keys aren't 0; the highest bit is no part of an address in a program.
    let key = site | 1 << (usize::BITS - 1);
    let hash = (site as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> (64 - SITE_BITS);
    let near = |step: usize| &SITES[(hash as usize + step) % SITES.len()];
    let own = |entry: &&Site| {
        let found = entry.key.load(Relaxed);
        found == key
            || found == 0
                && entry.key.compare_exchange(0, key, Relaxed, Relaxed).map_or_else(|now| now == key, |_| true)
    };
    // In a crowded table sites share a counter.
    let entry = (0..8).map(near).find(own).unwrap_or_else(|| near(0));
    let before = entry.closes.fetch_add(1, Relaxed);
    if before < 256 || before.is_multiple_of(64) { Protection::Full } else { Protection::Poison }
}

#[cfg(test)]
mod tests {
    use super::found::POISON;
    use super::*;

    /// The copy as extensions see it.
    fn seen(pointer: *const u8) -> &'static [u8] {
        assert!(!pointer.is_null());
        // SAFETY: it ends with a NUL.
        unsafe { core::ffi::CStr::from_ptr(pointer.cast()) }.to_bytes_with_nul()
    }

    fn pattern(len: usize) -> Vec<u8> {
        (0..len).map(|index| (index % 251) as u8 + 1).collect()
    }

    #[test]
    fn copies_are_equal_and_end_with_nul() {
        for len in [0, 1, 15, 63, 64, 4031, 4095, 4096, 4097, 8191, 65_535, 65_536, 1 << 20, (1 << 20) + 1, 9 << 20] {
            let bytes = pattern(len);
            let copies: Vec<_> = (0..3).map(|tag| copy(&bytes, tag)).collect();
            for (tag, &pointer) in copies.iter().enumerate() {
                let (start, tag) = (pointer as usize, tag as u64);
                assert_eq!(seen(pointer), [&bytes[..], b"\0"].concat());
                assert_eq!(find(start), Found::Open { start, len, tag });
                assert_eq!(find(start + len), Found::Open { start, len, tag });
                close_with(pointer, || Protection::Full);
                assert_eq!(find(start + len / 2), Found::Closed { start, len, tag });
                free(pointer);
            }
        }
    }

    #[test]
    fn foreign_addresses_are_not_found() {
        let (local, on_heap) = (0u8, Box::new(0u8));
        copy(b"one", 0);
        let foreign =
            [0, 1, usize::MAX, &raw const local as usize, &raw const *on_heap as usize, find as *const () as usize];
        for address in foreign {
            assert_eq!(find(address), Found::Not);
            close(address as *const u8, 0);
            free(address as *const u8);
        }
    }

    #[test]
    fn poison_leaves_the_nul_and_comes_once() {
        let pointer = copy(b"secret", 7);
        close_with(pointer, || Protection::Poison);
        assert_eq!(seen(pointer), b"\xDD\xDD\xDD\xDD\xDD\xDD\0");
        close_with(pointer, || unreachable!("closed twice"));
        assert_eq!(find(pointer as usize), Found::Closed { start: pointer as usize, len: 6, tag: 7 });
        free(pointer);
        free(pointer);
    }

    #[test]
    #[cfg(unix)]
    fn a_million_copies_take_no_more_memory() {
        let mut closed = std::collections::VecDeque::new();
        let (before, mut most) = (arena::touched(), 0);
        for round in 0..1_000_000usize {
            let pointer = copy(&pattern(round * 37 % 200), round as u64);
            close(pointer, 1);
            closed.push_back(pointer);
            if closed.len() > 500 {
                free(closed.pop_front().unwrap());
            }
            most = most.max(held());
        }
        closed.into_iter().for_each(free);
        // Other tests have some too, up to 256 MiB.
        let touched = arena::touched() - before;
        assert!(most < 256 << 20 && touched < 512 * 4096 + (256 << 20), "{most} {touched}");
    }

    #[test]
    #[cfg(unix)]
    fn very_many_copies_share_pages_and_leave_mappings_for_others() {
        let text = |tag: u64| format!("text {tag}").into_bytes();
        let copies: Vec<_> = (0..100_000).map(|tag| (tag, copy(&text(tag), tag))).collect();
        let near = copies.windows(2).filter(|pair| (pair[0].1 as usize).abs_diff(pair[1].1 as usize) == 64);
        assert!(near.count() > 50_000);
        copies.iter().for_each(|&(tag, pointer)| assert_eq!(seen(pointer), [&text(tag)[..], b"\0"].concat()));
        let (even, odd): (Vec<_>, Vec<_>) = copies.into_iter().partition(|(tag, _)| tag % 2 == 0);
        let all = [even, odd].concat();
        for &(tag, pointer) in &all {
            close_with(pointer, || Protection::Full);
            let (start, len) = (pointer as usize, text(tag).len());
            assert_eq!(find(start), Found::Closed { start, len, tag });
            if tag == 99_998 {
                assert_eq!(seen(pointer)[..len], [POISON; 10]);
                let maps = std::fs::read_to_string("/proc/self/maps").map_or(0, |maps| maps.lines().count());
                assert!(maps < 20_000, "{maps}");
            }
        }
        all.into_iter().for_each(|(_, pointer)| free(pointer));
    }

    #[test]
    fn sites_are_sampled() {
        let full = |site| (0..256 + 6400).filter(|_| protection(site) == Protection::Full).count();
        assert_eq!((full(0), full(0x5555_0000)), (356, 356));
        assert_eq!((0..4096).map(|site| protection(site << 4) as usize).filter(|&it| it > 1).count(), 0);
    }

    #[test]
    fn threads_dont_disturb_each_other() {
        let work = |thread: u64| {
            let mut closed = std::collections::VecDeque::new();
            for round in 0..20_000u64 {
                let bytes = pattern(((round * 7 + thread) % 9000) as usize);
                let (tag, pointer) = (thread << 32 | round, copy(&bytes, thread << 32 | round));
                assert_eq!(find(pointer as usize), Found::Open { start: pointer as usize, len: bytes.len(), tag });
                assert_eq!(&seen(pointer)[..bytes.len()], bytes);
                close(pointer, thread as usize);
                closed.push_back((pointer, bytes.len(), tag));
                if closed.len() > 20 {
                    let (pointer, len, tag) = closed.pop_front().unwrap();
                    assert_eq!(find(pointer as usize), Found::Closed { start: pointer as usize, len, tag });
                    free(pointer);
                }
            }
            closed.into_iter().for_each(|(pointer, ..)| free(pointer));
        };
        std::thread::scope(|scope| (0..4).for_each(|thread| drop(scope.spawn(move || work(thread)))));
    }

    #[test]
    fn the_heap_does_the_same() {
        let pointer = heap::copy(b"text", 5);
        let start = pointer as usize;
        assert_eq!((seen(pointer), heap::find(start + 4)), (&b"text\0"[..], Found::Open { start, len: 4, tag: 5 }));
        heap::close(start, || Protection::Full);
        assert_eq!((seen(pointer), heap::retained()), (&b"\xDD\xDD\xDD\xDD\0"[..], (5, 5)));
        assert_eq!(heap::find(start), Found::Closed { start, len: 4, tag: 5 });
        heap::free(start);
        assert_eq!((heap::find(start), heap::retained()), (Found::Not, (0, 0)));
    }

    #[test]
    #[ignore = "prints times"]
    fn times() {
        for len in [10, 100, 1000, 10_000, 100_000, 1_000_000] {
            let bytes = pattern(len);
            for rule in [Some(Protection::Poison), Some(Protection::Full), None] {
                let (rounds, limit) = (40_000_000 / (len + 200), (10 << 20) / (len + 4096));
                let mut closed = std::collections::VecDeque::with_capacity(limit + 1);
                let mut round = |_| {
                    let pointer = copy(&bytes, 0);
                    close_with(pointer, || rule.unwrap_or_else(|| protection(3)));
                    closed.push_back(pointer);
                    (closed.len() > limit).then(|| closed.pop_front().map(free));
                };
                (0..rounds / 4).for_each(&mut round);
                let start = std::time::Instant::now();
                (0..rounds).for_each(&mut round);
                let each = start.elapsed().as_nanos() / rounds as u128;
                println!("{len} bytes, {rule:?}: {each} ns for copy, close and free");
                closed.into_iter().for_each(free);
            }
        }
    }
}
