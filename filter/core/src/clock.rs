//! Time inside the filter: milliseconds that never run backwards.

/// Milliseconds since the filter was configured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Instant(u64);

impl Instant {
    /// This much later.
    #[must_use]
    pub const fn after_ms(self, ms: u64) -> Self {
        Self(self.0.saturating_add(ms))
    }

    /// Milliseconds from `earlier` to here; 0 if it is later.
    #[must_use]
    pub const fn since_ms(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

/// Turns the proxy's wall clock, the only one a module can read, into [`Instant`]s. A wall clock
/// set back stands still here instead, so no lifetime or deadline is stretched.
#[derive(Clone, Copy, Debug, Default)]
pub struct Clock {
    wall_ms: u64,
    elapsed_ms: u64,
}

const NS_PER_MS: u64 = 1_000_000;

impl Clock {
    /// A clock that starts now.
    #[must_use]
    pub const fn new(wall_ns: u64) -> Self {
        Self { wall_ms: wall_ns / NS_PER_MS, elapsed_ms: 0 }
    }

    /// Takes a reading of the wall clock.
    pub const fn read(&mut self, wall_ns: u64) {
        self.advance(wall_ns / NS_PER_MS, 0);
    }

    /// A tick of `period_ms` has passed, whatever the wall clock says, and if it says anything.
    pub fn tick(&mut self, wall_ns: Option<u64>, period_ms: u64) {
        let wall_ms = wall_ns.map_or(self.wall_ms, |wall_ns| wall_ns / NS_PER_MS);
        self.advance(wall_ms, period_ms);
    }

    const fn advance(&mut self, wall_ms: u64, at_least_ms: u64) {
        let passed = wall_ms.saturating_sub(self.wall_ms);
        self.elapsed_ms =
            self.elapsed_ms.saturating_add(if passed > 0 { passed } else { at_least_ms });
        self.wall_ms = wall_ms;
    }

    /// Now, as of the last reading.
    #[must_use]
    pub const fn now(&self) -> Instant {
        Instant(self.elapsed_ms)
    }

    /// The wall clock's milliseconds since 1970 at `instant`, for what workers share.
    #[must_use]
    pub const fn to_wall_ms(&self, instant: Instant) -> u64 {
        self.wall_ms.saturating_add(instant.0.saturating_sub(self.elapsed_ms))
    }

    /// The reverse of [`Self::to_wall_ms`]; what lies in the past is now.
    #[must_use]
    pub const fn from_wall_ms(&self, wall_ms: u64) -> Instant {
        Instant(self.elapsed_ms.saturating_add(wall_ms.saturating_sub(self.wall_ms)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wall_clock_set_back_does_not_stretch_deadlines() {
        let mut clock = Clock::new(5_000 * NS_PER_MS);
        let deadline = clock.now().after_ms(300);
        clock.tick(Some(1_000 * NS_PER_MS), 200);
        assert_eq!(clock.now().since_ms(Instant::default()), 200);
        clock.tick(Some(1_100 * NS_PER_MS), 200);
        assert!(clock.now() >= deadline);
    }

    #[test]
    fn without_a_wall_clock_ticks_are_time() {
        let mut clock = Clock::new(0);
        for _ in 0..3 {
            clock.tick(None, 200);
        }
        assert_eq!(clock.now().since_ms(Instant::default()), 600);
    }

    #[test]
    fn shared_times_survive_the_way_through_the_wall_clock() {
        let mut clock = Clock::new(5_000 * NS_PER_MS);
        clock.read(5_250 * NS_PER_MS);
        let later = clock.now().after_ms(1_000);
        assert_eq!(clock.to_wall_ms(later), 6_250);
        assert_eq!(clock.from_wall_ms(6_250), later);
        assert_eq!(clock.from_wall_ms(10), clock.now());
    }
}
