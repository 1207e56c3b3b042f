//! Private keys in the form the API takes: PKCS#8 (RFC 5958) in PEM. Others write RSA keys as
//! PKCS#1 (RFC 8017) and EC keys as SEC 1 (RFC 5915).

use aws_lc_rs::encoding::{AsDer as _, Pkcs8V1Der};
use aws_lc_rs::rsa;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P384_SHA384_ASN1_SIGNING, EcdsaKeyPair,
};
use rustls_pki_types::PrivateKeyDer;
use rustls_pki_types::pem::PemObject as _;
use zeroize::Zeroizing;

use sealwax_core::pem::private_key_pem;

/// A key as PKCS#8.
///
/// # Errors
/// What is wrong with it, without any of it.
pub(super) fn as_pkcs8(pem: &str) -> Result<Zeroizing<String>, &'static str> {
    let key = PrivateKeyDer::from_pem_slice(pem.as_bytes())
        .map_err(|_| "there is no unencrypted private key in it")?;
    in_pkcs8(&key)
}

/// A key in whatever form as PKCS#8 in PEM.
///
/// # Errors
/// As [`as_pkcs8`].
pub(super) fn in_pkcs8(key: &PrivateKeyDer<'_>) -> Result<Zeroizing<String>, &'static str> {
    match key {
        PrivateKeyDer::Pkcs8(key) => Ok(private_key_pem(key.secret_pkcs8_der())),
        PrivateKeyDer::Pkcs1(key) => {
            let pair = rsa::KeyPair::from_der(key.secret_pkcs1_der())
                .map_err(|_| "its RSA key cannot be used")?;
            let der: Pkcs8V1Der<'_> = pair.as_der().map_err(|_| "its RSA key cannot be used")?;
            Ok(private_key_pem(der.as_ref()))
        }
        PrivateKeyDer::Sec1(key) => sec1(key.secret_sec1_der()),
        _ => Err("its form is not known"),
    }
}

fn sec1(der: &[u8]) -> Result<Zeroizing<String>, &'static str> {
    let curves = [&ECDSA_P256_SHA256_ASN1_SIGNING, &ECDSA_P384_SHA384_ASN1_SIGNING];
    let pairs = curves.into_iter().map(|curve| EcdsaKeyPair::from_private_key_der(curve, der));
    let pair = pairs.flatten().next().ok_or("its curve is neither P-256 nor P-384")?;
    let document = pair.to_pkcs8v1().map_err(|_| "its key cannot be used")?;
    Ok(private_key_pem(document.as_ref()))
}
