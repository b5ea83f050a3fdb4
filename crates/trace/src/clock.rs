//! Time, in ticks of what is quickest to read.

use std::sync::OnceLock;

use quanta::Clock;

static CLOCK: OnceLock<Clock> = OnceLock::new();

/// Finds out how long a tick is, which takes a moment: before anything is measured.
pub fn start() {
    CLOCK.get_or_init(Clock::new);
}

/// The time, from no particular beginning. It may go back a little where a thread moves to another processor, on machines whose
/// processors do not count alike.
#[inline(always)]
pub fn now() -> u64 {
    // Started before there is a context.
    CLOCK.get().map_or(0, Clock::raw)
}

/// How many nanoseconds this many ticks are.
pub fn nanoseconds(ticks: u64) -> u64 {
    CLOCK.get().map_or(0, |clock| clock.delta_as_nanos(0, ticks))
}

/// How finely the clock tells times apart, in Hertz; what is shown is in nanoseconds, so at most 10⁹.
pub fn frequency() -> u64 {
    start();
    let many: u64 = 1 << 32;
    let ticks_per_second = u128::from(many) * 1_000_000_000 / u128::from(nanoseconds(many).max(1));
    u64::try_from(ticks_per_second).unwrap_or(u64::MAX).min(1_000_000_000)
}

/// A time on a thread, in ticks.
#[derive(Clone, Copy)]
pub struct Moment {
    pub now: u64,
    /// How many of them were nobody's.
    pub lost: u64,
}

impl Moment {
    /// The ticks since another one that count.
    #[inline(always)]
    pub fn since(self, earlier: Moment) -> u64 {
        self.now.saturating_sub(earlier.now).saturating_sub(self.lost - earlier.lost)
    }
}
