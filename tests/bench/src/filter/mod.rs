//! What the filter costs: deterministically in fuel and bytes, and in requests through Envoy.

mod edge;
mod envoy;
mod wrk;

use anyhow::{Context as _, Result, ensure};
use sealwax_testkit::{Origin, http};
use tokio::process::Command;

use crate::figure::Figure;
use crate::plot::Plot;
use crate::programs::{beside, figures};
use crate::report::{Group, readable};
use crate::{rounds, tell};
use edge::Edge;
use envoy::{Bench, VARIANTS};
use wrk::Load;

/// Rounds that count; one before them does not.
const ROUNDS: usize = 7;
/// The domain that all requests are for. The control plane's answer is that it is ready.
const DOMAIN: &str = "blog.example.com";

/// Measures the group.
///
/// # Errors
/// A part is missing or fails, or a variant does not do what it is measured for.
pub(crate) async fn measure() -> Result<Group> {
    // A figure that is more than 5 % above its baseline fails the group.
    let mut all = figures(Command::new(beside("filter-fuel")?).arg("--check")).await?;
    let loads = through_envoy().await?;
    let runs = |variant: usize, of: fn(&Load) -> f64| -> Vec<f64> {
        loads.get(variant).into_iter().flatten().map(of).collect()
    };
    let rate = |variant| runs(variant, |load| load.per_s);
    let [none, ours, lua, ext_authz, empty] = [rate(0), rate(1), rate(2), rate(3), rate(4)];
    all.push(Figure::ratio("filter.passthrough_ratio", &ours, &none));
    all.push(Figure::ratio("filter.lua_ratio", &ours, &lua));
    all.push(Figure::ratio("filter.ext_authz_ratio", &ours, &ext_authz));
    all.push(Figure::ratio("filter.empty_ratio", &ours, &empty));
    let mut rates = Plot::new("filter-rate", "Requests through one Envoy worker", "requests/s");
    let mut slow = Plot::new("filter-p99", "Slowest request in a hundred", "ms");
    for (index, variant) in VARIANTS.iter().enumerate() {
        let name = |what: &str| format!("filter.{}_{what}", variant.name);
        let (p50, p99) = (runs(index, |load| load.p50_ms), runs(index, |load| load.p99_ms));
        rates = rates.bar(variant.label, &rate(index));
        slow = slow.bar(variant.label, &p99);
        all.push(Figure::of(&name("per_s"), "requests/s", rate(index)).against(&none));
        all.push(Figure::of(&name("p50_ms"), "ms", p50));
        all.push(Figure::of(&name("p99_ms"), "ms", p99));
    }
    Ok(Group { name: "filter", figures: all, plots: vec![rates, slow] })
}

/// The loads of each round, by variant.
async fn through_envoy() -> Result<Vec<Vec<Load>>> {
    let origin = Origin::start().await?;
    let edge = Edge::start(DOMAIN).await?;
    let bench = Bench::start(origin.address(), edge.address()).await?;
    for (index, variant) in VARIANTS.iter().enumerate() {
        let told = || format!("the variant {}", variant.name);
        prove(&bench, &edge, index).await.with_context(told)?;
    }
    let mut loads = vec![Vec::new(); VARIANTS.len()];
    for round in 0..=ROUNDS {
        let mut line = format!("round {round} of {ROUNDS}:");
        for index in rounds::order(round, VARIANTS.len()) {
            let verdicts = edge.verdicts();
            let load = wrk::run(bench.address(index)?, DOMAIN).await?;
            let (Some(variant), Some(loads)) = (VARIANTS.get(index), loads.get_mut(index)) else {
                continue;
            };
            ensure!(edge.verdicts() == verdicts, "{}: asked again for a verdict", variant.name);
            line.push_str(&format!(" {} {}/s", variant.name, readable(load.per_s)));
            if round > 0 {
                loads.push(load);
            }
        }
        tell(&line);
    }
    Ok(loads)
}

/// That a variant passes requests on, and knows the verdict of the domain from the first one on.
async fn prove(bench: &Bench, edge: &Edge, index: usize) -> Result<()> {
    let variant = VARIANTS.get(index).context("no such variant")?;
    let before = (edge.verdicts(), edge.checks());
    for _ in 0..3 {
        let answer = http::get(bench.address(index)?, DOMAIN, wrk::PATH).await?;
        let wanted = format!("origin: {DOMAIN}{}\n", wrk::PATH);
        ensure!(answer.text() == wanted, "{} {}", answer.status, answer.text());
    }
    let asked = (edge.verdicts() - before.0, edge.checks() - before.1);
    let wanted = variant.verdicts_and_checks;
    ensure!(asked == wanted, "verdicts asked for and checks: {asked:?}, not {wanted:?}");
    Ok(())
}
