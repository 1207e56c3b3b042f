//! The line as `make demo` runs it, issuing as soon as a domain is registered.

use std::collections::HashSet;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use sealwax_testkit::{Admin, Line, LineSettings, wait_until};
use serde_json::Value;
use tokio::time::{Instant, timeout_at};

use super::listen::{Events, Heard};

/// Longest that a batch may take without its domains.
const BATCH_TIME_MAX: Duration = Duration::from_secs(60);
/// Longest that one domain more may make it: a tenth of the rate that is wanted.
const DOMAIN_TIME_MAX: Duration = Duration::from_millis(400);
/// Domains of one import: fewer than the event stream remembers.
const IMPORT: usize = 250;
/// Domains removed at a time.
const REMOVALS: usize = 16;
/// Most domains of a page.
const PAGE: usize = 1000;

pub(super) struct Issuing {
    line: Line,
    admin: Admin,
}

impl Issuing {
    pub(super) async fn start() -> Result<Self> {
        let settings = LineSettings {
            // Goes on in [issuance]. Retries are looked for as often as the figure is fine.
            more: "on_register = true\n[renewal]\nsweep_interval = \"1s\"\n".to_owned(),
            nonces_refused_percent: 0,
            ..LineSettings::default()
        };
        let line = Line::start(settings).await?;
        let admin = line.control_plane.admin();
        Ok(Self { line, admin })
    }

    /// Certificates a second, from the import to the last one.
    pub(super) async fn issue(&self, label: &str, count: usize) -> Result<f64> {
        let times = self.issue_timed(label, count).await?;
        let last = times.iter().copied().fold(0.0, f64::max);
        Ok(super::as_figure(count) / (last / 1000.0))
    }

    /// How long each domain of an import took to have its certificate, in milliseconds.
    pub(super) async fn issue_timed(&self, label: &str, count: usize) -> Result<Vec<f64>> {
        let names = names(label, "good", count);
        self.import_and_hear(&names, "certificate.issued", "issued").await
    }

    /// Registers domains that no CA can reach, and waits until each has failed and the first of
    /// them is tried again.
    pub(super) async fn break_domains(&self, count: usize) -> Result<()> {
        let names = names("broken", "bad", count);
        for name in &names {
            self.line.pebble.dns().forget(name).await?;
        }
        self.import_and_hear(&names, "attempt.failed", "refused").await?;
        let first = names.first().context("no broken domains")?;
        let again = async || {
            let record = self.admin.show(first).await.ok()?;
            (record.pointer("/failure/attempts")?.as_u64()? > 1).then_some(())
        };
        wait_until("the first of them to be tried again", allowed(count) * 2, again).await
    }

    /// Removes them again.
    pub(super) async fn remove_broken(&self, count: usize) -> Result<()> {
        let removed = stream::iter(names("broken", "bad", count)).map(|name| async move {
            let answer = self.admin.send("DELETE", &format!("/v1/domains/{name}"), "").await?;
            ensure!(answer.status == 204, "{name}: {} {}", answer.status, answer.text());
            Ok(())
        });
        removed.buffer_unordered(REMOVALS).try_collect().await
    }

    /// Registers a domain and visits it at once; how long it took until it was served, for each.
    pub(super) async fn register_and_visit(
        &self,
        count: usize,
        at_a_time: usize,
    ) -> Result<Vec<f64>> {
        let visitor = self.line.visitor()?;
        stream::iter(names("visit", "good", count))
            .map(|name| {
                let visitor = &visitor;
                async move {
                    let began = Instant::now();
                    self.admin.register(&name).await?;
                    visitor.visit(self.line.https(), &name).await?;
                    anyhow::Ok(began.elapsed().as_secs_f64() * 1000.0)
                }
            })
            .buffer_unordered(at_a_time)
            .try_collect()
            .await
    }

    /// How long after the beginning of the import each domain was heard of, in milliseconds.
    async fn import_and_hear(&self, names: &[String], kind: &str, state: &str) -> Result<Vec<f64>> {
        let mut events = Events::of(self.line.control_plane.admin_address()).await?;
        let mut waiting: HashSet<&str> = names.iter().map(String::as_str).collect();
        let began = Instant::now();
        let deadline = began + allowed(names.len());
        let hear = async {
            let mut times = Vec::with_capacity(names.len());
            while !waiting.is_empty() {
                let Ok(heard) = timeout_at(deadline, events.next()).await else { break };
                let found = match heard? {
                    Heard { domain, .. } if domain.is_empty() => self.in_state(state).await?,
                    heard if heard.kind == kind => vec![heard.domain],
                    _ => continue,
                };
                let took = began.elapsed().as_secs_f64() * 1000.0;
                let found = found.iter().filter(|name| waiting.remove(name.as_str())).count();
                times.extend(std::iter::repeat_n(took, found));
            }
            anyhow::Ok(times)
        };
        let ((), times) = futures::try_join!(self.import(names), hear)?;
        let late = names.len() - times.len();
        ensure!(late == 0, "{late} of {} are not {state} after {:?}", names.len(), began.elapsed());
        Ok(times)
    }

    async fn import(&self, names: &[String]) -> Result<()> {
        for some in names.chunks(IMPORT) {
            let lines: String =
                some.iter().map(|name| format!("{{\"domain\":\"{name}\"}}\n")).collect();
            let answer = self.admin.send("POST", "/v1/domains:batch", &lines).await?;
            let said = answer.text();
            let taken = said.matches("\"status\":201").count();
            ensure!(taken == some.len(), "the import: {} {said}", answer.status);
        }
        Ok(())
    }

    async fn in_state(&self, state: &str) -> Result<Vec<String>> {
        let (mut names, mut cursor) = (Vec::new(), String::new());
        loop {
            let path = format!("/v1/domains?state={state}&limit={PAGE}{cursor}");
            let page = self.admin.send("GET", &path, "").await?;
            ensure!(page.status == 200, "{path}: {} {}", page.status, page.text());
            let page: Value = serde_json::from_slice(&page.body)?;
            let domains = page.get("domains").and_then(Value::as_array).context("no domains")?;
            let listed = domains.iter().filter_map(|one| one.get("domain")?.as_str());
            names.extend(listed.map(str::to_owned));
            match page.get("next_cursor").and_then(Value::as_str) {
                None => return Ok(names),
                Some(next) => cursor = format!("&cursor={next}"),
            }
        }
    }
}

fn names(label: &str, kind: &str, count: usize) -> Vec<String> {
    (0..count).map(|n| format!("{label}-{n}.{kind}.test")).collect()
}

fn allowed(domains: usize) -> Duration {
    BATCH_TIME_MAX + DOMAIN_TIME_MAX * u32::try_from(domains).unwrap_or(u32::MAX)
}
