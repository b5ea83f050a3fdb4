//! What is told about a misuse: for people ([`Report::text`]) and for programs ([`Report::json`]).

use std::fmt::{Display, Write as _};
use std::io::Write as _;
use std::sync::atomic::{AtomicI32, Ordering::Relaxed};

use crate::action::Action;
use crate::autogen_misuses::Misuse;
use crate::interpreter;
use hpy_layer::place::{self, Place};

/// The width of the labels, with the space behind them.
const LABEL: usize = 9;

/// A handle was opened or closed.
#[derive(Clone, Debug, Default)]
pub struct Event {
    /// The function of the API, as `HPy_Dup`, or `argument 'arg'`.
    pub by: String,
    /// The return address of the call in the extension, 0 if unknown.
    pub ip: usize,
    /// The function of the extension as Python knows it, `mod.f`, or nothing.
    pub caller: String,
    /// The C stack, if stacks are remembered.
    pub trace: Vec<usize>,
    /// The line of Python, as `app.py:12 in main`.
    pub python: Option<String>,
}

/// A misuse, and all that is known about it.
#[derive(Clone, Debug)]
pub struct Report {
    pub misuse: Misuse,
    /// The function of the API, or nothing.
    pub function: &'static str,
    /// Which of its arguments: the position, from 1, and the name.
    pub argument: Option<(usize, &'static str)>,
    /// What happened, in a sentence.
    pub detail: String,
    /// The object, in words.
    pub object: Option<String>,
    /// The function of the extension as Python knows it, `mod.f`, or nothing.
    pub caller: String,
    /// The return address of the call in the extension, 0 if unknown.
    pub ip: usize,
    /// The line of Python, as `app.py:12 in main`.
    pub python: Option<String>,
    /// The pending exception, in words, and who has set it.
    pub pending: Option<String>,
    pub set: Option<Event>,
    pub opened: Option<Event>,
    pub closed: Option<Event>,
    /// The C stack.
    pub stack: Vec<usize>,
    /// How often, at least 1.
    pub count: u32,
    /// The function answers it with an exception of its own.
    pub is_refused: bool,
    /// The interpreter that it was found in.
    pub interpreter: u16,
}

impl Report {
    pub fn new(misuse: Misuse, detail: impl Into<String>) -> Self {
        Report {
            misuse,
            function: "",
            argument: None,
            detail: detail.into(),
            object: None,
            caller: String::new(),
            ip: 0,
            python: None,
            pending: None,
            set: None,
            opened: None,
            closed: None,
            stack: Vec::new(),
            count: 1,
            is_refused: false,
            interpreter: interpreter::here(),
        }
    }

    /// What happens unless the user says something else.
    pub fn action(&self) -> Action {
        if self.is_refused { Action::Warn } else { self.misuse.action() }
    }

    /// The report as it is printed, and as the exception's message. No newline at its end.
    pub fn text(&self) -> String {
        let mut lines = Lines(self.headline());
        lines.add("object", self.object.as_deref().unwrap_or_default());
        lines.add("call", &self.call());
        lines.add("in", &whereabouts(&self.caller, self.ip));
        lines.add("python", self.python.as_deref().unwrap_or_default());
        lines.add("pending", self.pending.as_deref().unwrap_or_default());
        lines.add("set", &self.set.as_ref().map(Event::text).unwrap_or_default());
        lines.add("opened", &self.opened.as_ref().map(Event::text).unwrap_or_default());
        lines.add("closed", &self.closed.as_ref().map(Event::text).unwrap_or_default());
        lines.add("stack", &numbered(&self.stack));
        lines.add("times", &if self.count > 1 { self.count.to_string() } else { String::new() });
        lines.add("fix", self.misuse.fix());
        lines.add("more", &format!("docs/debug-mode.md#{}", self.misuse.identifier().to_ascii_lowercase()));
        lines.0
    }

