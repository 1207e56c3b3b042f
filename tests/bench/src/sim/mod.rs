//! A year of a million domains through every scenario, and the fault simulation's seeds.

use anyhow::{Context as _, Result, ensure};
use sealwax_sim::run_seeds;
use serde::Deserialize;
use tokio::process::Command;
use tokio::time::Instant;

use crate::figure::Figure;
use crate::plot::Plot;
use crate::programs::output;
use crate::report::{Group, readable};
use crate::tell;

const SCENARIOS: [&str; 5] = ["steady", "import", "outage", "revocation", "lifetimes"];
const DOMAINS: &str = "1000000";
const DAYS: &str = "365";
/// Other seeds than the tests'.
const SEEDS: std::ops::Range<u64> = 1_000_000..1_020_000;
const THREADS: usize = 2;

#[derive(Deserialize)]
struct Simulated {
    expired: f64,
    limit_violations: f64,
    peak_to_mean: f64,
    orders: f64,
    revoked: Option<Revoked>,
    imported: Option<Imported>,
}

#[derive(Deserialize)]
struct Revoked {
    hours: f64,
}

#[derive(Deserialize)]
struct Imported {
    hours: f64,
}

/// Measures the group.
///
/// # Errors
/// The program is missing or fails, or a seed does.
pub(crate) async fn measure() -> Result<Group> {
    let mut took = Plot::new("sim-seconds", "A year of a million domains", "s");
    let (mut seconds, mut expired, mut violations) = (Vec::new(), Vec::new(), Vec::new());
    let mut figures = Vec::new();
    for name in SCENARIOS {
        let (simulated, secs) = year(name).await?;
        tell(&format!("{name}: {} s, {} orders", readable(secs), readable(simulated.orders)));
        took = took.bar(name, &[secs]);
        seconds.push(secs);
        expired.push(simulated.expired);
        violations.push(simulated.limit_violations);
        if name == "steady" {
            figures.push(one("sim.peak_to_mean", "ratio", simulated.peak_to_mean));
        }
        if let Some(revoked) = simulated.revoked {
            figures.push(one("sim.revoked_replaced_h", "h", revoked.hours));
        }
        if let Some(imported) = simulated.imported {
            figures.push(one("sim.import_50k_h", "h", imported.hours));
        }
        figures.push(one(&format!("sim.1m_365d_{name}_s"), "s", secs));
    }
    // The slowest scenario, what happened in all of them.
    figures.push(Figure { runs: seconds.clone(), ..one("sim.1m_365d_s", "s", most(&seconds)) });
    figures.push(Figure { runs: expired.clone(), ..one("sim.expired", "1", sum(&expired)) });
    let sum = sum(&violations);
    figures.push(Figure { runs: violations, ..one("sim.limit_violations", "1", sum) });
    figures.push(seeds().await?);
    Ok(Group { name: "sim", figures, plots: vec![took] })
}

/// The built program, as a user runs it.
async fn year(scenario: &str) -> Result<(Simulated, f64)> {
    let mut program = Command::new(sealwax_testkit::sealwax_binary()?);
    program.args(["simulate", "--domains", DOMAINS, "--days", DAYS, "--scenario", scenario]);
    program.arg("--json");
    let began = Instant::now();
    let said = output(&mut program).await?;
    let took = began.elapsed().as_secs_f64();
    let simulated = serde_json::from_str(&said).context("what it prints cannot be read")?;
    Ok((simulated, took))
}

async fn seeds() -> Result<Figure> {
    let began = Instant::now();
    let run = || run_seeds(&SEEDS.collect::<Vec<_>>(), THREADS);
    let reports = tokio::task::spawn_blocking(run).await?;
    let failed: Vec<_> = reports.iter().filter(|report| !report.broken.is_empty()).collect();
    let story = failed.first().map(|report| report.story()).unwrap_or_default();
    let seeds: Vec<u64> = failed.iter().map(|report| report.seed).collect();
    ensure!(failed.is_empty(), "the seeds {seeds:?} failed; the first of them:\n{story}");
    let passed = f64::from(u32::try_from(reports.len())?);
    tell(&format!("{passed} seeds in {:.0} s", began.elapsed().as_secs_f64()));
    Ok(one("sim.seeds_passed", "1", passed))
}

fn one(name: &str, unit: &str, value: f64) -> Figure {
    Figure::of(name, unit, vec![value])
}

fn most(values: &[f64]) -> f64 {
    values.iter().copied().fold(0.0, f64::max)
}

fn sum(values: &[f64]) -> f64 {
    values.iter().sum()
}
