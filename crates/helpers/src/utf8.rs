//! Counting, cutting and writing UTF-8. Nothing here trusts its input to be valid.

/// Whether a byte belongs to the sequence that an earlier byte began.
fn continues(byte: u8) -> bool {
    byte & 0xC0 == 0x80
}

/// Whether there is a NUL in a text.
#[expect(clippy::manual_contains, reason = "`contains` calls a function of core, which then has to be linked")]
pub fn has_nul(text: &[u8]) -> bool {
    text.iter().any(|byte| *byte == 0)
}

/// How many characters a text has.
pub fn count(text: &[u8]) -> usize {
    text.iter().filter(|byte| !continues(**byte)).count()
}

/// At most the first `limit` characters.
pub fn first_chars(text: &[u8], limit: usize) -> &[u8] {
    let mut left = limit;
    let end = text.iter().position(|byte| {
        if continues(*byte) {
            return false;
        }
        match left.checked_sub(1) {
            Some(fewer) => {
                left = fewer;
                false
            }
            None => true,
        }
    });
    end.and_then(|end| text.get(..end)).unwrap_or(text)
}

/// The text without a last sequence that lacks bytes, so that cutting a text anywhere and then calling this leaves
/// whole characters.
pub fn whole(text: &[u8]) -> &[u8] {
    for back in 1..=3 {
        let Some(start) = text.len().checked_sub(back) else { break };
        let Some(lead) = text.get(start) else { break };
        if continues(*lead) {
            continue;
        }
        let length = match lead {
            0xC0..=0xDF => 2,
            0xE0..=0xEF => 3,
            0xF0..=0xFF => 4,
            _ => 1,
        };
        if length > back {
            return text.get(..start).unwrap_or(text);
        }
        break;
    }
    text
}

/// A code point as UTF-8: the bytes, and how many of them count. Surrogates are encoded like any other.
pub fn encode(code_point: u32) -> ([u8; 4], usize) {
    let six = |shift: u32| 0x80 | (code_point >> shift) as u8 & 0x3F;
    match code_point {
        0..0x80 => ([code_point as u8, 0, 0, 0], 1),
        0x80..0x800 => ([0xC0 | (code_point >> 6) as u8, six(0), 0, 0], 2),
        0x800..0x1_0000 => ([0xE0 | (code_point >> 12) as u8, six(6), six(0), 0], 3),
        _ => ([0xF0 | (code_point >> 18) as u8 & 7, six(12), six(6), six(0)], 4),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_and_cuts_characters() {
        let text = "a€😀é".as_bytes();
        assert_eq!(count(text), 4);
        assert_eq!(count(b""), 0);
        assert!(has_nul(b"a\0b") && !has_nul(text));
        for limit in 0..6 {
            let expected: String = "a€😀é".chars().take(limit).collect();
            assert_eq!(first_chars(text, limit), expected.as_bytes());
        }
        assert_eq!(first_chars(b"", 3), b"");
    }

    #[test]
    fn never_cuts_through_a_character() {
        let text = "a€😀é";
        for limit in 0..=text.len() {
            let mut end = limit;
            while !text.is_char_boundary(end) {
                end -= 1;
            }
            assert_eq!(whole(&text.as_bytes()[..limit]), &text.as_bytes()[..end]);
        }
    }

    #[test]
    fn leaves_what_is_not_utf8() {
        assert_eq!(whole(b"\x80\x80\x80\x80\x80"), b"\x80\x80\x80\x80\x80");
        assert_eq!(whole(b"\xFF"), b"");
        assert_eq!(whole(b"a\x80"), b"a\x80");
    }

    #[test]
    fn encodes_every_code_point() {
        for char in (0..=0x10FFFF).filter_map(char::from_u32) {
            let (bytes, length) = encode(char as u32);
            assert_eq!(&bytes[..length], char.encode_utf8(&mut [0; 4]).as_bytes());
        }
        assert_eq!(encode(0xD800), ([0xED, 0xA0, 0x80, 0], 3));
    }
}
