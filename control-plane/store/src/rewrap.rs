//! Moves every sealed key to a new key-encryption key, while the store is in use.

use futures::stream::{self, TryStreamExt as _};
use sealwax_core::SealedKey;
use sealwax_core::record::Work;
use sealwax_core::secret::SealError;
use sealwax_core::store::{
    CertificateChange, Change, Entry, Expected, LOAD_MAX, Selection, StoreError, StoredCertificate,
};
use sealwax_protocol::DomainName;

use crate::seal::KeySealer;
use crate::upkeep::Upkeep;

/// Domains in one step, after which progress is kept.
const STEP: usize = LOAD_MAX;
/// Domains written at a time.
const IN_FLIGHT: usize = 8;
/// How often a domain that others write meanwhile is tried.
const ATTEMPTS: u32 = 5;
const JOB: &str = "rewrap-keys";

/// How far it got.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RewrapProgress {
    /// Domains and accounts looked at.
    pub seen: u64,
    /// Those that were under another key.
    pub rewrapped: u64,
    /// It went on where an earlier run had stopped.
    pub resumed: bool,
}

/// Why it stopped. It can be started again, and goes on where it was.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RewrapError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A key is under a key-encryption key that was not given.
    #[error("{place}: {error}")]
    Seal {
        /// The domain or issuer.
        place: String,
        /// What is wrong.
        error: SealError,
    },
}

/// Wraps every data key under the sealer's current key-encryption key: certificates, keys of
/// orders in flight, accounts. Private keys are not opened. Domains that are written meanwhile
/// are read again; whoever writes must already use the new key.
///
/// # Errors
/// [`RewrapError`]; what was done stays done.
pub async fn rewrap_keys(
    store: &dyn Upkeep,
    sealer: &KeySealer,
    mut progress: impl FnMut(&RewrapProgress) + Send,
) -> Result<RewrapProgress, RewrapError> {
    let current = sealer.current().to_string();
    let mut so_far = RewrapProgress::default();
    for issuer in store.accounts().await? {
        so_far.seen += 1;
        so_far.rewrapped += u64::from(account(store, sealer, &issuer).await?);
    }
    // A mark of a run towards another key says nothing about this one.
    let mark = store.mark(JOB).await?;
    let mark = mark.as_deref().and_then(|mark| mark.split_once(' '));
    let mut cursor = mark.filter(|(kek, _)| *kek == current).map(|(_, cursor)| cursor.to_owned());
    so_far.resumed = cursor.is_some();
    loop {
        let page = store.list(&Selection::default(), STEP, cursor.as_deref()).await?;
        let domains: Vec<_> = page.records.into_iter().map(|record| record.domain).collect();
        so_far.seen += u64::try_from(domains.len()).unwrap_or(u64::MAX);
        so_far.rewrapped += step(store, sealer, domains).await?;
        cursor = page.cursor;
        let mark = cursor.as_ref().map(|cursor| format!("{current} {cursor}"));
        store.set_mark(JOB, mark.as_deref()).await?;
        // What is told is not done again, whatever ends the run now.
        progress(&so_far);
        if cursor.is_none() {
            return Ok(so_far);
        }
    }
}

async fn account(
    store: &dyn Upkeep,
    sealer: &KeySealer,
    issuer: &str,
) -> Result<bool, RewrapError> {
    for _ in 0..ATTEMPTS {
        let Some(sealed) = store.account(issuer).await? else { return Ok(false) };
        let Some(rewrapped) = rewrap(sealer, issuer, &sealed).await? else { return Ok(false) };
        match store.replace_account(issuer, &sealed, &rewrapped).await {
            Ok(()) => return Ok(true),
            Err(StoreError::Lost { .. }) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Err(contended(issuer).into())
}

/// Rewraps some domains, read together; how many were under another key.
async fn step(
    store: &dyn Upkeep,
    sealer: &KeySealer,
    domains: Vec<DomainName>,
) -> Result<u64, RewrapError> {
    let loaded = store.load(&domains).await?;
    let pairs: Vec<Result<_, RewrapError>> = domains.into_iter().zip(loaded).map(Ok).collect();
    stream::iter(pairs)
        .map_ok(|(name, entry)| domain(store, sealer, name, entry))
        .try_buffer_unordered(IN_FLIGHT)
        .try_fold(0, async |count, rewrapped| Ok(count + u64::from(rewrapped)))
        .await
}

async fn domain(
    store: &dyn Upkeep,
    sealer: &KeySealer,
    domain: DomainName,
    mut loaded: Option<Entry>,
) -> Result<bool, RewrapError> {
    for _ in 0..ATTEMPTS {
        let Some(entry) = loaded else { return Ok(false) };
        let Some(change) = change(sealer, entry).await? else { return Ok(false) };
        match store.write_quietly(change).await {
            Ok(_) => return Ok(true),
            Err(StoreError::Lost { .. }) => {}
            Err(error) => return Err(error.into()),
        }
        let again = store.load(std::slice::from_ref(&domain)).await?;
        loaded = again.into_iter().next().flatten();
    }
    Err(contended(domain.as_str()).into())
}

/// What to write, if anything.
async fn change(sealer: &KeySealer, entry: Entry) -> Result<Option<Change>, RewrapError> {
    let mut record = entry.stored.record;
    let name = record.domain.to_string();
    let mut certificate = CertificateChange::Keep;
    if let Some(served) = entry.certificate
        && let Some(key) = rewrap(sealer, &name, &served.key).await?
    {
        certificate = CertificateChange::Replace(StoredCertificate { chain: served.chain, key });
    }
    let mut in_flight = false;
    if let Work::Keyed { key, .. } = &mut record.work
        && let Some(rewrapped) = rewrap(sealer, &name, key).await?
    {
        *key = rewrapped;
        in_flight = true;
    }
    if certificate == CertificateChange::Keep && !in_flight {
        return Ok(None);
    }
    let mut change = Change::of(record, Expected::Version(entry.stored.version));
    change.certificate = certificate;
    Ok(Some(change))
}

async fn rewrap(
    sealer: &KeySealer,
    place: &str,
    sealed: &SealedKey,
) -> Result<Option<SealedKey>, RewrapError> {
    let rewrapped = sealer.rewrap(sealed).await;
    rewrapped.map_err(|error| RewrapError::Seal { place: place.to_owned(), error })
}

fn contended(place: &str) -> StoreError {
    StoreError::Unavailable { detail: format!("{place} is written all the time") }
}
