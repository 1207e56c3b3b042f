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
    let mut line = match total {
        Some(total) => format!("{done} of {total}"),
        None => done.to_string(),
    };
    if failed > 0 {
        line.push_str(&format!(", {failed} failed"));
    }
    line.push_str(&format!(", {}/s", rate(here, millis)));
    if let Some(total) = total
        && let Some(left) = total.saturating_sub(done).saturating_mul(millis).checked_div(here)
    {
        line.push_str(&format!(", {} left", spelled(left / 1000)));
    }
    line
}

/// To a tenth where it is slow: a campaign may do one in some seconds.
fn rate(here: u64, millis: u64) -> String {
    let tenths = here.saturating_mul(10_000) / millis;
    if tenths == 0 || tenths >= 100 {
        return (tenths / 10).to_string();
    }
    format!("{}.{}", tenths / 10, tenths % 10)
}

fn spelled(secs: u64) -> String {
    match secs {
        0..120 => format!("{secs}s"),
        120..7_200 => format!("{}min", secs / 60),
        _ => format!("{}h {}min", secs / 3_600, secs / 60 % 60),
    }
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
        assert_eq!(line(10, 0, None, 10, elapsed), "10, 3.3/s");
    }

    #[test]
    fn slow_and_long_work_has_a_rate_and_a_time_left_too() {
        let elapsed = Duration::from_secs(4);
        assert_eq!(line(1, 0, Some(10), 1, elapsed), "1 of 10, 0.2/s, 36s left");
        assert_eq!(line(400, 0, Some(60_400), 400, elapsed), "400 of 60400, 100/s, 10min left");
        let million = line(400, 0, Some(1_000_000), 400, elapsed);
        assert_eq!(million, "400 of 1000000, 100/s, 2h 46min left");
    }
}
