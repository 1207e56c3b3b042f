//! What is due, and pages of domains.

use std::collections::BTreeSet;

use sealwax_core::record::{DomainRecord, DomainState, Work};
use sealwax_core::store::{Change, Expected, RecordVersion, Selection, StoreError};
use sealwax_core::{Clock as _, Span, Timestamp};
use sealwax_protocol::DomainName;

use super::samples::{domain, record};
use super::{START, Subject};

/// Before everything else that the suite makes due.
const EARLY: Timestamp = Timestamp::from_millis(3_000_000_000_000);

fn wanted_at(label: &str, since: Timestamp) -> DomainRecord {
    DomainRecord { work: Work::Wanted { since }, ..record(label) }
}

async fn put(subject: &Subject, record: DomainRecord, expected: Expected) -> RecordVersion {
    subject.store.write(Change::of(record, expected)).await.unwrap()
}

/// Everything that is due, in pages of so many.
async fn due(subject: &Subject, now: Timestamp, limit: usize) -> Vec<DomainName> {
    let (mut domains, mut cursor) = (Vec::new(), None);
    loop {
        let page = subject.store.due(now, limit, cursor.as_deref()).await.unwrap();
        assert!(page.domains.len() <= limit);
        domains.extend(page.domains);
        cursor = page.cursor;
        if cursor.is_none() {
            return domains;
        }
    }
}

pub(super) async fn due_domains_come_oldest_first(subject: &Subject) {
    let mut wanted = Vec::new();
    for n in 0..30_u64 {
        // Years apart: what was forgotten long ago is not forgotten.
        let label = format!("due-{n}");
        let at = Timestamp::from_millis(n * 40_000_000_000);
        put(subject, wanted_at(&label, at), Expected::Absent).await;
        wanted.push(domain(&label));
    }
    assert_eq!(due(subject, EARLY, 1_000).await, wanted);
    for limit in [1, 7, 29] {
        let mut found = due(subject, EARLY, limit).await;
        found.sort_by_key(|domain| wanted.iter().position(|other| other == domain));
        assert_eq!(found, wanted, "each once, in pages of {limit}");
    }
    let then = Timestamp::from_millis(80_000_000_000);
    assert_eq!(due(subject, then, 1_000).await.as_slice(), wanted.get(..3).unwrap());
    assert!(subject.store.due(EARLY, 9, Some("of another listing")).await.is_err());
    for n in 0..30 {
        put(subject, record(&format!("due-{n}")), Expected::Version(RecordVersion(1))).await;
    }
    assert!(due(subject, EARLY, 1_000).await.is_empty());
}

/// However the store spreads them, what is oldest comes among the first, page by small page.
pub(super) async fn small_pages_of_what_is_due_are_fair(subject: &Subject) {
    for n in 0..96_u64 {
        let at = Timestamp::from_millis(1_000 + n);
        put(subject, wanted_at(&format!("fair-{n}"), at), Expected::Absent).await;
    }
    for limit in [1, 5] {
        let found = due(subject, EARLY, limit).await;
        let place = |n: usize| found.iter().position(|met| *met == domain(&format!("fair-{n}")));
        for n in 0..3 {
            let place = place(n).unwrap();
            assert!(place < 48, "number {n} comes as number {place} in pages of {limit}");
        }
    }
    for n in 0..96 {
        put(subject, record(&format!("fair-{n}")), Expected::Version(RecordVersion(1))).await;
    }
}

pub(super) async fn a_walk_over_what_is_due_goes_on_while_it_changes(subject: &Subject) {
    for n in 0..40_u64 {
        let at = Timestamp::from_millis(1_000 + n);
        put(subject, wanted_at(&format!("walked-{n}"), at), Expected::Absent).await;
    }
    let first = subject.store.due(EARLY, 20, None).await.unwrap();
    assert!(!first.domains.is_empty() && first.cursor.is_some());
    // What was met is not due any more, the entry that the walk stands at included.
    for met in &first.domains {
        let label = met.as_str().split('.').next().unwrap();
        put(subject, record(label), Expected::Version(RecordVersion(1))).await;
    }
    let mut rest = Vec::new();
    let mut cursor = first.cursor;
    while let Some(at) = cursor {
        let page = subject.store.due(EARLY, 20, Some(&at)).await.unwrap();
        rest.extend(page.domains);
        cursor = page.cursor;
    }
    let met: BTreeSet<_> = first.domains.iter().chain(&rest).collect();
    assert_eq!((met.len(), first.domains.len() + rest.len()), (40, 40), "each once");
    for left in &rest {
        let label = left.as_str().split('.').next().unwrap();
        put(subject, record(label), Expected::Version(RecordVersion(1))).await;
    }
}

pub(super) async fn a_domain_is_due_at_one_time_only(subject: &Subject) {
    let moment = Timestamp::from_millis(5_000);
    let version = put(subject, wanted_at("moving", moment), Expected::Absent).await;
    let before = Timestamp::from_millis(4_999);
    assert!(due(subject, before, 9).await.is_empty());
    assert_eq!(due(subject, moment, 9).await, [domain("moving")]);
    let later = moment + Span::from_secs(60);
    let version = put(subject, wanted_at("moving", later), Expected::Version(version)).await;
    assert!(due(subject, moment, 9).await.is_empty());
    assert_eq!(due(subject, later, 9).await, [domain("moving")]);
    subject.store.remove(&domain("moving"), version).await.unwrap();
    assert!(due(subject, later, 9).await.is_empty());
}

