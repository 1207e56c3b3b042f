//! Private keys of accounts in the form the API takes: PKCS#8 (RFC 5958) in PEM.

use rustls_pki_types::PrivateKeyDer;
use sealwax_core::certificate::{in_pkcs8 as core_in_pkcs8, read_key};
use sealwax_core::pem::private_key_pem;
use zeroize::Zeroizing;

/// A key as PKCS#8.
///
/// # Errors
/// What is wrong with it, without any of it.
pub(super) fn as_pkcs8(pem: &str) -> Result<Zeroizing<String>, String> {
    let key = read_key(pem.as_bytes()).map_err(|error| error.to_string())?;
    Ok(private_key_pem(key.expose()))
}

/// A key in whatever form as PKCS#8 in PEM.
///
/// # Errors
/// As [`as_pkcs8`].
pub(super) fn in_pkcs8(key: &PrivateKeyDer<'_>) -> Result<Zeroizing<String>, String> {
    let key = core_in_pkcs8(key).map_err(|error| error.to_string())?;
    Ok(private_key_pem(key.expose()))
}
