//! What operators and platforms do with domains: register, show, list, renew, remove.

mod error;
mod moves;
mod together;

use std::sync::Arc;

use sealwax_core::notice::{self, Nobody};
use sealwax_core::store::{
    CertificateChange, Change, Expected, LifecycleEvent, Page, Selection, Store, StoreError, Stored,
};
use sealwax_core::{
    Clock, DomainRecord, Lane, Notifier, Registration, Timestamp, Work, apply, departure,
};
use sealwax_protocol::{ChallengeToken, DomainName};

pub use error::RegistryError;
pub use moves::Terms;
pub use together::Known;

/// How often an operation starts anew because someone else wrote the record first.
const RELOADS_MAX: u32 = 8;
/// The event of a removal.
const REMOVED: &str = "domain.removed";

/// Who is told what the registry did.
pub trait Announcer: Send + Sync + 'static {
    /// The domain's served certificate, or its right to one, may differ: look again.
    fn changed(&self, domain: &DomainName);

    /// Work may be waiting for the domain.
    fn wanted(&self, domain: &DomainName, lane: Lane);
}

/// What the configuration says about registrations.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rules {
    /// The issuers a registration may name.
    pub issuers: Vec<String>,
    /// Issue at registration instead of at the first handshake.
    pub on_register: bool,
}

/// The domains. Cheap to clone.
#[derive(Clone)]
pub struct Registry {
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    announcer: Arc<dyn Announcer>,
    rules: Arc<Rules>,
    notifier: Arc<dyn Notifier>,
}

/// What a registration did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Put {
    /// The record as it is now.
    pub record: DomainRecord,
    /// It was not there before.
    pub created: bool,
}

/// Whether a renewal may come before its time, and whatever a look at the domain says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Window {
    /// Only when the certificate is due, missing, or its last attempt failed.
    Kept,
    /// At any time, and the domain is not looked at first.
    Ignored,
}

impl Registry {
    /// Over a store.
    #[must_use]
    pub fn new(
        store: Arc<dyn Store>,
        clock: Arc<dyn Clock>,
        announcer: Arc<dyn Announcer>,
        rules: Rules,
    ) -> Self {
        Self { store, clock, announcer, rules: Arc::new(rules), notifier: Arc::new(Nobody) }
    }

    /// With someone to tell of removals.
    #[must_use]
    pub fn telling(self, notifier: Arc<dyn Notifier>) -> Self {
        Self { notifier, ..self }
    }

    /// Registers a domain, or replaces what the platform says about it. Keeps its certificate and
    /// the work on it; a parked domain may have a certificate again.
    ///
    /// # Errors
    /// An issuer that is not configured, or the store.
    pub async fn put(
        &self,
        domain: &DomainName,
        registration: Registration,
    ) -> Result<Put, RegistryError> {
        self.put_on(domain, registration, Terms::default()).await
    }

    /// The same, on terms.
    ///
    /// # Errors
    /// As [`Self::put`], and when it is another tenant's than the terms say.
    pub async fn put_on(
        &self,
        domain: &DomainName,
        registration: Registration,
        terms: Terms<'_>,
    ) -> Result<Put, RegistryError> {
        self.check(&registration)?;
        for _ in 0..RELOADS_MAX {
            let now = self.clock.now();
            let found = self.find(domain).await?;
            let trace = found.as_ref().filter(|stored| stored.record.removed).cloned();
            let before = found.filter(|stored| !stored.record.removed);
            let created = before.is_none();
            let was = before.as_ref().map(|stored| &stored.record);
            terms.check(domain, was)?;
            let moved = moves::told(was, &registration);
            let expected = before
                .as_ref()
                .or(trace.as_ref())
                .map_or(Expected::Absent, |stored| Expected::Version(stored.version));
            let Some(mut next) = self.registered(domain, before.as_ref(), &registration, now)
            else {
                let record = before.map(|stored| stored.record).ok_or_else(|| gone(domain))?;
                return Ok(Put { record, created });
            };
            if let Some(was) = was.filter(|_| moved.is_some()) {
                next = moves::moved(next, was, terms, now);
            }
            // What the platform was not told yet about the one before.
            next.outbox.extend(trace.into_iter().flat_map(|stored| stored.record.outbox));
            let kind = if created { "domain.registered" } else { "domain.updated" };
            if let Some(record) =
                self.write(next, expected, event(now, kind, moved.unwrap_or_default())).await?
            {
                self.tell(&record);
                return Ok(Put { record, created });
            }
        }
        Err(RegistryError::Contended(domain.clone()))
    }

