use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use sealwax_core::store::{Change, Expected, Store, StoreError};
use sealwax_core::testing::ManualClock;
use sealwax_core::{
    Clock, Delivery, DomainRecord, DomainState, Notice, Notifier, Receiver, Registration, Timestamp,
};
use sealwax_protocol::DomainName;
use sealwax_store::memory::{Fault, MemoryStore, Operation};
use sealwax_xds::{CertificateSource, Lookup};

use super::names::{ALL, Kind};
use super::*;
use crate::feed::{Feed, Heard};
use crate::trail::Trail;

pub(super) const NOW: i64 = 1_767_225_600;

pub(super) fn name(text: &str) -> DomainName {
    DomainName::parse(text).unwrap()
}

/// The value of one series in the exposition.
pub(super) fn value(metrics: &Metrics, series: &str) -> Option<f64> {
    let text = metrics.text();
    let line = text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '))?;
    line.parse().ok()
}

#[test]
fn every_metric_can_be_registered_and_is_written_as_described() {
    let metrics = Metrics::new();
    for described in ALL {
        let labels = vec!["x"; described.labels.len()];
        match described.kind {
            Kind::Counter => metrics.count(&names::Counter(*described), &labels, 1),
            Kind::Gauge => metrics.set(&names::Gauge(*described), &labels, 1.0),
            Kind::Histogram(buckets) => {
                assert!(buckets.is_sorted() && !buckets.is_empty());
                metrics.observe(&names::Histogram(*described), &labels, 1.0);
            }
        }
        let text = metrics.text();
        assert!(text.contains(&format!("# HELP {} ", described.name)), "{}", described.name);
        for label in described.labels {
            assert!(text.contains(&format!("{label}=\"x\"")), "{} {label}", described.name);
        }
    }
    let names: BTreeSet<_> = ALL.iter().map(|described| described.name).collect();
    assert_eq!(names.len(), ALL.len(), "two metrics have one name");
}

pub(super) struct Stores {
    pub(super) metrics: Metrics,
    pub(super) feed: Feed,
    pub(super) activity: Arc<Activity>,
    pub(super) memory: Arc<MemoryStore>,
    pub(super) store: MeteredStore,
    pub(super) clock: Arc<ManualClock>,
}

pub(super) fn stores() -> Stores {
    let clock = ManualClock::at_secs(NOW);
    let memory = Arc::new(MemoryStore::new(Arc::clone(&clock) as Arc<dyn Clock>));
    let (metrics, feed) = (Metrics::new(), Feed::new(Timestamp::from_secs(1)));
    let activity = Arc::new(Activity::default());
    let store = Meter::new(
        Arc::clone(&memory) as Arc<dyn Store>,
        Arc::clone(&clock) as Arc<dyn Clock>,
        metrics.clone(),
        Arc::clone(&activity),
        feed.clone(),
    )
    .store();
    Stores { metrics, feed, activity, memory, store, clock }
}

pub(super) fn change(domain: &str, kind: &str) -> Change {
    let at = Timestamp::from_secs(NOW);
    let record = DomainRecord::registered(name(domain), Registration::default(), at);
    let mut change = Change::of(record, Expected::Absent);
    let detail = "seen".to_owned();
    change.events.push(sealwax_core::store::LifecycleEvent { at, kind: kind.to_owned(), detail });
    change
}

#[tokio::test]
async fn what_is_written_is_counted_and_told() {
    let Stores { metrics, feed, activity, store, clock, .. } = stores();
    let mut listener = feed.listen(None).unwrap();
    store.write(change("a.example.com", "certificate.issued")).await.unwrap();
    let events = "sealwax_lifecycle_events_total{kind=\"certificate.issued\"}";
    assert_eq!(value(&metrics, events), Some(1.0));
    assert_eq!(value(&metrics, "sealwax_store_call_seconds_count{call=\"write\"}"), Some(1.0));
    let Some(Heard::Happened(told)) = listener.hear().await else { panic!("nothing was told") };
    assert_eq!(told.happening.domain, name("a.example.com"));
    assert_eq!(told.happening.state, Some(DomainState::Pending));
    let hours = activity.hours(clock.now());
    assert_eq!((hours.len(), hours[0].issued, hours[0].failed), (1, 1, 0));

    let stored = store.load(&[name("a.example.com")]).await.unwrap();
    let version = stored[0].as_ref().unwrap().stored.version;
    store.remove(&name("a.example.com"), version).await.unwrap();
    let Some(Heard::Happened(told)) = listener.hear().await else { panic!("nothing was told") };
    assert_eq!(
        (told.happening.event.kind.as_str(), told.happening.state),
        ("domain.removed", None)
    );
}

#[tokio::test]
async fn a_removal_that_was_told_is_not_counted_again_when_its_trace_is_forgotten() {
    let Stores { metrics, store, .. } = stores();
    let version = store.write(change("a.example.com", "domain.removed")).await.unwrap();
    store.forget(&name("a.example.com"), version).await.unwrap();
    let removed = "sealwax_lifecycle_events_total{kind=\"domain.removed\"}";
    assert_eq!(value(&metrics, removed), Some(1.0));
    assert!(store.load(&[name("a.example.com")]).await.unwrap()[0].is_none());
}

