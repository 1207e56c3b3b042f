//! Certificates brought along, and certificates taken back.

use std::sync::Arc;

use sealwax_core::certificate::{
    Candidate, CertificateFacts, CertificateSource, Chain, ChainError, Kept, KeyError, Note, Trust,
    kept, read_pair, verify,
};
use sealwax_core::issuer::{IssueError, Issuer};
use sealwax_core::secret::{SealError, SealPlace, Sealer};
use sealwax_core::store::{
    CertificateChange, Change, Entry, Expected, LifecycleEvent, Store, StoreError,
    StoredCertificate,
};
use sealwax_core::{
    Clock, DomainRecord, Jitter, Lane, Notifier, PrivateKey, Registration, Timestamp, apply,
    notice, schedule, watch,
};
use sealwax_protocol::DomainName;

use crate::Announcer;

/// How often an operation starts anew because someone else wrote the record first.
const RELOADS_MAX: u32 = 8;

/// What it takes to put certificates in place and to revoke them.
#[derive(Clone)]
pub struct Certificates {
    /// All state.
    pub store: Arc<dyn Store>,
    /// Seals private keys.
    pub sealer: Arc<dyn Sealer>,
    /// The certificate authorities.
    pub issuers: Vec<Arc<dyn Issuer>>,
    /// Wall time.
    pub clock: Arc<dyn Clock>,
    /// Spreads schedules.
    pub jitter: Arc<dyn Jitter>,
    /// Who is told what changed.
    pub announcer: Arc<dyn Announcer>,
    /// Tells the platform.
    pub notifier: Arc<dyn Notifier>,
}

/// A certificate as someone brings it along.
#[derive(Clone, Copy)]
pub struct Brought<'a> {
    /// PEM in any shape; what is beside the certificates is not kept.
    pub chain_pem: &'a str,
    /// The leaf's private key in PEM: PKCS#8, PKCS#1 or SEC 1.
    pub key_pem: &'a str,
    /// The configured issuer whose account ordered it.
    pub ordered_from: Option<&'a str>,
    /// It takes the place of whatever is there, better or not.
    pub replace: bool,
    /// Everything is checked and nothing is written.
    pub dry_run: bool,
}

/// What came of it.
#[derive(Clone, Debug)]
pub struct Imported {
    /// The record; with a dry run, what it would have become.
    pub record: DomainRecord,
    /// What was left out of the chain, and what is missing.
    pub notes: Vec<Note>,
}

