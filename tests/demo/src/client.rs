//! Ordinary clients: `curl` and `openssl`, as anyone would call them.

use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, Result};
use tokio::process::Command;
use tokio::time::{Instant, timeout};

const TIME_MAX: Duration = Duration::from_secs(30);

/// What a command said.
pub(crate) struct Said {
    pub(crate) took: Duration,
    pub(crate) success: bool,
    /// Standard output, then standard error.
    pub(crate) text: String,
}

impl Said {
    /// The first line that holds `part`.
    pub(crate) fn line_with(&self, part: &str) -> Result<&str> {
        let line = self.text.lines().find(|line| line.contains(part));
        line.map(str::trim).with_context(|| format!("no {part:?} in:\n{}", self.text))
    }
}

/// Runs a command line; words are separated by single spaces.
pub(crate) async fn run(command_line: &str) -> Result<Said> {
    let mut words = command_line.split(' ');
    let program = words.next().unwrap_or_default();
    let started = Instant::now();
    let output = Command::new(program).args(words).stdin(Stdio::null()).kill_on_drop(true).output();
    let output = timeout(TIME_MAX, output)
        .await
        .with_context(|| format!("`{command_line}` took more than {TIME_MAX:?}"))?
        .with_context(|| format!("cannot run `{command_line}`"))?;
    let took = started.elapsed();
    let mut text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.push_str(&String::from_utf8_lossy(&output.stderr));
    Ok(Said { took, success: output.status.success(), text })
}
