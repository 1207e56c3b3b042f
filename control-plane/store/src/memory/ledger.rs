//! The state of the store in memory, and each call as a plain function of it.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::Bound;

use sealwax_core::record::DomainRecord;
use sealwax_core::store::{
    CertificateChange, Challenge, Change, ChangeBatch, ChangeCursor, Changed, Document, Entry,
    Expected, LifecycleEvent, RecordVersion, StoreError, Stored, StoredCertificate,
};
use sealwax_core::{SealedKey, Timestamp};
use sealwax_protocol::{ChallengeToken, DomainName};

use crate::dynamo::EVENT_LIFE;

/// Everything stored.
#[derive(Clone, Debug, Default)]
pub(super) struct Ledger {
    records: BTreeMap<DomainName, Stored>,
    certificates: HashMap<DomainName, StoredCertificate>,
    /// The version that a removed domain ended with.
    traces: HashMap<DomainName, u64>,
    due: BTreeSet<(Timestamp, DomainName)>,
    challenges: HashMap<String, Challenge>,
    events: HashMap<DomainName, Vec<LifecycleEvent>>,
    accounts: BTreeMap<String, SealedKey>,
    marks: HashMap<String, String>,
    documents: HashMap<String, Document>,
    log: Vec<DomainName>,
}

impl Ledger {
    pub(super) fn entry(&self, domain: &DomainName) -> Option<Entry> {
        let stored = self.records.get(domain)?.clone();
        Some(Entry { stored, certificate: self.certificates.get(domain).cloned() })
    }

    pub(super) fn write(
        &mut self,
        change: Change,
        tell: bool,
    ) -> Result<RecordVersion, StoreError> {
        let domain = change.record.domain.clone();
        let found = self.records.get(&domain).map(|stored| stored.version);
        let version = match (change.expected, found) {
            (Expected::Absent, None) => {
                self.traces.remove(&domain).map_or(1, |ended_with| ended_with + 1)
            }
            (Expected::Version(expected), Some(found)) if expected == found => found.0 + 1,
            (Expected::Absent | Expected::Version(_), _) => return Err(lost(&domain)),
        };
        let version = RecordVersion(version);
        self.forget_due(&domain);
        self.due.extend(change.record.wake_at().map(|at| (at, domain.clone())));
        self.records.insert(domain.clone(), Stored { record: change.record, version });
        match change.certificate {
            CertificateChange::Keep => {}
            CertificateChange::Replace(certificate) => {
                self.certificates.insert(domain.clone(), certificate);
            }
            CertificateChange::Remove => {
                self.certificates.remove(&domain);
            }
        }
        if let Some(token) = change.withdraw {
            self.challenges.remove(token.as_str());
        }
        if let Some(challenge) = change.publish {
            self.challenges.insert(challenge.token.as_str().to_owned(), challenge);
        }
        self.events.entry(domain.clone()).or_default().extend(change.events);
        if tell {
            self.log.push(domain);
        }
        Ok(version)
    }

    pub(super) fn remove(
        &mut self,
        domain: &DomainName,
        version: RecordVersion,
    ) -> Result<(), StoreError> {
        match self.records.get(domain) {
            Some(stored) if stored.version == version => {}
            _ => return Err(lost(domain)),
        }
        self.forget_due(domain);
        let removed = self.records.remove(domain);
        if let Some(token) = removed.as_ref().and_then(|stored| stored.record.work.token()) {
            self.challenges.remove(token);
        }
        self.certificates.remove(domain);
        self.traces.insert(domain.clone(), version.0 + 1);
        self.log.push(domain.clone());
        Ok(())
    }

    pub(super) fn was_removed(&self, domain: &DomainName) -> bool {
        self.traces.contains_key(domain)
    }

    pub(super) fn due(
        &self,
        after: Option<&(Timestamp, DomainName)>,
        now: Timestamp,
    ) -> impl Iterator<Item = &(Timestamp, DomainName)> {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        self.due.range((from, Bound::Unbounded)).take_while(move |(at, _)| *at <= now)
    }