impl Certificates {
    /// Puts a certificate in place that was brought along, and registers the domain if nobody
    /// did. It is served from now on and never renewed by itself, unless the account of a
    /// configured issuer ordered it: then it is as if it had been ordered here.
    ///
    /// # Errors
    /// Chain, key and name do not fit together, there is no such issuer, the one that is served is
    /// better, or the store.
    pub async fn import(
        &self,
        domain: &DomainName,
        brought: Brought<'_>,
    ) -> Result<Imported, CertificateError> {
        let now = self.clock.now();
        let (read, key) = read_pair(brought.chain_pem.as_bytes(), brought.key_pem.as_bytes())?;
        let (chain, notes) = (read.chain, read.notes);
        let trust = Trust::of(&chain);
        let facts = verify(&chain, &key, domain, now, CertificateSource::Imported)?;
        let facts = match brought.ordered_from {
            None => facts,
            Some(issuer) if self.issuers.iter().any(|one| one.name() == issuer) => {
                ordered(facts, issuer, domain)
            }
            Some(issuer) => return Err(CertificateError::NoIssuer(issuer.to_owned())),
        };
        let sealed = self.sealer.seal(SealPlace::Certificate(domain.as_str()), &key).await?;
        let stored = StoredCertificate { chain, key: sealed };
        let detail = format!("serial {}, valid until {}", facts.serial, facts.not_after);
        for _ in 0..RELOADS_MAX {
            let entry = self.load(domain).await?;
            let held = entry.as_ref().and_then(|entry| entry.certificate.as_ref());
            let held = held.map(|held| Trust::of(&held.chain));
            let (record, expected) = match entry {
                Some(Entry { stored, .. }) if stored.record.removed => {
                    let version = Expected::Version(stored.version);
                    let said = Registration::default();
                    let mut record = DomainRecord::registered(domain.clone(), said, now);
                    record.outbox = stored.record.outbox;
                    (record, version)
                }
                Some(Entry { stored, .. }) => (stored.record, Expected::Version(stored.version)),
                None => {
                    let said = Registration::default();
                    (DomainRecord::registered(domain.clone(), said, now), Expected::Absent)
                }
            };
            // Brought along once more: who ordered it is known from the first time.
            let same = record.certificate.as_ref();
            let same = same.filter(|held| held.fingerprint_sha256 == facts.fingerprint_sha256);
            let issuer = same.and_then(|held| held.ordered_from.as_deref());
            let facts = match issuer {
                Some(issuer) => ordered(facts.clone(), issuer, domain),
                None => facts.clone(),
            };
            if let (Some(there), Some(trust_there), false) =
                (&record.certificate, held, brought.replace)
            {
                let there = Candidate { facts: there, trust: trust_there };
                let offered = Candidate { facts: &facts, trust };
                if let Some(why) = kept(&there, &offered, now) {
                    return Err(CertificateError::Kept { domain: domain.clone(), why });
                }
            }
            let watch = watch::begun(&facts, now, &*self.jitter);
            let mut record = apply::imported(record, facts);
            record.watch = watch;
            if brought.dry_run {
                return Ok(Imported { record, notes });
            }
            let happened = event(now, "certificate.imported", detail.clone());
            let replace = CertificateChange::Replace(stored.clone());
            if let Some(record) = self.write(record, expected, happened, replace).await? {
                self.announcer.changed(domain);
                return Ok(Imported { record, notes });
            }
        }
        Err(CertificateError::Contended(domain.clone()))
    }

    /// Has the CA revoke the certificate that is served, and asks for another one at once. Said
    /// twice, it is done once: the CA answers that it is revoked already.
    ///
    /// # Errors
    /// There is none, it was not ordered by one of our accounts, the CA, or the store.
    pub async fn revoke(&self, domain: &DomainName) -> Result<DomainRecord, CertificateError> {
        let none = || CertificateError::None(domain.clone());
        let entry = self.load(domain).await?.ok_or_else(none)?;
        let held = entry.stored.record.certificate.ok_or_else(none)?;
        let chain = entry.certificate.ok_or_else(none)?.chain;
        let issuer = self
            .issuers
            .iter()
            .find(|issuer| held.ordered_from.as_deref() == Some(issuer.name()))
            .ok_or_else(|| CertificateError::NotOurs(domain.clone()))?;
        issuer.revoke(&chain.leaf_der()?).await?;
        for _ in 0..RELOADS_MAX {
            let now = self.clock.now();
            let entry = self.load(domain).await?.ok_or_else(none)?;
            let record = entry.stored.record;
            let same = record.certificate.as_ref().map(|now| &now.serial) == Some(&held.serial);
            // Replaced meanwhile, or being replaced: that goes on as it is.
            let next = apply::force(&record, now).filter(|_| same).unwrap_or(record);
            let revoked = event(now, "certificate.revoked", format!("serial {}", held.serial));
            let expected = Expected::Version(entry.stored.version);
            if let Some(record) =
                self.write(next, expected, revoked, CertificateChange::Keep).await?
            {
                self.announcer.wanted(domain, Lane::Request);
                return Ok(record);
            }
        }
        Err(CertificateError::Contended(domain.clone()))
    }

