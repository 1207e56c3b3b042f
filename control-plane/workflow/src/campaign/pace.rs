//! No more names a second than the campaign allows.

use tokio::time::Instant;

/// Thousandths of a name.
const NAME: u64 = 1_000;

/// What may be asked for now, on this process's monotonic clock.
#[derive(Debug)]
pub(super) struct Pace {
    credit: u64,
    since: Instant,
}

impl Pace {
    /// Begins with nothing: a process that takes over does not add to what the one before asked.
    pub(super) fn new() -> Self {
        Self { credit: 0, since: Instant::now() }
    }

    /// How many names at this rate, in names a second; never more than a second's worth.
    pub(super) fn allowed(&mut self, rate: u32) -> usize {
        let now = Instant::now();
        let passed = u64::try_from(now.duration_since(self.since).as_millis()).unwrap_or(u64::MAX);
        self.since = now;
        let gained = passed.saturating_mul(u64::from(rate));
        self.credit = self.credit.saturating_add(gained).min(u64::from(rate) * NAME);
        usize::try_from(self.credit / NAME).unwrap_or(usize::MAX)
    }

    /// So many were asked for.
    pub(super) fn spend(&mut self, names: usize) {
        let spent = u64::try_from(names).unwrap_or(u64::MAX).saturating_mul(NAME);
        self.credit = self.credit.saturating_sub(spent);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_second_is_worth_the_rate_and_time_without_asking_is_not_saved_up() {
        let mut pace = Pace::new();
        assert_eq!(pace.allowed(4), 0);
        tokio::time::advance(Duration::from_millis(700)).await;
        assert_eq!(pace.allowed(4), 2);
        pace.spend(2);
        tokio::time::advance(Duration::from_millis(300)).await;
        assert_eq!(pace.allowed(4), 2, "what was not a whole name yet counts");
        tokio::time::advance(Duration::from_secs(3_600)).await;
        assert_eq!(pace.allowed(4), 4);
        assert_eq!(pace.allowed(1), 1, "a lower rate holds at once");
    }
}
