//! What happens with a misuse: the settings in the environment variable `HPY_DEBUG`, the log, and the summary at exit.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::mem::replace;
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock, Mutex, PoisonError, RwLock};

use crate::action::Action;
use crate::autogen_misuses::Misuse;
use crate::interpreter;
use crate::report::Report;
use hpy_layer::lock::Held;

const GRAMMAR: &str = "HPY_DEBUG is a list, separated by commas, of: raise, abort, warn or ignore for all misuses; \
    D006=ACTION for one of them, also D006=collect; suppress=FUNCTION or suppress=FUNCTION:D006, where FUNCTION is \
    mod.f, mod.* or *; json=PATH; traces=NUMBER of C stack frames to remember; summary; strings=all";

/// How many lines a summary has at most.
const SUMMARY_LINES: usize = 50;

/// The misuse with an identifier as `HPY-D006` or `D006`.
fn misuse_named(name: &str) -> Option<Misuse> {
    let is = |identifier: &str| identifier.eq_ignore_ascii_case(name);
    Misuse::ALL.iter().copied().find(|misuse| {
        let identifier = misuse.identifier();
        is(identifier) || identifier.strip_prefix("HPY-").is_some_and(is)
    })
}

/// Misuses in some functions that are not to be told.
#[derive(Clone, Debug)]
struct Suppression {
    /// `mod.f`, `mod.*` or `*`.
    function: String,
    /// All of them if `None`.
    misuse: Option<Misuse>,
}

impl Suppression {
    fn covers(&self, misuse: Misuse, caller: &str) -> bool {
        let function = match self.function.strip_suffix('*') {
            Some(start) => caller.starts_with(start),
            None => caller == self.function,
        };
        function && self.misuse.is_none_or(|suppressed| suppressed == misuse)
    }
}

/// What `HPY_DEBUG` says.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    overall: Option<Action>,
    single: Vec<(Misuse, Action)>,
    suppressions: Vec<Suppression>,
    json: Option<PathBuf>,
    traces: Option<usize>,
    summary: bool,
    all_strings: bool,
}

impl Settings {
    /// Reads the variable's value. What is said last counts; empty items are skipped.
    pub fn parse(text: &str) -> Result<Settings, String> {
        let mut settings = Settings::default();
        let mut position = 1;
        for (index, item) in text.split(',').enumerate() {
            let (length, blanks) = (item.chars().count(), item.chars().take_while(|c| c.is_whitespace()).count());
            let item = item.trim();
            if !item.is_empty() {
                settings.read(item).map_err(|problem| {
                    let (number, column) = (index + 1, position + blanks);
                    format!("HPY_DEBUG: item {number}, '{item}' (at character {column}): {problem}. {GRAMMAR}.")
                })?;
            }
            position += length + 1;
        }
        Ok(settings)
    }

    fn read(&mut self, item: &str) -> Result<(), String> {
        let Some((name, value)) = item.split_once('=').map(|(name, value)| (name.trim(), value.trim())) else {
            match Action::named(item) {
                Some(Action::Collect) => return Err("only single misuses can be collected".to_owned()),
                Some(action) => self.overall = Some(action),
                None if item == "summary" => self.summary = true,
                None => return Err("there is no such setting".to_owned()),
            }
            return Ok(());
        };
        match name {
            "json" if value.is_empty() => return Err("the path is missing".to_owned()),
            "json" => self.json = Some(value.into()),
            "traces" => {
                self.traces = Some(value.parse().map_err(|_| format!("'{value}' is not a number of frames"))?);
            }
            "strings" if value == "all" => self.all_strings = true,
            "strings" => return Err("strings can be 'all', or be left out".to_owned()),
            "suppress" => self.suppressions.push(suppression(value)?),
            name => {
                let misuse = misuse_named(name).ok_or_else(|| format!("there is no setting or misuse '{name}'"))?;
                let action = Action::named(value).ok_or_else(|| format!("there is no action '{value}'"))?;
                self.single.push((misuse, action));
            }
        }
        Ok(())
    }

    /// What to do about a misuse in the extension's function `caller`, if it is `default` when nothing is said.
    pub fn action(&self, misuse: Misuse, caller: &str, default: Action) -> Action {
        if self.suppressed(misuse, caller) {
            return Action::Ignore;
        }
        let single = self.single.iter().rev().find(|(named, _)| *named == misuse).map(|(_, action)| *action);
        single.unwrap_or_else(|| match default {
            Action::Collect => Action::Collect,
            default => self.overall.unwrap_or(default),
        })
    }

