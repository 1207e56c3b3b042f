use sealwax_core::testing::ManualClock;
use sealwax_core::{Cause, CertificateFacts, CertificateSource, Failure};
use sealwax_store::memory::MemoryStore;

use super::*;
use crate::testing::Heard;

pub(super) struct World {
    pub(super) registry: Registry,
    pub(super) store: Arc<MemoryStore>,
    clock: Arc<ManualClock>,
    heard: Arc<Heard>,
}

pub(super) fn world(on_register: bool) -> World {
    let clock = ManualClock::at_secs(1_000);
    let store = Arc::new(MemoryStore::new(Arc::clone(&clock) as Arc<dyn Clock>));
    let heard = Arc::new(Heard::default());
    let rules = Rules { issuers: vec!["main".to_owned()], on_register };
    let registry = Registry::new(
        Arc::clone(&store) as Arc<dyn Store>,
        Arc::clone(&clock) as Arc<dyn Clock>,
        Arc::clone(&heard) as Arc<dyn Announcer>,
        rules,
    );
    World { registry, store, clock, heard }
}

impl World {
    pub(super) fn heard(&self) -> Vec<String> {
        std::mem::take(&mut *self.heard.0.lock().unwrap())
    }

    /// Changes the stored record as the workflow would.
    async fn edit(&self, domain: &DomainName, edit: impl FnOnce(&mut DomainRecord)) {
        let stored = self.registry.load(domain).await.unwrap().unwrap();
        let mut record = stored.record;
        edit(&mut record);
        self.store.write(Change::of(record, Expected::Version(stored.version))).await.unwrap();
    }
}

pub(super) fn name(text: &str) -> DomainName {
    DomainName::parse(text).unwrap()
}

pub(super) fn tenant(text: &str) -> Registration {
    Registration { tenant: Some(text.to_owned()), ..Registration::default() }
}

fn certificate(renew_at: u64) -> CertificateFacts {
    CertificateFacts {
        serial: "01".to_owned(),
        issuer: "CN=CA".to_owned(),
        sans: vec!["a.example.com".to_owned()],
        not_before: Timestamp::default(),
        not_after: Timestamp::from_millis(9_000_000),
        fingerprint_sha256: "00".to_owned(),
        ari_id: None,
        source: CertificateSource::Acme,
        ordered_from: None,
        renew_at: Some(Timestamp::from_millis(renew_at * 1000)),
    }
}

#[tokio::test]
async fn several_at_once_come_to_the_same_whether_they_are_looked_at_first() {
    for known in [Known::Unlikely, Known::Likely] {
        let world = world(false);
        for (there, as_what) in [("a.example.com", "t1"), ("b.example.com", "t2")] {
            world.registry.put(&name(there), tenant(as_what)).await.unwrap();
        }
        world.heard();
        let wanted = ["new.example.com", "a.example.com", "b.example.com", "last.example.com"];
        let wanted = wanted.map(|one| (name(one), tenant("t1"))).to_vec();
        let put = world.registry.put_all(wanted, known).await;
        let created: Vec<bool> = put.into_iter().map(|put| put.unwrap().created).collect();
        assert_eq!(created, [true, false, false, true], "{known:?}");
        let mut heard = world.heard();
        heard.sort_unstable();
        let changed = ["b", "last", "new"].map(|one| format!("changed {one}.example.com"));
        assert_eq!(heard, changed, "{known:?}: what was as it should be is told to nobody");
    }
}

#[tokio::test]
async fn registering_twice_changes_nothing_and_says_so() {
    let world = world(false);
    let domain = name("a.example.com");
    let first = world.registry.put(&domain, tenant("t1")).await.unwrap();
    assert!(first.created);
    assert_eq!(world.heard(), ["changed a.example.com"]);
    let second = world.registry.put(&domain, tenant("t1")).await.unwrap();
    assert!(!second.created);
    assert_eq!(second.record, first.record);
    assert!(world.heard().is_empty());
    assert_eq!(world.registry.events(&domain, 10).await.unwrap().len(), 1);
}

#[tokio::test]
async fn registering_anew_keeps_certificate_and_work() {
    let world = world(true);
    let domain = name("a.example.com");
    world.registry.put(&domain, tenant("t1")).await.unwrap();
    let work = Work::Ordering { issuer: "main".to_owned() };
    world
        .edit(&domain, |record| {
            record.work = work.clone();
            record.certificate = Some(certificate(5_000));
        })
        .await;
    world.clock.set(Timestamp::from_secs(2_000));
    let put = world.registry.put(&domain, tenant("t2")).await.unwrap();
    assert!(!put.created);
    assert_eq!(put.record.work, work);
    assert!(put.record.certificate.is_some());
    assert_eq!(put.record.registration, tenant("t2"));
    assert_eq!(put.record.updated_at, Timestamp::from_secs(2_000));
    assert_eq!(put.record.created_at, Timestamp::from_secs(1_000));
}

