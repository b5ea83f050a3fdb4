//! Modes, and the environment variable that chooses them.

use core::ffi::{CStr, c_int};

/// What a binary is run with: the runtime alone, or with layers over it.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Mode {
    pub debug: bool,
    /// Over debug mode, if that is there as well: what debug mode does is not the extension's doing.
    pub trace: bool,
}

const UNIVERSAL: Mode = Mode { debug: false, trace: false };
const DEBUG: Mode = Mode { debug: true, trace: false };
const TRACE: Mode = Mode { debug: false, trace: true };
const DEBUG_TRACE: Mode = Mode { debug: true, trace: true };

/// The constants of `hpy.universal`.
pub const NAMES: [(&CStr, Mode); 4] = [
    (c"MODE_UNIVERSAL", UNIVERSAL),
    (c"MODE_DEBUG", DEBUG),
    (c"MODE_TRACE", TRACE),
    (c"MODE_DEBUG_TRACE", DEBUG_TRACE),
];

impl Mode {
    pub fn number(self) -> c_int {
        c_int::from(self.debug) + 2 * c_int::from(self.trace)
    }

    pub fn from_number(number: c_int) -> Option<Mode> {
        NAMES.into_iter().map(|(_, mode)| mode).find(|mode| mode.number() == number)
    }

    /// What is behind "Loading 'mod' in HPy universal mode".
    pub fn log_suffix(self) -> &'static CStr {
        match self {
            UNIVERSAL => c"",
            DEBUG => c" with a debug context",
            TRACE => c" with a trace context",
            DEBUG_TRACE => c" with a debug and a trace context",
        }
    }

    fn from_name(name: &str) -> Option<Mode> {
        match name.trim().to_ascii_lowercase().as_str() {
            "universal" => Some(UNIVERSAL),
            "debug" => Some(DEBUG),
            "trace" => Some(TRACE),
            "debug+trace" | "trace+debug" => Some(DEBUG_TRACE),
            _ => None,
        }
    }

    /// With the layers of both.
    pub fn and(self, other: Mode) -> Mode {
        Mode { debug: self.debug || other.debug, trace: self.trace || other.trace }
    }
}

/// What the value of `HPY` may look like, for people.
pub const GRAMMAR: &str = "HPY is a mode for all modules, or a list 'module:mode,module:mode', where modules that it does not name \
                           are universal. A mode is 'universal', 'debug', 'trace' or 'debug+trace'. For instance: HPY=debug or \
                           HPY=mymodule:debug,other:trace";

/// The mode of a module, by its short name. None for a value that is not as [`GRAMMAR`] says.
pub fn from_environment(value: &str, module: &str) -> Option<Mode> {
    if value.trim().is_empty() {
        return Some(UNIVERSAL);
    }
    if !value.contains(':') {
        return Mode::from_name(value);
    }
    let mut found = UNIVERSAL;
    for item in value.split(',') {
        let (name, mode) = item.split_once(':')?;
        let mode = Mode::from_name(mode)?;
        if name.trim() == module {
            found = mode;
        }
    }
    Some(found)
}

/// What is asked for a module beside what the environment says. It may be known by its full name or by the last part of that.
pub fn asked_for(full_name: &str, short_name: &str) -> Mode {
    Mode { trace: hpy_trace::selection::contains(full_name, short_name), ..UNIVERSAL }
}
