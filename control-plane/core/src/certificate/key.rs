//! Private keys in whatever form they come, as the one form that is kept: PKCS#8 (RFC 5958).

use aws_lc_rs::encoding::{AsDer as _, Pkcs8V1Der};
use aws_lc_rs::rsa;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P384_SHA384_ASN1_SIGNING, ECDSA_P521_SHA512_ASN1_SIGNING,
    EcdsaKeyPair, Ed25519KeyPair,
};
use rustls::pki_types::PrivateKeyDer;
use zeroize::Zeroizing;

use super::blocks::{Blocks, KeyBlock, KeyForm};
use super::{ChainError, KeyError};
use crate::secret::PrivateKey;

/// The private key of a PEM text, in PKCS#8.
///
/// # Errors
/// There is none, or none that can be used.
pub fn read_key(pem: &[u8]) -> Result<PrivateKey, KeyError> {
    let mut keys = all(&Blocks::read(pem).map_err(unread)?)?.into_iter();
    let first = keys.next().ok_or(KeyError::None)?;
    // The same key twice is one key.
    if keys.any(|other| other.expose() != first.expose()) {
        return Err(KeyError::Several);
    }
    Ok(first)
}

/// A private key in DER, in PKCS#8.
///
/// # Errors
/// It cannot be used.
pub fn in_pkcs8(key: &PrivateKeyDer<'_>) -> Result<PrivateKey, KeyError> {
    let form = KeyForm::of(key).ok_or(KeyError::Unusable)?;
    let der = Zeroizing::new(key.secret_der().to_vec());
    written_anew(&KeyBlock { form, der })
}

pub(super) fn unread(error: ChainError) -> KeyError {
    if matches!(error, ChainError::TextTooLarge | ChainError::TooLarge) {
        KeyError::TooLarge
    } else if error == ChainError::Der {
        KeyError::Der
    } else {
        KeyError::Broken
    }
}

/// Every key of a text.
pub(super) fn all(blocks: &Blocks) -> Result<Vec<PrivateKey>, KeyError> {
    if blocks.keys.is_empty() {
        return Err(if blocks.encrypted { KeyError::Encrypted } else { KeyError::None });
    }
    blocks.keys.iter().map(written_anew).collect()
}

fn written_anew(block: &KeyBlock) -> Result<PrivateKey, KeyError> {
    let der = block.der.as_slice();
    match block.form {
        KeyForm::Pkcs1 => rsa_key(rsa::KeyPair::from_der(der).ok()),
        KeyForm::Sec1 => ecdsa_key(der),
        // Some programs write the inner form under the outer's name: OpenSSL reads that too.
        KeyForm::Pkcs8 => ecdsa_key(der)
            .or_else(|_| rsa_key(rsa::KeyPair::from_pkcs8(der).ok()))
            .or_else(|_| ed25519_key(der))
            .or_else(|_| rsa_key(rsa::KeyPair::from_der(der).ok())),
    }
}

fn kept(der: &[u8]) -> PrivateKey {
    PrivateKey::new(Zeroizing::new(der.to_vec()))
}

fn rsa_key(pair: Option<rsa::KeyPair>) -> Result<PrivateKey, KeyError> {
    let der: Option<Pkcs8V1Der<'_>> = pair.and_then(|pair| pair.as_der().ok());
    der.map(|der| kept(der.as_ref())).ok_or(KeyError::Unusable)
}

/// From SEC 1 or PKCS#8.
fn ecdsa_key(der: &[u8]) -> Result<PrivateKey, KeyError> {
    let curves = [
        &ECDSA_P256_SHA256_ASN1_SIGNING,
        &ECDSA_P384_SHA384_ASN1_SIGNING,
        &ECDSA_P521_SHA512_ASN1_SIGNING,
    ];
    let pairs = curves.into_iter().map(|curve| EcdsaKeyPair::from_private_key_der(curve, der));
    let pair = pairs.flatten().next().ok_or(KeyError::Unusable)?;
    let document = pair.to_pkcs8v1().map_err(|_| KeyError::Unusable)?;
    Ok(kept(document.as_ref()))
}

fn ed25519_key(der: &[u8]) -> Result<PrivateKey, KeyError> {
    // That it is one; RFC 8410 has one way only to write it.
    Ed25519KeyPair::from_pkcs8_maybe_unchecked(der).map_err(|_| KeyError::Unusable)?;
    Ok(kept(der))
}
