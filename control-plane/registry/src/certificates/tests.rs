use sealwax_core::testing::ManualClock;
use sealwax_core::{DomainState, Work};
use sealwax_store::memory::MemoryStore;

use super::*;
use crate::testing::{Heard, NOW, Revoker, made, made_for, over};

struct World {
    certificates: Certificates,
    store: Arc<MemoryStore>,
    ca: Arc<Revoker>,
    heard: Arc<Heard>,
}

fn world() -> World {
    let clock = ManualClock::at_secs(NOW) as Arc<dyn Clock>;
    let store = Arc::new(MemoryStore::new(Arc::clone(&clock)));
    let (ca, heard) = (Arc::new(Revoker::default()), Arc::new(Heard::default()));
    let mut certificates = over(Arc::clone(&store) as Arc<dyn Store>, &clock);
    certificates.issuers = vec![Arc::clone(&ca) as Arc<dyn Issuer>];
    certificates.announcer = Arc::clone(&heard) as Arc<dyn Announcer>;
    World { certificates, store, ca, heard }
}

fn domain() -> DomainName {
    DomainName::parse("a.example.com").unwrap()
}

fn brought<'a>(chain_pem: &'a str, key_pem: &'a str) -> Brought<'a> {
    Brought { chain_pem, key_pem, ordered_from: None, replace: false, dry_run: false }
}

async fn import(world: &World, chain: &str, key: &str) -> Result<DomainRecord, CertificateError> {
    world.certificates.import(&domain(), brought(chain, key)).await.map(|done| done.record)
}

#[tokio::test]
async fn what_was_brought_along_is_served_watched_and_not_renewed() {
    let world = world();
    let (chain, key) = made("a.example.com");
    let record = import(&world, &chain, &key).await.unwrap();
    assert_eq!(record.state(), DomainState::Issued);
    let held = record.certificate.clone().unwrap();
    assert_eq!((held.source, held.renew_at), (CertificateSource::Imported, None));
    let two_thirds = Timestamp::from_secs(NOW + 60 * 86_400);
    assert_eq!(record.wake_at(), Some(two_thirds), "its end is pointed out in time");
    assert_eq!(record.scheduled_at(), None);
    let entry = world.store.load(&[domain()]).await.unwrap().remove(0).unwrap();
    assert_eq!(entry.certificate.unwrap().chain.pem(), chain);
    assert_eq!(*world.heard.0.lock().unwrap(), ["changed a.example.com"]);
    let again = made("a.example.com");
    import(&world, &again.0, &again.1).await.unwrap();
}

#[tokio::test]
async fn a_chain_a_key_and_a_name_that_do_not_fit_are_refused() {
    let world = world();
    let (chain, key) = made("a.example.com");
    let (_, other_key) = made("a.example.com");
    let (other_chain, its_key) = made("b.example.com");
    for (chain, key) in
        [(&chain, &other_key), (&other_chain, &its_key), (&key, &key), (&chain, &chain)]
    {
        let refused = import(&world, chain, key).await.unwrap_err();
        let said = refused.to_string();
        assert!(matches!(refused, CertificateError::Chain(_) | CertificateError::Key(_)), "{said}");
        assert!(!said.contains("PRIVATE KEY-----"), "{said}");
    }
    assert!(world.store.load(&[domain()]).await.unwrap().remove(0).is_none());
}

#[tokio::test]
async fn a_revoked_certificate_is_replaced_at_once() {
    let world = world();
    let (chain, key) = made("a.example.com");
    import(&world, &chain, &key).await.unwrap();
    let refused = world.certificates.revoke(&domain()).await.unwrap_err();
    assert!(matches!(refused, CertificateError::NotOurs(_)), "{refused}");
    let entry = world.store.load(&[domain()]).await.unwrap().remove(0).unwrap();
    let mut record = entry.stored.record;
    record.certificate.as_mut().unwrap().ordered_from = Some("ca".to_owned());
    let change = Change::of(record, Expected::Version(entry.stored.version));
    world.store.write(change).await.unwrap();
    let record = world.certificates.revoke(&domain()).await.unwrap();
    assert!(matches!(record.work, Work::Wanted { .. }));
    assert!(record.certificate.is_some(), "served until the new one is there");
    let leaf = Chain::from_pem(chain).unwrap().leaf_der().unwrap();
    assert_eq!(*world.ca.revoked.lock().unwrap(), [leaf]);
    let nobody = DomainName::parse("nobody.example.com").unwrap();
    let missing = world.certificates.revoke(&nobody).await.unwrap_err();
    assert!(matches!(missing, CertificateError::None(_)));
}

