//! What has been counted, for people and programs: the trees of all threads in one.

use std::collections::HashMap;

use hpy_layer::{MEMBERS, names, place};
use serde::Serialize;

use crate::clock;
use crate::host::Line;
use crate::node::{Node, What};
use crate::thread::{self, Thread};

/// Calls of one function from one place. Times are in nanoseconds.
#[derive(Serialize, Default, Debug)]
pub struct Row {
    /// `function` for an extension's, `api` for one of the API.
    pub kind: &'static str,
    /// `wordcount.count`, `HPy_Add`
    pub name: String,
    /// The line of Python that an extension's function is called from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<Line>,
    /// The line of C that a function of the API is called from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub place: Option<String>,
    /// The name that a function of the API was given at the first call, where it takes one in C.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    pub calls: u64,
    #[serde(rename = "self")]
    pub own: u64,
    pub total: u64,
    pub raised: u64,
    #[serde(skip_serializing_if = "is_zero")]
    pub opened: u64,
    #[serde(skip_serializing_if = "is_zero")]
    pub closed: u64,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub children: Vec<Row>,
}

fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// The texts of nodes, which are looked up once.
#[derive(Default)]
pub struct Names {
    known: HashMap<*const Node, (String, Option<String>)>,
}

impl Names {
    /// The name of the function, and the line of C that it is called from.
    pub fn of(&mut self, node: &'static Node) -> (&str, Option<&str>) {
        let make = || (node.name(), node.place());
        let (name, place) = self.known.entry(core::ptr::from_ref(node)).or_insert_with(make);
        (name, place.as_deref())
    }
}

impl Node {
    /// What authors call the function.
    pub fn name(&self) -> String {
        match self.key.what() {
            // A macro or an inline function goes on to some with an underscore.
            What::Api(index) => {
                MEMBERS.get(usize::from(index)).map_or("", |member| member.name.trim_start_matches('_')).to_string()
            }
            What::Function(id) => match names::by_id(id) {
                Some(function) if !function.name.is_empty() => function.name.clone(),
                Some(function) => place::describe(function.address + 1),
                None => "outside of functions".to_string(),
            },
        }
    }

    /// The line of C that the API is called from: `snippet.c:17`.
    fn place(&self) -> Option<String> {
        if matches!(self.key.what(), What::Function(_)) {
            return None;
        }
        let ip = self.key.ip();
        // A function that ends with a jump to the API is not on the stack any more: where it begins has to do.
        let ip = if place::is_own(ip) { self.caller()? + 1 } else { place::authors(ip, &self.details.stack) };
        Some(place::place(ip)?.position())
    }

    /// The address of the extension's function that calls this one.
    fn caller(&self) -> Option<usize> {
        match self.parent?.key.what() {
            What::Function(id) => names::by_id(id).map(|function| function.address),
            What::Api(_) => None,
        }
    }

    fn kind(&self) -> &'static str {
        match self.key.what() {
            What::Api(_) => "api",
            What::Function(_) => "function",
        }
    }
}

/// All calls of all threads, those outside of functions first.
pub fn calls() -> Vec<Row> {
    let roots: Vec<_> = thread::all().into_iter().flat_map(Thread::roots).collect();
    merged(&roots, &mut Names::default())
}

/// The children of some nodes, where those with the same name and place become one. The oldest first.
fn merged(nodes: &[&'static Node], names: &mut Names) -> Vec<Row> {
    let mut groups: Vec<Vec<&'static Node>> = Vec::new();
    let mut known: HashMap<(String, Option<String>, Option<Line>), usize> = HashMap::new();
    for node in nodes {
        let mut children: Vec<_> = node.children().collect();
        children.reverse();
        for child in children {
            let (name, place) = names.of(child);
            let key = (name.to_string(), place.map(str::to_string), child.details.line.clone());
            let group = *known.entry(key).or_insert(groups.len());
            if group == groups.len() {
                groups.push(Vec::new());
            }
            groups[group].push(child);
        }
    }
    groups.iter().filter_map(|group| Some(row(group.first()?, group, names))).collect()
}

fn row(first: &'static Node, group: &[&'static Node], names: &mut Names) -> Row {
    let sum = |count: fn(&Node) -> u64| group.iter().map(|node| count(node)).sum::<u64>();
    let (name, place) = names.of(first);
    Row {
        kind: first.kind(),
        name: name.to_string(),
        line: first.details.line.clone(),
        place: place.map(str::to_string),
        text: first.details.text.clone(),
        calls: sum(|node| node.calls.get()),
        own: clock::nanoseconds(sum(|node| node.own.get())),
        total: clock::nanoseconds(sum(|node| node.total.get())),
        raised: sum(|node| node.raised.get()),
        opened: sum(|node| node.opened.get()),
        closed: sum(|node| node.closed.get()),
        children: merged(group, names),
    }
}

/// As JSON.
pub fn json() -> String {
    serde_json::to_string(&calls()).unwrap_or_default()
}

/// Calls and nanoseconds of each function of the API, by its index.
pub fn totals() -> Vec<(u64, u64)> {
    let mut totals = vec![(0, 0); MEMBERS.len()];
    let mut open: Vec<_> = thread::all().into_iter().flat_map(Thread::roots).collect();
    while let Some(node) = open.pop() {
        if let What::Api(index) = node.key.what()
            && let Some((calls, time)) = totals.get_mut(usize::from(index))
        {
            *calls += node.calls.get();
            *time += node.total.get();
        }
        open.extend(node.children());
    }
    totals.into_iter().map(|(calls, time)| (calls, clock::nanoseconds(time))).collect()
}