async fn walk(subject: &Subject, selection: &Selection, limit: usize) -> Vec<DomainRecord> {
    let mut records = Vec::new();
    let mut cursor = None;
    loop {
        let page = subject.store.list(selection, limit, cursor.as_deref()).await.unwrap();
        assert!(page.records.len() <= limit);
        records.extend(page.records);
        cursor = page.cursor;
        if cursor.is_none() {
            return records;
        }
    }
}

fn names(records: &[DomainRecord]) -> BTreeSet<String> {
    let names: BTreeSet<_> = records.iter().map(|record| record.domain.to_string()).collect();
    assert_eq!(names.len(), records.len(), "a domain was listed twice");
    names
}

pub(super) async fn pages_add_up_to_everything(subject: &Subject) {
    for n in 0..25 {
        put(subject, record(&format!("listed-{n}")), Expected::Absent).await;
    }
    let by_one = names(&walk(subject, &Selection::default(), 1).await);
    let by_seven = names(&walk(subject, &Selection::default(), 7).await);
    let at_once = names(&walk(subject, &Selection::default(), 1_000).await);
    assert!(by_one == by_seven && by_seven == at_once);
    let (mut known, mut cursor) = (BTreeSet::new(), None);
    loop {
        let page = subject.store.names(cursor.as_deref()).await.unwrap();
        known.extend(page.domains.iter().map(ToString::to_string));
        cursor = page.cursor;
        if cursor.is_none() {
            break;
        }
    }
    assert!(known.is_superset(&at_once), "a name is missing");
    for n in 0..25 {
        assert!(at_once.contains(&domain(&format!("listed-{n}")).to_string()));
    }
    // Each record shows as it is in the table.
    for record in walk(subject, &Selection::default(), 100).await {
        let loaded = subject.store.load(std::slice::from_ref(&record.domain)).await.unwrap();
        let loaded = loaded.into_iter().flatten().next().unwrap();
        assert_eq!(loaded.stored.record, record);
    }
}

pub(super) async fn selections_select(subject: &Subject) {
    for n in 0..12_u64 {
        let label = format!("picked-{n}");
        let mut picked = record(&label);
        picked.registration.tenant = Some(if n % 3 == 0 { "t#1" } else { "t#2" }.to_owned());
        picked.work = if n % 2 == 0 {
            Work::Parked
        } else {
            Work::Wanted { since: Timestamp::from_millis(1_000 * n) }
        };
        put(subject, picked, Expected::Absent).await;
    }
    let pick = |numbers: &[u64]| -> BTreeSet<String> {
        numbers.iter().map(|n| domain(&format!("picked-{n}")).to_string()).collect()
    };
    let tenant = |name: &str| Selection { tenant: Some(name.to_owned()), ..Selection::default() };
    let cases = [
        (tenant("t#1"), pick(&[0, 3, 6, 9])),
        (tenant("t"), pick(&[])),
        (Selection { state: Some(DomainState::Parked), ..tenant("t#1") }, pick(&[0, 6])),
        (Selection { state: Some(DomainState::Pending), ..tenant("t#1") }, pick(&[3, 9])),
        (
            Selection { state: Some(DomainState::Parked), ..Selection::default() },
            pick(&[0, 2, 4, 6, 8, 10]),
        ),
        (
            Selection { due_before: Some(Timestamp::from_millis(7_000)), ..Selection::default() },
            pick(&[1, 3, 5]),
        ),
        (
            Selection { due_before: Some(Timestamp::from_millis(7_001)), ..tenant("t#2") },
            pick(&[1, 5, 7]),
        ),
    ];
    for (selection, wanted) in cases {
        for limit in [1, 2, 100] {
            let found = names(&walk(subject, &selection, limit).await);
            assert_eq!(found, wanted, "{selection:?} by {limit}");
        }
    }
}

pub(super) async fn a_cursor_of_another_listing_is_refused(subject: &Subject) {
    let page = subject.store.list(&Selection::default(), 1, None).await.unwrap();
    let cursor = page.cursor.unwrap();
    let other = Selection { tenant: Some("t#1".to_owned()), ..Selection::default() };
    for (selection, cursor) in
        [(&other, cursor.as_str()), (&Selection::default(), "made up"), (&other, "")]
    {
        let refused = subject.store.list(selection, 1, Some(cursor)).await;
        assert!(matches!(refused, Err(StoreError::Bug { .. })), "{cursor}: {refused:?}");
    }
    subject.store.list(&Selection::default(), 1, Some(&cursor)).await.unwrap();
    assert_eq!(subject.clock.now(), START);
}

pub(super) async fn marks_are_kept_and_forgotten(subject: &Subject) {
    assert_eq!(subject.store.mark("job").await.unwrap(), None);
    subject.store.set_mark("job", Some("halfway")).await.unwrap();
    assert_eq!(subject.store.mark("job").await.unwrap().as_deref(), Some("halfway"));
    assert_eq!(subject.store.mark("other").await.unwrap(), None);
    subject.store.set_mark("job", None).await.unwrap();
    assert_eq!(subject.store.mark("job").await.unwrap(), None);
}
