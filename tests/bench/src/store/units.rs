//! Capacity units of what a domain goes through, with a real control plane, CA and Envoy. The
//! documented arithmetic is the baseline.

use anyhow::{Context as _, Result};
use sealwax_testkit::{DynamoDb, Envoy, Line, LineSettings, PATIENCE, StoreSettings, checkout};

use crate::figure::Figure;

/// Domains the units are shared by.
const DOMAINS: usize = 25;
/// What a domain costs; polls and sweeps are queries, and cost the same with no domains at all.
const OPERATIONS: [&str; 6] =
    ["BatchGetItem", "DeleteItem", "GetItem", "PutItem", "TransactWriteItems", "UpdateItem"];

pub(super) async fn measure() -> Result<Vec<Figure>> {
    let endpoint = DynamoDb::start().await?;
    let store = StoreSettings::DynamoDb { endpoint: endpoint.address() };
    let settings = LineSettings { store, max_wait: "60s", ..LineSettings::default() };
    let mut line = Line::start(settings).await?;
    let names: Vec<_> = (0..DOMAINS).map(|n| format!("shop-{n}.example.com")).collect();
    let admin = line.control_plane.admin();
    let began = endpoint.units(&OPERATIONS).await?;
    for name in &names {
        admin.register(name).await?;
    }
    let before = endpoint.units(&OPERATIONS).await?;
    for name in &names {
        line.control_plane.edge().ask(name).await?;
    }
    await_certificates(&line, DOMAINS).await?;
    let issued = endpoint.units(&OPERATIONS).await?;
    for name in &names {
        admin.renew(name).await?;
    }
    await_certificates(&line, 2 * DOMAINS).await?;
    let renewed = endpoint.units(&OPERATIONS).await?;

    // Nobody remembers anything: every handshake is cold.
    line.control_plane.restart().await?;
    let envoy: Envoy = line.another_envoy("edge-cold").await?;
    let visitor = line.visitor()?;
    let cold = endpoint.units(&OPERATIONS).await?;
    for name in &names {
        visitor.visit(envoy.https(), name).await?;
    }
    let visited = endpoint.units(&OPERATIONS).await?;
    let each =
        |from: f64, to: f64| vec![(to - from) / f64::from(u32::try_from(DOMAINS).unwrap_or(1))];
    [
        ("store.units_register", "registering a domain", each(began, before)),
        ("store.units_issue", "issuing, all told", each(before, issued)),
        ("store.units_renew", "renewing, all told", each(issued, renewed)),
        ("store.units_cold", "cold handshake", each(cold, visited)),
    ]
    .into_iter()
    .map(|(name, documented_as, runs)| {
        Ok(Figure::of(name, "units", runs).against(&[documented(documented_as)?]))
    })
    .collect()
}

/// Waits at the CA first, as asking the control plane costs units.
async fn await_certificates(line: &Line, count: usize) -> Result<()> {
    let seen = sealwax_testkit::wait_until("the CA to issue", PATIENCE * 4, async || {
        (line.pebble.certificates() >= count).then_some(())
    });
    seen.await?;
    // The last ones are on their way into the store; nothing in flight says that they are there.
    let idle = sealwax_testkit::wait_until("the work to end", PATIENCE, async || {
        let admin = line.control_plane.admin_address();
        let metrics = sealwax_testkit::http::get(admin, "localhost", "/metrics").await.ok()?;
        metrics.text().lines().any(|line| line == "sealwax_runs_in_flight 0").then_some(())
    });
    idle.await
}

/// The figure in the line `| name | figure |` of the documented units.
fn documented(name: &str) -> Result<f64> {
    let path = checkout()?.join("control-plane/store/docs/access-patterns.md");
    let text = std::fs::read_to_string(&path)?;
    let start = format!("| {name} | ");
    let line = text.lines().find_map(|line| line.strip_prefix(&start)).context(start.clone())?;
    Ok(line.split(' ').next().unwrap_or_default().parse()?)
}
