//! Modes, and the environment variable that chooses them.

use core::ffi::{CStr, c_int};

/// What a binary is run with.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mode {
    Universal,
    Debug,
    Trace,
}

/// The constants of `hpy.universal`.
pub const NAMES: [(&CStr, Mode); 3] =
    [(c"MODE_UNIVERSAL", Mode::Universal), (c"MODE_DEBUG", Mode::Debug), (c"MODE_TRACE", Mode::Trace)];

impl Mode {
    pub fn number(self) -> c_int {
        match self {
            Mode::Universal => 0,
            Mode::Debug => 1,
            Mode::Trace => 2,
        }
    }

    pub fn from_number(number: c_int) -> Option<Mode> {
        NAMES.into_iter().map(|(_, mode)| mode).find(|mode| mode.number() == number)
    }

    pub fn name(self) -> &'static str {
        match self {
            Mode::Universal => "universal",
            Mode::Debug => "debug",
            Mode::Trace => "trace",
        }
    }

    fn from_name(name: &str) -> Option<Mode> {
        NAMES.into_iter().map(|(_, mode)| mode).find(|mode| mode.name().eq_ignore_ascii_case(name.trim()))
    }
}

/// What the value of `HPY` may look like, for people.
pub const GRAMMAR: &str = "HPY is one of 'universal', 'debug' and 'trace', for all modules, or a list such as \
                           'mymodule:debug,other:trace', where modules that it does not name are universal";

/// The mode of a module, by its short name. None for a value that is not as [`GRAMMAR`] says.
pub fn from_environment(value: &str, module: &str) -> Option<Mode> {
    if value.trim().is_empty() {
        return Some(Mode::Universal);
    }
    if !value.contains(':') {
        return Mode::from_name(value);
    }
    let mut found = Mode::Universal;
    for item in value.split(',') {
        let (name, mode) = item.split_once(':')?;
        let mode = Mode::from_name(mode)?;
        if name.trim() == module {
            found = mode;
        }
    }
    Some(found)
}