    /// Whether something is said about this very misuse.
    fn names(&self, misuse: Misuse) -> bool {
        self.single.iter().any(|(named, _)| *named == misuse)
    }

    fn suppressed(&self, misuse: Misuse, caller: &str) -> bool {
        self.suppressions.iter().any(|suppression| suppression.covers(misuse, caller))
    }

    /// How many frames of the C stack to remember at each open and close, if that is said.
    pub fn traces(&self) -> Option<usize> {
        self.traces
    }

    /// Whether every copy of a string is protected.
    pub fn all_strings(&self) -> bool {
        self.all_strings
    }

    /// The log's path.
    pub fn json(&self) -> Option<&Path> {
        self.json.as_deref()
    }

    /// Whether there is a summary at exit even if nothing was found.
    pub fn summary(&self) -> bool {
        self.summary
    }
}

fn suppression(text: &str) -> Result<Suppression, String> {
    let (function, misuse) = match text.rsplit_once(':') {
        Some((function, name)) => {
            (function, Some(misuse_named(name).ok_or_else(|| format!("there is no misuse '{name}'"))?))
        }
        None => (text, None),
    };
    match function.strip_suffix('*') {
        _ if function.is_empty() => Err("the function is missing".to_owned()),
        start if start.unwrap_or(function).contains('*') => Err("a * can only be at the end".to_owned()),
        Some(start) if !start.is_empty() && !start.ends_with('.') => Err("a * is a whole name, as in mod.*".to_owned()),
        _ => Ok(Suppression { function: function.to_owned(), misuse }),
    }
}

#[derive(Default)]
struct State {
    settings: Arc<Settings>,
    log: Option<File>,
}

static STATE: LazyLock<RwLock<State>> = LazyLock::new(RwLock::default);
static OVERRIDE: RwLock<Option<Action>> = RwLock::new(None);
/// The first report for each interpreter, misuse and place, with the number of all of them.
static COUNTED: Mutex<BTreeMap<(u16, u8, usize), Report>> = Mutex::new(BTreeMap::new());

/// The locks of this module, for a fork.
pub fn locks() -> Vec<Held> {
    vec![
        Box::new(STATE.write().unwrap_or_else(PoisonError::into_inner)),
        Box::new(OVERRIDE.write().unwrap_or_else(PoisonError::into_inner)),
        Box::new(COUNTED.lock().unwrap_or_else(PoisonError::into_inner)),
        Box::new(RAISED.lock().unwrap_or_else(PoisonError::into_inner)),
    ]
}

/// Replaces the settings, and opens the log. If that fails all stays as it was.
pub fn configure(text: &str) -> Result<(), String> {
    let settings = Settings::parse(text)?;
    let open = |path: &Path| {
        let file = OpenOptions::new().append(true).create(true).open(path);
        file.map_err(|error| format!("HPY_DEBUG: can't write to '{}' (json=PATH): {error}", path.display()))
    };
    let log = settings.json().map(open).transpose()?;
    *STATE.write().unwrap_or_else(PoisonError::into_inner) = State { settings: Arc::new(settings), log };
    Ok(())
}

/// The settings as they are now.
pub fn settings() -> impl Deref<Target = Settings> {
    STATE.read().unwrap_or_else(PoisonError::into_inner).settings.clone()
}

/// Makes `action` the one for all that is neither collected nor suppressed nor has an action of its own; `None` ends that. Returns the one
/// before.
pub fn override_action(action: Option<Action>) -> Option<Action> {
    replace(&mut *OVERRIDE.write().unwrap_or_else(PoisonError::into_inner), action)
}

fn decide(settings: &Settings, report: &Report) -> Action {
    let (misuse, caller) = (report.misuse, report.caller.as_str());
    let overriding = *OVERRIDE.read().unwrap_or_else(PoisonError::into_inner);
    match (settings.action(misuse, caller, report.action()), overriding) {
        (action, None) | (action @ Action::Collect, _) => action,
        (action, Some(_)) if settings.suppressed(misuse, caller) || settings.names(misuse) => action,
        (_, Some(overriding)) => overriding,
    }
}

/// Reports that have been raised while an action overrides the settings: somebody may catch the exceptions, and want to know.
static RAISED: Mutex<Vec<Report>> = Mutex::new(Vec::new());

/// As many are kept.
const MOST_RAISED: usize = 1000;

/// Notes that a report becomes an exception.
pub fn raises(report: &Report) {
    if OVERRIDE.read().unwrap_or_else(PoisonError::into_inner).is_some() {
        let mut raised = RAISED.lock().unwrap_or_else(PoisonError::into_inner);
        if raised.len() < MOST_RAISED {
            raised.push(report.clone());
        }
    }
}

