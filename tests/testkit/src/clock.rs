//! A clock of its own for a program under test, which the test sets forward: five minutes of a
//! CA's silence, or the months of a certificate, without waiting for them.
//!
//! A few lines of C are preloaded into the program; they add what a file says to what the kernel
//! says. Everything of the product is as it is in production.

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use tempfile::TempDir;

const SOURCE: &str = include_str!("clock.c");
const LIBRARY: &str = "clock.so";
const AHEAD: &str = "ahead";

/// How far a program's clocks, the wall's and the monotonic one, are ahead of the machine's.
#[derive(Debug)]
pub struct TestClock {
    folder: TempDir,
    file: File,
    ahead_ns: AtomicU64,
}

impl TestClock {
    /// One that agrees with the machine's.
    ///
    /// # Errors
    /// There is no C compiler, `cc`, which Rust needs too.
    pub fn new() -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let source = folder.path().join("clock.c");
        std::fs::write(&source, SOURCE)?;
        let built = Command::new("cc")
            .args(["-shared", "-fPIC", "-O1", "-o", LIBRARY, "clock.c"])
            .current_dir(folder.path())
            .output()
            .context("cannot run cc")?;
        ensure!(built.status.success(), "cc: {}", String::from_utf8_lossy(&built.stderr));
        let file = File::create(folder.path().join(AHEAD))?;
        file.write_all_at(&0_u64.to_ne_bytes(), 0)?;
        Ok(Self { folder, file, ahead_ns: AtomicU64::new(0) })
    }

    /// How far it is ahead.
    #[must_use]
    pub fn ahead(&self) -> Duration {
        Duration::from_nanos(self.ahead_ns.load(Ordering::Relaxed))
    }

    /// Sets it forward at once, as after the machine slept.
    ///
    /// # Errors
    /// Its file cannot be written.
    pub fn forward(&self, by: Duration) -> Result<()> {
        let by = u64::try_from(by.as_nanos())?;
        let ahead = self.ahead_ns.fetch_add(by, Ordering::Relaxed) + by;
        Ok(self.file.write_all_at(&ahead.to_ne_bytes(), 0)?)
    }

    /// Lets time pass in steps, with `pause` of real time after each for what is due then: what is
    /// asked and answered within a pause takes no time.
    ///
    /// # Errors
    /// Its file cannot be written.
    pub async fn pass(&self, time: Duration, step: Duration, pause: Duration) -> Result<()> {
        let mut left = time;
        while !left.is_zero() {
            let now = left.min(step);
            self.forward(now)?;
            left -= now;
            tokio::time::sleep(pause).await;
        }
        Ok(())
    }

    /// Puts it into a program that starts.
    pub(crate) fn arrange(&self, command: &mut Command) {
        let file = |name: &str| -> std::path::PathBuf { Path::new(self.folder.path()).join(name) };
        command.env("LD_PRELOAD", file(LIBRARY)).env("SEALWAX_TEST_CLOCK", file(AHEAD));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(clock: &TestClock) -> u64 {
        let mut date = Command::new("date");
        clock.arrange(&mut date);
        let output = date.arg("+%s").output().unwrap();
        String::from_utf8(output.stdout).unwrap().trim().parse().unwrap()
    }

    #[test]
    fn a_program_goes_by_the_clock_it_was_given() {
        let clock = TestClock::new().unwrap();
        let before = told(&clock);
        clock.forward(Duration::from_millis(86_400_700)).unwrap();
        let after = told(&clock);
        assert!((86_400..86_420).contains(&(after - before)), "{before} {after}");
        assert_eq!(clock.ahead(), Duration::from_millis(86_400_700));
    }
}
