//! Measures certificate authorities, and remembers how each one is.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use moka::sync::Cache;
use sealwax_core::issuer::{IssueError, Issuer, OrderRequest, OrderStatus, OrderView, RenewalInfo};
use sealwax_core::preflight::CaaIdentity;
use sealwax_core::{Chain, Clock, Timestamp};
use sealwax_protocol::DomainName;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;
use utoipa::ToSchema;

use super::names::{CA_CALL_SECONDS, CA_ERRORS, ISSUANCE_SECONDS, ORDERS_TOTAL};
use super::{Activity, Metrics};
use crate::traces::Traces;
use crate::trail::Trail;

/// Open orders timed at once; beyond it the oldest ones are not timed.
const OPEN_ORDERS_MAX: u64 = 100_000;
/// Orders older than this are not timed: CAs keep them for a week at most.
const ORDER_LIFE: Duration = Duration::from_secs(7 * 86_400);

/// How a certificate authority is, as this process sees it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct IssuerStanding {
    /// Its name in the configuration.
    pub name: String,
    /// When it last did what it was asked; RFC 3339.
    pub last_success_at: Option<String>,
    /// When it last could not do anything at all (no answer, an error of its own, a limit, or the
    /// account refused), as opposed to refusing one domain; RFC 3339.
    pub last_error_at: Option<String>,
    /// What was seen then.
    pub last_error: Option<String>,
    /// Such errors since the last success.
    pub errors_in_a_row: u32,
}

/// How every issuer is.
#[derive(Debug, Default)]
pub struct IssuerBoard(Mutex<Vec<IssuerStanding>>);

impl IssuerBoard {
    /// All of them, in the configuration's order.
    #[must_use]
    pub fn all(&self) -> Vec<IssuerStanding> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn change(&self, name: &str, change: impl FnOnce(&mut IssuerStanding)) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(standing) = all.iter_mut().find(|standing| standing.name == name) {
            change(standing);
        } else {
            let mut standing = IssuerStanding { name: name.to_owned(), ..Default::default() };
            change(&mut standing);
            all.push(standing);
        }
    }
}

#[derive(Clone)]
struct Placed {
    at: Instant,
    domain: DomainName,
}

/// An issuer, measured.
pub struct MeteredIssuer {
    inner: Arc<dyn Issuer>,
    clock: Arc<dyn Clock>,
    metrics: Metrics,
    board: Arc<IssuerBoard>,
    placed: Cache<String, Placed>,
    trail: Trail,
    traces: Traces,
    activity: Arc<Activity>,
}

impl MeteredIssuer {
    /// In front of `inner`; appears on the board at once.
    #[must_use]
    pub fn new(
        inner: Arc<dyn Issuer>,
        clock: Arc<dyn Clock>,
        metrics: Metrics,
        board: Arc<IssuerBoard>,
        trail: Trail,
    ) -> Self {
        board.change(inner.name(), |_| {});
        let placed =
            Cache::builder().max_capacity(OPEN_ORDERS_MAX).time_to_live(ORDER_LIFE).build();
        let (traces, activity) = (Traces::default(), Arc::default());
        Self { inner, clock, metrics, board, placed, trail, traces, activity }
    }

    /// Counting its orders by the hour too.
    #[must_use]
    pub fn counted(self, activity: Arc<Activity>) -> Self {
        Self { activity, ..self }
    }

    /// Telling these traces too.
    #[must_use]
    pub fn traced(self, traces: Traces) -> Self {
        Self { traces, ..self }
    }

    async fn timed<T>(
        &self,
        call: &'static str,
        domain: Option<&DomainName>,
        work: impl Future<Output = Result<T, IssueError>> + Send,
    ) -> Result<T, IssueError> {
        let (started, name) = (Instant::now(), self.inner.name());
        let step = domain.map(|domain| self.traces.step(domain, call).at(name));
        let done = work.await;
        if let Some(step) = step {
            step.end(done.as_ref().map(|_| "done").map_err(kind));
        }
        self.metrics.observe(&CA_CALL_SECONDS, &[name, call], started.elapsed().as_secs_f64());
        match &done {
            Ok(_) => self.well(name, self.clock.now()),
            Err(error) => {
                self.metrics.count(&CA_ERRORS, &[name, call, kind(error)], 1);
                if ails(error) {
                    self.ill(name, self.clock.now(), error);
                }
            }
        }
        done
    }

    /// Whose order it is, if this process placed it.
    fn domain_of(&self, order_url: &str) -> Option<DomainName> {
        self.placed.get(order_url).map(|placed| placed.domain)
    }

    fn well(&self, name: &str, now: Timestamp) {
        self.board.change(name, |standing| {
            standing.last_success_at = Some(now.rfc3339());
            standing.errors_in_a_row = 0;
        });
    }

    fn ill(&self, name: &str, now: Timestamp, error: &IssueError) {
        self.board.change(name, |standing| {
            standing.last_error_at = Some(now.rfc3339());
            standing.last_error = Some(sealwax_core::failure::bounded_detail(&error.to_string()));
            standing.errors_in_a_row = standing.errors_in_a_row.saturating_add(1);
        });
    }

