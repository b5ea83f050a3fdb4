//! What is done about a misuse.

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// An exception, at the latest when the extension's function returns.
    Raise,
    /// The end of the process.
    Abort,
    /// The report on stderr.
    Warn,
    /// Told at exit, or when asked for.
    Collect,
    Ignore,
}

impl Action {
    const NAMES: [(&str, Action); 5] = [
        ("raise", Action::Raise),
        ("abort", Action::Abort),
        ("warn", Action::Warn),
        ("ignore", Action::Ignore),
        ("collect", Action::Collect),
    ];

    /// By its name in HPY_DEBUG.
    pub fn named(name: &str) -> Option<Action> {
        Self::NAMES.into_iter().find_map(|(known, action)| known.eq_ignore_ascii_case(name).then_some(action))
    }
}
