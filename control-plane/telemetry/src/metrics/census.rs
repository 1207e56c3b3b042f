//! Counts the whole fleet, a page at a time and never in a hurry.
//!
//! An index that counts would have to be written with every record, by every replica, and would
//! be contended; reading at a fixed rate costs the same however many domains change.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use sealwax_core::store::{Selection, Store, StoreError};
use sealwax_core::{Clock, DomainRecord, DomainState, Span, Timestamp};
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;
use utoipa::ToSchema;

use super::Metrics;
use super::names::{
    CENSUS_AT, CENSUS_SECONDS, DOMAINS, DUE_LATE, FAILING, LIFE_LEFT, OVERDUE, REMAINING,
};

/// Records read at a time.
const PAGE: usize = 500;
/// How much faster the first census is: until it ends nothing is known.
const FIRST_FASTER: u64 = 10;
/// Rest between two censuses, and after one that failed.
const REST: Duration = Duration::from_secs(10);
/// How often the due index is looked at.
const LATE_EVERY: Duration = Duration::from_secs(60);
/// For how long a domain must have been due to count as late.
const LATE: Span = Span::from_secs(300);
/// Most late domains counted.
const LATE_MAX: usize = 1_000;
/// Days in the calendar.
const CALENDAR_DAYS: usize = 90;
const DAY_SECS: u64 = 86_400;

/// Upper bounds of the time left, with the label of each; beyond them it is `more`.
const REMAINING_BOUNDS: [(&str, u64); 6] = [
    ("1d", DAY_SECS),
    ("3d", 3 * DAY_SECS),
    ("7d", 7 * DAY_SECS),
    ("14d", 14 * DAY_SECS),
    ("30d", 30 * DAY_SECS),
    ("60d", 60 * DAY_SECS),
];
/// Upper bounds of the share of life left, in percent; beyond them it is `100`.
const LIFE_BOUNDS: [(&str, u64); 4] = [("10", 10), ("25", 25), ("33", 33), ("50", 50)];
/// Upper bounds of how long a renewal is overdue; beyond them it is `more`.
const OVERDUE_BOUNDS: [(&str, u64); 3] = [("1h", 3_600), ("1d", DAY_SECS), ("7d", 7 * DAY_SECS)];

/// The fleet, counted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Census {
    /// When it ended; RFC 3339.
    pub at: String,
    /// Domains by state.
    pub states: BTreeMap<String, u64>,
    /// Certificates by the time until they expire.
    pub remaining: BTreeMap<String, u64>,
    /// Certificates by the share of their life that is left, in percent.
    pub life_left: BTreeMap<String, u64>,
    /// Certificates by how long their renewal is overdue.
    pub overdue: BTreeMap<String, u64>,
    /// Domains whose last attempt failed, by cause.
    pub causes: BTreeMap<String, u64>,
    /// How many certificates expire on each of the next 90 days; expired ones are on the first.
    pub calendar: Vec<u64>,
}

impl Census {
    /// Nothing counted yet; every bucket is there.
    fn begun(now: Timestamp) -> Self {
        let zeros = |labels: &mut dyn Iterator<Item = &str>| {
            labels.map(|label| (label.to_owned(), 0)).collect::<BTreeMap<_, _>>()
        };
        let mut remaining = REMAINING_BOUNDS.iter().map(|(label, _)| *label);
        let mut life = LIFE_BOUNDS.iter().map(|(label, _)| *label);
        let mut overdue = OVERDUE_BOUNDS.iter().map(|(label, _)| *label);
        Self {
            at: now.rfc3339(),
            states: zeros(&mut DomainState::ALL.iter().map(|state| state.as_str())),
            remaining: zeros(&mut remaining.by_ref().chain(["expired", "more"])),
            life_left: zeros(&mut life.by_ref().chain(["0", "100"])),
            overdue: zeros(&mut overdue.by_ref().chain(["more"])),
            causes: BTreeMap::new(),
            calendar: vec![0; CALENDAR_DAYS],
        }
    }

    /// Counts one domain.
    fn count(&mut self, record: &DomainRecord, now: Timestamp) {
        more(&mut self.states, record.state().as_str());
        if let Some(failure) = &record.failure {
            more(&mut self.causes, &super::word(failure.cause));
        }
        let Some(held) = &record.certificate else { return };
        let left = held.not_after.since(now).secs();
        let life = held.not_after.since(held.not_before).secs().max(1);
        if held.not_after <= now {
            more(&mut self.remaining, "expired");
            more(&mut self.life_left, "0");
        } else {
            more(&mut self.remaining, below(&REMAINING_BOUNDS, left, "more"));
            let percent = Span::from_secs(100).scale(left, life).secs();
            more(&mut self.life_left, below(&LIFE_BOUNDS, percent, "100"));
        }
        let day = usize::try_from(left / DAY_SECS).unwrap_or(usize::MAX);
        if let Some(count) = self.calendar.get_mut(day) {
            *count += 1;
        }
        if let Some(renew_at) = held.renew_at.filter(|at| *at < now) {
            more(&mut self.overdue, below(&OVERDUE_BOUNDS, now.since(renew_at).secs(), "more"));
        }
    }

