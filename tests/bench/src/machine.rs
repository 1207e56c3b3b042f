//! What it was measured on.

use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use sealwax_testkit::checkout;

/// The processor, the cores, the memory and the kernel, in one line.
pub(crate) fn machine() -> String {
    let read = |path| std::fs::read_to_string(path).unwrap_or_default();
    let after = |text: &str, key: &str| {
        let line = text.lines().find(|line| line.starts_with(key));
        line.and_then(|line| Some(line.split_once(':')?.1.trim().to_owned()))
    };
    let processor = after(&read("/proc/cpuinfo"), "model name");
    let processor = processor.unwrap_or_else(|| std::env::consts::ARCH.to_owned());
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let memory_kb = after(&read("/proc/meminfo"), "MemTotal").unwrap_or_default();
    let memory_kb = memory_kb.split(' ').next().and_then(|kb| kb.parse::<u64>().ok());
    let memory_gb = memory_kb.unwrap_or(0).div_ceil(1 << 20);
    let kernel = read("/proc/sys/kernel/osrelease");
    format!("{processor}, {cores} cores, {memory_gb} GB, Linux {}", kernel.trim())
}

/// How many programs want to run, on average over the last minute.
pub(crate) fn load() -> Option<f64> {
    let load = std::fs::read_to_string("/proc/loadavg").ok()?;
    load.split(' ').next()?.parse().ok()
}

/// The commit that was measured, with `-dirty` when the checkout is not it.
///
/// # Errors
/// The checkout is no repository.
pub(crate) fn commit() -> Result<String> {
    let output = Command::new("git")
        .args(["describe", "--always", "--abbrev=40", "--dirty", "--exclude=*"])
        .current_dir(checkout()?)
        .output()
        .context("git")?;
    ensure!(output.status.success(), "git describe: {}", String::from_utf8_lossy(&output.stderr));
    Ok(String::from_utf8(output.stdout)?.trim().to_owned())
}