    fn headline(&self) -> String {
        let colon = if self.detail.is_empty() { "" } else { ": " };
        format!("{} {}{colon}{}", self.misuse.identifier(), self.misuse.title(), self.detail)
    }

    /// The function and its argument, unless the detail names it.
    fn call(&self) -> String {
        match self.argument {
            _ if self.detail.contains(self.function) => String::new(),
            Some((position, name)) => format!("{}, argument {position} ('{name}')", self.function),
            None => self.function.to_owned(),
        }
    }

    /// One line for the list at exit: `HPY-D006 use after close: 3 times, first in mod.g at snippet.c:17`.
    pub fn summary_line(&self) -> String {
        let often = if self.count > 1 { format!("{} times, first", self.count) } else { "once,".to_owned() };
        let place = match (self.caller.as_str(), place::place(self.ip)) {
            ("", _) => format!("at {}", place::describe(self.ip)),
            (caller, None) => format!("in {caller}"),
            (caller, Some(place)) => format!("in {caller} at {}", place.position()),
        };
        format!("{} {}: {often} {place}", self.misuse.identifier(), self.misuse.title())
    }

    /// The report as a JSON object in one line. What is unknown is null.
    pub fn json(&self) -> String {
        let argument =
            |(position, name): (usize, &str)| Object::new().raw("position", position).text("name", Some(name)).end();
        Object::new()
            .text("id", Some(self.misuse.identifier()))
            .text("title", Some(self.misuse.title()))
            .text("detail", Some(&self.detail))
            .text("function", known(self.function))
            .raw("argument", or_null(self.argument.map(argument)))
            .text("object", self.object.as_deref())
            .text("caller", known(&self.caller))
            .raw("place", or_null(place::place(self.ip).as_ref().map(place_json)))
            .text("python", self.python.as_deref())
            .text("pending", self.pending.as_deref())
            .raw("set", or_null(self.set.as_ref().map(Event::json)))
            .raw("opened", or_null(self.opened.as_ref().map(Event::json)))
            .raw("closed", or_null(self.closed.as_ref().map(Event::json)))
            .raw("stack", stack_json(&self.stack))
            .raw("count", self.count)
            .text("fix", Some(self.misuse.fix()))
            .end()
    }
}

impl Event {
    /// `by HPy_Dup in mod.f, at snippet.c:9 (f_impl)`, then the lines of the Python frame and the stack.
    fn text(&self) -> String {
        let by = match self.by.as_str() {
            "" => String::new(),
            // An argument was opened by nobody in the extension.
            by if by.starts_with("argument") => format!("as {by} "),
            by => format!("by {by} "),
        };
        let place = match whereabouts(&self.caller, self.ip) {
            place if place.is_empty() => place,
            place if self.caller.is_empty() => format!("at {place}"),
            place => format!("in {place}"),
        };
        let first = format!("{by}{place}").trim_end().to_owned();
        let python = self.python.as_ref().map(|python| format!("from {python}")).unwrap_or_default();
        let lines = [first, python, numbered(&self.trace)];
        lines.into_iter().filter(|line| !line.is_empty()).collect::<Vec<_>>().join("\n")
    }

