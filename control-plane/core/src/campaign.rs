//! Replacing many certificates before a moment: the plan of a campaign, pure.
//!
//! A campaign asks for new certificates, name by name; what becomes of them is the usual renewal.
//! Its state is one document that one process at a time works on. Each round writes down which
//! names it is about to ask before it asks them, and each name's record says for which campaign it
//! was asked and what it had then: so whoever goes on asks nobody twice.

use serde::{Deserialize, Serialize};

use crate::certificate::CertificateSource;
use crate::failure::{Who, bounded_detail};
use crate::record::{DomainRecord, Lease, Work};
use crate::store::Selection;
use crate::timestamp::{Span, Timestamp};

/// Most names that are asked for and whose outcome is not known: what holds a campaign back when
/// certificates do not come, and what keeps its document small.
pub const OPEN_MAX: usize = 500;
/// Most names asked for in a second.
pub const RATE_MAX: u32 = 500;
/// Names that failed and are told by name.
pub const FAILED_NAMED_MAX: usize = 50;
/// Longest reason kept, in bytes.
pub const REASON_BYTES_MAX: usize = 256;
/// A name whose next attempt is further away than this is left to its own schedule.
const WAIT_MAX: Span = Span::from_secs(3_600);

/// The mark a campaign leaves on a record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Replacing {
    /// The campaign.
    pub campaign: String,
    /// The serial number of the certificate it is to replace.
    pub serial: String,
}

/// Which certificates are replaced. All conditions must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Selector {
    /// Of this tenant's domains.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant: Option<String>,
    /// Ordered from this issuer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub issuer: Option<String>,
    /// Valid from this moment on or later.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub issued_after: Option<Timestamp>,
    /// Valid from before this moment.
    pub issued_before: Timestamp,
    /// Those that were brought along too.
    #[serde(default)]
    pub imported: bool,
}

/// Where a campaign stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CampaignState {
    /// It asks for certificates.
    Running,
    /// It asks for none until it is resumed.
    Paused,
    /// Every name was asked for, and each one's outcome is known.
    Finished,
    /// It was ended before that.
    Cancelled,
}

/// Whose turn it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "at", rename_all = "snake_case")]
pub enum Phase {
    /// The names that edges see most.
    Busiest,
    /// All others, from this page of the listing on.
    Rest {
        /// The page; `None`: the first.
        cursor: Option<String>,
    },
    /// Nobody is left to ask.
    Asked,
}

/// How many certificates there are to replace: counted beside the work.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Count {
    /// Found so far.
    pub found: u64,
    /// The page to go on with.
    pub cursor: Option<String>,
    /// There are no more.
    pub complete: bool,
}

/// A campaign, as it is stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Campaign {
    /// Unique among those of a store.
    pub id: String,
    /// Why, in the operator's words.
    #[serde(default)]
    pub reason: String,
    /// What is replaced.
    pub selector: Selector,
    /// Most names asked for in a second, 1 to [`RATE_MAX`].
    pub rate: u32,
    /// When all should be replaced.
    pub deadline: Timestamp,
    /// Where it stands.
    pub state: CampaignState,
    /// Whose turn it is.
    pub phase: Phase,
    /// How many there are.
    pub count: Count,
    /// Asked, or about to be, with an outcome that is not known yet; at most [`OPEN_MAX`].
    pub open: Vec<String>,
    /// Replaced.
    pub replaced: u64,
    /// Failed, and left to their own schedule.
    pub failed: u64,
    /// The first of those; at most [`FAILED_NAMED_MAX`].
    pub failed_names: Vec<String>,
    /// Gone before they were replaced.
    pub gone: u64,
    /// Which process works on it.
    pub lease: Option<Lease>,
    /// When it began.
    pub started_at: Timestamp,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
}

/// What became of a name that was asked for, or is about to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It has still to be asked: whoever wrote it down did not come to it.
    Unasked,
    /// It is worked on, or waits for the CA or the platform.
    Open,
    /// It has another certificate.
    Replaced,
    /// It failed; its own schedule goes on with it.
    Failed,
    /// It is not there any more, or parked.
    Gone,
}

impl Selector {
    /// What the store can select by.
    #[must_use]
    pub fn selection(&self) -> Selection {
        Selection { tenant: self.tenant.clone(), ..Selection::default() }
    }

    /// The record has a certificate that is to be replaced.
    #[must_use]
    pub fn matches(&self, record: &DomainRecord) -> bool {
        let Some(held) = &record.certificate else { return false };
        let tenant = self.tenant.as_ref();
        !record.removed
            && record.work != Work::Parked
            && (self.imported || held.source == CertificateSource::Acme)
            && tenant.is_none_or(|tenant| record.registration.tenant.as_ref() == Some(tenant))
            && self.issuer.as_ref().is_none_or(|issuer| held.ordered_from.as_ref() == Some(issuer))
            && self.issued_after.is_none_or(|moment| moment <= held.not_before)
            && held.not_before < self.issued_before
    }
}

impl Campaign {
    /// One that nobody was asked for yet.
    #[must_use]
    pub fn begin(
        selector: Selector,
        rate: u32,
        deadline: Timestamp,
        reason: &str,
        now: Timestamp,
    ) -> Self {
        // What is issued from now on is new enough.
        let issued_before = selector.issued_before.min(now);
        Self {
            id: now.millis().to_string(),
            reason: bounded_detail(reason),
            selector: Selector { issued_before, ..selector },
            rate,
            deadline,
            state: CampaignState::Running,
            phase: Phase::Busiest,
            count: Count::default(),
            open: Vec::new(),
            replaced: 0,
            failed: 0,
            failed_names: Vec::new(),
            gone: 0,
            lease: None,
            started_at: now,
            ended_at: None,
        }
    }

