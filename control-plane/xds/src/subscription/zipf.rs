//! How much of the best possible the eviction gets, on names as popular as names are.

use std::collections::HashSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use sealwax_protocol::DomainName;
use tokio::time::Instant;

use super::{Limits, Registry, Sketch, Subscriptions};
use crate::edge::Figures;
use crate::{Lookup, ServedCertificate};

const NAMES: usize = 10_000;
const BUDGET: usize = 1000;
const ACCESSES: usize = 100_000;

struct Nowhere;

impl Registry for Nowhere {
    fn added(&mut self, name: DomainName) -> DomainName {
        name
    }

    fn gone(&mut self, _: &DomainName) {}

    fn ended(&mut self, _: Box<dyn Iterator<Item = DomainName> + Send>) {}
}

/// Share of accesses the edge could serve from what it held, in the second half of the run, and
/// the share if it always held the most popular names. Popularity is Zipf(1.0).
fn hit_ratio(usage_every: usize) -> (f64, f64) {
    let mut now = Instant::now();
    let limits = Limits {
        budget: BUDGET,
        max_subscriptions: NAMES,
        max_wait: Duration::from_secs(1),
        retry_after: Duration::from_secs(1),
        eviction_grace: Duration::ZERO,
        removal_gap: Duration::ZERO,
    };
    let sketch = Arc::new(Mutex::new(Sketch::new(BUDGET)));
    let figures = Arc::<Figures>::default();
    let mut stream = Subscriptions::new(1, limits, Nowhere, sketch, figures, now);
    let certificates: Vec<_> = (0..NAMES)
        .map(|n| DomainName::parse(&format!("{n}.example.com")).unwrap())
        .map(|name| Arc::new(ServedCertificate::new(&name, b"chain", b"key").unwrap()))
        .collect();
    let weights: Vec<f64> =
        (1..=NAMES).map(|rank| 1.0 / f64::from(u32::try_from(rank).unwrap())).collect();
    let total: f64 = weights.iter().sum();
    let mut sums = Vec::new();
    weights.iter().fold(0.0, |sum, weight| {
        sums.push(sum + weight);
        sum + weight
    });
    let random = crate::jitter::Jitter::new(Some(42));
    let mut held: HashSet<usize> = HashSet::new();
    let mut used: HashSet<usize> = HashSet::new();
    let mut hits = 0_u32;
    for access in 0..ACCESSES {
        now += Duration::from_millis(100);
        let point = random.up_to(Duration::from_secs_f64(total)).as_secs_f64();
        let at = sums.partition_point(|sum| *sum < point).min(NAMES - 1);
        let name = certificates[at].name().as_str().to_owned();
        used.insert(at);
        if held.contains(&at) {
            hits += u32::from(access >= ACCESSES / 2);
        } else {
            stream.subscribe(name.as_bytes(), None);
        }
        while let Some(question) = stream.next_question() {
            stream.answer(question.key, Lookup::Ready(Arc::clone(&certificates[at])), now);
        }
        while let Some(response) = stream.next_response(now) {
            stream.ack(&response.nonce, now);
            held.extend((!response.resources.is_empty()).then_some(at));
            for removed in response.removed {
                let text = std::str::from_utf8(&removed).unwrap();
                held.remove(&text.split('.').next().unwrap().parse().unwrap());
                stream.unsubscribe(&removed);
            }
        }
        stream.tick(now);
        stream.take_events();
        if access % usage_every == 0 {
            for at in used.drain() {
                stream.used(certificates[at].name());
            }
        }
    }
    assert!(held.len() <= BUDGET + 1, "{} held", held.len());
    let ideal = weights.iter().take(BUDGET).sum::<f64>() / total;
    (f64::from(hits) / f64::from(u32::try_from(ACCESSES / 2).unwrap()), ideal)
}

#[test]
fn most_of_the_ideal_hit_ratio_is_reached_with_and_without_usage_reports() {
    let (with_reports, ideal) = hit_ratio(1000);
    let (without, _) = hit_ratio(usize::MAX);
    println!(
        "Zipf(1.0), hit ratio of the ideal {ideal:.3}: {with_reports:.3} with reports, {without:.3} without"
    );
    assert!(with_reports > 0.86 * ideal, "{with_reports:.3} of {ideal:.3}");
    assert!(without > 0.86 * ideal, "{without:.3} of {ideal:.3}");
}
