//! Single calls, which the [timeline](crate::timeline) shows.

use crate::node::Node;

/// A call that has returned.
#[derive(Clone, Copy)]
pub struct Event {
    pub node: &'static Node,
    /// In ticks of the [clock](crate::clock), as is the end.
    pub start: u64,
    pub end: u64,
}