/// The reports of this interpreter that have become exceptions since this was last asked.
pub fn take_raised() -> Vec<Report> {
    let here = interpreter::here();
    let mut raised = RAISED.lock().unwrap_or_else(PoisonError::into_inner);
    raised.extract_if(.., |report| report.interpreter == here).collect()
}

/// Writes a report to the log, counts it, and says what else is to be done.
pub fn record(report: &Report) -> Action {
    let action = decide(&settings(), report);
    if action == Action::Ignore {
        return action;
    }
    log(report);
    let count = |first: &mut Report| first.count = first.count.saturating_add(report.count);
    let mut counted = COUNTED.lock().unwrap_or_else(PoisonError::into_inner);
    counted
        .entry((report.interpreter, report.misuse as u8, report.ip))
        .and_modify(count)
        .or_insert_with(|| report.clone());
    action
}

fn log(report: &Report) {
    let written = match &STATE.read().unwrap_or_else(PoisonError::into_inner).log {
        // In one piece: other processes may append to the file as well.
        Some(file) => (&*file).write_all((report.json() + "\n").as_bytes()),
        None => Ok(()),
    };
    if let Err(error) = written {
        // Told once, and if that fails too there is nobody left to tell it to.
        let _ = writeln!(std::io::stderr(), "HPY_DEBUG: the log (json=PATH) can't be written, and ends here: {error}");
        STATE.write().unwrap_or_else(PoisonError::into_inner).log = None;
    }
}