#[tokio::test]
async fn what_was_not_written_is_not_told() {
    let Stores { metrics, feed, memory, store, .. } = stores();
    store.write(change("a.example.com", "domain.registered")).await.unwrap();
    let mut listener = feed.listen(None).unwrap();
    // Once more: it is there already.
    let lost = store.write(change("a.example.com", "domain.registered")).await;
    assert!(matches!(lost, Err(StoreError::Lost { .. })));
    let errors =
        |kind: &str| format!("sealwax_store_errors_total{{call=\"write\",kind=\"{kind}\"}}");
    assert_eq!(value(&metrics, &errors("lost")), Some(1.0));
    let refuse =
        |operation: Operation| matches!(operation, Operation::Write).then_some(Fault::Refused);
    memory.set_faults(Some(Arc::new(refuse)));
    assert!(store.write(change("b.example.com", "domain.registered")).await.is_err());
    assert_eq!(value(&metrics, &errors("unavailable")), Some(1.0));
    memory.set_faults(None);
    store.write(change("c.example.com", "domain.registered")).await.unwrap();
    let Some(Heard::Happened(told)) = listener.hear().await else { panic!("nothing was told") };
    assert_eq!(told.happening.domain, name("c.example.com"), "the first one heard");
}

#[test]
fn throttling_is_told_apart_from_absence() {
    let seen = |detail: &str| store::kind(&StoreError::Unavailable { detail: detail.to_owned() });
    assert_eq!(seen("PutItem: ThrottlingException: Rate exceeded"), "throttled");
    assert_eq!(seen("Query: ProvisionedThroughputExceededException: slow down"), "throttled");
    assert_eq!(seen("GetItem: no answer in time"), "unavailable");
}

/// Answers what it was told to.
struct Ear(Mutex<Vec<Delivery>>);

#[async_trait::async_trait]
impl Notifier for Ear {
    fn receivers(&self, kind: &str) -> Vec<Receiver> {
        vec![Receiver::named(kind)]
    }

    async fn deliver(&self, _notice: &Notice, _record: &DomainRecord) -> Delivery {
        self.0.lock().unwrap().remove(0)
    }
}

#[tokio::test]
async fn what_is_told_is_counted_by_what_came_of_it() {
    let seen = || "seen".to_owned();
    let answers = vec![
        Delivery::Failed { detail: seen() },
        Delivery::Busy { until: None, detail: seen() },
        Delivery::Done,
        Delivery::Done,
    ];
    let metrics = Metrics::new();
    let ear = MeteredNotifier::new(Arc::new(Ear(Mutex::new(answers.clone()))), metrics.clone());
    assert_eq!(ear.receivers("certificate.issued"), [Receiver::named("certificate.issued")]);
    let mut record = change("a.example.com", "certificate.issued").record;
    let events = change("a.example.com", "certificate.issued").events;
    assert!(sealwax_core::notice::enqueue(&mut record, &events, &ear).is_empty());
    for answer in answers {
        assert_eq!(ear.deliver(&record.outbox[0], &record).await, answer);
    }
    let count = |outcome: &str| {
        value(&metrics, &format!("sealwax_notifications_total{{outcome=\"{outcome}\"}}"))
    };
    let counts = ["delivered", "failed", "waiting", "no_receiver"].map(count);
    assert_eq!(counts, [Some(2.0), Some(1.0), Some(1.0), None]);
}

/// Answers what it was told to.
struct Script(Mutex<Vec<Lookup>>);

#[async_trait::async_trait]
impl CertificateSource for Script {
    async fn lookup(&self, _node_id: &str, _name: &DomainName) -> Lookup {
        self.0.lock().unwrap().remove(0)
    }

    fn peek(&self, _node_id: &str, _name: &DomainName) -> Option<Lookup> {
        Some(Lookup::Absent)
    }

    fn rejected(&self, _name: &DomainName, _version: &str, _node_id: &str, _detail: &str) {}
}

#[tokio::test]
async fn held_handshakes_are_counted_until_they_are_answered() {
    let metrics = Metrics::new();
    let script = vec![Lookup::Pending, Lookup::Unavailable, Lookup::Pending, Lookup::Absent];
    let inner = Arc::new(Script(Mutex::new(script)));
    let (clock, trail) = (ManualClock::at_secs(NOW) as Arc<dyn Clock>, Trail::default());
    let held_for = Duration::from_secs(60);
    let source = MeteredSource::new(inner, metrics.clone(), held_for, clock, trail.clone());
    source.delivered(&name("c.example.com"), "v1", "edge-1");
    let steps = trail.woven_into(&name("c.example.com"), Vec::new());
    assert_eq!(
        (steps[0].kind.as_str(), steps[0].detail.as_str()),
        ("certificate.delivered", "edge-1")
    );
    let (first, second) = (name("a.example.com"), name("b.example.com"));
    source.lookup("edge-1", &first).await;
    source.lookup("edge-1", &second).await;
    source.lookup("edge-1", &first).await;
    assert_eq!(source.held().count(), 2);
    let asked = |name: &DomainName| trail.woven_into(name, Vec::new());
    assert_eq!(asked(&first)[0].detail, "a handshake at edge-1");
    assert!(asked(&second).is_empty(), "whether it is anyone's is not known");
    source.lookup("edge-1", &first).await;
    assert_eq!(source.held().count(), 1);
    source.peek("edge-1", &first);
    let lookups = |from: &str, answer: &str| {
        value(&metrics, &format!("sealwax_lookups_total{{answer=\"{answer}\",from=\"{from}\"}}"))
    };
    assert_eq!(lookups("asked", "pending"), Some(2.0));
    assert_eq!(lookups("memory", "absent"), Some(1.0));
    assert!(!metrics.text().contains("example.com"), "no domain is in a label");
}
