use rcgen::{CertificateParams, CertifiedIssuer, KeyPair};
use zeroize::Zeroizing;

use super::*;

struct Made {
    chain: Chain,
    key: PrivateKey,
}

fn private(pair: &KeyPair) -> PrivateKey {
    PrivateKey::new(Zeroizing::new(pair.serialize_der()))
}

fn issuer() -> CertifiedIssuer<'static, KeyPair> {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    params.distinguished_name.push(rcgen::DnType::CommonName, "Test CA");
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

fn made(names: &[&str], not_before: i64, not_after: i64) -> Made {
    let ca = issuer();
    let pair = KeyPair::generate().unwrap();
    let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
    let mut params = CertificateParams::new(names).unwrap();
    params.use_authority_key_identifier_extension = true;
    params.not_before = time::OffsetDateTime::from_unix_timestamp(not_before).unwrap();
    params.not_after = time::OffsetDateTime::from_unix_timestamp(not_after).unwrap();
    let leaf = params.signed_by(&pair, &ca).unwrap();
    let chain = Chain::from_pem(format!("{}{}", leaf.pem(), ca.pem())).unwrap();
    Made { chain, key: private(&pair) }
}

fn check(made: &Made, name: &str, now: u64) -> Result<CertificateFacts, ChainError> {
    let domain = DomainName::parse(name).unwrap();
    let now = Timestamp::from_millis(now * 1000);
    verify(&made.chain, &made.key, &domain, now, CertificateSource::Acme)
}

#[test]
fn a_fitting_certificate_passes_and_its_facts_are_read() {
    let made = made(&["a.example.com"], 1_000_000, 2_000_000);
    let facts = check(&made, "a.example.com", 1_500_000).unwrap();
    assert_eq!(facts.sans, ["a.example.com"]);
    assert_eq!(facts.not_after, Timestamp::from_secs(2_000_000));
    assert_eq!(facts.lifetime(), Span::from_secs(1_000_000));
    assert_eq!(facts.fingerprint_sha256.len(), 64);
    assert!(facts.issuer.contains("Test CA"));
    assert!(facts.ari_id.unwrap().contains('.'));
}

#[test]
fn a_wildcard_covers_exactly_one_label() {
    let made = made(&["*.example.com"], 1_000_000, 2_000_000);
    assert!(check(&made, "a.example.com", 1_500_000).is_ok());
    assert!(matches!(
        check(&made, "b.a.example.com", 1_500_000),
        Err(ChainError::WrongName { .. })
    ));
    assert!(matches!(check(&made, "example.com", 1_500_000), Err(ChainError::WrongName { .. })));
}

#[test]
fn a_certificate_out_of_its_time_is_refused() {
    let made = made(&["a.example.com"], 1_000_000, 2_000_000);
    assert!(matches!(check(&made, "a.example.com", 999_000), Err(ChainError::NotYetValid(_))));
    assert!(check(&made, "a.example.com", 999_800).is_ok(), "small clock skew is forgiven");
    assert!(matches!(check(&made, "a.example.com", 2_000_000), Err(ChainError::Expired(_))));
}

#[test]
fn another_key_is_refused() {
    let one = made(&["a.example.com"], 1_000_000, 2_000_000);
    let other = private(&KeyPair::generate().unwrap());
    let mixed = Made { chain: one.chain, key: other };
    assert!(matches!(check(&mixed, "a.example.com", 1_500_000), Err(ChainError::KeyMismatch(_))));
}

#[test]
fn a_chain_in_the_wrong_order_is_refused() {
    let good = made(&["a.example.com"], 1_000_000, 2_000_000);
    let foreign = issuer();
    let leaf_only = good.chain.pem().split_inclusive("-----END CERTIFICATE-----\n").next().unwrap();
    let chain = Chain::from_pem(format!("{leaf_only}{}{}", foreign.pem(), good.chain.pem()));
    let mixed = Made { chain: chain.unwrap(), key: good.key };
    assert_eq!(check(&mixed, "a.example.com", 1_500_000), Err(ChainError::OutOfOrder));
}

#[test]
fn junk_is_refused_without_a_panic() {
    let key = private(&KeyPair::generate().unwrap());
    for (pem, error) in
        [(String::new(), ChainError::Empty), ("hello".to_owned(), ChainError::Empty)]
    {
        let made = Made { chain: Chain::from_pem(pem).unwrap(), key: private_copy(&key) };
        assert_eq!(check(&made, "a.example.com", 1), Err(error));
    }
    let torn = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n";
    let made = Made { chain: Chain::from_pem(torn.to_owned()).unwrap(), key };
    assert!(matches!(check(&made, "a.example.com", 1), Err(ChainError::Unreadable(_))));
    assert_eq!(Chain::from_pem("x".repeat(CHAIN_BYTES_MAX + 1)), Err(ChainError::TooLarge));
}

fn private_copy(key: &PrivateKey) -> PrivateKey {
    PrivateKey::new(Zeroizing::new(key.expose().to_vec()))
}

/// A leaf bent in one way.
fn bent(bend: impl FnOnce(&mut CertificateParams)) -> Made {
    let ca = issuer();
    let pair = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(vec!["a.example.com".to_owned()]).unwrap();
    bend(&mut params);
    let leaf = params.signed_by(&pair, &ca).unwrap();
    let chain = Chain::from_pem(format!("{}{}", leaf.pem(), ca.pem())).unwrap();
    Made { chain, key: private(&pair) }
}

#[test]
fn what_envoy_does_not_load_or_no_client_takes_is_refused_with_its_own_reason() {
    use rcgen::{CustomExtension, ExtendedKeyUsagePurpose as Purpose, KeyUsagePurpose as Usage};
    let refused = |made: &Made| check(made, "a.example.com", 1_700_000_000).unwrap_err();
    let usages = |usages: &[Usage]| bent(|params| params.key_usages = usages.to_vec());
    let purposes = |for_what: Purpose| bent(|params| params.extended_key_usages = vec![for_what]);
    assert_eq!(refused(&usages(&[Usage::KeyEncipherment])), ChainError::KeyUsage);
    assert_eq!(refused(&usages(&[Usage::KeyAgreement])), ChainError::KeyUsage);
    assert_eq!(refused(&purposes(Purpose::ClientAuth)), ChainError::Purpose);
    let staple = bent(|params| {
        // RFC 7633: a sequence of the one feature status_request.
        let feature = CustomExtension::from_oid_content(
            &[1, 3, 6, 1, 5, 5, 7, 1, 24],
            vec![0x30, 3, 2, 1, 5],
        );
        params.custom_extensions.push(feature);
    });
    assert_eq!(refused(&staple), ChainError::MustStaple);
    assert_eq!(refused(&bent(|params| params.subject_alt_names.clear())), ChainError::NoNames);
    for good in
        [usages(&[Usage::DigitalSignature]), purposes(Purpose::ServerAuth), purposes(Purpose::Any)]
    {
        check(&good, "a.example.com", 1_700_000_000).unwrap();
    }
}
