//! A child process with its log, that never outlives its owner.
//!
//! Three things end it: [`Process::kill`], dropping the value, and the death of the thread that
//! started it, by whatever signal (`setpriv --pdeathsig`, since asking the kernel for that oneself
//! would take unsafe code). It leads a process group of its own, so a Ctrl-C in the terminal
//! reaches its owner first, and its own children end with it.

use std::fs::File;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use rustix::process::{Pid, Signal, kill_process_group};

use crate::wait_until;

/// Lines of the log shown when a test fails.
const TAIL_LINES: usize = 60;

/// A running program.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Starts `program` with what `arrange` adds to it; everything it prints goes to `log`, which
    /// is appended to, so that one file tells of a part across its restarts.
    ///
    /// # Errors
    /// The program or the log cannot be opened.
    pub fn start(
        name: &str,
        program: &Path,
        log: &Path,
        arrange: impl FnOnce(&mut Command),
    ) -> Result<Self> {
        let output = File::options()
            .create(true)
            .append(true)
            .open(log)
            .with_context(|| format!("cannot open {}", log.display()))?;
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL", "--"]).arg(program);
        arrange(&mut command);
        let child = command
            .stdin(Stdio::null())
            .stdout(output.try_clone()?)
            .stderr(output)
            .process_group(0)
            .spawn()
            .with_context(|| format!("cannot start {name} ({})", program.display()))?;
        Ok(Self { name: name.to_owned(), child, log: log.to_owned() })
    }

    /// The process id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Everything it has printed so far.
    #[must_use]
    pub fn log(&self) -> String {
        std::fs::read(&self.log)
            .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
            .unwrap_or_default()
    }

    /// Waits until `ready` sees something in the log or elsewhere; until then its error says what
    /// is missing.
    ///
    /// # Errors
    /// The bound is reached, or the process ends first; with the end of its log.
    pub async fn ready<T>(
        &mut self,
        what: &str,
        within: Duration,
        mut ready: impl AsyncFnMut(&str) -> Result<T>,
    ) -> Result<T> {
        let what = format!("{} to {what}", self.name);
        let mut missing = None;
        let seen = wait_until(&what, within, async || {
            if let Ok(Some(status)) = self.child.try_wait() {
                return Some(Err(status));
            }
            ready(&self.log()).await.map_err(|error| missing = Some(error)).ok().map(Ok)
        });
        match seen.await {
            Ok(Ok(seen)) => Ok(seen),
            Ok(Err(status)) => bail!("{} ended with {status}:\n{}", self.name, self.log_tail()),
            Err(late) => {
                let missing = missing.map_or_else(String::new, |error| format!(": {error:#}"));
                bail!("{late}{missing}\n{}", self.log_tail())
            }
        }
    }

    /// Ends it as `kill -9` does, and waits until it is gone.
    pub fn kill(&mut self) {
        self.signal(Signal::KILL);
        // It fails only for a child that was waited for before.
        self.child.wait().ok();
    }

    /// Asks it to end (SIGTERM) and waits until it has.
    ///
    /// # Errors
    /// It did not end in time.
    pub async fn terminate(&mut self, within: Duration) -> Result<ExitStatus> {
        self.signal(Signal::TERM);
        let what = format!("{} to end after SIGTERM", self.name);
        wait_until(&what, within, async || self.child.try_wait().ok().flatten()).await
    }

    /// Whether it runs.
    #[must_use]
    pub fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Waits until it ends by itself.
    ///
    /// # Errors
    /// It still runs.
    pub async fn ended(&mut self, within: Duration) -> Result<ExitStatus> {
        let what = format!("{} to end", self.name);
        wait_until(&what, within, async || self.child.try_wait().ok().flatten()).await
    }

    fn signal(&mut self, signal: Signal) {
        // A process that was waited for has given its number back.
        if !self.is_running() {
            return;
        }
        if let Some(group) = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw) {
            kill_process_group(group, signal).ok();
        }
    }

    fn log_tail(&self) -> String {
        let log = self.log();
        let lines: Vec<&str> = log.lines().collect();
        let skipped = lines.len().saturating_sub(TAIL_LINES);
        let tail: Vec<&str> = lines.into_iter().skip(skipped).collect();
        format!("--- {} ({skipped} lines before)\n{}\n---", self.name, tail.join("\n"))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
        if std::thread::panicking() {
            report(&self.log_tail());
        }
    }
}

#[expect(clippy::print_stderr, reason = "the log of a part belongs to the failed test's output")]
fn report(text: &str) {
    eprintln!("{text}");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::PATIENCE;

    fn shell(script: &str, log: &Path) -> Process {
        let arrange = |command: &mut Command| {
            command.args(["-c", script]);
        };
        Process::start("sh", Path::new("/bin/sh"), log, arrange).unwrap()
    }

    #[tokio::test]
    async fn a_dropped_process_takes_its_children_along() {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("log");
        let mut process = shell("sleep 1000 & echo child $!; wait", &log);
        let child: u32 = process
            .ready("name its child", PATIENCE, async |log| {
                Ok(log.strip_prefix("child ").context("nothing yet")?.trim().parse()?)
            })
            .await
            .unwrap();
        let entry = PathBuf::from(format!("/proc/{child}/stat"));
        assert!(entry.exists());
        drop(process);
        // The orphan is reaped by init, or stays a zombie where init does not reap.
        let gone = wait_until("the child to end", PATIENCE, async || {
            let stat = std::fs::read_to_string(&entry).unwrap_or_default();
            (stat.is_empty() || stat.contains(") Z ")).then_some(())
        });
        gone.await.unwrap();
    }

    #[tokio::test]
    async fn a_process_that_ends_early_is_reported_with_its_log() {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("log");
        let mut process = shell("echo no such port; exit 3", &log);
        let error = process
            .ready("listen", PATIENCE, async |_| bail!("silent") as Result<()>)
            .await
            .unwrap_err();
        let text = error.to_string();
        assert!(text.contains("exit status: 3") && text.contains("no such port"), "{text}");
    }
}
