use sealwax_protocol::DomainName;

use super::*;
use crate::record::Registration;

struct Zero;

impl Jitter for Zero {
    fn permille(&self) -> u64 {
        0
    }
}

struct Two;

#[async_trait]
impl Notifier for Two {
    fn receivers(&self, kind: &str) -> Vec<Receiver> {
        let both = vec![Receiver::named("a"), Receiver { name: "b".into(), in_order: true }];
        if kind == "certificate.issued" { both } else { Vec::new() }
    }

    async fn deliver(&self, _notice: &Notice, _record: &DomainRecord) -> Delivery {
        Delivery::Done
    }
}

const fn at(secs: u64) -> Timestamp {
    Timestamp::from_millis(secs * 1000)
}

fn record() -> DomainRecord {
    let domain = DomainName::parse("a.example.com").unwrap();
    DomainRecord::registered(domain, Registration::default(), at(0))
}

fn event(kind: &str, secs: u64) -> LifecycleEvent {
    LifecycleEvent { at: at(secs), kind: kind.into(), detail: String::new() }
}

#[test]
fn an_event_waits_for_each_receiver_and_for_no_one_else() {
    let mut record = record();
    let events = [event("certificate.issued", 1), event("attempt.failed", 1)];
    assert!(enqueue(&mut record, &events, &Two).is_empty());
    let to: Vec<_> = record.outbox.iter().map(|notice| notice.to.as_str()).collect();
    assert_eq!(to, ["a", "b"]);
    assert_ne!(record.outbox[0].id, record.outbox[1].id);
    assert_eq!(record.wake_at(), Some(at(16)), "due by itself if this process dies");
}

#[test]
fn a_receiver_that_is_away_is_tried_for_days_and_then_given_up() {
    let mut record = record();
    enqueue(&mut record, &[event("certificate.issued", 0)], &Two);
    record.outbox.truncate(1);
    let id = record.outbox[0].id.clone();
    let failed = Delivery::Failed { detail: "connection refused".into() };
    let mut tries = 0;
    let (mut now, mut given_up) = (at(0), None);
    while given_up.is_none() {
        (record, given_up) = delivered(record, &id, &failed, now, &Zero);
        now = record.wake_at().unwrap_or(now);
        tries += 1;
    }
    assert_eq!(tries, WAITS.len() + 1);
    assert!(now.secs() > 2 * 86_400 && record.outbox.is_empty());
}

#[test]
fn a_delivery_that_was_not_tried_is_no_failure() {
    let mut record = record();
    enqueue(&mut record, &[event("certificate.issued", 0)], &Two);
    let id = record.outbox[0].id.clone();
    let busy = |until| Delivery::Busy { until, detail: String::new() };
    let (record, given_up) = delivered(record, &id, &busy(None), at(5), &Zero);
    assert_eq!(given_up, None);
    assert!(record.outbox.iter().all(|notice| notice.attempts == 0));
    assert_eq!(record.outbox[0].next_at, at(25));
    let (record, _) = delivered(record, &id, &busy(Some(at(600))), at(25), &Zero);
    assert_eq!(record.outbox[0].next_at, at(600), "no earlier than is worth it");
}

#[test]
fn a_receiver_that_takes_nothing_for_long_costs_a_write_every_ten_minutes() {
    let mut record = record();
    let events: Vec<_> = (0..8).map(|second| event("certificate.issued", second)).collect();
    enqueue(&mut record, &events, &Two);
    record.outbox.retain(|notice| notice.to == "a");
    let busy = Delivery::Busy { until: None, detail: String::new() };
    let mut writes = Vec::new();
    let mut now = at(8);
    while now < at(7_200) {
        let id = in_turn(&record.outbox).min_by_key(|notice| notice.next_at).unwrap().id.clone();
        record = delivered(record, &id, &busy, now, &Zero).0;
        writes.push(now);
        now = record.wake_at().unwrap();
    }
    let until = |at: Timestamp| writes.iter().filter(|write| **write < at).count();
    assert_eq!(record.outbox.len(), 8);
    assert!(until(at(60)) <= 4 && until(at(1_200)) <= 12, "{writes:?}");
    assert!(writes.len() <= 12 + 11, "{writes:?}");
}

#[test]
fn what_its_writer_leaves_is_due_at_once() {
    let mut record = record();
    assert!(leave(&mut record, &[event("certificate.issued", 7)], &Two).is_empty());
    assert_eq!(record.wake_at(), Some(at(7)));
}

