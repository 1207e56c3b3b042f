use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use sealwax_core::certificate::{CertificateFacts, CertificateSource as From};
use sealwax_core::issuer::{IssueError, Issuer, OrderRequest, OrderStatus, OrderView, RenewalInfo};
use sealwax_core::preflight::{Address, Findings, Looked, Path, Preflight};
use sealwax_core::store::{Change, Expected, Store, StoreError};
use sealwax_core::{
    Cause, Chain, Clock, Delivery, DomainRecord, DomainState, Failure, Notice, Notifier, Receiver,
    Registration, Span, Timestamp, Work,
};
use sealwax_protocol::DomainName;
use sealwax_store::memory::{Fault, MemoryStore, Operation};
use sealwax_xds::{CertificateSource, Lookup};

use super::names::{ALL, Kind};
use super::*;
use crate::feed::{Feed, Heard};
use crate::registry::tests::Hand;
use crate::trail::Trail;

const NOW: u64 = 1_767_225_600;
const DAY: u64 = 86_400;

fn name(text: &str) -> DomainName {
    DomainName::parse(text).unwrap()
}

/// The value of one series in the exposition.
fn value(metrics: &Metrics, series: &str) -> Option<f64> {
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

struct Stores {
    metrics: Metrics,
    feed: Feed,
    activity: Arc<Activity>,
    memory: Arc<MemoryStore>,
    store: MeteredStore,
    clock: Arc<Hand>,
}

fn stores() -> Stores {
    let clock = Hand::at(NOW);
    let memory = Arc::new(MemoryStore::new(Arc::clone(&clock) as Arc<dyn Clock>));
    let (metrics, feed) = (Metrics::new(), Feed::new(Timestamp::from_secs(1)));
    let activity = Arc::new(Activity::default());
    let store = MeteredStore::new(
        Arc::clone(&memory) as Arc<dyn Store>,
        Arc::clone(&clock) as Arc<dyn Clock>,
        metrics.clone(),
        Arc::clone(&activity),
        feed.clone(),
    );
    Stores { metrics, feed, activity, memory, store, clock }
}

fn change(domain: &str, kind: &str) -> Change {
    let at = Timestamp::from_millis(NOW * 1000);
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
    let (clock, trail) = (Hand::at(NOW) as Arc<dyn Clock>, Trail::default());
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

/// A CA that places one order, and answers as told.
struct Ca(Mutex<Result<OrderStatus, IssueError>>);

#[async_trait::async_trait]
impl Issuer for Ca {
    fn name(&self) -> &str {
        "ca"
    }

    async fn place_order(&self, _request: &OrderRequest) -> Result<String, IssueError> {
        self.0.lock().unwrap().clone().map(|_| "https://ca/order/1".to_owned())
    }

    async fn observe(&self, order_url: &str) -> Result<OrderView, IssueError> {
        let status = self.0.lock().unwrap().clone()?;
        let url = order_url.to_owned();
        Ok(OrderView { url, status, challenge: None, failure: None, retry_after: None })
    }

    async fn answer(&self, _order_url: &str) -> Result<(), IssueError> {
        Ok(())
    }

    async fn finalize(&self, _order_url: &str, _csr_der: &[u8]) -> Result<(), IssueError> {
        Ok(())
    }

    async fn download(&self, _order_url: &str) -> Result<Chain, IssueError> {
        Ok(Chain::from_pem(String::new()).unwrap())
    }

    async fn renewal_info(&self, _ari_id: &str) -> Result<Option<RenewalInfo>, IssueError> {
        Ok(None)
    }

    async fn relinquish(&self, _order_url: &str) -> Result<(), IssueError> {
        Ok(())
    }

    async fn revoke(&self, _leaf_der: &[u8]) -> Result<(), IssueError> {
        Ok(())
    }
}

#[tokio::test]
async fn an_order_is_timed_to_its_end_and_the_ca_is_judged() {
    let (metrics, board) = (Metrics::new(), Arc::new(IssuerBoard::default()));
    let ca = Arc::new(Ca(Mutex::new(Ok(OrderStatus::Invalid))));
    let clock = Hand::at(NOW) as Arc<dyn Clock>;
    let inner = Arc::clone(&ca) as Arc<dyn Issuer>;
    let trail = Trail::default();
    let issuer = MeteredIssuer::new(inner, clock, metrics.clone(), board.clone(), trail.clone());
    assert_eq!(board.all()[0].name, "ca", "it is shown before it was asked");
    let request = OrderRequest { domain: name("a.example.com"), profile: None, replaces: None };
    let orders = |outcome: &str| {
        value(&metrics, &format!("sealwax_orders_total{{issuer=\"ca\",outcome=\"{outcome}\"}}"))
    };
    let url = issuer.place_order(&request).await.unwrap();
    issuer.observe(&url).await.unwrap();
    let url = issuer.place_order(&request).await.unwrap();
    issuer.download(&url).await.unwrap();
    assert_eq!(
        (orders("placed"), orders("failed"), orders("issued")),
        (Some(2.0), Some(1.0), Some(1.0))
    );
    issuer.answer("https://ca/order/of-another-process").await.unwrap();
    let steps = trail.woven_into(&request.domain, Vec::new());
    assert_eq!(steps[0].detail, "ca: https://ca/order/1");
    let timed = "sealwax_issuance_seconds_count{issuer=\"ca\",outcome=\"issued\"}";
    assert_eq!(value(&metrics, timed), Some(1.0));

    let limited = IssueError::RateLimited {
        until: Timestamp::from_secs(5),
        scope: sealwax_core::issuer::LimitScope::Account,
        detail: "300 orders".to_owned(),
    };
    *ca.0.lock().unwrap() = Err(limited);
    assert!(issuer.place_order(&request).await.is_err());
    let errors =
        "sealwax_ca_errors_total{call=\"place_order\",issuer=\"ca\",kind=\"rate_limited\"}";
    assert_eq!(value(&metrics, errors), Some(1.0));
    let standing = &board.all()[0];
    assert_eq!(standing.errors_in_a_row, 1);
    assert!(standing.last_error.as_ref().unwrap().contains("300 orders"));
    *ca.0.lock().unwrap() = Ok(OrderStatus::Pending);
    issuer.observe(&url).await.unwrap();
    assert_eq!(board.all()[0].errors_in_a_row, 0);
}

/// Sees what it was told to, once each.
struct Looks(Mutex<Vec<Option<Findings>>>);

#[async_trait::async_trait]
impl Preflight for Looks {
    async fn look(&self, _domain: &DomainName, _now: Timestamp) -> Option<Findings> {
        self.0.lock().unwrap().remove(0)
    }
}

fn findings(path: Path, ipv4: Looked<Vec<Address>>) -> Findings {
    let nothing = || "no such record".to_owned();
    Findings {
        at: Timestamp::from_secs(0),
        ipv4,
        ipv6: Looked::Nothing { said: nothing() },
        aliases: Vec::new(),
        caa: Looked::Nothing { said: nothing() },
        path,
        vantage_proven: false,
    }
}

#[tokio::test]
async fn looks_are_counted_by_what_they_saw_and_orders_held_back_by_cause() {
    let (from, words) = ("192.0.2.1".parse().unwrap(), || "said".to_owned());
    let gone = || Looked::Nothing { said: words() };
    let untried = || Path::NotTried { why: words() };
    let seen = vec![
        Some(findings(Path::Answered { from, redirects: 0 }, gone())),
        Some(findings(Path::Elsewhere { from, detail: words() }, gone())),
        Some(findings(Path::Unreachable { detail: words() }, gone())),
        Some(findings(untried(), gone())),
        Some(findings(untried(), Looked::Unknown { detail: words() })),
        None,
    ];
    let (metrics, trail) = (Metrics::new(), Trail::default());
    let looks = Arc::new(Looks(Mutex::new(seen)));
    let preflight = MeteredPreflight::new(looks, metrics.clone(), trail.clone());
    for _ in 0..6 {
        preflight.look(&name("a.example.com"), Timestamp::from_secs(5)).await;
    }
    for seen in ["edge", "elsewhere", "unreachable", "no_address", "unknown", "nothing"] {
        let series = format!("sealwax_preflight_seconds_count{{seen=\"{seen}\"}}");
        assert_eq!(value(&metrics, &series), Some(1.0), "{seen}");
    }
    let steps = trail.woven_into(&name("a.example.com"), Vec::new());
    assert!(steps.iter().all(|step| step.kind == "preflight.seen") && steps.len() > 3);

    let Stores { metrics, store, .. } = stores();
    let failed = |domain: &str, kind: &str| {
        let mut change = change(domain, kind);
        change.record.failure = Some(Failure {
            cause: Cause::ChallengeWrong,
            detail: String::new(),
            attempts: 1,
            next_attempt_at: None,
            refused: true,
        });
        change
    };
    store.write(failed("a.example.com", "preflight.seen")).await.unwrap();
    // A CA refused this one.
    store.write(failed("b.example.com", "attempt.failed")).await.unwrap();
    let held = "sealwax_preflight_held_total{cause=\"challenge_wrong\"}";
    assert_eq!(value(&metrics, held), Some(1.0));
}

fn held(left: i64, life: u64, renew_in: i64) -> CertificateFacts {
    let at = |from_now: i64| Timestamp::from_secs(i64::try_from(NOW).unwrap() + from_now);
    CertificateFacts {
        serial: "01".to_owned(),
        issuer: "CN=ca".to_owned(),
        sans: Vec::new(),
        not_before: at(left) - Span::from_secs(life),
        not_after: at(left),
        fingerprint_sha256: String::new(),
        ari_id: None,
        source: From::Acme,
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
            next_attempt_at: Some(clock.now()),
            refused: true,
        });
        change.record.work = Work::Idle;
        memory.write(change).await.unwrap();
    }
    let census = census::count(&*memory, &*clock, 1).await.unwrap();
    let of = |counted: &std::collections::BTreeMap<String, u64>, label: &str| counted[label];
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
    let sum = |counted: &std::collections::BTreeMap<String, u64>| counted.values().sum::<u64>();
    assert_eq!((sum(&census.states), sum(&census.remaining), sum(&census.life_left)), (5, 4, 4));
}

#[tokio::test(start_paused = true)]
async fn a_census_keeps_its_pace_and_shows_what_it_found() {
    let Stores { memory, clock, .. } = stores();
    for index in 0..1_200 {
        let domain = format!("d{index}.example.com");
        memory.write(change(&domain, "domain.registered")).await.unwrap();
    }
    let started = tokio::time::Instant::now();
    census::count(&*memory, &*clock, 100).await.unwrap();
    assert!(started.elapsed() >= Duration::from_secs(9), "{:?}", started.elapsed());

    let (board, metrics) = (Arc::new(CensusBoard::default()), Metrics::new());
    let stop = tokio_util::sync::CancellationToken::new();
    let store = Arc::clone(&memory) as Arc<dyn Store>;
    let clock = clock as Arc<dyn Clock>;
    let task = take_census(store, clock, 100, board.clone(), metrics.clone(), stop.clone());
    let task = tokio::spawn(task);
    while board.last().is_none() {
        tokio::time::advance(Duration::from_millis(50)).await;
    }
    assert_eq!(value(&metrics, "sealwax_domains{state=\"pending\"}"), Some(1_200.0));
    stop.cancel();
    task.await.unwrap();
}
