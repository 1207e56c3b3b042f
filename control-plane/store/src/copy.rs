//! Moves everything to another store, for instance from the embedded one to DynamoDB.

use futures::stream::{self, TryStreamExt as _};
use sealwax_core::DomainRecord;
use sealwax_core::identity::{IDENTITY_DOCUMENT, StoreIdentity};
use sealwax_core::store::{
    CertificateChange, Change, Document, EVENTS_PER_CHANGE_MAX, Entry, Expected, Selection,
    StoreError,
};
use sealwax_protocol::{ChallengeToken, DomainName};

use crate::seal::CANARY_ISSUER;
use crate::upkeep::Upkeep;

/// Domains in one step, after which progress is kept in the target.
const STEP: usize = 50;
/// Domains written at a time.
const IN_FLIGHT: usize = 8;
const JOB: &str = "copy";

/// How far it got.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CopyProgress {
    /// Domains looked at.
    pub seen: u64,
    /// Those that were written; the others were there already.
    pub written: u64,
    /// Domains read back from the target and found equal.
    pub verified: u64,
    /// Accounts, the canary of the key-encryption key among them.
    pub accounts: u64,
    /// It went on where an earlier run had stopped.
    pub resumed: bool,
}

/// Why it stopped. It can be started again, and goes on where it was.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CopyError {
    /// One of the stores failed.
    #[error("the {side} store: {error}")]
    Store {
        /// `source` or `target`.
        side: &'static str,
        /// How.
        error: StoreError,
    },
    /// The target has something newer of this name: it was in use already.
    #[error("the target has another, newer {0}: copy into an empty table")]
    NewerInTarget(String),
    /// The target has domains that did not come from the source.
    #[error(
        "the target has domains already, and they are not from this source: copy into an empty table"
    )]
    InUse,
    /// What was read back is not what was written.
    #[error("the target does not hold {0} as the source does; is it written to meanwhile?")]
    Differs(String),
}

/// Copies accounts, then every domain with its certificate, stored challenge and newest
/// [`EVENTS_PER_CHANGE_MAX`] events, and reads each back. Nothing may write to the source
/// meanwhile. Into an empty store only, or one that an earlier run began to fill; the source's
/// identity goes along. Sealed keys are copied as they are: the target is used with the same
/// key-encryption key.
///
/// # Errors
/// [`CopyError`]; what was done stays done.
pub async fn copy_store(
    source: &dyn Upkeep,
    target: &dyn Upkeep,
    mut progress: impl FnMut(&CopyProgress) + Send,
) -> Result<CopyProgress, CopyError> {
    refuse_in_use(source, target).await?;
    let mut so_far = CopyProgress::default();
    for issuer in source.accounts().await.map_err(at_source)? {
        account(source, target, &issuer).await?;
        so_far.accounts += 1;
    }
    identity(source, target).await?;
    let mut cursor = target.mark(JOB).await.map_err(at_target)?;
    so_far.resumed = cursor.is_some();
    loop {
        let page = source.list(&Selection::default(), STEP, cursor.as_deref()).await;
        let page = page.map_err(at_source)?;
        let domains: Vec<DomainName> =
            page.records.into_iter().map(|record: DomainRecord| record.domain).collect();
        so_far.seen += u64::try_from(domains.len()).unwrap_or(u64::MAX);
        so_far.written += step(source, target, &domains).await?;
        so_far.verified += u64::try_from(domains.len()).unwrap_or(u64::MAX);
        cursor = page.cursor;
        target.set_mark(JOB, cursor.as_deref()).await.map_err(at_target)?;
        // What is told is not done again, whatever ends the run now.
        progress(&so_far);
        if cursor.is_none() {
            return Ok(so_far);
        }
    }
}

/// Looks before anything is written.
async fn refuse_in_use(source: &dyn Upkeep, target: &dyn Upkeep) -> Result<(), CopyError> {
    // Each store's canary is its own: the same in both is from an earlier run.
    let canary = target.account(CANARY_ISSUER).await.map_err(at_target)?;
    if canary.is_some() && canary == source.account(CANARY_ISSUER).await.map_err(at_source)? {
        return Ok(());
    }
    let first = target.list(&Selection::default(), 1, None).await.map_err(at_target)?;
    if first.records.is_empty() { Ok(()) } else { Err(CopyError::InUse) }
}