    fn note(&self, domain: &DomainName, kind: &str, detail: &str) {
        self.trail.note(domain, self.clock.now(), kind, detail);
    }

    /// Notes what came of a step of an order this process placed.
    fn note_step<T>(&self, order_url: &str, done: &Result<T, IssueError>, kind: Option<&str>) {
        let Some(placed) = self.placed.get(order_url) else { return };
        match (done, kind) {
            (Ok(_), Some(kind)) => self.note(&placed.domain, kind, self.inner.name()),
            (Ok(_), None) => {}
            (Err(error), _) => self.note(&placed.domain, "ca.error", &error.to_string()),
        }
    }

    fn ended(&self, order_url: &str, outcome: &str) {
        let name = self.inner.name();
        self.metrics.count(&ORDERS_TOTAL, &[name, outcome], 1);
        if let Some(placed) = self.placed.remove(order_url) {
            let took = placed.at.elapsed().as_secs_f64();
            self.metrics.observe(&ISSUANCE_SECONDS, &[name, outcome], took);
        }
    }
}

pub(super) const fn kind(error: &IssueError) -> &'static str {
    match error {
        IssueError::Retry { .. } => "retry",
        IssueError::RateLimited { .. } => "rate_limited",
        IssueError::Paused { .. } => "paused",
        IssueError::Refused(_) => "refused",
        IssueError::ProfileRefused { .. } => "profile_refused",
        IssueError::Unfindable { .. } => "unfindable",
        IssueError::Misconfigured { .. } => "misconfigured",
        IssueError::UnknownOutcome { .. } => "unknown_outcome",
        IssueError::OrderGone { .. } => "order_gone",
        IssueError::Protocol { .. } => "protocol",
        // The CA's errors may grow; a new one is at least counted.
        _ => "other",
    }
}

/// Whether the error says something about the CA and not about one domain.
const fn ails(error: &IssueError) -> bool {
    matches!(
        error,
        IssueError::Retry { .. }
            | IssueError::RateLimited { .. }
            | IssueError::Misconfigured { .. }
            | IssueError::UnknownOutcome { .. }
            | IssueError::Protocol { .. }
    )
}

#[async_trait]
impl Issuer for MeteredIssuer {
    fn name(&self) -> &str {
        self.inner.name()
    }

    async fn place_order(&self, request: &OrderRequest) -> Result<String, IssueError> {
        let domain = Some(&request.domain);
        let placed = self.timed("place_order", domain, self.inner.place_order(request)).await;
        let name = self.inner.name();
        let url = match placed {
            Ok(url) => url,
            Err(error) => {
                self.note(&request.domain, "ca.error", &error.to_string());
                return Err(error);
            }
        };
        self.note(&request.domain, "order.placed", &format!("{name}: {url}"));
        self.metrics.count(&ORDERS_TOTAL, &[name, "placed"], 1);
        self.activity.note(self.clock.now(), "order.placed");
        let placed = Placed { at: Instant::now(), domain: request.domain.clone() };
        self.placed.insert(url.clone(), placed);
        Ok(url)
    }

    async fn observe(&self, order_url: &str) -> Result<OrderView, IssueError> {
        let domain = self.domain_of(order_url);
        let seen = self.timed("observe", domain.as_ref(), self.inner.observe(order_url)).await;
        match &seen {
            Ok(view) if view.status == OrderStatus::Invalid => self.ended(order_url, "failed"),
            Err(IssueError::OrderGone { .. }) => self.ended(order_url, "failed"),
            Ok(_) | Err(_) => {}
        }
        seen
    }

    async fn answer(&self, order_url: &str) -> Result<(), IssueError> {
        let domain = self.domain_of(order_url);
        let told = self.timed("answer", domain.as_ref(), self.inner.answer(order_url)).await;
        self.note_step(order_url, &told, Some("ca.told"));
        told
    }

    async fn finalize(&self, order_url: &str, csr_der: &[u8]) -> Result<(), IssueError> {
        let domain = self.domain_of(order_url);
        let done =
            self.timed("finalize", domain.as_ref(), self.inner.finalize(order_url, csr_der)).await;
        self.note_step(order_url, &done, None);
        done
    }

    async fn download(&self, order_url: &str) -> Result<Chain, IssueError> {
        let domain = self.domain_of(order_url);
        let chain = self.timed("download", domain.as_ref(), self.inner.download(order_url)).await?;
        self.ended(order_url, "issued");
        Ok(chain)
    }

    async fn renewal_info(&self, ari_id: &str) -> Result<Option<RenewalInfo>, IssueError> {
        self.timed("renewal_info", None, self.inner.renewal_info(ari_id)).await
    }

    async fn revoke(&self, leaf_der: &[u8]) -> Result<(), IssueError> {
        self.timed("revoke", None, self.inner.revoke(leaf_der)).await
    }

    async fn relinquish(&self, order_url: &str) -> Result<(), IssueError> {
        let domain = self.domain_of(order_url);
        let call = self.inner.relinquish(order_url);
        let done = self.timed("relinquish", domain.as_ref(), call).await;
        self.ended(order_url, "tried");
        done
    }

    async fn caa_identity(&self) -> CaaIdentity {
        self.inner.caa_identity().await
    }
}

#[cfg(test)]
mod tests;
