//! Conditional writes and what is read after them.

use std::sync::Arc;

use futures::future::join_all;
use sealwax_core::record::{Lease, Work};
use sealwax_core::store::{
    CertificateChange, Change, ChangeCursor, EVENTS_PER_CHANGE_MAX, Entry, Expected, LOAD_MAX,
    RecordVersion, StoreError, WRITE_ALL_MAX,
};
use sealwax_core::{Registration, Span};
use sealwax_protocol::DomainName;

use super::samples::{certificate, challenge, domain, event, record, sealed, token};
use super::{START, Subject};

/// Loads one domain.
pub(super) async fn load(subject: &Subject, domain: &DomainName) -> Option<Entry> {
    let mut found = subject.store.load(std::slice::from_ref(domain)).await.unwrap();
    assert_eq!(found.len(), 1);
    found.remove(0)
}

/// Creates a record and returns its version.
pub(super) async fn create(subject: &Subject, label: &str) -> RecordVersion {
    subject.store.write(Change::of(record(label), Expected::Absent)).await.unwrap()
}

pub(super) async fn a_record_reads_back(subject: &Subject) {
    assert_eq!(load(subject, &domain("reads-back")).await, None);
    let mut wanted = record("reads-back");
    wanted.work = Work::Keyed {
        issuer: "ca".to_owned(),
        order_url: "https://ca.example/order/1".to_owned(),
        token: Some("t".to_owned()),
        key: sealed("key"),
    };
    wanted.lease =
        Some(Lease { holder: "a".to_owned(), id: u64::MAX, duration: Span::from_secs(30) });
    wanted.fence = 9_007_199_254_740_993;
    let version = subject.store.write(Change::of(wanted.clone(), Expected::Absent)).await.unwrap();
    assert_eq!(version, RecordVersion(1));
    let found = load(subject, &wanted.domain).await.unwrap();
    assert_eq!(found.stored.record, wanted);
    assert_eq!(found.stored.version, version);
    assert_eq!(found.certificate, None);
    wanted.fence += 1;
    let change = Change::of(wanted.clone(), Expected::Version(version));
    assert_eq!(subject.store.write(change).await.unwrap(), RecordVersion(2));
    assert_eq!(load(subject, &wanted.domain).await.unwrap().stored.record, wanted);
}

pub(super) async fn changes_made_together_win_and_lose_each_for_itself(subject: &Subject) {
    let version = create(subject, "together-1").await;
    let mut cursor = subject.store.changes(&ChangeCursor::default()).await.unwrap().cursor;
    let new = |n: usize| {
        let label = format!("together-{n}");
        let mut change = Change::of(record(&label), Expected::Absent);
        (change.events, change.announce) = (vec![event(START, &label)], true);
        change
    };
    // One is there already, another has moved on, a third comes twice.
    let mut changes: Vec<Change> = (0..WRITE_ALL_MAX - 2).map(new).collect();
    let stale = Expected::Version(RecordVersion(version.0 + 5));
    changes.push(Change::of(record("together-1"), stale));
    changes.push(new(2));
    let written = subject.store.write_all(changes).await;
    assert_eq!(written.len(), WRITE_ALL_MAX);
    for (n, written) in written.iter().enumerate() {
        let lost = n == 1 || n >= WRITE_ALL_MAX - 2;
        assert_eq!(matches!(written, Err(StoreError::Lost { .. })), lost, "{n}: {written:?}");
        assert_eq!(matches!(written, Ok(RecordVersion(1))), !lost, "{n}: {written:?}");
    }
    let mut told = std::collections::HashSet::new();
    while told.len() < WRITE_ALL_MAX - 3 {
        let batch = subject.store.changes(&cursor).await.unwrap();
        cursor = batch.cursor;
        told.extend(batch.changed.into_iter().map(|changed| changed.domain));
    }
    for n in (0..WRITE_ALL_MAX - 2).filter(|n| *n != 1) {
        let name = domain(&format!("together-{n}"));
        assert!(told.contains(&name), "{name} was not announced");
        assert!(load(subject, &name).await.is_some());
        assert_eq!(subject.store.events(&name, 9).await.unwrap().len(), 1);
    }
    // Nothing is in the way: all of them in one step.
    let more = (100..100 + WRITE_ALL_MAX).map(new).collect();
    let written = subject.store.write_all(more).await;
    assert!(written.iter().all(|written| matches!(written, Ok(RecordVersion(1)))), "{written:?}");
    assert!(subject.store.write_all(Vec::new()).await.is_empty());
}

