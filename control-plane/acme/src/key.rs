//! Private keys of certificates, and the signing requests made with them.

use rcgen::{
    CertificateParams, DistinguishedName, KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_ECDSA_P384_SHA384,
    PKCS_RSA_SHA256, RsaKeySize,
};
use rustls::pki_types::PrivatePkcs8KeyDer;
use sealwax_core::PrivateKey;
use sealwax_core::record::KeyType;
use sealwax_protocol::DomainName;
use zeroize::{Zeroize as _, Zeroizing};

/// Makes a new private key, PKCS#8 in DER. An RSA key takes up to seconds of computing: call
/// this where blocking is allowed.
///
/// # Errors
/// When the cryptographic library has no randomness.
pub fn generate(key_type: KeyType) -> Result<PrivateKey, KeyError> {
    let made = match key_type {
        KeyType::EcdsaP256 => KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256),
        KeyType::EcdsaP384 => KeyPair::generate_for(&PKCS_ECDSA_P384_SHA384),
        KeyType::Rsa2048 => KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_2048),
        KeyType::Rsa4096 => KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_4096),
    };
    let mut pair = made.map_err(|_| KeyError::Generate)?;
    let der = Zeroizing::new(pair.serialize_der());
    pair.zeroize();
    Ok(PrivateKey::new(der))
}

/// Makes the certificate signing request, DER, for one domain. The name stands in the subject
/// alternative name only: the CA's short-lived profiles have no common name.
///
/// # Errors
/// When the key is of no kind [`generate`] makes.
pub fn signing_request(key: &PrivateKey, domain: &DomainName) -> Result<Vec<u8>, KeyError> {
    let mut pair = KeyPair::try_from(&PrivatePkcs8KeyDer::from(key.expose()))
        .map_err(|_| KeyError::Unreadable)?;
    let request = request_with(&pair, domain);
    pair.zeroize();
    request
}

fn request_with(pair: &KeyPair, domain: &DomainName) -> Result<Vec<u8>, KeyError> {
    let mut params = CertificateParams::new(vec![domain.as_str().to_owned()])
        .map_err(|_| KeyError::SigningRequest)?;
    params.distinguished_name = DistinguishedName::new();
    let request = params.serialize_request(pair).map_err(|_| KeyError::SigningRequest)?;
    Ok(request.der().to_vec())
}

/// Why there is no key or signing request. Never contains key material.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// The cryptographic library failed.
    #[error("a private key could not be generated")]
    Generate,
    /// Not PKCS#8, or of a kind that is not used here.
    #[error("the private key cannot be read")]
    Unreadable,
    /// The cryptographic library failed to sign.
    #[error("the certificate signing request could not be made")]
    SigningRequest,
}

#[cfg(test)]
mod tests {
    use super::*;
    use x509_parser::prelude::{FromDer as _, ParsedExtension, X509CertificationRequest};

    #[test]
    fn every_key_type_signs_a_request_for_the_name_alone() {
        let domain = DomainName::parse("shop.example.com").unwrap();
        for (key_type, bits) in [
            (KeyType::EcdsaP256, 256),
            (KeyType::EcdsaP384, 384),
            (KeyType::Rsa2048, 2048),
            (KeyType::Rsa4096, 4096),
        ] {
            let key = generate(key_type).unwrap();
            let der = signing_request(&key, &domain).unwrap();
            let (_, request) = X509CertificationRequest::from_der(&der).unwrap();
            let subject = &request.certification_request_info.subject;
            assert_eq!(subject.iter_attributes().count(), 0, "{key_type:?} has a subject");
            let spki = request.certification_request_info.subject_pki.parsed().unwrap();
            assert_eq!(spki.key_size(), bits, "{key_type:?}");
            let names: Vec<String> = request
                .requested_extensions()
                .unwrap()
                .filter_map(|found| {
                    if let ParsedExtension::SubjectAlternativeName(names) = found {
                        return Some(names);
                    }
                    None
                })
                .flat_map(|names| names.general_names.iter().map(ToString::to_string))
                .collect();
            assert_eq!(names, ["DNSName(shop.example.com)"], "{key_type:?}");
        }
    }

    #[test]
    fn two_keys_differ() {
        let one = generate(KeyType::EcdsaP256).unwrap();
        let two = generate(KeyType::EcdsaP256).unwrap();
        assert_ne!(one.expose(), two.expose());
    }

    #[test]
    fn bytes_that_are_no_key_are_refused_without_showing_them() {
        let domain = DomainName::parse("a.example.com").unwrap();
        let broken = PrivateKey::new(Zeroizing::new(b"hunter2".to_vec()));
        let refused = signing_request(&broken, &domain).unwrap_err();
        assert_eq!(refused, KeyError::Unreadable);
        assert!(!refused.to_string().contains("hunter2"));
    }
}