#[tokio::test]
async fn a_parked_domain_may_have_a_certificate_again() {
    let world = world(false);
    let domain = name("a.example.com");
    world.registry.put(&domain, tenant("t1")).await.unwrap();
    world
        .edit(&domain, |record| {
            *record = apply::parked(record.clone(), Cause::PlatformGone, "left")
        })
        .await;
    assert!(matches!(
        world.registry.renew(&domain, Window::Kept).await,
        Err(RegistryError::Parked(_))
    ));
    world.heard();
    let put = world.registry.put(&domain, tenant("t1")).await.unwrap();
    assert_eq!(put.record.work, Work::Idle);
    assert_eq!(put.record.failure, None);
    assert!(apply::demand(&put.record, Timestamp::default()).is_some());
    assert_eq!(world.heard(), ["changed a.example.com"]);
}

#[tokio::test]
async fn who_registers_a_domain_that_is_said_to_be_gone_says_that_it_is_not() {
    let world = world(false);
    let domain = name("a.example.com");
    world.registry.put(&domain, tenant("t")).await.unwrap();
    let now = Timestamp::from_secs(1_000);
    world
        .edit(&domain, |record| {
            let heard = departure::heard(record, now).unwrap();
            let jitter = sealwax_system::SystemJitter::default();
            *record = departure::doubted(heard, "gone", now, &jitter);
        })
        .await;
    let put = world.registry.put(&domain, tenant("t")).await.unwrap();
    assert!(!put.created && put.record.failure.is_none() && put.record.departure.is_none());
}

#[tokio::test]
async fn issuing_at_registration_is_stored_and_then_announced() {
    let world = world(true);
    let domain = name("a.example.com");
    world.registry.put(&domain, Registration::default()).await.unwrap();
    let stored = world.registry.show(&domain).await.unwrap();
    assert_eq!(stored.work, Work::Wanted { since: Timestamp::from_secs(1_000) });
    assert_eq!(world.heard(), ["changed a.example.com", "wanted a.example.com due"]);
}

#[tokio::test]
async fn an_issuer_that_is_not_configured_is_refused() {
    let world = world(false);
    let said = Registration { issuer: Some("other".to_owned()), ..Registration::default() };
    let error = world.registry.put(&name("a.example.com"), said).await.unwrap_err();
    assert_eq!(error.to_string(), "there is no issuer \"other\"; configured: main");
    let said = Registration { issuer: Some("main".to_owned()), ..Registration::default() };
    assert!(world.registry.put(&name("a.example.com"), said).await.is_ok());
}

#[tokio::test]
async fn renewing_keeps_to_the_window_unless_forced() {
    let world = world(false);
    let domain = name("a.example.com");
    world.registry.put(&domain, Registration::default()).await.unwrap();
    world.edit(&domain, |record| record.certificate = Some(certificate(5_000))).await;
    let error = world.registry.renew(&domain, Window::Kept).await.unwrap_err();
    assert!(error.to_string().contains("not due for renewal before 1970-01-01T01:23:20Z"));
    assert_eq!(world.registry.show(&domain).await.unwrap().work, Work::Idle);
    world.heard();
    let record = world.registry.renew(&domain, Window::Ignored).await.unwrap();
    assert_eq!(record.work, Work::Wanted { since: Timestamp::from_secs(1_000) });
    assert_eq!(world.heard(), ["wanted a.example.com request"]);
}

#[tokio::test]
async fn a_due_or_failed_domain_is_renewed_without_force() {
    let world = world(false);
    let domain = name("a.example.com");
    world.registry.put(&domain, Registration::default()).await.unwrap();
    world.edit(&domain, |record| record.certificate = Some(certificate(900))).await;
    assert!(world.registry.renew(&domain, Window::Kept).await.is_ok());
    world
        .edit(&domain, |record| {
            record.work = Work::Idle;
            record.certificate = Some(certificate(5_000));
            record.failure = Some(Failure {
                cause: Cause::CaUnavailable,
                detail: String::new(),
                attempts: 1,
                stalls: 0,
                outage: sealwax_core::failure::Outage::default(),
                next_attempt_at: Some(Timestamp::from_secs(9_000)),
                refused: false,
            });
        })
        .await;
    assert!(world.registry.renew(&domain, Window::Kept).await.is_ok());
}

#[tokio::test]
async fn only_force_waives_the_look_at_the_domain() {
    let world = world(false);
    let domain = name("a.example.com");
    world.registry.put(&domain, Registration::default()).await.unwrap();
    let kept = world.registry.renew(&domain, Window::Kept).await.unwrap();
    assert!(!kept.preflight_waived);
    world.edit(&domain, |record| record.work = Work::Idle).await;
    let forced = world.registry.renew(&domain, Window::Ignored).await.unwrap();
    assert!(forced.preflight_waived);
}

