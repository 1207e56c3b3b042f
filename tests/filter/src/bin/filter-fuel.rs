//! Prints what the filter costs, in fuel and bytes.
//!
//! `filter-fuel [--hosts N] [--check | --write-baseline]` prints the figures as JSON. `--check`
//! fails if one is more than 5 % above `tests/filter/baseline.json`.

use std::io::Write;
use std::process::ExitCode;

use sealwax_filter_tests::cost::{Failure, OFF_PERCENT_MAX, baseline, baseline_path, measure};
use sealwax_filter_tests::program;
use serde_json::{Map, Value, json};

/// Hosts in the growth measurement, unless told otherwise.
const HOSTS: u32 = 1_000_000;

fn main() -> ExitCode {
    match run() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            drop(writeln!(std::io::stderr(), "filter-fuel: {error}"));
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<bool, Failure> {
    let mut hosts = HOSTS;
    let (mut check, mut write) = (false, false);
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--check" => check = true,
            "--write-baseline" => write = true,
            "--hosts" => hosts = arguments.next().ok_or("--hosts needs a number")?.parse()?,
            other => return Err(format!("unknown argument {other}").into()),
        }
    }
    let measured = measure(&program()?, hosts)?;
    if write {
        let baseline: Map<_, _> =
            measured.iter().map(|cost| (cost.name.to_owned(), json!(cost.value))).collect();
        std::fs::write(baseline_path(), format!("{:#}\n", Value::Object(baseline)))?;
    }
    let baseline = baseline()?;
    let mut figures = Vec::new();
    let mut worse = Vec::new();
    for cost in measured {
        let before = baseline.get(cost.name).and_then(Value::as_u64);
        figures.push(json!({"name": cost.name, "value": cost.value, "unit": cost.unit,
            "baseline": before, "runs": [cost.value]}));
        let before = before.ok_or_else(|| format!("{} has no baseline", cost.name))?;
        if cost.is_worse_than(before) {
            worse.push(format!("{}: {} {}, baseline {before}", cost.name, cost.value, cost.unit));
        }
    }
    writeln!(std::io::stdout(), "{:#}", json!({ "figures": figures }))?;
    if check {
        for line in &worse {
            writeln!(std::io::stderr(), "more than {OFF_PERCENT_MAX} % worse: {line}")?;
        }
    }
    Ok(!check || worse.is_empty())
}