pub(super) async fn one_of_two_writers_loses(subject: &Subject) {
    let version = create(subject, "two-writers").await;
    let again = subject.store.write(Change::of(record("two-writers"), Expected::Absent)).await;
    assert!(matches!(again, Err(StoreError::Lost { .. })), "{again:?}");
    let next = Change::of(record("two-writers"), Expected::Version(version));
    subject.store.write(next.clone()).await.unwrap();
    let late = subject.store.write(next).await;
    assert!(matches!(late, Err(StoreError::Lost { .. })), "{late:?}");
    // A loser's other parts are not stored either.
    let mut change = Change::of(record("two-writers"), Expected::Version(version));
    change.publish = Some(challenge("two-writers"));
    change.certificate = CertificateChange::Replace(certificate("loser"));
    change.events = vec![event(START, "loser")];
    assert!(matches!(subject.store.write(change).await, Err(StoreError::Lost { .. })));
    assert_eq!(subject.store.challenge(&token("two-writers")).await.unwrap(), None);
    let found = load(subject, &domain("two-writers")).await.unwrap();
    assert_eq!(found.certificate, None);
    assert_eq!(found.stored.version, RecordVersion(2));
    assert!(subject.store.events(&domain("two-writers"), 9).await.unwrap().is_empty());
    let nowhere = Change::of(record("nowhere"), Expected::Version(RecordVersion(1)));
    assert!(matches!(subject.store.write(nowhere).await, Err(StoreError::Lost { .. })));
}

pub(super) async fn certificates_go_with_their_record(subject: &Subject) {
    let name = domain("certified");
    let mut change = Change::of(record("certified"), Expected::Absent);
    change.certificate = CertificateChange::Replace(certificate("first"));
    let version = subject.store.write(change).await.unwrap();
    assert_eq!(load(subject, &name).await.unwrap().certificate, Some(certificate("first")));
    let keep = Change::of(record("certified"), Expected::Version(version));
    let version = subject.store.write(keep).await.unwrap();
    assert_eq!(load(subject, &name).await.unwrap().certificate, Some(certificate("first")));
    let mut change = Change::of(record("certified"), Expected::Version(version));
    change.certificate = CertificateChange::Replace(certificate("second"));
    let version = subject.store.write(change).await.unwrap();
    assert_eq!(load(subject, &name).await.unwrap().certificate, Some(certificate("second")));
    let mut change = Change::of(record("certified"), Expected::Version(version));
    change.certificate = CertificateChange::Remove;
    subject.store.write(change).await.unwrap();
    let found = load(subject, &name).await.unwrap();
    assert_eq!(found.certificate, None);
    assert_eq!(found.stored.record, record("certified"));
}

pub(super) async fn loads_keep_the_order_asked_for(subject: &Subject) {
    let mut wanted = Vec::new();
    for n in 0..LOAD_MAX {
        let label = format!("many-{n}");
        if n % 2 == 0 {
            create(subject, &label).await;
        }
        wanted.push(domain(&label));
    }
    wanted.reverse();
    let found = subject.store.load(&wanted).await.unwrap();
    assert_eq!(found.len(), wanted.len());
    for (n, (entry, name)) in found.iter().zip(&wanted).rev().enumerate() {
        let found = entry.as_ref().map(|entry| &entry.stored.record.domain);
        assert_eq!(found, (n % 2 == 0).then_some(name));
    }
    let twice = [domain("many-0"), domain("many-1"), domain("many-0")];
    let found = subject.store.load(&twice).await.unwrap();
    assert!(found.first() == found.last() && found.first().is_some_and(Option::is_some));
    assert!(subject.store.load(&[]).await.unwrap().is_empty());
}

pub(super) async fn odd_values_survive(subject: &Subject) {
    let mut odd = record("odd");
    odd.registration = Registration {
        // Names that are reserved words, values that some stores refuse or trim.
        tenant: Some(" SELECT#*'\"\\ \u{1F36A}\u{0}ä ".to_owned()),
        issuer: Some(String::new()),
        profile: Some("  ".to_owned()),
        key_type: None,
        priority: Some(0),
    };
    subject.store.write(Change::of(odd.clone(), Expected::Absent)).await.unwrap();
    assert_eq!(load(subject, &odd.domain).await.unwrap().stored.record, odd);
    let mut empty = record("odd-empty");
    empty.registration.tenant = Some(String::new());
    subject.store.write(Change::of(empty.clone(), Expected::Absent)).await.unwrap();
    assert_eq!(load(subject, &empty.domain).await.unwrap().stored.record, empty);
}