    fn tell(&self, record: &DomainRecord) {
        self.announcer.changed(&record.domain);
        if let Work::Wanted { .. } = record.work {
            // Behind renewals and requests: an import must not make them wait.
            self.announcer.wanted(&record.domain, Lane::Due);
        }
    }

    /// The record.
    ///
    /// # Errors
    /// Not registered, or the store.
    pub async fn show(&self, domain: &DomainName) -> Result<DomainRecord, RegistryError> {
        let stored = self.load(domain).await?;
        stored.map(|stored| stored.record).ok_or_else(|| gone(domain))
    }

    /// Stops serving and renewing a domain and deletes its keys.
    ///
    /// # Errors
    /// Not registered, or the store.
    pub async fn remove(&self, domain: &DomainName) -> Result<(), RegistryError> {
        for _ in 0..RELOADS_MAX {
            let stored = self.load(domain).await?.ok_or_else(|| gone(domain))?;
            match self.take_away(stored).await {
                Ok(()) => {
                    self.announcer.changed(domain);
                    return Ok(());
                }
                Err(StoreError::Lost { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(RegistryError::Contended(domain.clone()))
    }

    /// Asks for a new certificate now. Work in flight goes on as it is.
    ///
    /// # Errors
    /// Not registered, not due and the window is kept, or the store.
    pub async fn renew(
        &self,
        domain: &DomainName,
        window: Window,
    ) -> Result<DomainRecord, RegistryError> {
        for _ in 0..RELOADS_MAX {
            let now = self.clock.now();
            let stored = self.load(domain).await?.ok_or_else(|| gone(domain))?;
            if window == Window::Kept {
                check_window(&stored.record, now)?;
            }
            let Some(next) = apply::force(&stored.record, now) else {
                self.announcer.wanted(domain, Lane::Request);
                return Ok(stored.record);
            };
            let detail = match window {
                Window::Kept => "asked for through the admin API",
                Window::Ignored => {
                    "asked for through the admin API, whatever window and preflight say"
                }
            };
            let next = match window {
                Window::Kept => next,
                Window::Ignored => apply::waived(next),
            };
            let asked = event(now, "renewal.requested", detail.to_owned());
            let expected = Expected::Version(stored.version);
            if let Some(record) = self.write(next, expected, asked).await? {
                self.announcer.wanted(domain, Lane::Request);
                return Ok(record);
            }
        }
        Err(RegistryError::Contended(domain.clone()))
    }

    /// One page of the domains selected.
    ///
    /// # Errors
    /// The store.
    pub async fn list(
        &self,
        selection: &Selection,
        limit: usize,
        cursor: Option<&str>,
    ) -> Result<Page, RegistryError> {
        Ok(self.store.list(selection, limit, cursor).await?)
    }

    /// The newest events of a domain, newest first; those of a removed domain are kept a while.
    ///
    /// # Errors
    /// The store.
    pub async fn events(
        &self,
        domain: &DomainName,
        limit: usize,
    ) -> Result<Vec<LifecycleEvent>, RegistryError> {
        Ok(self.store.events(domain, limit).await?)
    }

    /// The present time, as the records have it.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    fn check(&self, registration: &Registration) -> Result<(), RegistryError> {
        self.knows_issuer(registration.issuer.as_deref())
    }

    /// An issuer that is named is configured.
    ///
    /// # Errors
    /// It is not.
    pub fn knows_issuer(&self, issuer: Option<&str>) -> Result<(), RegistryError> {
        let unknown = issuer.filter(|issuer| !self.rules.issuers.iter().any(|one| one == issuer));
        unknown.map_or(Ok(()), |issuer| {
            Err(RegistryError::UnknownIssuer {
                issuer: issuer.to_owned(),
                configured: self.rules.issuers.join(", "),
            })
        })
    }

    /// The record with this registration; `None`: it is as it should be.
    fn registered(
        &self,
        domain: &DomainName,
        before: Option<&Stored>,
        registration: &Registration,
        now: Timestamp,
    ) -> Option<DomainRecord> {
        let record = match before {
            None => DomainRecord::registered(domain.clone(), registration.clone(), now),
            Some(stored) => {
                let parked = stored.record.work == Work::Parked;
                let doubted = stored.record.departure.is_some();
                if stored.record.registration == *registration && !parked && !doubted {
                    return None;
                }
                let mut record =
                    DomainRecord { registration: registration.clone(), ..stored.record.clone() };
                if parked {
                    record.work = Work::Idle;
                    record.failure = None;
                }
                // Whoever registers a domain says that it is not gone.
                departure::returned(record)
            }
        };
        let wanted = if self.rules.on_register { apply::demand(&record, now) } else { None };
        Some(wanted.unwrap_or(record))
    }

    /// At once if nobody wants to hear of it; else certificate, key and challenge at once, and the
    /// rest when they heard.
    async fn take_away(&self, stored: Stored) -> Result<(), StoreError> {
        let domain = stored.record.domain.clone();
        if self.notifier.receivers(REMOVED).is_empty() {
            return self.store.remove(&domain, stored.version).await;
        }
        let now = self.clock.now();
        let token = stored.record.work.token().and_then(|token| ChallengeToken::parse(token).ok());
        let mut record = apply::removed(stored.record, now);
        let events = vec![event(now, REMOVED, String::new())];
        notice::leave(&mut record, &events, &*self.notifier);
        let change = Change {
            certificate: CertificateChange::Remove,
            withdraw: token,
            events,
            announce: true,
            ..Change::of(record, Expected::Version(stored.version))
        };
        self.store.write(change).await?;
        Ok(())
    }

    async fn load(&self, domain: &DomainName) -> Result<Option<Stored>, RegistryError> {
        Ok(self.find(domain).await?.filter(|stored| !stored.record.removed))
    }

    async fn find(&self, domain: &DomainName) -> Result<Option<Stored>, RegistryError> {
        let entries = self.store.load(std::slice::from_ref(domain)).await?;
        Ok(entries.into_iter().next().flatten().map(|entry| entry.stored))
    }

    /// `None`: someone else wrote first.
    async fn write(
        &self,
        record: DomainRecord,
        expected: Expected,
        happened: LifecycleEvent,
    ) -> Result<Option<DomainRecord>, RegistryError> {
        let record = DomainRecord { updated_at: happened.at, ..record };
        match self.store.write(announced(record.clone(), expected, happened)).await {
            Ok(_) => Ok(Some(record)),
            Err(StoreError::Lost { .. }) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }
}

/// A change that every replica is told of.
fn announced(record: DomainRecord, expected: Expected, happened: LifecycleEvent) -> Change {
    Change { events: vec![happened], announce: true, ..Change::of(record, expected) }
}

fn check_window(record: &DomainRecord, now: Timestamp) -> Result<(), RegistryError> {
    if record.work == Work::Parked {
        return Err(RegistryError::Parked(record.domain.clone()));
    }
    let Some(certificate) = &record.certificate else { return Ok(()) };
    let due = certificate.renew_at.is_some_and(|at| at <= now);
    if due || record.failure.is_some() || record.work != Work::Idle {
        return Ok(());
    }
    let renew_at = certificate.renew_at;
    Err(RegistryError::NotDue { domain: record.domain.clone(), renew_at })
}

fn gone(domain: &DomainName) -> RegistryError {
    RegistryError::NotFound(domain.clone())
}

fn event(at: Timestamp, kind: &str, detail: String) -> LifecycleEvent {
    LifecycleEvent { at, kind: kind.to_owned(), detail }
}

#[cfg(test)]
mod race_tests;
#[cfg(test)]
pub(crate) mod tests;
