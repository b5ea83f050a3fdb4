//! Single calls with their times, for programs that show traces: Perfetto, speedscope, `chrome://tracing`.

use core::sync::atomic::{AtomicBool, AtomicU64, Ordering::*};
use std::io::{self, BufWriter, Write};
use std::path::Path;
use std::sync::PoisonError;

use serde::Serialize;
use serde_json::json;

use crate::clock::{self, Moment};
use crate::event::Event;
use crate::node::{Node, What};
use crate::recording::Names;
use crate::thread::{self, Thread};

/// Whether calls are kept.
pub static IS_KEPT: AtomicBool = AtomicBool::new(false);
static LIMIT: AtomicU64 = AtomicU64::new(0);
static KEPT: AtomicU64 = AtomicU64::new(0);
static DROPPED: AtomicU64 = AtomicU64::new(0);

/// From now on calls are kept, so many of them. What was kept before is forgotten.
pub fn start(limit: u64) {
    IS_KEPT.store(false, Release);
    for thread in thread::all() {
        thread.events.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
    KEPT.store(0, Relaxed);
    DROPPED.store(0, Relaxed);
    LIMIT.store(limit, Relaxed);
    IS_KEPT.store(true, Release);
}

/// No more calls are kept. Gives how many were, and how many were too many.
pub fn stop() -> (u64, u64) {
    IS_KEPT.store(false, Release);
    let dropped = DROPPED.load(Relaxed);
    (KEPT.load(Relaxed).saturating_sub(dropped), dropped)
}

#[cold]
pub fn keep(thread: &'static Thread, node: &'static Node, start: Moment, end: Moment) {
    if KEPT.fetch_add(1, Relaxed) >= LIMIT.load(Relaxed) {
        DROPPED.fetch_add(1, Relaxed);
        return;
    }
    thread.events.lock().unwrap_or_else(PoisonError::into_inner).push(Event { node, start: start.now, end: end.now });
}

/// A call in the format of `chrome://tracing`, which the others read too. Times in microseconds.
#[derive(Serialize)]
struct Complete<'a> {
    ph: &'static str,
    pid: u32,
    tid: usize,
    ts: f64,
    dur: f64,
    name: &'a str,
    cat: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    args: Option<Args<'a>>,
}

#[derive(Serialize)]
struct Args<'a> {
    #[serde(rename = "from")]
    place: &'a str,
}

/// Writes what has been kept to a file.
pub fn write(path: &Path) -> io::Result<()> {
    let mut file = BufWriter::new(std::fs::File::create(path)?);
    let threads = thread::all();
    let events = |thread: &&'static Thread| thread.events.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let events: Vec<_> = threads.iter().map(|thread| (thread.number, events(thread))).collect();
    let first = events.iter().flat_map(|(_, events)| events).map(|event| event.start).min().unwrap_or(0);
    let microseconds = |ticks: u64| clock::nanoseconds(ticks) as f64 / 1000.0;
    let mut names = Names::default();
    write!(file, "{{\"displayTimeUnit\": \"ns\", \"traceEvents\": [")?;
    let mut separator = "\n";
    for (tid, events) in events {
        if !events.is_empty() {
            let args = json!({ "name": format!("thread {tid}") });
            let thread =
                json!({ "ph": "M", "pid": std::process::id(), "tid": tid, "name": "thread_name", "args": args });
            write!(file, "{separator}{thread}")?;
            separator = ",\n";
        }
        for Event { node, start, end } in events {
            let (name, place) = names.of(node);
            let line = node.details.line.as_ref().map(|line| format!("{}:{}", line.file, line.line));
            let category = match node.key.what() {
                What::Api(_) => "api",
                What::Function(_) => "extension",
            };
            let event = Complete {
                ph: "X",
                pid: std::process::id(),
                tid,
                ts: microseconds(start.saturating_sub(first)),
                dur: microseconds(end.saturating_sub(start)),
                name,
                cat: category,
                args: place.or(line.as_deref()).map(|place| Args { place }),
            };
            file.write_all(separator.as_bytes())?;
            serde_json::to_writer(&mut file, &event)?;
            separator = ",\n";
        }
    }
    file.write_all(b"\n]}\n")?;
    file.flush()
}
