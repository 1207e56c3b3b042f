//! `sealwax-bench [--only GROUP]` measures and writes `target/bench/report.json`, `report.md` and
//! plots. `make bench` builds what it needs in release and runs it; docs/benchmarks.md says what
//! the figures mean.
//!
//! What a ratio compares is measured in turns within one run, on one machine, so that whatever else
//! the machine does meets both sides.

mod acme;
mod figure;
mod filter;
mod machine;
mod plot;
mod programs;
mod report;
mod rounds;
mod sim;
mod store;
mod xds;

use std::io::Write as _;
use std::process::ExitCode;

use anyhow::{Context as _, Result, bail};

use crate::report::{Group, Report};

/// The groups there are, in the order they run.
const GROUPS: [&str; 5] = ["filter", "xds", "store", "acme", "sim"];

// The parts end when the thread that started them does, so they are started from this one; the
// servers that a group runs in this program are on the workers.
#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> ExitCode {
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tell(&format!("sealwax-bench: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<()> {
    let only = only(std::env::args().skip(1))?;
    let mut groups = Vec::new();
    for name in GROUPS {
        if only.as_deref().is_none_or(|only| only == name) {
            tell(&format!("== {name}"));
            groups.push(measure(name).await.with_context(|| format!("the group {name}"))?);
        }
    }
    let report = Report::new(groups)?;
    for path in report.write()? {
        tell(&format!("wrote {}", path.display()));
    }
    Ok(())
}

async fn measure(name: &str) -> Result<Group> {
    match name {
        "filter" => filter::measure().await,
        "xds" => xds::measure().await,
        "acme" => acme::measure().await,
        "sim" => sim::measure().await,
        "store" => store::measure().await,
        other => bail!("there is no group {other}; there are: {}", GROUPS.join(", ")),
    }
}

fn only(mut arguments: impl Iterator<Item = String>) -> Result<Option<String>> {
    let mut only = None;
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--only" => only = Some(arguments.next().context("--only needs a group")?),
            other => bail!("unknown argument {other}; usage: sealwax-bench [--only GROUP]"),
        }
    }
    match only {
        Some(only) if !GROUPS.contains(&only.as_str()) => {
            bail!("there is no group {only}; there are: {}", GROUPS.join(", "))
        }
        only => Ok(only),
    }
}

/// A line about the progress, to standard error.
fn tell(line: &str) {
    // Nothing is left to do where even standard error cannot be written.
    drop(writeln!(std::io::stderr(), "{line}"));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(arguments: &[&str]) -> Result<Option<String>> {
        only(arguments.iter().map(|&argument| argument.to_owned()))
    }

    #[test]
    fn a_group_is_chosen_by_name_and_an_unknown_one_is_refused() {
        assert_eq!(read(&[]).unwrap(), None);
        assert_eq!(read(&["--only", "filter"]).unwrap().as_deref(), Some("filter"));
        for refused in [&["--only"][..], &["--only", "nothing"], &["filter"]] {
            assert!(read(refused).is_err(), "{refused:?}");
        }
    }
}
