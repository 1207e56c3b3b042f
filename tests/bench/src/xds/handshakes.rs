//! A client that shakes hands with many names, some at a time, and resumes nothing.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Result, bail};
use sealwax_testkit::TlsVisitor;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::Rate;

/// Handshakes at a time.
const AT_A_TIME: usize = 32;

/// How every handshake has to end for the run to count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// With the certificate of the name, verified.
    Served,
    /// With an alert.
    Refused,
}

/// Where to go, and as whom.
pub(super) struct Visits<'a> {
    pub(super) client: &'a TlsVisitor,
    pub(super) address: SocketAddr,
}

impl Visits<'_> {
    /// One handshake for each name.
    pub(super) async fn all(&self, names: &[String], wanted: Outcome) -> Result<Rate> {
        let mut took = Vec::with_capacity(names.len());
        let mut open = JoinSet::new();
        let started = Instant::now();
        for name in names {
            if open.len() >= AT_A_TIME {
                took.extend(open.join_next().await.transpose()?.transpose()?);
            }
            let (client, address, name) = (self.client.clone(), self.address, name.clone());
            open.spawn(async move { visit(&client, address, &name, wanted).await });
        }
        while let Some(visited) = open.join_next().await {
            took.push(visited??);
        }
        let elapsed = started.elapsed().as_secs_f64();
        took.sort_unstable();
        let slow = took.get(took.len() * 99 / 100).copied().unwrap_or_default();
        let count = f64::from(u32::try_from(names.len())?);
        Ok(Rate { per_s: count / elapsed, p99_ms: slow.as_secs_f64() * 1_000.0 })
    }
}

async fn visit(
    client: &TlsVisitor,
    address: SocketAddr,
    name: &str,
    wanted: Outcome,
) -> Result<Duration> {
    let attempt = client.handshake(address, name).await;
    match (attempt.outcome, wanted) {
        (Ok(_), Outcome::Served) => Ok(attempt.took),
        // An alert, not a connection that nobody answered.
        (Err(error), Outcome::Refused) if format!("{error:#}").contains("HandshakeFailure") => {
            Ok(attempt.took)
        }
        (Err(error), Outcome::Served | Outcome::Refused) => Err(error),
        (Ok(_), Outcome::Refused) => bail!("{name} was served"),
    }
}