    /// The certificate that is served, with its private key in clear. That it was taken out is
    /// with the domain's events before it is handed out.
    ///
    /// # Errors
    /// There is none, its key does not open, or the store.
    pub async fn export(
        &self,
        domain: &DomainName,
    ) -> Result<(Chain, PrivateKey), CertificateError> {
        for _ in 0..RELOADS_MAX {
            let none = || CertificateError::None(domain.clone());
            let entry = self.load(domain).await?.ok_or_else(none)?;
            let stored = entry.certificate.ok_or_else(none)?;
            let place = SealPlace::Certificate(domain.as_str());
            let key = self.sealer.open(place, &stored.key).await?;
            let facts = entry.stored.record.certificate.as_ref();
            let serial = facts.map_or("unknown", |facts| facts.serial.as_str());
            let exported =
                event(self.clock.now(), "certificate.exported", format!("serial {serial}"));
            let expected = Expected::Version(entry.stored.version);
            let keep = CertificateChange::Keep;
            if self.write(entry.stored.record, expected, exported, keep).await?.is_some() {
                return Ok((stored.chain, key));
            }
        }
        Err(CertificateError::Contended(domain.clone()))
    }

    async fn load(&self, domain: &DomainName) -> Result<Option<Entry>, StoreError> {
        let mut entries = self.store.load(std::slice::from_ref(domain)).await?;
        Ok(entries.pop().flatten())
    }

    /// `None`: someone else wrote first.
    async fn write(
        &self,
        mut record: DomainRecord,
        expected: Expected,
        happened: LifecycleEvent,
        certificate: CertificateChange,
    ) -> Result<Option<DomainRecord>, StoreError> {
        record.updated_at = happened.at;
        let events = vec![happened];
        // What is dropped for it is the oldest of sixteen that nobody took.
        notice::leave(&mut record, &events, &*self.notifier);
        let change =
            Change { events, certificate, announce: true, ..Change::of(record.clone(), expected) };
        match self.store.write(change).await {
            Ok(_) => Ok(Some(record)),
            Err(StoreError::Lost { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// As if it had been ordered here by the issuer's account.
fn ordered(facts: CertificateFacts, issuer: &str, domain: &DomainName) -> CertificateFacts {
    let place = schedule::Place::of(domain);
    CertificateFacts {
        source: CertificateSource::Acme,
        ordered_from: Some(issuer.to_owned()),
        renew_at: Some(schedule::renew_at(facts.not_before, facts.not_after, place)),
        ..facts
    }
}

/// A private key from PEM in any form.
///
/// # Errors
/// There is none, or none that can be used.
pub fn read_key(pem: &str) -> Result<PrivateKey, CertificateError> {
    Ok(sealwax_core::certificate::read_key(pem.as_bytes())?)
}

fn event(at: Timestamp, kind: &str, detail: String) -> LifecycleEvent {
    LifecycleEvent { at, kind: kind.to_owned(), detail }
}

/// Why a certificate was not put in place or not revoked. Never contains key material.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    /// Chain, key and name do not fit together.
    #[error(transparent)]
    Chain(#[from] ChainError),
    /// There is no private key that can be used.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// What is served is better.
    #[error("{domain} keeps its certificate: {why}; replace=true replaces it all the same")]
    Kept {
        /// The domain.
        domain: DomainName,
        /// In what it is better.
        why: Kept,
    },
    /// There is no certificate.
    #[error("{0} has no certificate")]
    None(DomainName),
    /// It is said to be ordered from an issuer there is not.
    #[error("there is no issuer {0:?} in the configuration")]
    NoIssuer(String),
    /// Another account, or nobody's here, ordered it.
    #[error("the certificate of {0} was not ordered by a configured issuer; revoke it with its CA")]
    NotOurs(DomainName),
    /// The CA did not revoke it.
    #[error(transparent)]
    Ca(#[from] IssueError),
    /// It cannot be sealed.
    #[error(transparent)]
    Seal(#[from] SealError),
    /// Others kept writing the record.
    #[error("the record of {0} is being changed by others; try again")]
    Contended(DomainName),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

#[cfg(test)]
pub(crate) mod tests;