#[test]
fn a_notice_is_given_up_in_time_when_its_receiver_rests_at_all_its_turns() {
    let mut record = record();
    enqueue(&mut record, &[event("certificate.issued", 0)], &Two);
    let id = record.outbox[0].id.clone();
    let busy = Delivery::Busy { until: None, detail: "it fails".into() };
    let late = at(LIFE.secs() - 1);
    let (record, given_up) = delivered(record, &id, &busy, late, &Zero);
    assert_eq!(given_up, None);
    let (record, given_up) = delivered(record, &id, &busy, at(LIFE.secs()), &Zero);
    assert_eq!(given_up.map(|notice| notice.id), Some(id));
    assert_eq!(record.outbox.len(), 1, "the other receiver's");
}

#[test]
fn a_receiver_that_keeps_the_order_gets_the_second_after_the_first() {
    let mut record = record();
    let events = [event("certificate.issued", 1), event("certificate.issued", 2)];
    enqueue(&mut record, &events, &Two);
    let turns = |record: &DomainRecord| -> Vec<(String, u64)> {
        let turns = in_turn(&record.outbox);
        turns.map(|notice| (notice.to.clone(), notice.at.secs())).collect()
    };
    let (a, b) = ("a".to_owned(), "b".to_owned());
    let first = [(a.clone(), 1), (b.clone(), 1), (a.clone(), 2)];
    assert_eq!(turns(&record), first);
    for id in record.outbox.iter().map(|notice| notice.id.clone()).collect::<Vec<_>>() {
        let failed = Delivery::Failed { detail: String::new() };
        record = delivered(record, &id, &failed, at(3), &Zero).0;
    }
    assert_eq!(turns(&record), first, "what failed keeps its place");
    let id = record.outbox[1].id.clone();
    (record, _) = delivered(record, &id, &Delivery::Done, at(20), &Zero);
    assert_eq!(turns(&record), [(a.clone(), 1), (a, 2), (b, 2)]);
    assert_eq!(record.wake_at(), Some(at(13)), "due, as they all are");
}

#[test]
fn a_receiver_that_fails_or_rests_keeps_no_other_waiting() {
    for outcome in [
        Delivery::Failed { detail: String::new() },
        Delivery::Busy { until: None, detail: String::new() },
    ] {
        let mut record = record();
        enqueue(&mut record, &[event("certificate.issued", 1)], &Two);
        let sight = crate::Sight { notices: true, ..crate::Sight::default() };
        let first = record.outbox[0].id.clone();
        let (record, _) = delivered(record, &first, &outcome, at(1), &Zero);
        let step = crate::decide(&record, &sight, "me", at(1));
        let crate::Step::Notify(next) = &step else { panic!("{outcome:?}: {step:?}") };
        assert_eq!(next.to, "b");
        let (record, _) = delivered(record, &next.id.clone(), &outcome, at(1), &Zero);
        let step = crate::decide(&record, &sight, "me", at(1));
        assert!(matches!(step, crate::Step::Rest(Some(_))), "{outcome:?}: {step:?}");
    }
}

#[test]
fn a_notice_behind_another_wakes_nobody() {
    let mut record = record();
    let events = [event("certificate.issued", 1), event("certificate.issued", 2)];
    enqueue(&mut record, &events, &Two);
    record.outbox.retain(|notice| notice.to == "b");
    let id = record.outbox[0].id.clone();
    let failed = Delivery::Failed { detail: String::new() };
    let (record, _) = delivered(record, &id, &failed, at(30), &Zero);
    assert_eq!(record.outbox.iter().map(|notice| notice.next_at).min(), Some(at(17)));
    assert_eq!(record.wake_at(), Some(at(40)), "when the first is tried again");
    let sight = crate::Sight { notices: true, ..crate::Sight::default() };
    let rest = crate::decide(&record, &sight, "me", at(31));
    assert_eq!(rest, crate::Step::Rest(Some(at(40))));
}

#[test]
fn the_outbox_is_bounded_and_says_what_it_dropped() {
    let mut record = record();
    let mut dropped = 0;
    for second in 0..20 {
        dropped += enqueue(&mut record, &[event("certificate.issued", second)], &Two).len();
    }
    assert_eq!(record.outbox.len(), NOTICES_MAX);
    assert_eq!(dropped, 40 - NOTICES_MAX);
    assert_eq!(record.outbox.last().map(|notice| notice.at), Some(at(19)));
}