/// Whoever knew the source knows the target then.
async fn identity(source: &dyn Upkeep, target: &dyn Upkeep) -> Result<(), CopyError> {
    let Some(known) = source.document(IDENTITY_DOCUMENT).await.map_err(at_source)? else {
        return Ok(());
    };
    let there = target.document(IDENTITY_DOCUMENT).await.map_err(at_target)?;
    if there.as_ref().is_some_and(|there| there.text == known.text) {
        return Ok(());
    }
    // The target was used since an earlier run: what is older says nothing of it.
    if there.as_ref().is_some_and(|there| no_newer(&known.text, &there.text)) {
        return Ok(());
    }
    let version = there.map_or(0, |there| there.version);
    let moved = Document { version, ..known };
    target.put_document(IDENTITY_DOCUMENT, &moved).await.map_err(at_target)
}

/// Whether both are one store, and the first was not used later than the second.
fn no_newer(known: &str, there: &str) -> bool {
    let read = |text| serde_json::from_str::<StoreIdentity>(text).ok();
    read(known).zip(read(there)).is_some_and(|(known, there)| {
        known.id == there.id && (known.epoch, known.mark) <= (there.epoch, there.mark)
    })
}

async fn account(source: &dyn Upkeep, target: &dyn Upkeep, issuer: &str) -> Result<(), CopyError> {
    let Some(sealed) = source.account(issuer).await.map_err(at_source)? else { return Ok(()) };
    match target.create_account(issuer, &sealed).await {
        Ok(()) => return Ok(()),
        Err(StoreError::Lost { .. }) => {}
        Err(error) => return Err(at_target(error)),
    }
    match target.account(issuer).await.map_err(at_target)? {
        Some(found) if found == sealed => Ok(()),
        // A start of the target's control plane leaves one; the source's is as good.
        Some(found) if issuer == CANARY_ISSUER => {
            target.replace_account(issuer, &found, &sealed).await.map_err(at_target)
        }
        _ => Err(CopyError::NewerInTarget(format!("account of {issuer}"))),
    }
}

/// Copies some domains and reads them back; how many had to be written.
async fn step(
    source: &dyn Upkeep,
    target: &dyn Upkeep,
    domains: &[DomainName],
) -> Result<u64, CopyError> {
    let wanted = source.load(domains).await.map_err(at_source)?;
    let found = target.load(domains).await.map_err(at_target)?;
    let pairs = wanted.iter().zip(found);
    let missing = pairs.filter_map(|(wanted, found)| {
        let wanted = wanted.as_ref()?;
        (!same(Some(wanted), found.as_ref())).then_some((wanted, found))
    });
    let missing: Vec<(&Entry, Option<Entry>)> = missing.collect();
    let written = u64::try_from(missing.len()).unwrap_or(u64::MAX);
    stream::iter(missing.into_iter().map(Ok))
        .try_for_each_concurrent(IN_FLIGHT, |(wanted, found)| write(source, target, wanted, found))
        .await?;
    let copied = target.load(domains).await.map_err(at_target)?;
    for (domain, (wanted, copied)) in domains.iter().zip(wanted.iter().zip(&copied)) {
        if !same(wanted.as_ref(), copied.as_ref()) {
            return Err(CopyError::Differs(domain.to_string()));
        }
    }
    Ok(written)
}

async fn write(
    source: &dyn Upkeep,
    target: &dyn Upkeep,
    wanted: &Entry,
    found: Option<Entry>,
) -> Result<(), CopyError> {
    let record = wanted.stored.record.clone();
    let domain = record.domain.clone();
    let expected = match found {
        None => Expected::Absent,
        Some(found) if found.stored.record.updated_at > record.updated_at => {
            return Err(CopyError::NewerInTarget(domain.to_string()));
        }
        Some(found) => Expected::Version(found.stored.version),
    };
    let mut change = Change::of(record, expected);
    change.certificate = match &wanted.certificate {
        Some(certificate) => CertificateChange::Replace(certificate.clone()),
        None if expected == Expected::Absent => CertificateChange::Keep,
        None => CertificateChange::Remove,
    };
    let token = change.record.work.token().and_then(|text| ChallengeToken::parse(text).ok());
    if let Some(token) = token {
        change.publish = source.challenge(&token).await.map_err(at_source)?;
    }
    if expected == Expected::Absent {
        let events = source.events(&domain, EVENTS_PER_CHANGE_MAX).await.map_err(at_source)?;
        change.events = events.into_iter().rev().collect();
    }
    target.write(change).await.map(|_| ()).map_err(at_target)
}

fn same(one: Option<&Entry>, other: Option<&Entry>) -> bool {
    let of = |entry: &Entry| (entry.stored.record.clone(), entry.certificate.clone());
    one.map(of) == other.map(of)
}

const fn at_source(error: StoreError) -> CopyError {
    CopyError::Store { side: "source", error }
}

const fn at_target(error: StoreError) -> CopyError {
    CopyError::Store { side: "target", error }
}