    /// It was not ended, by itself or by anybody.
    #[must_use]
    pub const fn lives(&self) -> bool {
        matches!(self.state, CampaignState::Running | CampaignState::Paused)
    }

    /// The record counts as one of this campaign's, asked for already or not.
    #[must_use]
    pub fn covers(&self, record: &DomainRecord) -> bool {
        self.marked(record) || self.selector.matches(record)
    }

    /// The record is one that this campaign has still to ask for.
    #[must_use]
    pub fn wants(&self, record: &DomainRecord) -> bool {
        !self.marked(record) && self.selector.matches(record)
    }

    fn marked(&self, record: &DomainRecord) -> bool {
        record.replacing.as_ref().is_some_and(|mark| mark.campaign == self.id)
    }

    /// The record with this campaign's mark, and a certificate wanted unless its schedule has the
    /// word. `None`: it is not one to ask for, or someone is at work on it just now.
    #[must_use]
    pub fn asked(&self, record: &DomainRecord, now: Timestamp) -> Option<DomainRecord> {
        let unasked = self.standing(record, now) == Standing::Unasked;
        let held = record.certificate.as_ref().filter(|_| unasked && record.lease.is_none())?;
        let serial = held.serial.clone();
        let replacing = Some(Replacing { campaign: self.id.clone(), serial });
        let rests = record.work == Work::Idle && record.failure.is_none();
        let work = if rests { Work::Wanted { since: now } } else { record.work.clone() };
        Some(DomainRecord { replacing, work, ..record.clone() })
    }

    /// What became of a name that is on the list of open ones.
    #[must_use]
    pub fn standing(&self, record: &DomainRecord, now: Timestamp) -> Standing {
        let Some(held) = record.certificate.as_ref().filter(|_| !record.removed) else {
            return Standing::Gone;
        };
        let mark = record.replacing.as_ref().filter(|mark| mark.campaign == self.id);
        match (mark, &record.failure) {
            (Some(mark), _) if mark.serial != held.serial => Standing::Replaced,
            (_, _) if record.work == Work::Parked => Standing::Gone,
            (None, _) if self.selector.matches(record) => Standing::Unasked,
            // It got another one before it was asked.
            (None, _) => Standing::Replaced,
            (Some(_), Some(failure)) if record.resting_until().is_some() => {
                // What waits for a CA is due, and stays so.
                let soon = failure
                    .next_attempt_at
                    .is_some_and(|at| at.since(now) <= WAIT_MAX && now.since(at) <= WAIT_MAX);
                let ours = failure.cause.who() != Who::Customer && !failure.refused;
                if ours && soon { Standing::Open } else { Standing::Failed }
            }
            (Some(_), None) if record.work == Work::Idle => Standing::Unasked,
            (Some(_), _) => Standing::Open,
        }
    }

    /// Puts what became of the open names into the books; those that are left stay open.
    pub fn settle(&mut self, outcomes: impl IntoIterator<Item = (String, Standing)>) {
        self.open.clear();
        for (name, standing) in outcomes {
            match standing {
                Standing::Open | Standing::Unasked => self.open.push(name),
                Standing::Replaced => self.replaced += 1,
                Standing::Gone => self.gone += 1,
                Standing::Failed => {
                    self.failed += 1;
                    if self.failed_names.len() < FAILED_NAMED_MAX {
                        self.failed_names.push(name);
                    }
                }
            }
        }
    }

    /// How many more names may be open.
    #[must_use]
    pub const fn capacity(&self) -> usize {
        OPEN_MAX.saturating_sub(self.open.len())
    }

    /// Ends it when there is nobody left to ask and nothing left to hear.
    pub fn finish(&mut self, now: Timestamp) {
        let over = self.phase == Phase::Asked && self.open.is_empty() && self.count.complete;
        if self.state == CampaignState::Running && over {
            self.end(CampaignState::Finished, now);
        }
    }

    /// Ends it.
    pub fn end(&mut self, state: CampaignState, now: Timestamp) {
        self.state = state;
        self.open.clear();
        self.lease = None;
        self.ended_at = Some(now);
    }

    /// Names whose outcome is known.
    #[must_use]
    pub const fn done(&self) -> u64 {
        self.replaced.saturating_add(self.failed).saturating_add(self.gone)
    }

    /// Certificates there are in all, once they are counted.
    #[must_use]
    pub fn total(&self) -> Option<u64> {
        // What was registered or expired meanwhile was not counted.
        let known = self.done().saturating_add(self.open.len() as u64);
        self.count.complete.then(|| self.count.found.max(known))
    }

    /// When it ends at this rate; `None`: it does not run, or not all is counted.
    #[must_use]
    pub fn ends_about(&self, now: Timestamp) -> Option<Timestamp> {
        let running = self.state == CampaignState::Running;
        let left = self.total().filter(|_| running)?.saturating_sub(self.done());
        Some(now + Span::from_secs(left.div_ceil(u64::from(self.rate.max(1)))))
    }
}

#[cfg(test)]
mod tests;
