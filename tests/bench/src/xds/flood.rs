//! Envoy's memory while far more names pass through it than its budget has room for.

use std::time::Duration;

use anyhow::{Context as _, Result};
use sealwax_testkit::Process;
use tokio::time::MissedTickBehavior;

use super::certificates::Certificates;
use super::handshakes::{Outcome, Visits};
use super::sides::Ours;
use crate::figure::Figure;
use crate::tell;

/// Certificates Envoy may hold.
const BUDGET: usize = 10_000;
/// Names right below the zone of a wildcard certificate, each of them a certificate to Envoy.
const KNOWN: usize = 100_000;
/// Names nobody registered.
const UNKNOWN: usize = 1_000_000;
/// Names made and visited at a time.
const BATCH: usize = 10_000;
const ZONE: &str = "customer.example";
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Envoy's largest resident size while all of them pass, against its size with a full budget.
///
/// # Errors
/// A part is missing, or a handshake does not end as it should.
pub(super) async fn measure() -> Result<Vec<Figure>> {
    let certificates = Certificates::wildcard(ZONE)?;
    let keys = format!("budget_names = {BUDGET}\nwildcard_zones = [\"{ZONE}\"]\n");
    let ours = Ours::start_with(&certificates, &keys).await?;
    let mut envoy = ours.envoy().await?;
    let client = certificates.client()?;
    let visits = Visits { client: &client, address: envoy.https() };
    let empty = resident_mb(envoy.process())?;
    run(&visits, BUDGET, |n| format!("early-{n}.{ZONE}"), Outcome::Served).await?;
    let budget = resident_mb(envoy.process())?;
    tell(&format!("Envoy has {empty:.0} MB without and {budget:.0} MB with {BUDGET} certificates"));

    let pass = async {
        let known = run(&visits, KNOWN, |n| format!("shop-{n}.{ZONE}"), Outcome::Served).await?;
        let unknown =
            run(&visits, UNKNOWN, |n| format!("n{n}.nobody.example"), Outcome::Refused).await?;
        anyhow::Ok((known, unknown))
    };
    let mut pass = std::pin::pin!(pass);
    let mut peak = budget;
    let mut looks = tokio::time::interval(LOOK_EVERY);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (known, unknown) = loop {
        tokio::select! {
            passed = &mut pass => break passed?,
            _ = looks.tick() => peak = peak.max(resident_mb(envoy.process())?),
        }
    };
    tell(&format!("Envoy had {peak:.0} MB at most; {known:.0} known and {unknown:.0} unknown /s"));
    Ok(vec![
        Figure::of("xds.envoy_rss_over_budget", "ratio", vec![peak / budget]),
        Figure::of("xds.envoy_rss_peak_mb", "MB", vec![peak]).against(&[budget]),
        Figure::of("xds.flood_known_per_s", "handshakes/s", vec![known]),
        Figure::of("xds.flood_unknown_per_s", "handshakes/s", vec![unknown]),
    ])
}

/// One handshake for each name; handshakes a second.
async fn run(
    visits: &Visits<'_>,
    count: usize,
    name: impl Fn(usize) -> String,
    wanted: Outcome,
) -> Result<f64> {
    let started = tokio::time::Instant::now();
    for batch in 0..count.div_ceil(BATCH) {
        let from = batch * BATCH;
        let names: Vec<_> = (from..count.min(from + BATCH)).map(&name).collect();
        visits.all(&names, wanted).await?;
    }
    Ok(f64::from(u32::try_from(count)?) / started.elapsed().as_secs_f64())
}

fn resident_mb(process: &Process) -> Result<f64> {
    let status = std::fs::read_to_string(format!("/proc/{}/status", process.id()))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kilobytes = line.context("no VmRSS")?.trim().trim_end_matches(" kB").trim();
    Ok(kilobytes.parse::<f64>()? / 1024.0)
}
