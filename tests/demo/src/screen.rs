//! What the person in front of the demo sees.

use std::io::Write as _;
use std::time::Duration;

use tokio::time::Instant;

/// Prints steps, each with the time it took.
pub(crate) struct Screen {
    last: Instant,
}

impl Screen {
    pub(crate) fn new() -> Self {
        Self { last: Instant::now() }
    }

    pub(crate) fn heading(&mut self, text: &str) {
        self.line(&format!("\n{text}"));
        self.last = Instant::now();
    }

    /// A step that took all the time since the last one.
    pub(crate) fn step(&mut self, text: &str) {
        let took = self.last.elapsed();
        self.timed(took, text);
    }

    /// A step whose time was measured more closely.
    pub(crate) fn timed(&mut self, took: Duration, text: &str) {
        self.line(&format!("  {:>8}  {text}", spelled(took)));
        self.last = Instant::now();
    }

    /// A line as it is. Nobody is left to tell when standard output is gone; the demo goes on
    /// until it is asked to end.
    pub(crate) fn line(&mut self, text: &str) {
        let mut out = std::io::stdout().lock();
        writeln!(out, "{text}").and_then(|()| out.flush()).ok();
    }
}

fn spelled(took: Duration) -> String {
    if took < Duration::from_secs(1) {
        format!("{} ms", took.as_millis())
    } else {
        format!("{:.2} s", took.as_secs_f64())
    }
}
