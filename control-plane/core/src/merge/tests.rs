use proptest::prelude::*;
use sealwax_protocol::DomainName;

use super::*;
use crate::apply;
use crate::record::{Registration, Work};
use crate::timestamp::{Span, Timestamp};

const fn at(secs: u64) -> Timestamp {
    Timestamp::from_millis(secs * 1000)
}

/// An order is about to be placed, by us.
fn ordering() -> DomainRecord {
    let domain = DomainName::parse("a.example.com").unwrap();
    let fresh = DomainRecord::registered(domain, Registration::default(), at(0));
    let wanted = apply::demand(&fresh, at(1)).unwrap();
    let ordering = apply::permitted(wanted, "ca").unwrap();
    DomainRecord { updated_at: at(1), ..apply::leased(ordering, "me", 1, Span::from_secs(30)) }
}

fn ordered(base: &DomainRecord) -> DomainRecord {
    let ordered = apply::ordered(base.clone(), "https://ca/1".into()).unwrap();
    DomainRecord { updated_at: at(2), ..apply::leased(ordered, "me", 2, Span::from_secs(30)) }
}

fn notice(id: &str, attempts: u32) -> Notice {
    Notice {
        id: id.into(),
        to: "platform".into(),
        in_order: false,
        kind: "certificate.failed".into(),
        at: at(0),
        detail: String::new(),
        attempts,
        next_at: at(0),
    }
}

#[test]
fn an_order_the_ca_took_is_kept_when_its_name_was_registered_anew_meanwhile() {
    let base = ordering();
    let mut newest = base.clone();
    newest.registration.tenant = Some("moved".into());
    let merged = merged(&base, &ordered(&base), &newest).unwrap();
    assert_eq!(merged.registration.tenant.as_deref(), Some("moved"));
    assert!(matches!(merged.work, Work::Ordered { .. }));
    assert_eq!(merged.lease.map(|lease| lease.id), Some(2));
}

#[test]
fn the_work_of_another_holder_is_decided_anew() {
    let base = ordering();
    let ours = ordered(&base);
    let taken = apply::leased(base.clone(), "you", 7, Span::from_secs(30));
    assert_eq!(merged(&base, &ours, &taken), None);
    let over = DomainRecord { work: Work::Idle, lease: None, ..base.clone() };
    assert_eq!(merged(&base, &ours, &over), None);
    let removed = apply::removed(base.clone(), at(3));
    assert_eq!(merged(&base, &ours, &removed), None);
}

#[test]
fn what_only_begins_is_decided_anew() {
    let domain = DomainName::parse("a.example.com").unwrap();
    let idle = DomainRecord::registered(domain, Registration::default(), at(0));
    let wanted = apply::demand(&idle, at(1)).unwrap();
    let begun = apply::permitted(wanted, "ca").unwrap();
    let mut newest = idle.clone();
    newest.registration.issuer = Some("another".into());
    assert_eq!(merged(&idle, &begun, &newest), None);
}

#[test]
fn a_delivered_notice_is_not_delivered_again_and_a_new_one_is_kept() {
    let base = DomainRecord { outbox: vec![notice("a", 0), notice("b", 0)], ..ordering() };
    let ours = DomainRecord { outbox: vec![notice("b", 1), notice("c", 0)], ..base.clone() };
    let newest = DomainRecord {
        outbox: vec![notice("a", 0), notice("b", 0), notice("d", 0)],
        ..base.clone()
    };
    let merged = merged(&base, &ours, &newest).unwrap();
    let left: Vec<_> = merged.outbox.iter().map(|one| (one.id.as_str(), one.attempts)).collect();
    assert_eq!(left, [("b", 1), ("d", 0), ("c", 0)]);
}

#[test]
fn a_waiver_that_was_given_while_the_order_was_in_work_ends_with_its_certificate() {
    let base = ordering();
    let newest = apply::waived(base.clone());
    assert!(merged(&base, &ordered(&base), &newest).unwrap().preflight_waived);
    let key = crate::secret::SealedKey::new(vec![1]);
    let keyed = apply::keyed(ordered(&base), key).unwrap();
    let facts = crate::certificate::CertificateFacts {
        serial: "01".into(),
        issuer: "CN=Test".into(),
        sans: vec!["a.example.com".into()],
        not_before: at(0),
        not_after: at(100),
        fingerprint_sha256: "00".into(),
        ari_id: None,
        source: crate::certificate::CertificateSource::Acme,
        ordered_from: None,
        renew_at: Some(at(60)),
    };
    let issued = apply::issued(keyed.clone(), facts).unwrap();
    let newest = apply::waived(keyed.clone());
    assert!(!merged(&keyed, &issued, &newest).unwrap().preflight_waived, "not for the renewal");
}

#[test]
fn a_write_is_known_by_its_lease_or_as_a_whole() {
    let base = ordering();
    let ours = ordered(&base);
    assert!(!is_written(&ours, &base));
    let mut later = ours.clone();
    later.registration.tenant = Some("moved".into());
    assert!(is_written(&ours, &later), "and was changed since");
    let released = DomainRecord { lease: None, ..ours };
    assert!(is_written(&released, &released.clone()));
    assert!(!is_written(&released, &base));
}

proptest! {
    #[test]
    fn without_another_writer_a_merge_is_ours(tenant in proptest::option::of("[a-z]{1,4}")) {
        let mut base = ordering();
        base.registration.tenant = tenant;
        let ours = ordered(&base);
        prop_assert_eq!(merged(&base, &ours, &base), Some(ours));
    }
}
