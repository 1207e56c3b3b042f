//! Domains that leave, and come back.

use sealwax_core::record::Work;
use sealwax_core::store::{
    CertificateChange, Change, Expected, RecordVersion, Selection, StoreError,
};

use super::samples::{certificate, challenge, domain, event, record, token};
use super::writes::{create, load};
use super::{START, Subject};

pub(super) async fn a_removed_domain_is_gone(subject: &Subject) {
    let name = domain("leaving");
    let mut leaving = record("leaving");
    leaving.work = Work::Challenged {
        issuer: "ca".to_owned(),
        order_url: "https://ca.example/order/2".to_owned(),
        token: token("leaving").as_str().to_owned(),
    };
    leaving.registration.tenant = Some("leaver".to_owned());
    let mut change = Change::of(leaving, Expected::Absent);
    change.certificate = CertificateChange::Replace(certificate("leaving"));
    change.publish = Some(challenge("leaving"));
    change.events = vec![event(START, "kept")];
    let version = subject.store.write(change).await.unwrap();

    let wrong = subject.store.remove(&name, RecordVersion(version.0 + 1)).await;
    assert!(matches!(wrong, Err(StoreError::Lost { .. })), "{wrong:?}");
    let cursor = subject.store.changes(&Default::default()).await.unwrap().cursor;
    subject.store.remove(&name, version).await.unwrap();

    assert_eq!(load(subject, &name).await, None);
    let asked = [name.clone(), domain("never-seen"), name.clone()];
    let traces = subject.store.was_removed(&asked).await.unwrap();
    assert_eq!(traces, [true, false, true], "a removal is told from a name that never was");
    assert_eq!(subject.store.challenge(&token("leaving")).await.unwrap(), None);
    assert_eq!(subject.store.events(&name, 9).await.unwrap(), [event(START, "kept")]);
    let told = subject.store.changes(&cursor).await.unwrap().changed;
    assert!(told.iter().any(|changed| changed.domain == name));
    assert!(!subject.store.due(START, 1_000, None).await.unwrap().domains.contains(&name));
    let selection = Selection { tenant: Some("leaver".to_owned()), ..Selection::default() };
    assert!(subject.store.list(&selection, 10, None).await.unwrap().records.is_empty());
    let again = subject.store.remove(&name, version).await;
    assert!(matches!(again, Err(StoreError::Lost { .. })), "{again:?}");
}

pub(super) async fn who_holds_a_version_of_before_a_removal_loses(subject: &Subject) {
    let name = domain("returning");
    let before = create(subject, "returning").await;
    let next = Change::of(record("returning"), Expected::Version(before));
    let before = subject.store.write(next).await.unwrap();
    subject.store.remove(&name, before).await.unwrap();
    let stale = Change::of(record("returning"), Expected::Version(RecordVersion(before.0 + 1)));
    let stale = subject.store.write(stale).await;
    assert!(matches!(stale, Err(StoreError::Lost { .. })), "a trace is no record: {stale:?}");

    let mut change = Change::of(record("returning"), Expected::Absent);
    change.certificate = CertificateChange::Replace(certificate("returned"));
    let returned = subject.store.write(change).await.unwrap();
    assert!(returned > before, "{returned:?} does not go on from {before:?}");
    let found = load(subject, &name).await.unwrap();
    assert_eq!(found.stored.version, returned);
    assert_eq!(found.certificate, Some(certificate("returned")));
    let traces = subject.store.was_removed(std::slice::from_ref(&name)).await.unwrap();
    assert_eq!(traces, [false], "it is back");
    for version in 1..returned.0 {
        let stale = Change::of(record("returning"), Expected::Version(RecordVersion(version)));
        assert!(matches!(subject.store.write(stale).await, Err(StoreError::Lost { .. })));
    }
    subject.store.remove(&name, returned).await.unwrap();
    // And again, without a certificate this time: none of the last time's may show.
    create(subject, "returning").await;
    assert_eq!(load(subject, &name).await.unwrap().certificate, None);
}
