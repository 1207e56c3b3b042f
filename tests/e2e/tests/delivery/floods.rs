//! Names without end: known ones, from a wildcard, and unknown ones. The long version is in the
//! benchmark.

use std::time::Duration;

use futures::stream::{self, StreamExt as _};
use sealwax_testkit::{Envoy, PATIENCE, Process, wait_until};

use crate::support::{Delivery, is_refused};

const BUDGET: usize = 200;
const KNOWN: usize = 3000;
const UNKNOWN: usize = 4000;
/// What Envoy may gain while they pass: far less than the 25 KB for each known name that it would
/// without evictions, 75 MB.
const GROWTH_KB_MAX: u64 = 40 * 1024;
const AT_A_TIME: usize = 16;

#[tokio::test]
async fn an_envoys_memory_stays_within_its_budget_while_names_pass_through() {
    let delivery = Delivery::start(|config| {
        config.max_names_per_edge = BUDGET;
        // A budget this small is less than what is delivered in the usual grace.
        config.eviction_grace = Duration::from_millis(50);
    })
    .await;
    delivery.serve_wildcard("customer.example");
    let mut envoy = delivery.envoy("edge-1", &[]).await;
    // Everything that is allocated once: workers, connections, a full budget.
    visit(&delivery, &envoy, BUDGET, |n| format!("early-{n}.customer.example"), false).await;
    let before = resident_kb(envoy.process());

    visit(&delivery, &envoy, KNOWN, |n| format!("shop-{n}.customer.example"), false).await;
    visit(&delivery, &envoy, UNKNOWN, |n| format!("nobody-{n}.elsewhere.example"), true).await;
    // Envoy gives each name back in a message of its own, the last ones after their handshakes.
    let forgotten =
        wait_until("every name but the budget's to be forgotten", PATIENCE, async || {
            let view = delivery.view("edge-1");
            (view.resident <= BUDGET && view.names <= BUDGET + 1).then_some(view)
        });
    let view = forgotten.await.unwrap();
    let after = resident_kb(envoy.process());

    let grown = after.saturating_sub(before);
    assert!(grown < GROWTH_KB_MAX, "Envoy grew from {before} to {after} KB: {view:?}");
    assert!(view.evictions >= u64::try_from(KNOWN).unwrap(), "{view:?}");
}

/// One handshake for each name, which is served or refused.
async fn visit(
    delivery: &Delivery,
    envoy: &Envoy,
    count: usize,
    name: impl Fn(usize) -> String,
    refused: bool,
) {
    let visitor = delivery.visitor();
    let handshakes = stream::iter((0..count).map(name)).map(|name| {
        let visitor = visitor.clone();
        async move {
            let outcome = visitor.handshake(envoy.https(), &name).await.outcome;
            assert_eq!(is_refused(&outcome), refused, "{name}: {outcome:?}");
            assert_eq!(outcome.is_err(), refused, "{name}: {outcome:?}");
        }
    });
    handshakes.buffer_unordered(AT_A_TIME).for_each(async |()| ()).await;
}

fn resident_kb(process: &Process) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", process.id())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").trim().parse().unwrap()
}
