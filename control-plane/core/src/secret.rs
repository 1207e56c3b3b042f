//! Private keys: in clear only inside the process, sealed everywhere else.

use std::fmt;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

/// Secret bytes in clear, wiped when dropped: a private key (PKCS#8 DER) or ACME account
/// credentials. Deliberately without `Clone`, `Serialize` and a telling `Debug`.
pub struct PrivateKey(Zeroizing<Vec<u8>>);

impl PrivateKey {
    /// Takes over the bytes.
    #[must_use]
    pub const fn new(bytes: Zeroizing<Vec<u8>>) -> Self {
        Self(bytes)
    }

    /// The bytes, for signing, sealing, or writing into a secret for Envoy.
    #[must_use]
    pub fn expose(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PrivateKey(…)")
    }
}

/// A private key as the store holds it: encrypted, bound to the place it was sealed for.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SealedKey(#[serde(with = "hex_bytes")] Vec<u8>);

impl SealedKey {
    /// Takes over sealed bytes.
    #[must_use]
    pub const fn new(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }

    /// The sealed bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for SealedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SealedKey({} bytes)", self.0.len())
    }
}

/// What a sealed key belongs to. Part of the authenticated data: a sealed key copied to another
/// place does not open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SealPlace<'a> {
    /// The private key of a domain's certificate.
    Certificate(&'a str),
    /// The credentials of an ACME account, named by its issuer.
    Account(&'a str),
}

/// Seals and opens private keys (envelope encryption).
#[async_trait]
pub trait Sealer: Send + Sync + 'static {
    /// Encrypts.
    ///
    /// # Errors
    /// When no data key can be had.
    async fn seal(&self, place: SealPlace<'_>, key: &PrivateKey) -> Result<SealedKey, SealError>;

    /// Decrypts.
    ///
    /// # Errors
    /// When the bytes were not sealed for this place, or under a key that is not at hand.
    async fn open(&self, place: SealPlace<'_>, sealed: &SealedKey)
    -> Result<PrivateKey, SealError>;
}

/// Why sealing or opening failed. Never contains key material.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SealError {
    /// The bytes are damaged, were sealed for another place, or under another key.
    #[error(
        "a private key does not open: it is damaged or sealed under another key; check [keys] kek"
    )]
    DoesNotOpen,
    /// The key that wraps data keys cannot be used now.
    #[error("the key-encryption key cannot be used: {0}")]
    KeyUnavailable(String),
    /// The key that wraps data keys refuses: someone must act.
    #[error("the key-encryption key may not be used: {0}")]
    KeyRefused(String),
}

mod hex_bytes {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(super) fn serialize<S: Serializer>(bytes: &[u8], to: S) -> Result<S::Ok, S::Error> {
        use std::fmt::Write as _;
        let mut text = String::with_capacity(bytes.len() * 2);
        for byte in bytes {
            write!(text, "{byte:02x}").map_err(serde::ser::Error::custom)?;
        }
        to.serialize_str(&text)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<u8>, D::Error> {
        let text = String::deserialize(from)?;
        let (pairs, rest) = text.as_bytes().as_chunks::<2>();
        if !rest.is_empty() {
            return Err(D::Error::custom("an odd number of hexadecimal digits"));
        }
        pairs
            .iter()
            .map(|pair| {
                std::str::from_utf8(pair)
                    .ok()
                    .and_then(|pair| u8::from_str_radix(pair, 16).ok())
                    .ok_or_else(|| D::Error::custom("not hexadecimal"))
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_shows_no_key() {
        let key = PrivateKey::new(Zeroizing::new(b"very secret".to_vec()));
        assert_eq!(format!("{key:?}"), "PrivateKey(…)");
        assert_eq!(format!("{:?}", SealedKey::new(vec![1, 2, 3])), "SealedKey(3 bytes)");
    }

    #[test]
    fn a_sealed_key_survives_json() {
        let sealed = SealedKey::new(vec![0, 127, 255]);
        let json = serde_json::to_string(&sealed).unwrap();
        assert_eq!(json, "\"007fff\"");
        assert_eq!(serde_json::from_str::<SealedKey>(&json).unwrap(), sealed);
        assert!(serde_json::from_str::<SealedKey>("\"0g\"").is_err());
        assert!(serde_json::from_str::<SealedKey>("\"0\"").is_err());
    }
}
