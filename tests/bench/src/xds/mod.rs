//! What delivery costs: cold handshakes and unknown names through real Envoy, against a trivial
//! server; and the figures of the control plane's own program, which need no Envoy.

mod certificates;
mod flood;
mod handshakes;
mod sides;

use anyhow::{Context as _, Result};
use tokio::process::Command;

use crate::figure::Figure;
use crate::plot::Plot;
use crate::programs::figures;
use crate::report::{Group, readable};
use crate::{rounds, tell};
pub(crate) use certificates::Certificates;
use handshakes::{Outcome, Visits};
pub(crate) use sides::put;
use sides::{Ours, Trivial};

/// Rounds that count; one before them does not.
const ROUNDS: usize = 5;
/// Names of a round, each with its certificate.
const NAMES: usize = 4_000;
/// Unknown names of a round.
const UNKNOWN: usize = 8_000;

/// Measures the group.
///
/// # Errors
/// A part is missing or fails.
pub(crate) async fn measure() -> Result<Group> {
    let certificates = Certificates::make(NAMES)?;
    let mut sides = Sides {
        trivial: Trivial::start(&certificates).await?,
        ours: Ours::start(&certificates).await?,
        names: certificates.names().to_vec(),
        client: certificates.client()?,
    };
    let mut runs = Runs::default();
    for round in 0..=ROUNDS {
        let mut measured = Runs::default();
        for side in rounds::order(round, 2) {
            if side == 0 {
                sides.trivial(&mut measured).await?
            } else {
                sides.ours(&mut measured).await?
            }
        }
        tell(&format!("round {round} of {ROUNDS}: {}", measured.line()));
        if round > 0 {
            runs.extend(measured);
        }
    }
    drop(sides);
    let mut group = runs.group();
    group.figures.extend(flood::measure().await.context("names passing through Envoy")?);
    tell("without Envoy: cargo bench -p sealwax-xds");
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut program = Command::new(cargo);
    program.args(["bench", "--quiet", "-p", "sealwax-xds", "--bench", "xds"]);
    program.current_dir(sealwax_testkit::checkout()?);
    group.figures.extend(figures(&mut program).await.context("cargo bench -p sealwax-xds")?);
    Ok(group)
}

struct Sides {
    trivial: Trivial,
    ours: Ours,
    names: Vec<String>,
    client: sealwax_testkit::TlsVisitor,
}

impl Sides {
    async fn trivial(&self, measured: &mut Runs) -> Result<()> {
        let envoy = self.trivial.envoy(&self.ours).await?;
        let visits = Visits { client: &self.client, address: envoy.https() };
        measured.trivial.push(visits.all(&self.names, Outcome::Served).await?);
        measured.trivial_unknown.push(visits.all(&unknown(), Outcome::Refused).await?);
        Ok(())
    }

    async fn ours(&mut self, measured: &mut Runs) -> Result<()> {
        // Nothing in its memory: every name is read from the store and its key decrypted.
        self.ours.restart().await?;
        let envoy = self.ours.envoy().await?;
        let visits = Visits { client: &self.client, address: envoy.https() };
        measured.store.push(visits.all(&self.names, Outcome::Served).await?);
        drop(envoy);
        // Now all of them are in its memory, and this Envoy has none.
        let envoy = self.ours.envoy().await?;
        let visits = Visits { client: &self.client, address: envoy.https() };
        measured.cache.push(visits.all(&self.names, Outcome::Served).await?);
        measured.unknown.push(visits.all(&unknown(), Outcome::Refused).await?);
        Ok(())
    }
}

fn unknown() -> Vec<String> {
    (0..UNKNOWN).map(|index| format!("nobody-{index:05}.customer.example")).collect()
}

/// Handshakes a second, and the time in milliseconds that all but one in a hundred took.
#[derive(Clone, Copy, Debug)]
struct Rate {
    per_s: f64,
    p99_ms: f64,
}

#[derive(Default)]
struct Runs {
    trivial: Vec<Rate>,
    cache: Vec<Rate>,
    store: Vec<Rate>,
    trivial_unknown: Vec<Rate>,
    unknown: Vec<Rate>,
}

impl Runs {
    fn extend(&mut self, more: Self) {
        self.trivial.extend(more.trivial);
        self.cache.extend(more.cache);
        self.store.extend(more.store);
        self.trivial_unknown.extend(more.trivial_unknown);
        self.unknown.extend(more.unknown);
    }

    fn named(&self) -> [(&'static str, &'static str, &[Rate]); 5] {
        [
            ("cold_trivial", "cold, trivial server", &self.trivial),
            ("cold_cache", "cold, from memory", &self.cache),
            ("cold_store", "cold, from the store", &self.store),
            ("unknown_trivial", "unknown, trivial", &self.trivial_unknown),
            ("unknown", "unknown", &self.unknown),
        ]
    }

    fn line(&self) -> String {
        let part = |(name, _, runs): (&str, &str, &[Rate])| {
            let rate = runs.first().map_or(f64::NAN, |run| run.per_s);
            format!("{name} {}/s", readable(rate))
        };
        self.named().map(part).join(" ")
    }

    fn group(&self) -> Group {
        let rates = |runs: &[Rate]| -> Vec<f64> { runs.iter().map(|run| run.per_s).collect() };
        let (trivial, refused) = (rates(&self.trivial), rates(&self.trivial_unknown));
        let mut figures = vec![
            Figure::ratio("xds.cold_ratio_cache", &rates(&self.cache), &trivial),
            Figure::ratio("xds.cold_ratio_store", &rates(&self.store), &trivial),
            Figure::ratio("xds.unknown_ratio", &rates(&self.unknown), &refused),
        ];
        let mut plot = Plot::new("xds-handshakes", "Handshakes through one Envoy", "1/s");
        for (name, label, runs) in self.named() {
            let p99: Vec<f64> = runs.iter().map(|run| run.p99_ms).collect();
            plot = plot.bar(label, &rates(runs));
            figures.push(Figure::of(&format!("xds.{name}_per_s"), "handshakes/s", rates(runs)));
            figures.push(Figure::of(&format!("xds.{name}_p99_ms"), "ms", p99));
        }
        Group { name: "xds", figures, plots: vec![plot] }
    }
}
