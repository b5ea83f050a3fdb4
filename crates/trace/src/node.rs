//! The tree of calls: under each function of an extension the functions of the API that it calls, under these what Python calls
//! from there, and so on.
//!
//! A tree belongs to one thread, which alone writes to it. Others may read it at any time: nodes are never freed, and counters are
//! atomic, though only in the sense that one sees no halves of them.

use core::cell::{Cell, UnsafeCell};
use core::ptr::null_mut;
use core::sync::atomic::{AtomicPtr, AtomicU64, AtomicUsize, Ordering::*};

use crate::clock::Moment;
use crate::host::{Line, Site};

/// What is called, and from where.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Key {
    what: usize,
    place: Site,
}

const FUNCTION: usize = 1 << 32;

/// What is called.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub enum What {
    /// A function of the API, by its index.
    Api(u16),
    /// A function of an extension, by its number.
    Function(u32),
}

impl Key {
    /// A function of the API, called from C code at an address.
    #[inline(always)]
    pub fn api(index: u16, ip: usize) -> Key {
        Key { what: usize::from(index), place: (ip, 0) }
    }

    /// A function of an extension, called from a line of Python.
    #[inline(always)]
    pub fn function(id: u32, site: Site) -> Key {
        Key { what: FUNCTION | id as usize, place: site }
    }

    /// The same for a line, whichever way its place was told.
    pub fn in_line(self, line: u32) -> Key {
        Key { place: (self.place.0, !(line as usize)), ..self }
    }

    /// The same function, from wherever.
    pub fn anywhere(self) -> Key {
        Key { place: (0, 0), ..self }
    }

    /// Whether both are places in the same code.
    pub fn has_code_of(self, other: Key) -> bool {
        self.place.0 == other.place.0
    }

    pub fn what(self) -> What {
        match self.what & FUNCTION {
            0 => What::Api(self.what as u16),
            _ => What::Function(self.what as u32),
        }
    }

    /// The address that the API is called from.
    pub fn ip(self) -> usize {
        self.place.0
    }

    #[inline(always)]
    fn hash(self) -> usize {
        let mixed = (self.what ^ self.place.0 ^ self.place.1.rotate_left(24)) as u64;
        (mixed.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 40) as usize
    }
}

/// What is said of a place when it is seen first.
#[derive(Default)]
pub struct Details {
    /// The line of Python that a function of an extension is called from.
    pub line: Option<Line>,
    /// The name that a function of the API is given in C.
    pub text: Option<String>,
    /// The addresses further out on the C stack.
    pub stack: Vec<usize>,
}

/// A number that one thread adds to, and all may read.
#[derive(Default)]
pub struct Count(AtomicU64);

impl Count {
    #[inline(always)]
    pub fn add(&self, more: u64) {
        // Not at once: nobody else writes.
        self.0.store(self.0.load(Relaxed).wrapping_add(more), Relaxed);
    }

    pub fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

/// Calls of one function from one place, in turn from one place, and so on.
pub struct Node {
    pub key: Key,
    pub parent: Option<&'static Node>,
    pub details: Details,
    pub calls: Count,
    /// Ticks in the function itself, without what is below.
    pub own: Count,
    /// Ticks from the first call to its return, however often it calls itself meanwhile.
    pub total: Count,
    /// Calls that ended with an exception.
    pub raised: Count,
    /// Handles that a function of an extension was given by the API, and those that it closed or returned.
    pub opened: Count,
    pub closed: Count,
    /// How many of its calls have not returned yet.
    active: Cell<u32>,
    /// The youngest child, and the next older one of the same parent.
    youngest: AtomicPtr<Node>,
    older: Option<&'static Node>,
    table: UnsafeCell<Table>,
}

// SAFETY: what is no counter is written by the thread that the tree belongs to, or before the node can be seen.
unsafe impl Sync for Node {}
// SAFETY: what is no counter is written by the thread that the tree belongs to, or before the node can be seen; a tree is handed from a
// thread that ended to one that starts.
unsafe impl Send for Node {}

/// Open addressing, as long as a power of two, at most three quarters full.
#[derive(Default)]
struct Table {
    entries: Box<[Option<(Key, &'static Node)>]>,
    used: usize,
}

impl Table {
    #[inline(always)]
    fn get(&self, key: Key) -> Option<&'static Node> {
        let mask = self.entries.len().wrapping_sub(1);
        let mut index = key.hash();
        loop {
            // An empty table has no entry at all.
            let (found, node) = (*self.entries.get(index & mask)?)?;
            if found == key {
                return Some(node);
            }
            index += 1;
        }
    }

    fn insert(&mut self, key: Key, node: &'static Node) {
        if self.used * 4 >= self.entries.len() * 3 {
            let bigger = vec![None; (self.entries.len() * 2).max(8)].into_boxed_slice();
            for (key, node) in core::mem::replace(&mut self.entries, bigger).into_iter().flatten() {
                self.put(key, node);
            }
        }
        self.put(key, node);
        self.used += 1;
    }

    fn put(&mut self, key: Key, node: &'static Node) {
        let mask = self.entries.len() - 1;
        let mut index = key.hash() & mask;
        while self.entries[index].is_some() {
            index = (index + 1) & mask;
        }
        self.entries[index] = Some((key, node));
    }
}

/// With so many nodes, new ways to a function are no longer told apart: trees of functions that call each other could grow for ever.
const ENOUGH: usize = 100_000;

static NODES: AtomicUsize = AtomicUsize::new(0);

pub fn are_enough() -> bool {
    NODES.load(Relaxed) >= ENOUGH
}

impl Node {
    /// The root of a tree: what is outside of all calls.
    pub fn root() -> &'static Node {
        Node::new(Key { what: usize::MAX, place: (0, 0) }, Details::default(), None)
    }

