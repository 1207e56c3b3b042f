//! What Envoy would not load or no client would accept, known before it replaces anything. What
//! Envoy does was tried with Envoy 1.40 (BoringSSL); `agreement` among the end-to-end tests asks
//! the real one.

use x509_parser::oid_registry::{
    OID_EC_P256, OID_KEY_TYPE_EC_PUBLIC_KEY, OID_NIST_EC_P384, OID_NIST_EC_P521,
    OID_PKCS1_MD5WITHRSAENC, OID_PKCS1_RSAENCRYPTION, OID_PKCS1_SHA1WITHRSA, OID_SIG_ED25519,
};
use x509_parser::prelude::{ParsedExtension, X509Certificate};
use x509_parser::public_key::PublicKey;

use super::ChainError;

/// Smallest RSA key Envoy loads, in bits.
const RSA_BITS_MIN: usize = 2048;
/// Largest RSA key that TLS libraries sign with, in bits.
const RSA_BITS_MAX: usize = 8192;
/// ecdsa-with-SHA1 (RFC 3279).
const OID_ECDSA_WITH_SHA1: &str = "1.2.840.10045.4.1";
/// TLS feature (RFC 7633), known as must-staple.
const OID_TLS_FEATURE: &str = "1.3.6.1.5.5.7.1.24";

/// Whether a leaf can be served at all, whatever its name and the time.
///
/// # Errors
/// The first reason why not.
pub(super) fn check(leaf: &X509Certificate<'_>) -> Result<(), ChainError> {
    check_kind(leaf)?;
    check_signature(leaf)?;
    check_usage(leaf)?;
    check_purpose(leaf)?;
    if leaf.iter_extensions().any(|one| one.oid.to_id_string() == OID_TLS_FEATURE) {
        return Err(ChainError::MustStaple);
    }
    Ok(())
}

/// The kind and size of its key.
///
/// # Errors
/// It is one that Envoy does not load, or does not sign with.
pub(super) fn check_kind(leaf: &X509Certificate<'_>) -> Result<(), ChainError> {
    let algorithm = &leaf.public_key().algorithm;
    let kind = &algorithm.algorithm;
    if *kind == OID_PKCS1_RSAENCRYPTION {
        let Ok(PublicKey::RSA(key)) = leaf.public_key().parsed() else {
            return Err(ChainError::KeyKind("an RSA key that cannot be read".to_owned()));
        };
        let bits = bits(key.modulus);
        if !(RSA_BITS_MIN..=RSA_BITS_MAX).contains(&bits) {
            return Err(ChainError::KeyKind(format!("an RSA key of {bits} bits")));
        }
        return Ok(());
    }
    if *kind == OID_KEY_TYPE_EC_PUBLIC_KEY {
        let curve = algorithm.parameters.as_ref().and_then(|any| any.as_oid().ok());
        let curve = curve
            .ok_or_else(|| ChainError::KeyKind("an elliptic curve without a name".to_owned()))?;
        if ![OID_EC_P256, OID_NIST_EC_P384, OID_NIST_EC_P521].contains(&curve) {
            return Err(ChainError::KeyKind(format!("the elliptic curve {curve}")));
        }
        return Ok(());
    }
    if *kind == OID_SIG_ED25519 {
        return Ok(());
    }
    Err(ChainError::KeyKind(format!("a key of the kind {kind}")))
}

/// Why a leaf that Envoy loads is of little use all the same.
pub(super) fn few_clients(leaf: &X509Certificate<'_>) -> Option<&'static str> {
    let algorithm = &leaf.public_key().algorithm;
    if algorithm.algorithm == OID_SIG_ED25519 {
        return Some("its key is Ed25519, which no browser takes: P-256 works everywhere");
    }
    let curve = algorithm.parameters.as_ref().and_then(|any| any.as_oid().ok());
    if curve.is_some_and(|curve| curve == OID_NIST_EC_P521) {
        return Some("its key is P-521, which Chrome does not take: P-256 works everywhere");
    }
    let usage = leaf.key_usage().ok().flatten();
    usage.filter(|usage| !usage.value.digital_signature()).map(
        |_| "its key may not sign (key usage without digitalSignature), which Chrome does not take",
    )
}

fn bits(modulus: &[u8]) -> usize {
    let start = modulus.iter().position(|&byte| byte != 0).unwrap_or(modulus.len());
    let digits = modulus.get(start..).unwrap_or_default();
    let spare = digits.first().map_or(0, |first| first.leading_zeros());
    (digits.len() * 8).saturating_sub(usize::try_from(spare).unwrap_or_default())
}

fn check_signature(leaf: &X509Certificate<'_>) -> Result<(), ChainError> {
    let named = &leaf.signature_algorithm.algorithm;
    let broken = [OID_PKCS1_MD5WITHRSAENC, OID_PKCS1_SHA1WITHRSA];
    if broken.contains(named) || named.to_id_string() == OID_ECDSA_WITH_SHA1 {
        Err(ChainError::WeakSignature)
    } else {
        Ok(())
    }
}

/// Envoy loads no elliptic-curve certificate that may not sign; one with an RSA key that may do
/// neither of the two things TLS does with it serves nobody.
fn check_usage(leaf: &X509Certificate<'_>) -> Result<(), ChainError> {
    let usage = leaf.key_usage().map_err(|error| ChainError::Unreadable(error.to_string()))?;
    let Some(usage) = usage else { return Ok(()) };
    let rsa = leaf.public_key().algorithm.algorithm == OID_PKCS1_RSAENCRYPTION;
    let may = usage.value.digital_signature() || (rsa && usage.value.key_encipherment());
    if may { Ok(()) } else { Err(ChainError::KeyUsage) }
}

fn check_purpose(leaf: &X509Certificate<'_>) -> Result<(), ChainError> {
    let purposes = leaf.iter_extensions().find_map(|one| {
        if let ParsedExtension::ExtendedKeyUsage(found) = one.parsed_extension() {
            Some(found)
        } else {
            None
        }
    });
    match purposes {
        Some(found) if !found.server_auth && !found.any => Err(ChainError::Purpose),
        Some(_) | None => Ok(()),
    }
}