    fn show(&self, metrics: &Metrics, took: Duration, now: Timestamp) {
        for (gauge, counted) in [
            (&DOMAINS, &self.states),
            (&REMAINING, &self.remaining),
            (&LIFE_LEFT, &self.life_left),
            (&OVERDUE, &self.overdue),
        ] {
            for (label, count) in counted {
                metrics.set_count(gauge, &[label], usize::try_from(*count).unwrap_or(usize::MAX));
            }
        }
        metrics.clear(&FAILING);
        for (cause, count) in &self.causes {
            metrics.set_count(&FAILING, &[cause], usize::try_from(*count).unwrap_or(usize::MAX));
        }
        let at = usize::try_from(now.secs()).unwrap_or(usize::MAX);
        metrics.set_count(&CENSUS_AT, &[], at);
        metrics.set(&CENSUS_SECONDS, &[], took.as_secs_f64());
    }
}

fn more(counted: &mut BTreeMap<String, u64>, label: &str) {
    if let Some(count) = counted.get_mut(label) {
        *count += 1;
    } else {
        counted.insert(label.to_owned(), 1);
    }
}

fn below<'a>(bounds: &[(&'a str, u64)], value: u64, beyond: &'a str) -> &'a str {
    bounds.iter().find(|(_, bound)| value < *bound).map_or(beyond, |(label, _)| label)
}

/// The last census, for whoever wants to see it.
#[derive(Debug, Default)]
pub struct CensusBoard(RwLock<Option<Arc<Census>>>);

impl CensusBoard {
    /// The last one that was finished.
    #[must_use]
    pub fn last(&self) -> Option<Arc<Census>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn put(&self, census: Census) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(census));
    }
}

/// Counts once, reading at most `rate` records a second.
///
/// # Errors
/// The store.
pub(super) async fn count(
    store: &dyn Store,
    clock: &dyn Clock,
    rate: u64,
) -> Result<Census, StoreError> {
    let mut census = Census::begun(clock.now());
    let everything = Selection::default();
    let mut cursor = None;
    loop {
        let page = store.list(&everything, PAGE, cursor.as_deref()).await?;
        let now = clock.now();
        for record in &page.records {
            census.count(record, now);
        }
        cursor = page.cursor;
        if cursor.is_none() {
            census.at = now.rfc3339();
            return Ok(census);
        }
        let read = u64::try_from(page.records.len()).unwrap_or(u64::MAX);
        let pace = Span::from_secs(1).scale(read.max(1), rate.max(1));
        tokio::time::sleep(pace.duration()).await;
    }
}

/// Takes one census after the other until told to stop. A rate of zero takes none.
pub async fn take(
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    rate: u64,
    board: Arc<CensusBoard>,
    metrics: Metrics,
    stop: CancellationToken,
) {
    let forever = async {
        let late = watch_late(&*store, &*clock, &metrics);
        if rate == 0 {
            return late.await;
        }
        tokio::join!(late, keep_counting(&*store, &*clock, rate, &board, &metrics));
    };
    tokio::select! {
        () = stop.cancelled() => {}
        () = forever => {}
    }
}

async fn keep_counting(
    store: &dyn Store,
    clock: &dyn Clock,
    rate: u64,
    board: &CensusBoard,
    metrics: &Metrics,
) {
    let mut pace = rate.saturating_mul(FIRST_FASTER);
    loop {
        let started = tokio::time::Instant::now();
        match count(store, clock, pace).await {
            Ok(census) => {
                pace = rate;
                census.show(metrics, started.elapsed(), clock.now());
                board.put(census);
            }
            Err(error) => tracing::debug!(%error, "the census stopped; it starts again"),
        }
        tokio::time::sleep(REST).await;
    }
}

async fn watch_late(store: &dyn Store, clock: &dyn Clock, metrics: &Metrics) {
    loop {
        if let Ok(late) = count_due(store, clock.now() - LATE, LATE_MAX).await {
            metrics.set_count(&DUE_LATE, &[], late);
        }
        tokio::time::sleep(LATE_EVERY).await;
    }
}

/// How many domains are due, counted up to a bound.
pub(super) async fn count_due(
    store: &dyn Store,
    before: Timestamp,
    max: usize,
) -> Result<usize, StoreError> {
    let (mut count, mut cursor) = (0, None);
    loop {
        let page = store.due(before, max - count, cursor.as_deref()).await?;
        count += page.domains.len();
        cursor = page.cursor;
        if cursor.is_none() || count >= max {
            return Ok(count);
        }
    }
}

#[cfg(test)]
mod tests;
