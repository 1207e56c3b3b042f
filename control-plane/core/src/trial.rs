//! Trials: after a validation that failed, an attempt begins in the staging of the issuer's CA,
//! where failures cost nothing that counts.
//!
//! ```text
//!  validation failed ──> next: Staging ── trial ── validated ──> next: Production ── order ── issued
//!                              ^             │                          │
//!                              │           failed: one more attempt     │ failed
//!                              '──────────── that production was spared │
//!                              ^                                        │
//!                              '────────────────────────────────────────'
//! ```
//!
//! A trial ends when its authorization is valid: it has no state in which there could be a key, so
//! nothing of it is ever finalized, stored or served. A staging that cannot be asked holds nothing
//! up: production is next, as without one.

use serde::{Deserialize, Serialize};

use crate::apply::{IllegalTransition, illegal};
use crate::failure::Cause;
use crate::record::{DomainRecord, Work};
use crate::timestamp::Timestamp;

/// Looks at a trial's order that does not move before production is asked without it: with the
/// waits between them about two minutes, of the five a run has.
pub const LOOKS_MAX: u32 = 16;

/// Where a failing name stands with trials. None is kept of a name whose last validation succeeded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trials {
    /// Where the next attempt begins.
    pub next: Venue,
    /// Attempts since the last certificate that failed in staging, and so cost production nothing.
    #[serde(default)]
    pub saved: u32,
}

/// Where an attempt is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Venue {
    /// In the staging of the issuer's CA, if the issuer has one.
    Staging,
    /// Where it counts: a trial succeeded, or there could be none.
    Production,
}

/// How far a trial's order is. There is none that a key belongs to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TrialOrder {
    /// About to be placed, or placed and the answer got lost.
    Unplaced,
    /// It exists.
    Placed {
        /// Where it is observed.
        order_url: String,
    },
    /// The challenge's answer is in the store.
    Challenged {
        /// Where it is observed.
        order_url: String,
        /// The token whose answer is stored.
        token: String,
    },
}

/// What the staging of an issuer's CA is called, in accounts, budgets and metrics. No configured
/// issuer has such a name: a dot is not allowed in it.
#[must_use]
pub fn staging_name(issuer: &str) -> String {
    format!("{issuer}.staging")
}

/// Whether a failure for this cause would have been seen in staging too: what a CA sees of the
/// domain, not what it thinks of the account, and no outage.
#[must_use]
pub const fn tells(cause: Cause) -> bool {
    matches!(
        cause,
        Cause::DnsNoRecord
            | Cause::DnsFailed
            | Cause::ConnectionFailed
            | Cause::ChallengeWrong
            | Cause::CaaForbids
    )
}

/// Whether the next attempt begins in staging. Not when an operator wants the order placed.
#[must_use]
pub fn is_due(record: &DomainRecord) -> bool {
    let staging = record.trials.is_some_and(|trials| trials.next == Venue::Staging);
    staging && !record.preflight_waived
}

/// The platform agreed, and the staging's budget has room.
///
/// # Errors
/// When no certificate is wanted.
pub fn begun(record: DomainRecord, staging: &str) -> Result<DomainRecord, IllegalTransition> {
    let Work::Wanted { .. } = record.work else { return Err(illegal(&record.work, "trial")) };
    let work = Work::Trial { issuer: staging.to_owned(), order: TrialOrder::Unplaced };
    Ok(DomainRecord { work, ..record })
}

/// The trial succeeded, or there can be none: production is next, at once.
///
/// # Errors
/// When there is no trial.
pub fn over(record: DomainRecord, now: Timestamp) -> Result<DomainRecord, IllegalTransition> {
    let Work::Trial { .. } = record.work else { return Err(illegal(&record.work, "wanted")) };
    let wanted = DomainRecord { work: Work::Wanted { since: now }, ..record };
    Ok(to_production(wanted))
}

/// The next attempt is made where it counts.
#[must_use]
pub fn to_production(record: DomainRecord) -> DomainRecord {
    let trials = record.trials.map(|trials| Trials { next: Venue::Production, ..trials });
    DomainRecord { trials, ..record }
}

/// What an attempt that failed for this cause makes of it.
pub(crate) fn after(record: &DomainRecord, cause: Cause) -> Option<Trials> {
    if !tells(cause) {
        return record.trials;
    }
    let saved = record.trials.map_or(0, |trials| trials.saved);
    let spared = u32::from(matches!(record.work, Work::Trial { .. }));
    Some(Trials { next: Venue::Staging, saved: saved.saturating_add(spared) })
}

#[cfg(test)]
mod tests;