pub(super) async fn challenges_are_answered_until_they_end(subject: &Subject) {
    let wanted = challenge("challenged");
    let mut change = Change::of(record("challenged"), Expected::Absent);
    change.publish = Some(wanted.clone());
    let version = subject.store.write(change).await.unwrap();
    assert_eq!(subject.store.challenge(&wanted.token).await.unwrap(), Some(wanted.clone()));
    assert_eq!(subject.store.challenge(&token("unheard-of")).await.unwrap(), None);
    subject.clock.set(wanted.expires_at);
    assert_eq!(subject.store.challenge(&wanted.token).await.unwrap(), None);
    subject.clock.set(START);
    // Published and withdrawn in one change: what is published stays.
    let mut change = Change::of(record("challenged"), Expected::Version(version));
    change.publish = Some(wanted.clone());
    change.withdraw = Some(wanted.token.clone());
    let version = subject.store.write(change).await.unwrap();
    assert_eq!(subject.store.challenge(&wanted.token).await.unwrap(), Some(wanted.clone()));
    let mut change = Change::of(record("challenged"), Expected::Version(version));
    change.withdraw = Some(wanted.token.clone());
    let version = subject.store.write(change.clone()).await.unwrap();
    assert_eq!(subject.store.challenge(&wanted.token).await.unwrap(), None);
    // To withdraw what is not there is no fault.
    change.expected = Expected::Version(version);
    subject.store.write(change).await.unwrap();
}

pub(super) async fn events_are_newest_first(subject: &Subject) {
    let name = domain("eventful");
    let mut change = Change::of(record("eventful"), Expected::Absent);
    change.events = (0..EVENTS_PER_CHANGE_MAX).map(|n| event(START, &n.to_string())).collect();
    let version = subject.store.write(change).await.unwrap();
    let mut change = Change::of(record("eventful"), Expected::Version(version));
    change.events = vec![event(START, "same moment"), event(START + Span::from_secs(1), "last")];
    subject.store.write(change).await.unwrap();
    let all = subject.store.events(&name, 100).await.unwrap();
    let details: Vec<_> = all.iter().map(|event| event.detail.as_str()).collect();
    assert_eq!(details, ["last", "same moment", "7", "6", "5", "4", "3", "2", "1", "0"]);
    let some = subject.store.events(&name, 3).await.unwrap();
    assert_eq!(some.as_slice(), all.get(..3).unwrap());
    assert!(subject.store.events(&name, 0).await.unwrap().is_empty());
    assert!(subject.store.events(&domain("uneventful"), 5).await.unwrap().is_empty());
}

pub(super) async fn accounts_are_created_once(subject: &Subject) {
    assert_eq!(subject.store.account("ca").await.unwrap(), None);
    let replicas = (0..8).map(|n| {
        let store = Arc::clone(&subject.store);
        async move { store.create_account("ca", &sealed(&format!("replica {n}"))).await }
    });
    let outcomes = join_all(replicas).await;
    assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 1);
    let lost = outcomes.iter().filter_map(|outcome| outcome.as_ref().err());
    for error in lost {
        assert!(matches!(error, StoreError::Lost { .. }), "{error}");
    }
    let kept = subject.store.account("ca").await.unwrap().unwrap();
    let other = sealed("nobody's");
    let wrong = subject.store.replace_account("ca", &other, &other).await;
    assert!(matches!(wrong, Err(StoreError::Lost { .. })), "{wrong:?}");
    subject.store.replace_account("ca", &kept, &other).await.unwrap();
    assert_eq!(subject.store.account("ca").await.unwrap(), Some(other));
    subject.store.create_account("ca 2", &kept).await.unwrap();
    let mut issuers = subject.store.accounts().await.unwrap();
    issuers.sort_unstable();
    assert_eq!(issuers, ["ca", "ca 2"]);
}

pub(super) async fn concurrent_writers_lose_nothing(subject: &Subject) {
    const WRITERS: u64 = 8;
    create(subject, "contended").await;
    let writers = (0..WRITERS).map(|writer| {
        let subject = subject.clone();
        async move {
            // Each loss is another's success, so this ends.
            loop {
                let found = load(&subject, &domain("contended")).await.unwrap().stored;
                let mut next = found.record;
                next.fence += 1;
                let mut change = Change::of(next, Expected::Version(found.version));
                // Half of them as transactions.
                change.announce = writer % 2 == 0;
                match subject.store.write(change).await {
                    Ok(_) => return,
                    Err(StoreError::Lost { .. } | StoreError::Unavailable { .. }) => {}
                    Err(error) => unreachable!("{error}"),
                }
            }
        }
    });
    join_all(writers).await;
    let found = load(subject, &domain("contended")).await.unwrap().stored;
    assert_eq!(found.record.fence, WRITERS);
    assert_eq!(found.version, RecordVersion(1 + WRITERS));
}

pub(super) async fn what_is_out_of_bounds_is_refused(subject: &Subject) {
    let many: Vec<_> = (0..=LOAD_MAX).map(|n| domain(&format!("bound-{n}"))).collect();
    let loaded = subject.store.load(&many).await;
    assert!(matches!(loaded, Err(StoreError::Bug { .. })), "{loaded:?}");
    let mut change = Change::of(record("bound"), Expected::Absent);
    change.events = (0..=EVENTS_PER_CHANGE_MAX).map(|_| event(START, "")).collect();
    let written = subject.store.write(change).await;
    assert!(matches!(written, Err(StoreError::Bug { .. })), "{written:?}");
}
