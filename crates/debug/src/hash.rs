//! A quick hash for addresses and other words: nobody chooses them to collide.

use core::hash::{BuildHasherDefault, Hasher};

#[derive(Default)]
pub struct WordHasher(u64);

impl Hasher for WordHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u64(u64::from(*byte));
        }
    }

    fn write_u64(&mut self, word: u64) {
        // The golden ratio spreads over the high bits, which are rotated to where tables look first.
        self.0 = (self.0 ^ word).wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(26);
    }

    fn write_usize(&mut self, word: usize) {
        self.write_u64(word as u64);
    }
}

pub type Map<K, V> = std::collections::HashMap<K, V, BuildHasherDefault<WordHasher>>;
pub type Set<K> = std::collections::HashSet<K, BuildHasherDefault<WordHasher>>;
