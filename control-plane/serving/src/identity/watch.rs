//! Compares the store with what was known, marks it as used, and has it accepted.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use sealwax_core::Clock;
use sealwax_core::identity::{
    IDENTITY_DOCUMENT, IDENTITY_LIFE, KnownStore, StoreIdentity, Verdict, judge,
};
use sealwax_core::store::{Document, Selection, Store, StoreError};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::local::Places;
use super::place::Place;
use super::trust::{Standing, Trust};

/// How often the store is compared while it is trusted, and else.
const COMPARE_EVERY: Duration = Duration::from_secs(20);
const COMPARE_SOON: Duration = Duration::from_secs(3);
/// A mark that nobody moved for so long is moved. So a copy that is older by more is noticed, at
/// one small write a minute for all control planes together.
const MARK_EVERY: Duration = Duration::from_secs(60);
/// How long a start waits for the first comparison.
const FIRST_WITHIN: Duration = Duration::from_secs(3);
/// Marks that failed in a row, twenty seconds apart, before the store counts as one that cannot be
/// written: throttling passes.
const UNWRITABLE_AFTER: u32 = 2;
/// How often a write that another control plane came before is tried again.
const ACCEPT_ATTEMPTS: usize = 5;

/// Knows which store it is.
pub struct IdentityWatch {
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    places: Places,
    place: Option<Place>,
    trust: Trust,
    seen: Mutex<Seen>,
}

#[derive(Debug, Default)]
struct Seen {
    known: Option<KnownStore>,
    /// What the store said last.
    found: Option<StoreIdentity>,
    /// Since when its mark has stood still.
    mark_since: Option<(u64, Instant)>,
    /// Why it could not be written last, and how often in a row.
    unwritable: Option<(String, u32)>,
}

/// Which store there is and which was known, for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdentityView {
    /// How it stands.
    pub standing: Standing,
    /// The one that was known.
    pub known: Option<KnownStore>,
    /// The one that is there.
    pub found: Option<StoreIdentity>,
    /// Why it cannot be written, though it can be read: a full disk, a limit, a missing right.
    pub unwritable: Option<String>,
    /// The files of this machine that should remember it and cannot be written.
    pub forgotten_at: Option<String>,
}

impl IdentityWatch {
    /// Knows what is remembered in these places.
    #[must_use]
    pub fn new(store: Arc<dyn Store>, clock: Arc<dyn Clock>, places: Places, trust: Trust) -> Self {
        let seen = Mutex::new(Seen { known: places.read(), ..Seen::default() });
        Self { store, clock, places, place: None, trust, seen }
    }

    /// The same, which sees whether the embedded store's file is still the one that is open.
    #[must_use]
    pub fn watching(self, file: Option<PathBuf>) -> Self {
        Self { place: file.map(Place::new), ..self }
    }

    /// The comparison a start waits for; a store that is away is compared later.
    pub async fn first(&self) {
        match tokio::time::timeout(FIRST_WITHIN, self.compare()).await {
            Ok(Ok(_)) => {}
            Ok(Err(error)) => tracing::warn!(%error, "which store this is is not known yet"),
            Err(_) => tracing::warn!("which store this is is not known yet: no answer"),
        }
    }

