//! The change log.

use sealwax_core::store::{
    CertificateChange, Change, ChangeCursor, Expected, RecordVersion, StoreError,
};

use super::Subject;
use super::samples::{certificate, domain, record};

async fn news(subject: &Subject, cursor: &mut ChangeCursor) -> Vec<String> {
    let batch = subject.store.changes(cursor).await.unwrap();
    assert!(!batch.resync);
    *cursor = batch.cursor;
    batch.changed.iter().map(|changed| changed.domain.to_string()).collect()
}

async fn announce(
    subject: &Subject,
    label: &str,
    expected: Expected,
) -> Result<RecordVersion, StoreError> {
    let mut change = Change::of(record(label), expected);
    change.announce = true;
    subject.store.write(change).await
}

pub(super) async fn the_log_tells_each_change_once(subject: &Subject) {
    announce(subject, "told-before", Expected::Absent).await.unwrap();
    let mut cursor = ChangeCursor::default();
    assert!(news(subject, &mut cursor).await.is_empty(), "a default cursor stands for now");
    let mut wanted = Vec::new();
    for n in 0..20 {
        let label = format!("told-{n}");
        wanted.push(domain(&label).to_string());
        let mut change = Change::of(record(&label), Expected::Absent);
        change.certificate = CertificateChange::Replace(certificate("told"));
        subject.store.write(change).await.unwrap();
    }
    let mut told = news(subject, &mut cursor).await;
    told.sort_unstable();
    wanted.sort_unstable();
    assert_eq!(told, wanted);
    assert!(news(subject, &mut cursor).await.is_empty());
    announce(subject, "told-3", Expected::Version(RecordVersion(1))).await.unwrap();
    assert_eq!(news(subject, &mut cursor).await, [domain("told-3").to_string()]);
    assert!(news(subject, &mut cursor).await.is_empty());
    // A clock set back changes nothing.
    subject.clock.set(super::START - sealwax_core::Span::from_secs(600));
    announce(subject, "told-4", Expected::Version(RecordVersion(1))).await.unwrap();
    assert_eq!(news(subject, &mut cursor).await, [domain("told-4").to_string()]);
    subject.clock.set(super::START);
    assert!(news(subject, &mut cursor).await.is_empty());
}

pub(super) async fn what_is_not_announced_is_not_told(subject: &Subject) {
    let mut cursor = ChangeCursor::default();
    news(subject, &mut cursor).await;
    let version =
        subject.store.write(Change::of(record("untold"), Expected::Absent)).await.unwrap();
    assert!(news(subject, &mut cursor).await.is_empty());
    let mut change = Change::of(record("untold"), Expected::Version(version));
    change.certificate = CertificateChange::Replace(certificate("resealed"));
    subject.store.write_quietly(change).await.unwrap();
    assert!(news(subject, &mut cursor).await.is_empty());
    let lost = announce(subject, "untold", Expected::Absent).await;
    assert!(matches!(lost, Err(StoreError::Lost { .. })), "{lost:?}");
    assert!(news(subject, &mut cursor).await.is_empty(), "a write that lost is not told");
}

pub(super) async fn readers_do_not_disturb_each_other(subject: &Subject) {
    let (mut quick, mut slow) = (ChangeCursor::default(), ChangeCursor::default());
    news(subject, &mut quick).await;
    news(subject, &mut slow).await;
    announce(subject, "read-1", Expected::Absent).await.unwrap();
    assert_eq!(news(subject, &mut quick).await, [domain("read-1").to_string()]);
    announce(subject, "read-2", Expected::Absent).await.unwrap();
    assert_eq!(news(subject, &mut quick).await, [domain("read-2").to_string()]);
    let mut both = news(subject, &mut slow).await;
    both.sort_unstable();
    assert_eq!(both, [domain("read-1").to_string(), domain("read-2").to_string()]);
    let foreign = ChangeCursor(vec![u64::MAX; 3]);
    assert!(subject.store.changes(&foreign).await.unwrap().resync);
}