/// What to tell when this interpreter ends, if anything: a line for each misuse and place, the most frequent first.
pub fn summary() -> Option<String> {
    let here = interpreter::here();
    let counted = COUNTED.lock().unwrap_or_else(PoisonError::into_inner);
    let mut reports: Vec<Report> = counted.values().filter(|report| report.interpreter == here).cloned().collect();
    drop(counted);
    if reports.is_empty() {
        return settings().summary().then(|| "HPy's debug mode found nothing.".to_owned());
    }
    reports.sort_by_key(|report| Reverse(report.count));
    let mut lines = vec!["HPy's debug mode found:".to_owned()];
    lines.extend(reports.iter().take(SUMMARY_LINES).map(|report| format!("  {}", report.summary_line())));
    if let Some(more @ 1..) = reports.len().checked_sub(SUMMARY_LINES) {
        lines.push(format!("  and {more} more"));
    }
    Some(lines.join("\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn forget() {
        COUNTED.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    fn parse(text: &str) -> Settings {
        Settings::parse(text).unwrap_or_else(|error| panic!("{error}"))
    }

    fn action(settings: &Settings, misuse: Misuse, caller: &str) -> Action {
        settings.action(misuse, caller, misuse.action())
    }

    #[test]
    fn what_is_refused_is_a_warning() {
        let report = Report { is_refused: true, ..Report::new(Misuse::NullHandle, "") };
        let action = |text| decide(&parse(text), &report);
        assert_eq!(action(""), Action::Warn);
        assert_eq!(action("raise"), Action::Raise);
        assert_eq!(action("D020=abort"), Action::Abort);
        assert_eq!(decide(&parse(""), &Report::new(Misuse::NullHandle, "")), Action::Abort);
    }

    #[test]
    fn nothing_is_said() {
        let settings = parse(" , ");
        assert_eq!(action(&settings, Misuse::UseAfterClose, "mod.f"), Action::Abort);
        assert_eq!(action(&settings, Misuse::ExceptionPending, ""), Action::Warn);
        assert_eq!(action(&settings, Misuse::LeakedHandle, "mod.f"), Action::Collect);
        assert_eq!(
            (settings.traces(), settings.json(), settings.summary(), settings.all_strings()),
            (None, None, false, false)
        );
    }

    #[test]
    fn actions() {
        let settings = parse("warn, D006=raise,hpy-d001=Abort,D030=ignore,D030=collect");
        assert_eq!(action(&settings, Misuse::ClosedTwice, "mod.f"), Action::Warn);
        assert_eq!(action(&settings, Misuse::LeakedBuilder, "mod.f"), Action::Collect);
        assert_eq!(action(&settings, Misuse::UseAfterClose, "mod.f"), Action::Raise);
        assert_eq!(action(&settings, Misuse::LeakedHandle, "mod.f"), Action::Abort);
        assert_eq!(action(&settings, Misuse::ExceptionPending, "mod.f"), Action::Collect);
    }

    #[test]
    fn suppressions() {
        let settings = parse("raise,suppress=mod.f:D030,suppress=other.*,suppress=*:D001");
        let action = |misuse, caller| action(&settings, misuse, caller);
        assert_eq!(action(Misuse::ExceptionPending, "mod.f"), Action::Ignore);
        assert_eq!(action(Misuse::UseAfterClose, "mod.f"), Action::Raise);
        assert_eq!(action(Misuse::ExceptionPending, "mod.ff"), Action::Raise);
        assert_eq!(action(Misuse::UseAfterClose, "other.T.g"), Action::Ignore);
        assert_eq!(action(Misuse::UseAfterClose, "others.g"), Action::Raise);
        assert_eq!(action(Misuse::LeakedHandle, ""), Action::Ignore);
    }

    #[test]
    fn values() {
        let settings = parse("json=/tmp/a=b c.jsonl , traces=12, summary, strings=all");
        assert_eq!(settings.json(), Some(Path::new("/tmp/a=b c.jsonl")));
        assert_eq!((settings.traces(), settings.summary(), settings.all_strings()), (Some(12), true, true));
    }

    #[test]
    fn errors() {
        let error = |text| Settings::parse(text).expect_err(text);
        let message = error("warn, D999=warn");
        let expected = "HPY_DEBUG: item 2, 'D999=warn' (at character 7): there is no setting or misuse 'D999'. ";
        assert!(message.starts_with(expected) && message.contains(GRAMMAR), "{message}");
        for (text, problem) in [
            ("loud", "there is no such setting"),
            ("collect", "only single misuses can be collected"),
            ("D006=explode", "there is no action 'explode'"),
            ("json=", "the path is missing"),
            ("traces=-1", "'-1' is not a number of frames"),
            ("strings=some", "strings can be 'all', or be left out"),
            ("suppress=", "the function is missing"),
            ("suppress=:D006", "the function is missing"),
            ("suppress=mod.f:D6", "there is no misuse 'D6'"),
            ("suppress=*.f", "a * can only be at the end"),
            ("suppress=mod*", "a * is a whole name, as in mod.*"),
        ] {
            assert!(error(text).contains(&format!("(at character 1): {problem}. ")), "{}", error(text));
        }
    }

    /// One test, because all of it is about what the process shares.
    #[test]
    fn recording() {
        let path = std::env::temp_dir().join(format!("hpy-debug-{}.jsonl", std::process::id()));
        let report = |misuse, caller: &str| Report { caller: caller.to_owned(), ..Report::new(misuse, "") };
        assert_eq!(summary(), None);
        assert!(configure("nonsense").is_err());
        let error = configure("json=/nowhere/at/all").expect_err("no such directory");
        assert!(error.contains("'/nowhere/at/all'"), "{error}");

        configure(&format!("json={},summary,suppress=mod.quiet,D007=ignore", path.display())).expect("settings");
        assert_eq!(summary().as_deref(), Some("HPy's debug mode found nothing."));
        assert_eq!(record(&report(Misuse::UseAfterClose, "mod.f")), Action::Abort);
        assert_eq!(record(&report(Misuse::ClosedTwice, "mod.f")), Action::Ignore);
        assert_eq!(override_action(Some(Action::Raise)), None);
        assert_eq!(record(&report(Misuse::NegativeSize, "mod.f")), Action::Raise);
        assert_eq!(record(&Report { count: 2, ..report(Misuse::NegativeSize, "mod.g") }), Action::Raise);
        assert_eq!(record(&report(Misuse::NegativeSize, "mod.quiet")), Action::Ignore);
        assert_eq!(record(&report(Misuse::LeakedHandle, "mod.f")), Action::Collect);
        assert_eq!(override_action(None), Some(Action::Raise));

        let expected = "HPy's debug mode found:\n  HPY-D054 negative size: 3 times, first in mod.f\n  \
                        HPY-D001 leaked handle: once, in mod.f\n  HPY-D006 use after close: once, in mod.f";
        assert_eq!(summary().as_deref(), Some(expected));
        let written = std::fs::read_to_string(&path).expect("the log");
        assert_eq!(written.lines().count(), 4);
        assert!(written.starts_with(r#"{"id":"HPY-D006""#) && written.ends_with("}\n"));
        std::fs::remove_file(&path).expect("the log");

        for ip in 1..=60 {
            record(&Report { ip, ..report(Misuse::UseAfterClose, "mod.f") });
        }
        assert!(summary().is_some_and(|text| text.lines().count() == 52 && text.ends_with("\n  and 13 more")));
        forget();
        configure("").expect("nothing");
        assert_eq!(summary(), None);
    }
}
