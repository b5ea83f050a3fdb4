//! Digits of numbers. `core::fmt` would bring the panic machinery with it.

/// As many digits as the longest number has: 2**64 - 1 in decimal.
const MOST: usize = 20;

/// The digits of a number.
pub struct Digits {
    /// Filled from the end.
    all: [u8; MOST],
    start: usize,
}

impl Digits {
    pub fn decimal(value: u64) -> Digits {
        Digits::new::<10>(value)
    }

    /// In small letters, with nothing in front.
    pub fn hexadecimal(value: u64) -> Digits {
        Digits::new::<16>(value)
    }

    // The base is a constant so that the compiler sees that the division can't fail.
    fn new<const BASE: u64>(mut value: u64) -> Digits {
        let mut digits = Digits { all: [b'0'; MOST], start: MOST };
        for place in digits.all.iter_mut().rev() {
            let digit = (value % BASE) as u8;
            *place = if digit < 10 { b'0' | digit } else { (b'a' - 10).wrapping_add(digit) };
            digits.start = digits.start.wrapping_sub(1);
            value /= BASE;
            if value == 0 {
                break;
            }
        }
        digits
    }

    pub fn as_bytes(&self) -> &[u8] {
        self.all.get(self.start..).unwrap_or(&self.all)
    }
}

/// What stands around the digits of a number that is padded as a format asks for.
#[derive(Debug, PartialEq, Eq)]
pub struct Padding {
    pub spaces: usize,
    /// Between the sign and the digits.
    pub zeros: usize,
}

impl Padding {
    /// For a number of `length` digits: at least `precision` digits, and at least `width` characters in all, sign
    /// included, with spaces before the sign, or with zeros behind it.
    pub fn new(length: usize, negative: bool, width: usize, precision: usize, with_zeros: bool) -> Padding {
        let zeros = precision.saturating_sub(length);
        let taken = length.saturating_add(zeros).saturating_add(usize::from(negative));
        let missing = width.saturating_sub(taken);
        if with_zeros {
            Padding { spaces: 0, zeros: zeros.saturating_add(missing) }
        } else {
            Padding { spaces: missing, zeros }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits() {
        for value in [0, 1, 9, 10, 15, 16, 255, 1234567890, u64::from(u32::MAX), i64::MAX as u64, u64::MAX] {
            assert_eq!(Digits::decimal(value).as_bytes(), value.to_string().as_bytes());
            assert_eq!(Digits::hexadecimal(value).as_bytes(), format!("{value:x}").as_bytes());
        }
    }

    #[test]
    fn padding() {
        let padding = |negative, width, precision, with_zeros| {
            let Padding { spaces, zeros } = Padding::new(3, negative, width, precision, with_zeros);
            (spaces, zeros)
        };
        assert_eq!(padding(false, 0, 0, false), (0, 0));
        assert_eq!(padding(false, 5, 0, false), (2, 0));
        assert_eq!(padding(true, 5, 0, false), (1, 0));
        assert_eq!(padding(false, 5, 0, true), (0, 2));
        assert_eq!(padding(true, 5, 0, true), (0, 1));
        assert_eq!(padding(true, 5, 5, false), (0, 2));
        assert_eq!(padding(true, 5, 5, true), (0, 2));
        assert_eq!(padding(true, 7, 5, false), (1, 2));
        assert_eq!(padding(true, 7, 5, true), (0, 3));
        assert_eq!(padding(true, 3, 3, true), (0, 0));
        assert_eq!(padding(false, usize::MAX, usize::MAX, true), (0, usize::MAX - 3));
    }
}
