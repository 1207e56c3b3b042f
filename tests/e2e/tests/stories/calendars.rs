//! What CAs say of time, over days of it: when to renew, and from when on a certificate is valid.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use sealwax_core::{Clock, Span, Timestamp};
use sealwax_fake_acme::{Endpoint, FakeAcme, FaultKind, Knobs, Problem, Validation};
use sealwax_testkit::{ControlPlane, ControlPlaneSettings, PATIENCE, StoreSettings, TestClock};
use serde_json::{Value, json};

/// How far the clock of one of the CAs is ahead: its certificates are dated back an hour, so they
/// begin 20 minutes from now.
const FAST: Span = Span::from_secs(80 * 60);

/// A CA's clock: the control plane's, which the test sets forward, and some more.
struct Ahead {
    clock: Arc<TestClock>,
    more: Span,
}

impl Clock for Ahead {
    fn now(&self) -> Timestamp {
        let now = time::OffsetDateTime::now_utc().unix_timestamp_nanos() / 1_000_000;
        let ahead = self.clock.ahead().as_millis();
        let millis = u64::try_from(now).unwrap() + u64::try_from(ahead).unwrap();
        Timestamp::from_millis(millis) + self.more
    }
}

/// A CA that validates without looking.
async fn ca(clock: &Arc<TestClock>, more: Span, domain: &str) -> FakeAcme {
    let validations = [(domain.to_owned(), Validation::Passes)].into();
    let knobs = Knobs { validations, ..Knobs::default() };
    FakeAcme::start(knobs, Arc::new(Ahead { clock: Arc::clone(clock), more })).await.unwrap()
}

fn always_past(endpoint: Endpoint, value: &mut Value) {
    if endpoint == Endpoint::RenewalInfo {
        let (start, end) = ("2020-01-01T00:00:00Z", "2020-01-02T00:00:00Z");
        value["suggestedWindow"] = json!({ "start": start, "end": end });
    }
}

/// `folder`: where a CA's root is put, which a control plane wants of its test's CA.
async fn control_plane(folder: &Path, cas: &[(&str, &FakeAcme)]) -> ControlPlane {
    let ca_file = folder.join("root.pem");
    std::fs::write(&ca_file, cas[0].1.root_pem()).unwrap();
    let more = cas.iter().map(|(name, ca)| {
        format!("[[issuer]]\nname = \"{name}\"\ndirectory = \"{}\"\n", ca.directory())
    });
    let settings = ControlPlaneSettings {
        directory: cas[0].1.directory(),
        ca_file,
        store: StoreSettings::Embedded,
        max_wait: "10s",
        more: more.collect(),
    };
    ControlPlane::start(&settings).await.unwrap()
}

#[tokio::test]
async fn odd_calendars_of_cas_cost_few_questions_and_no_orders() {
    let clock = Arc::new(TestClock::new().unwrap());
    let names = ["forgetful", "past", "fast"].map(|label| format!("{label}.example.com"));
    let [forgetful, past, fast] = &names;
    let (none, hour) = (Span::ZERO, Duration::from_secs(3_600));
    // It knows nothing of its certificates' renewals.
    let forgetful_ca = ca(&clock, none, forgetful).await;
    let unknown = Problem::new(404, "malformed", "no such certificate");
    forgetful_ca.adjust(|knobs| {
        knobs.fail(Endpoint::RenewalInfo, u32::MAX, FaultKind::Problem(unknown));
    });
    // Every window it says is over.
    let past_ca = ca(&clock, none, past).await;
    past_ca.adjust(|knobs| knobs.bend = Some(always_past));
    let fast_ca = ca(&clock, FAST, fast).await;
    let cas = [("forgetful", &forgetful_ca), ("past", &past_ca), ("fast", &fast_ca)];
    let folder = tempfile::tempdir().unwrap();
    let mut control_plane = control_plane(folder.path(), &cas).await;
    control_plane.set_clock(&clock);
    control_plane.restart().await.unwrap();

    let admin = control_plane.admin();
    for (name, _) in cas {
        let (path, body) = (format!("/v1/domains/{name}.example.com"), json!({ "issuer": name }));
        let answer = admin.send("PUT", &path, &body.to_string()).await.unwrap();
        assert_eq!(answer.status, 201, "{}", answer.text());
        control_plane.edge().ask(&format!("{name}.example.com")).await.unwrap();
    }
    for domain in [forgetful, past] {
        admin.await_state(domain, "issued", PATIENCE).await.unwrap();
    }
    let early = admin.await_state(fast, "deferred", PATIENCE).await.unwrap();
    let detail = early["failure"]["detail"].as_str().unwrap();
    assert!(detail.contains("is this machine's clock right?"), "{early}");
    let pause = Duration::from_millis(60);
    clock.pass(hour / 2, hour / 60, pause).await.unwrap();
    admin.await_state(fast, "issued", PATIENCE).await.unwrap();
    assert_eq!((fast_ca.journal().orders_for(fast), fast_ca.certificates_for(fast)), (1, 1));

    // Three days.
    clock.pass(71 * hour, hour / 2, pause).await.unwrap();
    let asked = forgetful_ca.journal().count(Endpoint::RenewalInfo);
    let renewed = past_ca.journal().orders_for(past);
    // Hourly would be 36 times at least, eight times a day 24.
    assert!((2..=10).contains(&asked) && (2..=5).contains(&renewed), "{asked} {renewed}");
    assert_eq!(forgetful_ca.journal().orders_for(forgetful), 1);
    assert_eq!(fast_ca.journal().orders_for(fast), 1);
}
