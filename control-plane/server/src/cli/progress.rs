//! How far long work has come, on a terminal.

use std::time::Duration;

use tokio::time::Instant;

use super::output::{say, stderr_is_terminal};

/// How often the line is written anew.
const EVERY: Duration = Duration::from_millis(200);

/// A line that is written over and over; silent unless standard error is a terminal.
pub(super) struct Progress {
    shown: bool,
    started: Instant,
    /// What was done before that.
    before: u64,
    written: Option<Instant>,
    /// Lines there are in all, where that is known.
    total: Option<u64>,
}

impl Progress {
    pub(super) fn new(total: Option<u64>) -> Self {
        Self::from(0, total)
    }

    /// Of work of which so much was done before.
    pub(super) fn from(before: u64, total: Option<u64>) -> Self {
        Self { shown: stderr_is_terminal(), started: Instant::now(), before, written: None, total }
    }

    /// There are so many in all.
    pub(super) const fn of(&mut self, total: Option<u64>) {
        self.total = total;
    }

    /// So many are done, so many of them failed.
    pub(super) fn at(&mut self, done: u64, failed: u64) {
        let due = self.written.is_none_or(|written| written.elapsed() >= EVERY);
        if self.shown && due {
            self.written = Some(Instant::now());
            let elapsed = self.started.elapsed();
            let line = line(done, failed, self.total, done.saturating_sub(self.before), elapsed);
            say(&format!("\r\u{1b}[K{line}"));
        }
    }

    /// Takes the line away.
    pub(super) fn end(&mut self) {
        if self.shown && self.written.is_some() {
            say("\r\u{1b}[K");
        }
    }
}

/// `1200 of 5000, 3 failed, 400/s, 9s left`
fn line(done: u64, failed: u64, total: Option<u64>, here: u64, elapsed: Duration) -> String {
    let millis = u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX).max(1);
    let rate = here.saturating_mul(1000) / millis;
    let mut line = match total {
        Some(total) => format!("{done} of {total}"),
        None => done.to_string(),
    };
    if failed > 0 {
        line.push_str(&format!(", {failed} failed"));
    }
    line.push_str(&format!(", {rate}/s"));
    if let Some(total) = total.filter(|_| rate > 0) {
        line.push_str(&format!(", {}s left", total.saturating_sub(done) / rate));
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_says_rate_failures_and_time_left() {
        let elapsed = Duration::from_secs(3);
        assert_eq!(
            line(1200, 3, Some(5000), 1200, elapsed),
            "1200 of 5000, 3 failed, 400/s, 9s left"
        );
        assert_eq!(line(1200, 0, Some(5000), 600, elapsed), "1200 of 5000, 200/s, 19s left");
        assert_eq!(line(0, 0, Some(5), 0, Duration::ZERO), "0 of 5, 0/s");
        assert_eq!(line(10, 0, None, 10, elapsed), "10, 3/s");
    }
}