    fn new(key: Key, details: Details, parent: Option<&'static Node>) -> &'static Node {
        NODES.fetch_add(1, Relaxed);
        let older = parent.and_then(|parent| parent.children().next());
        let node = Box::leak(Box::new(Node {
            key,
            parent,
            details,
            calls: Count::default(),
            own: Count::default(),
            total: Count::default(),
            raised: Count::default(),
            opened: Count::default(),
            closed: Count::default(),
            active: Cell::new(0),
            youngest: AtomicPtr::new(null_mut()),
            older,
            table: UnsafeCell::default(),
        }));
        if let Some(parent) = parent {
            parent.youngest.store(core::ptr::from_mut(node), Release);
        }
        node
    }

    /// The node for a call from here, on the tree's own thread. None if there has been no such call.
    #[inline(always)]
    pub fn known(&self, key: Key) -> Option<&'static Node> {
        // SAFETY: the tree's thread alone uses the table, and does not run other code while it does.
        unsafe { (*self.table.get()).get(key) }
    }

    /// Makes the node for a call from here, on the tree's own thread. A function that is being called already, from the same line,
    /// keeps its node: recursion is seen as a loop.
    #[cold]
    pub fn learn(&'static self, key: Key, details: Details) -> &'static Node {
        let outwards = || core::iter::successors(Some(self), |node| node.parent);
        let node = outwards().find(|node| node.key == key).unwrap_or_else(|| {
            let is_too_much = are_enough() && matches!(key.what(), What::Function(_));
            let parent = outwards().last().filter(|_| is_too_much).unwrap_or(self);
            parent.known(key).unwrap_or_else(|| Node::new(key, details, Some(parent)))
        });
        self.know_as(key, node);
        if let Some(parent) = node.parent.filter(|parent| parent.known(key).is_none()) {
            parent.know_as(key, node);
        }
        node
    }

    /// From now on [`Node::known`] gives this node for the key.
    pub fn know_as(&self, key: Key, node: &'static Node) {
        // SAFETY: the table is used by the thread that has the tree, and nothing in here runs other code.
        unsafe { (*self.table.get()).insert(key, node) };
    }

    /// The youngest first. Any thread may ask.
    pub fn children(&self) -> impl Iterator<Item = &'static Node> + use<> {
        // SAFETY: null, or a node, which is never freed.
        let youngest: Option<&'static Node> = unsafe { self.youngest.load(Acquire).as_ref() };
        core::iter::successors(youngest, |node| node.older)
    }

    /// The node itself, or the nearest one above it, that has a call which has not returned: where time is spent once a call ends. The
    /// call around it may have ended before, as greenlets change the stack that is running.
    #[inline(always)]
    pub fn nearest_active(&'static self) -> &'static Node {
        let mut node = self;
        while let Some(parent) = node.parent
            && node.active.get() == 0
        {
            node = parent;
        }
        node
    }

    #[inline(always)]
    pub fn begin(&self) {
        self.calls.add(1);
        self.active.set(self.active.get() + 1);
    }

    #[inline(always)]
    pub fn end(&self, start: Moment, end: Moment) {
        let active = self.active.get().saturating_sub(1);
        self.active.set(active);
        if active == 0 {
            self.total.add(end.since(start));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn child(node: &'static Node, key: Key) -> &'static Node {
        node.known(key).unwrap_or_else(|| node.learn(key, Details::default()))
    }

    #[test]
    fn keys() {
        assert_eq!(Key::api(7, 0x1234).what(), What::Api(7));
        assert_eq!(Key::function(7, (1, 2)).what(), What::Function(7));
        assert!(Key::api(7, 0) != Key::function(7, (0, 0)));
    }

    #[test]
    fn each_place_has_its_node() {
        let root = Node::root();
        let keys: Vec<_> = (0..1000).map(|place| Key::api(80, place)).collect();
        let nodes: Vec<_> = keys.iter().map(|key| child(root, *key)).collect();
        for (key, node) in keys.iter().zip(&nodes) {
            assert!(core::ptr::eq(child(root, *key), *node) && node.key == *key);
        }
        assert_eq!(root.children().count(), 1000);
        assert!(core::ptr::eq(root.children().last().unwrap(), nodes[0]));
    }

    #[test]
    fn recursion_is_a_loop() {
        let root = Node::root();
        let (f, call) = (Key::function(1, (10, 0)), Key::api(80, 5));
        let outer = child(root, f);
        let between = child(outer, call);
        let inner = child(between, f);
        assert!(core::ptr::eq(outer, inner));
        assert!(core::ptr::eq(child(inner, call), between));
        assert_eq!(between.children().count(), 0);
        // From another line it is another one.
        assert!(!core::ptr::eq(child(between, Key::function(1, (11, 0))), outer));
    }

    #[test]
    fn an_ended_call_gives_way_to_the_one_around_it() {
        let root = Node::root();
        let f = child(root, Key::function(1, (10, 0)));
        let call = child(f, Key::api(80, 5));
        f.begin();
        call.begin();
        assert!(core::ptr::eq(call.nearest_active(), call));
        let now = Moment { now: 0, lost: 0 };
        call.end(now, now);
        assert!(core::ptr::eq(call.nearest_active(), f));
        f.end(now, now);
        assert!(core::ptr::eq(call.nearest_active(), root));
    }

    #[test]
    fn a_total_is_counted_once() {
        let f = child(Node::root(), Key::function(1, (10, 0)));
        f.begin();
        f.begin();
        let at = |now, lost| Moment { now, lost };
        f.end(at(20, 0), at(30, 0));
        f.end(at(10, 0), at(40, 5));
        assert_eq!((f.calls.get(), f.total.get()), (2, 25));
    }
}