    pub(super) fn records_after(
        &self,
        after: Option<&DomainName>,
    ) -> impl Iterator<Item = &DomainRecord> {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let range = self.records.range::<DomainName, _>((from, Bound::Unbounded));
        range.map(|(_, stored)| &stored.record)
    }

    pub(super) fn challenge(&self, token: &ChallengeToken, now: Timestamp) -> Option<Challenge> {
        let found = self.challenges.get(token.as_str());
        found.filter(|challenge| challenge.expires_at > now).cloned()
    }

    pub(super) fn events(
        &self,
        domain: &DomainName,
        limit: usize,
        now: Timestamp,
    ) -> Vec<LifecycleEvent> {
        let Some(events) = self.events.get(domain) else { return Vec::new() };
        let mut kept: Vec<_> = events
            .iter()
            .filter(|event| (event.at + EVENT_LIFE).secs() > now.secs())
            .cloned()
            .collect();
        // Stable: events of one moment stay in the order they were written in.
        kept.sort_by_key(|event| event.at);
        kept.reverse();
        kept.truncate(limit);
        kept
    }

    pub(super) fn account(&self, issuer: &str) -> Option<SealedKey> {
        self.accounts.get(issuer).cloned()
    }

    pub(super) fn issuers(&self) -> Vec<String> {
        self.accounts.keys().cloned().collect()
    }

    pub(super) fn replace_account(
        &mut self,
        issuer: &str,
        expected: Option<&SealedKey>,
        sealed: SealedKey,
    ) -> Result<(), StoreError> {
        if self.accounts.get(issuer) != expected {
            return Err(StoreError::Lost { domain: issuer.to_owned() });
        }
        self.accounts.insert(issuer.to_owned(), sealed);
        Ok(())
    }

    pub(super) fn document(&self, name: &str, now: Timestamp) -> Option<Document> {
        self.documents.get(name).filter(|found| found.expires_at > now).cloned()
    }

    pub(super) fn put_document(
        &mut self,
        name: &str,
        document: &Document,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let version = self.document(name, now).map_or(0, |found| found.version);
        if version != document.version {
            return Err(StoreError::Lost { domain: name.to_owned() });
        }
        let written = Document { version: version + 1, ..document.clone() };
        self.documents.insert(name.to_owned(), written);
        Ok(())
    }

    pub(super) fn mark(&self, job: &str) -> Option<String> {
        self.marks.get(job).cloned()
    }

    pub(super) fn set_mark(&mut self, job: &str, mark: Option<&str>) {
        match mark {
            Some(mark) => self.marks.insert(job.to_owned(), mark.to_owned()),
            None => self.marks.remove(job),
        };
    }

    pub(super) fn changes(&self, since: &ChangeCursor) -> ChangeBatch {
        let end = ChangeCursor(vec![u64::try_from(self.log.len()).unwrap_or(u64::MAX)]);
        let at = match since.0.as_slice() {
            [] => return ChangeBatch { changed: Vec::new(), cursor: end, resync: false },
            [at] => usize::try_from(*at).ok(),
            _ => None,
        };
        let Some(news) = at.and_then(|at| self.log.get(at..)) else {
            return ChangeBatch { changed: Vec::new(), cursor: end, resync: true };
        };
        let changed = news.iter().map(|domain| Changed { domain: domain.clone() }).collect();
        ChangeBatch { changed, cursor: end, resync: false }
    }

    fn forget_due(&mut self, domain: &DomainName) {
        let wake_at = self.records.get(domain).and_then(|stored| stored.record.wake_at());
        if let Some(at) = wake_at {
            self.due.remove(&(at, domain.clone()));
        }
    }
}

fn lost(domain: &DomainName) -> StoreError {
    StoreError::Lost { domain: domain.to_string() }
}