#[tokio::test]
async fn what_is_taken_out_is_what_is_served_and_leaves_a_trace() {
    let world = world();
    let (chain, key) = made("a.example.com");
    let missing = world.certificates.export(&domain()).await.unwrap_err();
    assert!(matches!(missing, CertificateError::None(_)), "{missing}");
    import(&world, &chain, &key).await.unwrap();
    let (exported, exported_key) = world.certificates.export(&domain()).await.unwrap();
    assert_eq!(exported.pem(), chain);
    let same = read_key(&key).unwrap();
    assert_eq!(exported_key.expose(), same.expose());
    let events = world.store.events(&domain(), 10).await.unwrap();
    assert_eq!(events[0].kind, "certificate.exported");
    assert!(events[0].detail.starts_with("serial "), "{}", events[0].detail);
}

#[tokio::test]
async fn what_a_taken_over_account_ordered_is_renewed_as_if_ordered_here() {
    let world = world();
    let (chain, key) = made("a.example.com");
    let ordered = async |from| {
        let brought = Brought { ordered_from: from, ..brought(&chain, &key) };
        world.certificates.import(&domain(), brought).await.map(|done| done.record)
    };
    let refused = ordered(Some("nobody")).await.unwrap_err();
    assert!(matches!(refused, CertificateError::NoIssuer(_)), "{refused}");
    for from in [Some("ca"), None] {
        let held = ordered(from).await.unwrap().certificate.unwrap();
        assert_eq!(held.ordered_from.as_deref(), Some("ca"), "known from the first time");
        assert_eq!(held.source, CertificateSource::Acme);
        let renew_at = held.renew_at.unwrap();
        assert!(renew_at > held.not_before && renew_at < held.not_after);
    }
    let (chain, key) = made("a.example.com");
    let kept = import(&world, &chain, &key).await.unwrap_err();
    assert!(matches!(&kept, CertificateError::Kept { why: Kept::Renews(_), .. }), "{kept}");
    let replace = Brought { replace: true, ..brought(&chain, &key) };
    let another = world.certificates.import(&domain(), replace).await.unwrap().record;
    assert_eq!(another.certificate.unwrap().ordered_from, None, "another certificate");
}

#[tokio::test]
async fn what_is_stored_is_written_anew_and_never_a_private_key_with_the_chain() {
    let world = world();
    let (chain, key) = made("a.example.com");
    let combined = format!("\u{feff}{key}{}", chain.replace('\n', "\r"));
    let done = world.certificates.import(&domain(), brought(&combined, &combined)).await.unwrap();
    assert_eq!(done.notes, [Note::KeyLeftOut]);
    let entry = world.store.load(&[domain()]).await.unwrap().remove(0).unwrap();
    assert_eq!(entry.certificate.unwrap().chain.pem(), chain);
    let (exported, _) = world.certificates.export(&domain()).await.unwrap();
    assert_eq!(exported.pem(), chain);
}

#[tokio::test]
async fn a_certificate_that_is_valid_longer_stays_and_a_dry_run_changes_nothing() {
    let world = world();
    let (good, shorter) = (made("a.example.com"), made_for("a.example.com", 5));
    let dry = Brought { dry_run: true, ..brought(&good.0, &good.1) };
    let would = world.certificates.import(&domain(), dry).await.unwrap().record;
    assert!(would.certificate.is_some());
    assert!(world.store.load(&[domain()]).await.unwrap().remove(0).is_none(), "nothing written");
    import(&world, &good.0, &good.1).await.unwrap();
    let kept = import(&world, &shorter.0, &shorter.1).await.unwrap_err();
    assert!(matches!(kept, CertificateError::Kept { why: Kept::Longer { .. }, .. }));
    let entry = world.store.load(&[domain()]).await.unwrap().remove(0).unwrap();
    assert_eq!(entry.certificate.unwrap().chain.pem(), good.0);
    let replace = Brought { replace: true, ..brought(&shorter.0, &shorter.1) };
    world.certificates.import(&domain(), replace).await.unwrap();
}