    fn json(&self) -> String {
        Object::new()
            .text("by", known(&self.by))
            .text("caller", known(&self.caller))
            .raw("place", or_null(place::place(self.ip).as_ref().map(place_json)))
            .text("python", self.python.as_deref())
            .raw("stack", stack_json(&self.trace))
            .end()
    }
}

/// `mod.g, at snippet.c:17 (g_impl)`, or as much of it as is known.
fn whereabouts(caller: &str, ip: usize) -> String {
    match (caller, ip) {
        (caller, 0) => caller.to_owned(),
        ("", ip) => place::describe(ip),
        (caller, ip) => format!("{caller}, at {}", place::describe(ip)),
    }
}

/// Writes a text for people to stderr. If it is closed or full, nobody reads it, and that is nobody's fault.
pub fn print(text: impl Display) {
    let _ = writeln!(std::io::stderr(), "{text}");
}

/// Where the last report goes before the process ends, if not to stderr: a file descriptor, or -1.
static LAST_WORDS: AtomicI32 = AtomicI32::new(-1);

/// The last report is also written to this descriptor, which stays open: stderr may be something that nobody reads when the process has
/// ended. -1 for none.
pub fn set_last_words(descriptor: i32) {
    LAST_WORDS.store(descriptor, Relaxed);
}

/// Writes a text when the process is about to end.
pub fn print_last(text: impl Display) {
    let descriptor = LAST_WORDS.load(Relaxed);
    if descriptor >= 0 {
        let text = format!("{text}\n");
        let mut rest = text.as_bytes();
        while !rest.is_empty() {
            // SAFETY: the pointer has so many bytes. Any number may be a descriptor.
            let written = unsafe { libc::write(descriptor, rest.as_ptr().cast(), rest.len() as _) };
            match usize::try_from(written) {
                Ok(written @ 1..) => rest = rest.get(written..).unwrap_or_default(),
                _ => break,
            }
        }
        return;
    }
    print(text);
}

/// The frames of a stack, each with its number, each in a line.
fn numbered(stack: &[usize]) -> String {
    let frames = place::frames(stack);
    frames.iter().enumerate().map(|(number, frame)| format!("#{number} {frame}")).collect::<Vec<_>>().join("\n")
}

/// A headline and labelled lines under it.
struct Lines(String);

impl Lines {
    /// Adds a value, if it is not empty. Its further lines go under the first one.
    fn add(&mut self, label: &str, value: &str) {
        let mut label = label;
        for line in value.lines() {
            // Writing to a string can't fail.
            let _ = write!(self.0, "\n  {label:<LABEL$}{line}");
            label = "";
        }
    }
}

/// A JSON object in the making. Its members keep their order.
struct Object(String);

impl Object {
    fn new() -> Self {
        Object(String::new())
    }

    /// Adds what is JSON already.
    fn raw(mut self, name: &str, json: impl Display) -> Self {
        let comma = if self.0.is_empty() { "" } else { "," };
        let _ = write!(self.0, "{comma}{}:{json}", quoted(name));
        self
    }

    fn text(self, name: &str, text: Option<&str>) -> Self {
        self.raw(name, or_null(text.map(quoted)))
    }