    /// Compares until told to stop; `changed` is called when the store is trusted that was not, or
    /// the other way round.
    pub async fn serve(self: Arc<Self>, changed: impl Fn() + Send, stop: CancellationToken) {
        loop {
            let pause = if self.trust.acts() { COMPARE_EVERY } else { COMPARE_SOON };
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(pause) => {}
            }
            match self.compare().await {
                Ok(true) => changed(),
                Ok(false) => {}
                Err(error) => tracing::debug!(%error, "the store is compared later"),
            }
        }
    }

    /// Compares once. True: the store stands differently now.
    ///
    /// # Errors
    /// The store cannot be asked; it stands as before.
    pub async fn compare(&self) -> Result<bool, StoreError> {
        let (document, found) = self.read().await?;
        if let Some(why) = self.place.as_ref().and_then(Place::trouble) {
            return Ok(self.stands(Standing::Doubted { kind: "moved", why }));
        }
        let known = self.seen().known.clone();
        let standing = match judge(known.as_ref(), found.as_ref()) {
            Verdict::New => return self.name_it().await,
            Verdict::Trusted => {
                if let Some(found) = found {
                    self.remember(&found);
                    self.mark(document, found).await;
                }
                Standing::Trusted
            }
            Verdict::Older => {
                let why = self.why_older(known.as_ref(), found.as_ref());
                self.doubt_it(document, found, known.as_ref(), &why).await;
                Standing::Doubted { kind: "older", why }
            }
            Verdict::Doubted => {
                let said = found.as_ref().and_then(|found| found.doubt.clone());
                self.see(found);
                Standing::Doubted { kind: "older", why: said.unwrap_or_default() }
            }
            Verdict::Other => {
                let why = self.why_other(known.as_ref(), found.as_ref());
                self.doubt_it(document, found, known.as_ref(), &why).await;
                Standing::Doubted { kind: "other", why }
            }
            Verdict::Nameless => {
                let why = self.why_other(known.as_ref(), None);
                self.see(None);
                Standing::Doubted { kind: "nameless", why }
            }
        };
        Ok(self.stands(standing))
    }

    /// Takes the store that is there for the right one, here and, by its identity, everywhere.
    ///
    /// # Errors
    /// The store cannot be asked, or others write it all the time.
    pub async fn accept(&self) -> Result<StoreIdentity, StoreError> {
        let mut attempts = 0;
        loop {
            let (document, found) = self.read().await?;
            let known = self.seen().known.clone();
            let found = match found {
                Some(found) => found,
                None => StoreIdentity::new(random_id()?, self.clock.now()),
            };
            let accepted = found.accepted(known.as_ref(), self.clock.now());
            match self.put(document, &accepted).await {
                Ok(()) => {
                    tracing::warn!(
                        store = accepted.id,
                        was = known.map(|known| known.id),
                        "the store was accepted: what it does not have may be withdrawn on evidence"
                    );
                    self.remember(&accepted);
                    self.stands(Standing::Trusted);
                    return Ok(accepted);
                }
                Err(StoreError::Lost { .. }) if attempts < ACCEPT_ATTEMPTS => attempts += 1,
                Err(error) => return Err(error),
            }
        }
    }

    /// Which store there is and which was known.
    #[must_use]
    pub fn view(&self) -> IdentityView {
        let seen = self.seen();
        let (known, found) = (seen.known.clone(), seen.found.clone());
        let failed = seen.unwritable.as_ref().filter(|(_, times)| *times >= UNWRITABLE_AFTER);
        let unwritable = failed.map(|(why, _)| why.clone());
        let forgotten_at = self.places.forgets().then(|| self.places.shown());
        IdentityView { standing: self.trust.standing(), known, found, unwritable, forgotten_at }
    }

    async fn read(&self) -> Result<(u64, Option<StoreIdentity>), StoreError> {
        let Some(document) = self.store.document(IDENTITY_DOCUMENT).await? else {
            return Ok((0, None));
        };
        let found = serde_json::from_str(&document.text).map_err(|error| {
            StoreError::Unreadable { key: IDENTITY_DOCUMENT.to_owned(), detail: error.to_string() }
        })?;
        Ok((document.version, Some(found)))
    }

    async fn put(&self, version: u64, identity: &StoreIdentity) -> Result<(), StoreError> {
        put_identity(&*self.store, version, identity, &*self.clock).await
    }

    /// A store that nobody knew and that has no identity gets one.
    async fn name_it(&self) -> Result<bool, StoreError> {
        let named = StoreIdentity::new(random_id()?, self.clock.now());
        match self.put(0, &named).await {
            Ok(()) => {}
            // Another control plane was faster: its identity is read next time.
            Err(StoreError::Lost { .. }) => return Ok(false),
            Err(error) => return Err(error),
        }
        let page = self.store.list(&Selection::default(), 1, None).await?;
        if page.records.is_empty() {
            tracing::warn!(
                store = named.id,
                "this is the first start with a new, empty store; if there was one before, stop and \
                 look at [store]"
            );
        } else {
            tracing::info!(store = named.id, "the store was given an identity");
        }
        self.remember(&named);
        Ok(self.stands(Standing::Trusted))
    }

    /// Says that the store is in use: at the start, so that a copy from before it is older, and
    /// whenever nobody said so for a while.
    async fn mark(&self, document: u64, found: StoreIdentity) {
        let due = {
            let mut seen = self.seen();
            let first = seen.mark_since.is_none();
            let since = match seen.mark_since {
                Some((mark, since)) if mark == found.mark => since,
                _ => Instant::now(),
            };
            seen.mark_since = Some((found.mark, since));
            first || since.elapsed() >= MARK_EVERY
        };
        if due {
            let marked = found.marked(self.clock.now());
            match self.put(document, &marked).await {
                Ok(()) => {
                    self.is_written();
                    self.remember(&marked);
                }
                // Another control plane did it.
                Err(StoreError::Lost { .. }) => self.is_written(),
                Err(error) => self.is_not_written(&error),
            }
        }
    }

    fn is_written(&self) {
        if self.seen().unwritable.take().is_some_and(|(_, times)| times >= UNWRITABLE_AFTER) {
            tracing::info!("the store can be written again");
        }
    }

    fn is_not_written(&self, error: &StoreError) {
        let mut seen = self.seen();
        let times = seen.unwritable.take().map_or(0, |(_, times)| times).saturating_add(1);
        seen.unwritable = Some((error.to_string(), times));
        drop(seen);
        if times == UNWRITABLE_AFTER {
            tracing::error!(%error, "the store cannot be written");
        }
    }

    /// Tells the other control planes, which may never have seen it newer, and whoever accepts it,
    /// so that it is accepted for this one too.
    async fn doubt_it(
        &self,
        document: u64,
        found: Option<StoreIdentity>,
        known: Option<&KnownStore>,
        why: &str,
    ) {
        if let Some(found) = &found
            && let Some(doubted) = known.and_then(|known| found.doubted(known, why))
            && let Err(error) = self.put(document, &doubted).await
        {
            tracing::debug!(%error, "the doubt is written later");
        }
        self.see(found);
    }

    fn remember(&self, found: &StoreIdentity) {
        let known = found.known();
        let before = {
            let mut seen = self.seen();
            seen.found = Some(found.clone());
            seen.known.replace(known.clone())
        };
        if before.as_ref() != Some(&known) {
            self.places.write(&known);
        }
    }

    fn see(&self, found: Option<StoreIdentity>) {
        self.seen().found = found;
    }

    fn stands(&self, standing: Standing) -> bool {
        let changed = self.trust.set(standing.clone());
        if changed && let Standing::Doubted { why, .. } = &standing {
            tracing::error!(error = why, "the store is not trusted");
        } else if changed {
            tracing::info!("the store is the known one");
        }
        changed
    }

    fn why_older(&self, known: Option<&KnownStore>, found: Option<&StoreIdentity>) -> String {
        let at = |millis: Option<u64>| {
            sealwax_core::Timestamp::from_millis(millis.unwrap_or_default()).rfc3339()
        };
        format!(
            "the store was last used at {}, and is known to have been used at {}: it is an older \
             copy. Nothing is withdrawn from edges and no last-good copy is erased. Put the newest \
             store back; if this one is meant, register and remove again what changed in between, \
             and run `sealwax store accept`",
            at(found.map(|found| found.mark)),
            at(known.map(|known| known.mark)),
        )
    }

    fn why_other(&self, known: Option<&KnownStore>, found: Option<&StoreIdentity>) -> String {
        let there = found.map_or_else(
            || {
                "has no identity: it is empty, or a copy from before there were identities"
                    .to_owned()
            },
            |found| format!("is {}", found.id),
        );
        format!(
            "the store {there}, and this control plane used {} before (remembered in {}). Nothing \
             is withdrawn from edges and no last-good copy is erased. Let [store] name the right \
             one; if this one is meant, run `sealwax store accept`",
            known.map_or("another", |known| known.id.as_str()),
            self.places.shown(),
        )
    }

    fn seen(&self) -> std::sync::MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Writes an identity over the document's version; 0: there is none.
///
/// # Errors
/// As [`Store::put_document`].
pub async fn put_identity(
    store: &dyn Store,
    version: u64,
    identity: &StoreIdentity,
    clock: &dyn Clock,
) -> Result<(), StoreError> {
    let text = serde_json::to_string(identity)
        .map_err(|error| StoreError::Bug { detail: error.to_string() })?;
    let expires_at = clock.now() + IDENTITY_LIFE;
    store.put_document(IDENTITY_DOCUMENT, &Document { text, version, expires_at }).await
}

/// 128 random bits in hexadecimal.
///
/// # Errors
/// There is no randomness.
pub fn random_id() -> Result<String, StoreError> {
    let mut bytes = [0_u8; 16];
    aws_lc_rs::rand::fill(&mut bytes)
        .map_err(|_| StoreError::Bug { detail: "no randomness".to_owned() })?;
    Ok(format!("{:032x}", u128::from_be_bytes(bytes)))
}

#[cfg(test)]
mod tests;
