//! Whether one certificate signed another, and whether a private key is a certificate's.

use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1, ECDSA_P256_SHA384_ASN1, ECDSA_P256_SHA512_ASN1, ECDSA_P384_SHA256_ASN1,
    ECDSA_P384_SHA384_ASN1, ECDSA_P384_SHA512_ASN1, ECDSA_P521_SHA256_ASN1, ECDSA_P521_SHA384_ASN1,
    ECDSA_P521_SHA512_ASN1, ED25519, RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_2048_8192_SHA384,
    RSA_PKCS1_2048_8192_SHA512, UnparsedPublicKey, VerificationAlgorithm,
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::sign::CertifiedKey;
use x509_parser::oid_registry::{
    OID_PKCS1_SHA256WITHRSA, OID_PKCS1_SHA384WITHRSA, OID_PKCS1_SHA512WITHRSA,
    OID_SIG_ECDSA_WITH_SHA256, OID_SIG_ECDSA_WITH_SHA384, OID_SIG_ECDSA_WITH_SHA512,
    OID_SIG_ED25519,
};
use x509_parser::prelude::X509Certificate;

use crate::secret::PrivateKey;

/// The algorithms that a signature of this name may have been made with, one a curve. None: it is
/// one that is not known here.
fn algorithms(of: &X509Certificate<'_>) -> &'static [&'static dyn VerificationAlgorithm] {
    let named = &of.signature_algorithm.algorithm;
    if *named == OID_SIG_ECDSA_WITH_SHA256 {
        &[&ECDSA_P256_SHA256_ASN1, &ECDSA_P384_SHA256_ASN1, &ECDSA_P521_SHA256_ASN1]
    } else if *named == OID_SIG_ECDSA_WITH_SHA384 {
        &[&ECDSA_P256_SHA384_ASN1, &ECDSA_P384_SHA384_ASN1, &ECDSA_P521_SHA384_ASN1]
    } else if *named == OID_SIG_ECDSA_WITH_SHA512 {
        &[&ECDSA_P256_SHA512_ASN1, &ECDSA_P384_SHA512_ASN1, &ECDSA_P521_SHA512_ASN1]
    } else if *named == OID_PKCS1_SHA256WITHRSA {
        &[&RSA_PKCS1_2048_8192_SHA256]
    } else if *named == OID_PKCS1_SHA384WITHRSA {
        &[&RSA_PKCS1_2048_8192_SHA384]
    } else if *named == OID_PKCS1_SHA512WITHRSA {
        &[&RSA_PKCS1_2048_8192_SHA512]
    } else if *named == OID_SIG_ED25519 {
        &[&ED25519]
    } else {
        &[]
    }
}

/// The parent is who the child names as its issuer, and signed it as far as that can be checked
/// here.
pub(super) fn issued(parent: &X509Certificate<'_>, child: &X509Certificate<'_>) -> bool {
    if child.issuer().as_raw() != parent.subject().as_raw() {
        return false;
    }
    is_signed_with(child, &parent.public_key().subject_public_key.data)
}

/// The key, as a certificate holds it, signed the child; or nobody here can say.
pub(super) fn is_signed_with(child: &X509Certificate<'_>, public_key: &[u8]) -> bool {
    let known = algorithms(child);
    let signed = child.tbs_certificate.as_ref();
    let fits = |algorithm: &&'static dyn VerificationAlgorithm| {
        let key = UnparsedPublicKey::new(*algorithm, public_key);
        key.verify(signed, &child.signature_value.data).is_ok()
    };
    known.is_empty() || known.iter().any(fits)
}

/// The private key belongs to the certificate.
pub(super) fn is_key_of(key: &PrivateKey, certificate: &[u8]) -> bool {
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.expose().to_vec()));
    let chain = vec![CertificateDer::from(certificate.to_vec())];
    CertifiedKey::from_der(chain, key, &rustls::crypto::aws_lc_rs::default_provider()).is_ok()
}