    fn end(self) -> String {
        format!("{{{}}}", self.0)
    }
}

fn place_json(place: &Place) -> String {
    Object::new()
        .text("file", place.file.as_deref())
        .raw("line", or_null(place.line))
        .text("function", place.function.as_deref())
        .text("module", place.module.as_deref())
        .raw("offset", place.offset)
        .end()
}

fn stack_json(stack: &[usize]) -> String {
    let places = stack.iter().filter(|ip| **ip != 0).flat_map(|ip| place::places(*ip));
    format!("[{}]", places.map(|place| place_json(&place)).collect::<Vec<_>>().join(","))
}

fn or_null(value: Option<impl Display>) -> String {
    value.map_or_else(|| "null".to_owned(), |value| value.to_string())
}

fn known(text: &str) -> Option<&str> {
    (!text.is_empty()).then_some(text)
}

fn quoted(text: &str) -> String {
    let mut json = String::with_capacity(text.len() + 2);
    json.push('"');
    for character in text.chars() {
        match character {
            '"' | '\\' => json.extend(['\\', character]),
            '\n' => json.push_str("\\n"),
            character if character.is_control() => {
                let _ = write!(json, "\\u{:04x}", u32::from(character));
            }
            character => json.push(character),
        }
    }
    json.push('"');
    json
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As in the documentation, but without addresses.
    fn example() -> Report {
        let event = |by: &str| Event { by: by.to_owned(), caller: "mod.f".to_owned(), ..Event::default() };
        Report {
            function: "HPy_Length",
            argument: Some((1, "obj")),
            object: Some("str 'hello\nleaks!'".to_owned()),
            caller: "mod.g".to_owned(),
            python: Some("app.py:12 in main".to_owned()),
            opened: Some(Event { python: Some("app.py:3 in main".to_owned()), ..event("argument 'arg'") }),
            closed: Some(event("HPy_Close")),
            ..Report::new(Misuse::UseAfterClose, "HPy_Length got a closed handle as 'obj' (argument 1)")
        }
    }

    #[test]
    fn text() {
        let expected = "\
HPY-D006 use after close: HPy_Length got a closed handle as 'obj' (argument 1)
  object   str 'hello
           leaks!'
  in       mod.g
  python   app.py:12 in main
  opened   as argument 'arg' in mod.f
           from app.py:3 in main
  closed   by HPy_Close in mod.f
  fix      Close the handle behind its last use, or keep a second one made with HPy_Dup.
  more     docs/debug-mode.md#hpy-d006";
        assert_eq!(example().text(), expected);
    }

    #[test]
    fn text_with_addresses() {
        let text = Report {
            ip: 0x11,
            stack: vec![0x11, 0, 0x12],
            count: 2,
            closed: Some(Event { by: "HPy_Close".to_owned(), ip: 0x13, trace: vec![0x14], ..Event::default() }),
            ..example()
        }
        .text();
        assert!(text.contains("\n  in       mod.g, at 0x10\n"), "{text}");
        assert!(text.contains("\n  closed   by HPy_Close at 0x12\n           #0 0x13\n"), "{text}");
        assert!(text.contains("\n  stack    #0 0x10\n           #1 0x11\n  times    2\n"), "{text}");
    }

    #[test]
    fn the_call_is_told_once() {
        let report = Report { detail: "Invalid usage of already closed handle".to_owned(), ..example() };
        assert!(report.text().contains("\n  call     HPy_Length, argument 1 ('obj')\n"), "{}", report.text());
        assert!(!Report { function: "", ..report }.text().contains("  call "));
    }

    #[test]
    fn summaries() {
        let report = Report { count: 3, ..example() };
        assert_eq!(report.summary_line(), "HPY-D006 use after close: 3 times, first in mod.g");
        let report = Report { ip: 0x11, ..report };
        assert_eq!(report.summary_line(), "HPY-D006 use after close: 3 times, first in mod.g at 0x10");
        let report = Report { count: 1, caller: String::new(), ip: 0, ..report };
        assert_eq!(report.summary_line(), "HPY-D006 use after close: once, at an unknown place");
    }

    #[test]
    fn json() {
        let report = Report { ip: 0x11, closed: None, opened: None, stack: vec![0x12], ..example() };
        let place = |offset| format!(r#"{{"file":null,"line":null,"function":null,"module":null,"offset":{offset}}}"#);
        let expected = [
            r#"{"id":"HPY-D006","title":"use after close","#,
            r#""detail":"HPy_Length got a closed handle as 'obj' (argument 1)","#,
            r#""function":"HPy_Length","argument":{"position":1,"name":"obj"},"#,
            r#""object":"str 'hello\nleaks!'","caller":"mod.g","place":"#,
            &place(16),
            r#","python":"app.py:12 in main","pending":null,"set":null,"opened":null,"closed":null,"stack":["#,
            &place(17),
            r#"],"count":1,"#,
            r#""fix":"Close the handle behind its last use, or keep a second one made with HPy_Dup."}"#,
        ];
        assert_eq!(report.json(), expected.concat());
        let opened =
            r#""opened":{"by":"argument 'arg'","caller":"mod.f","place":null,"python":"app.py:3 in main","stack":[]}"#;
        assert!(example().json().contains(opened), "{}", example().json());
        assert_eq!(quoted("\"\\\t\u{e9}"), "\"\\\"\\\\\\u0009\u{e9}\"");
    }
}
