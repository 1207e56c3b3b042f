use std::sync::Arc;
use std::time::Duration;

use sealwax_core::certificate::{CertificateFacts, CertificateSource};
use sealwax_core::store::Store;
use sealwax_core::{Cause, Clock, Failure, Span, Timestamp, Work};

use super::*;
use crate::metrics::tests::{NOW, Stores, change, stores, value};

const DAY: u64 = 86_400;

fn held(left: i64, life: u64, renew_in: i64) -> CertificateFacts {
    let at = |from_now: i64| Timestamp::from_secs(NOW + from_now);
    CertificateFacts {
        serial: "01".to_owned(),
        issuer: "CN=ca".to_owned(),
        sans: Vec::new(),
        not_before: at(left) - Span::from_secs(life),
        not_after: at(left),
        fingerprint_sha256: String::new(),
        ari_id: None,
        source: CertificateSource::Acme,
        ordered_from: None,
        renew_at: Some(at(renew_in)),
    }
}

#[tokio::test(start_paused = true)]
async fn a_census_counts_each_domain_once_in_each_view() {
    let Stores { memory, clock, .. } = stores();
    let day = i64::try_from(DAY).unwrap();
    let fleet = [
        ("expired", Some(held(-60, 90 * DAY, -30 * day)), None),
        ("soon", Some(held(day / 2, 90 * DAY, -2 * day)), Some(Cause::DnsNoRecord)),
        ("fresh", Some(held(80 * day, 90 * DAY, 50 * day)), None),
        ("short", Some(held(4 * day, 6 * DAY, 2 * day)), None),
        ("new", None, None),
    ];
    for (label, certificate, cause) in fleet {
        let mut change = change(&format!("{label}.example.com"), "domain.registered");
        change.record.certificate = certificate;
        change.record.failure = cause.map(|cause| Failure {
            cause,
            detail: String::new(),
            attempts: 1,
            stalls: 0,
            outage: sealwax_core::failure::Outage::default(),
            next_attempt_at: Some(clock.now()),
            refused: true,
        });
        change.record.work = Work::Idle;
        memory.write(change).await.unwrap();
    }
    let census = count(&*memory, &*clock, 1).await.unwrap();
    let of = |counted: &BTreeMap<String, u64>, label: &str| counted[label];
    assert_eq!(of(&census.states, "issued"), 3);
    assert_eq!((of(&census.states, "refused"), of(&census.states, "pending")), (1, 1));
    for (label, count) in [("expired", 1), ("1d", 1), ("7d", 1), ("more", 1), ("30d", 0)] {
        assert_eq!(of(&census.remaining, label), count, "{label}");
    }
    for (label, count) in [("0", 1), ("10", 1), ("100", 2), ("50", 0)] {
        assert_eq!(of(&census.life_left, label), count, "{label}");
    }
    assert_eq!((of(&census.overdue, "7d"), of(&census.overdue, "more")), (1, 1));
    assert_eq!(census.causes, [("dns_no_record".to_owned(), 1)].into());
    assert_eq!((census.calendar[0], census.calendar[4], census.calendar[80]), (2, 1, 1));
    let sum = |counted: &BTreeMap<String, u64>| counted.values().sum::<u64>();
    assert_eq!((sum(&census.states), sum(&census.remaining), sum(&census.life_left)), (5, 4, 4));
}

/// A page of a sharded index may be short although there is more.
#[tokio::test]
async fn what_is_due_late_is_counted_page_by_page_up_to_a_bound() {
    let Stores { clock, .. } = stores();
    let folder = tempfile::tempdir().unwrap();
    let clock = Arc::clone(&clock) as Arc<dyn Clock>;
    let store = sealwax_store::open_embedded(folder.path(), Arc::clone(&clock)).await.unwrap();
    for index in 0..30 {
        let mut change = change(&format!("late{index}.example.com"), "domain.registered");
        change.record.work = Work::Wanted { since: clock.now() };
        store.write(change).await.unwrap();
    }
    for (max, counted) in [(20, 20), (1_000, 30)] {
        assert_eq!(count_due(&store, clock.now(), max).await.unwrap(), counted);
    }
}

#[tokio::test(start_paused = true)]
async fn a_census_keeps_its_pace_and_shows_what_it_found() {
    let Stores { memory, clock, .. } = stores();
    for index in 0..1_200 {
        let domain = format!("d{index}.example.com");
        memory.write(change(&domain, "domain.registered")).await.unwrap();
    }
    let started = tokio::time::Instant::now();
    count(&*memory, &*clock, 100).await.unwrap();
    assert!(started.elapsed() >= Duration::from_secs(9), "{:?}", started.elapsed());

    let (board, metrics) = (Arc::new(CensusBoard::default()), Metrics::new());
    let stop = CancellationToken::new();
    let store = Arc::clone(&memory) as Arc<dyn Store>;
    let clock = clock as Arc<dyn Clock>;
    let task = take(store, clock, 100, board.clone(), metrics.clone(), stop.clone());
    let task = tokio::spawn(task);
    while board.last().is_none() {
        tokio::time::advance(Duration::from_millis(50)).await;
    }
    assert_eq!(value(&metrics, "sealwax_domains{state=\"pending\"}"), Some(1_200.0));
    stop.cancel();
    task.await.unwrap();
}