#[tokio::test]
async fn removing_is_announced_and_a_second_time_not_found() {
    let world = world(false);
    let domain = name("a.example.com");
    world.registry.put(&domain, Registration::default()).await.unwrap();
    world.heard();
    world.registry.remove(&domain).await.unwrap();
    assert_eq!(world.heard(), ["changed a.example.com"]);
    assert!(matches!(world.registry.remove(&domain).await, Err(RegistryError::NotFound(_))));
    assert!(matches!(world.registry.show(&domain).await, Err(RegistryError::NotFound(_))));
}

/// Wants to hear of removals.
struct Listener;

#[async_trait::async_trait]
impl Notifier for Listener {
    fn receivers(&self, kind: &str) -> Vec<sealwax_core::Receiver> {
        let platform = || vec![sealwax_core::Receiver::named("platform")];
        if kind == "domain.removed" { platform() } else { Vec::new() }
    }

    async fn deliver(&self, _: &sealwax_core::Notice, _: &DomainRecord) -> sealwax_core::Delivery {
        sealwax_core::Delivery::Done
    }
}

#[tokio::test]
async fn a_removal_is_told_from_the_store_and_the_domain_is_gone_for_everyone_else() {
    let world = world(false);
    let registry = world.registry.clone().telling(Arc::new(Listener));
    let domain = name("a.example.com");
    registry.put(&domain, tenant("t")).await.unwrap();
    registry.remove(&domain).await.unwrap();
    assert!(matches!(registry.show(&domain).await, Err(RegistryError::NotFound(_))));
    assert!(matches!(registry.remove(&domain).await, Err(RegistryError::NotFound(_))));
    let page = registry.list(&Selection::default(), 10, None).await.unwrap();
    assert!(page.records.is_empty());
    let stored = world.store.load(std::slice::from_ref(&domain)).await.unwrap().remove(0).unwrap();
    let left = stored.stored.record;
    assert_eq!(left.outbox.first().map(|notice| notice.kind.as_str()), Some("domain.removed"));
    assert_eq!(left.wake_at(), Some(left.updated_at), "a crash does not lose it");
    let step =
        sealwax_core::decide(&left, &sealwax_core::Sight::default(), "me", left.wake_at().unwrap());
    assert!(matches!(step, sealwax_core::Step::Notify(_)), "{step:?}");
    let told = DomainRecord { outbox: Vec::new(), ..left };
    let step = sealwax_core::decide(&told, &sealwax_core::Sight::default(), "me", told.updated_at);
    assert_eq!(step, sealwax_core::Step::Forget);
    let again = registry.put(&domain, tenant("u")).await.unwrap();
    assert!(again.created && again.record.outbox.len() == 1, "{again:?}");
}

#[tokio::test]
async fn a_domain_that_moves_gets_a_certificate_whose_key_its_former_tenant_has_not() {
    let world = world(false);
    let domain = name("a.example.com");
    let imported = |record: &mut DomainRecord| {
        let source = CertificateSource::Imported;
        record.certificate = Some(CertificateFacts { source, renew_at: None, ..certificate(1) });
    };
    world.registry.put(&domain, tenant("t1")).await.unwrap();
    world.edit(&domain, imported).await;
    let terms = |if_tenant, keep_certificate| Terms { if_tenant, keep_certificate };
    let raced = world.registry.put_on(&domain, tenant("t3"), terms(Some("t2"), false)).await;
    assert!(matches!(raced, Err(RegistryError::OtherTenant { .. })), "{raced:?}");
    let kept = world.registry.put_on(&domain, tenant("t2"), terms(Some("t1"), true)).await;
    assert_eq!(kept.unwrap().record.work, Work::Idle, "its caller takes that upon itself");
    let moved = world.registry.put(&domain, tenant("t3")).await.unwrap().record;
    assert!(matches!(moved.work, Work::Wanted { .. }), "{:?}", moved.work);
    assert!(moved.certificate.is_some(), "served until another one is there");
    let events = world.registry.events(&domain, 1).await.unwrap();
    assert_eq!(events[0].detail, "moved from tenant \"t2\" to tenant \"t3\"");

    // What was issued here is nobody else's, and a first tenant takes it from nobody.
    let ours = name("b.example.com");
    world.registry.put(&ours, Registration::default()).await.unwrap();
    world.edit(&ours, imported).await;
    let first = world.registry.put_on(&ours, tenant("t1"), terms(Some(""), false)).await.unwrap();
    assert_eq!(first.record.work, Work::Idle);
    world.edit(&ours, |record| record.certificate = Some(certificate(9_000))).await;
    let moved = world.registry.put(&ours, tenant("t2")).await.unwrap().record;
    assert_eq!(moved.work, Work::Idle);
}
