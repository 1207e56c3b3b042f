//! Issuing through the whole line: control plane, Envoy and Pebble.

mod bare;
mod line;
mod listen;

use anyhow::{Context as _, Result, ensure};

use crate::figure::Figure;
use crate::plot::Plot;
use crate::report::{Group, readable};
use crate::{rounds, tell};

/// Rounds of the comparison that count; one before them does not.
const ROUNDS: usize = 3;
/// Certificates of a round.
const CERTIFICATES: usize = 150;
/// Orders that the bare client has in flight: more make it no faster.
const IN_FLIGHT: usize = 64;
/// Domains registered and visited at once, one after the other.
const VISITS: usize = 120;
/// Visits at a time.
const VISITORS: usize = 4;
/// Good domains, and as many that fail, unless `SEALWAX_BENCH_BROKEN` says otherwise.
const BROKEN: usize = 500;

/// Measures the group.
///
/// # Errors
/// A part is missing or fails, or a certificate that should be issued is not.
pub(crate) async fn measure() -> Result<Group> {
    let line = line::Issuing::start().await?;
    let bare = bare::Bare::start().await?;
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for round in 0..=ROUNDS {
        let (mut our, mut their) = (0.0, 0.0);
        for side in rounds::order(round, 2) {
            if side == 0 {
                our = line.issue(&format!("r{round}"), CERTIFICATES).await?;
            } else {
                their = bare.issue(&format!("r{round}"), CERTIFICATES, IN_FLIGHT).await?;
            }
        }
        tell(&format!(
            "round {round} of {ROUNDS}: {} certificates/s, a bare client {}/s",
            readable(our),
            readable(their)
        ));
        if round > 0 {
            ours.push(our);
            theirs.push(their);
        }
    }
    let served = line.register_and_visit(VISITS, VISITORS).await?;
    tell(&format!("registered to served: p50 {} ms", readable(percentile(&served, 50))));
    let broken = broken()?;
    let before = percentile(&line.issue_timed("before", broken).await?, 99);
    line.break_domains(broken).await?;
    let among = percentile(&line.issue_timed("among", broken).await?, 99);
    line.remove_broken(broken).await?;
    let after = percentile(&line.issue_timed("after", broken).await?, 99);
    // Store and CA grow all the while: each takes longer than the one before.
    let alone = f64::midpoint(before, after);
    tell(&format!(
        "p99 of {broken} good domains: {} ms, among as many broken ones {} ms, then {} ms",
        readable(before),
        readable(among),
        readable(after)
    ));
    let plot = Plot::new("acme-rate", "Certificates issued", "certificates/s")
        .bar("sealwax, through Envoy", &ours)
        .bar("instant-acme in a loop", &theirs);
    let figures = vec![
        Figure::of("acme.certs_per_s", "certificates/s", ours.clone()).against(&theirs),
        Figure::of("acme.bare_client_certs_per_s", "certificates/s", theirs.clone()),
        Figure::ratio("acme.bare_client_ratio", &ours, &theirs),
        Figure::of("acme.register_to_served_p50_ms", "ms", vec![percentile(&served, 50)]),
        Figure::of("acme.register_to_served_p99_ms", "ms", vec![percentile(&served, 99)]),
        Figure::of("acme.good_p99_ratio_with_broken", "ratio", vec![among / alone]),
        Figure::of("acme.good_p99_with_broken_ms", "ms", vec![among]).against(&[alone]),
        Figure::of("acme.broken", "domains", vec![as_figure(broken)]),
    ];
    Ok(Group { name: "acme", figures, plots: vec![plot] })
}

fn broken() -> Result<usize> {
    let Ok(said) = std::env::var("SEALWAX_BENCH_BROKEN") else { return Ok(BROKEN) };
    let broken = said.parse().context("SEALWAX_BENCH_BROKEN")?;
    ensure!(broken > 0, "SEALWAX_BENCH_BROKEN is a number of domains");
    Ok(broken)
}

#[expect(clippy::cast_precision_loss, reason = "a few thousand")]
const fn as_figure(count: usize) -> f64 {
    count as f64
}

/// The value that so many of a hundred do not exceed; NaN of nothing.
fn percentile(values: &[f64], percent: usize) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let rank = (sorted.len() * percent).div_ceil(100).max(1) - 1;
    sorted.get(rank).copied().unwrap_or(f64::NAN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percentile_is_the_value_that_so_many_do_not_exceed() {
        let values: Vec<f64> = (1..=200).rev().map(f64::from).collect();
        assert!((percentile(&values, 50) - 100.0).abs() < f64::EPSILON);
        assert!((percentile(&values, 99) - 198.0).abs() < f64::EPSILON);
        assert!((percentile(&[7.0], 99) - 7.0).abs() < f64::EPSILON);
        assert!(percentile(&[], 50).is_nan());
    }
}
