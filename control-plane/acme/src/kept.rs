//! What is kept of an account: instant-acme's credentials, and the key that is to follow.

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use sealwax_core::PrivateKey;
use sealwax_core::issuer::IssueError;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use zeroize::Zeroizing;

use crate::jws::AccountKey;

/// Room for serialised credentials, so that the buffer never moves and leaves a copy behind.
pub(crate) const CREDENTIALS_BYTES: usize = 4096;

/// An account's credentials. instant-acme reads the same text and passes over what it does not
/// know, so that a key which is to follow changes nothing for it.
#[derive(Serialize, Deserialize)]
pub(crate) struct Kept {
    /// The account's URL.
    pub(crate) id: String,
    /// The key, PKCS#8 in unpadded base64url.
    #[serde(serialize_with = "clear", deserialize_with = "wiped")]
    pub(crate) key_pkcs8: Zeroizing<String>,
    /// The directory it belongs to.
    pub(crate) directory: Option<String>,
    /// The key after it, while the CA may have been told of it.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        serialize_with = "clear_next",
        deserialize_with = "wiped_next"
    )]
    pub(crate) next_key_pkcs8: Option<Zeroizing<String>>,
    /// This program made the account, and it has placed no order yet. Taken away in the store
    /// before the first one is placed, so that it is never said of an account that has one; not
    /// there in what earlier versions kept.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) unused: bool,
}

impl Kept {
    /// What is kept of an account with this key.
    pub(crate) fn of(id: &str, key: &PrivateKey, directory: &str) -> Self {
        Self {
            id: id.to_owned(),
            key_pkcs8: Zeroizing::new(BASE64_URL_SAFE_NO_PAD.encode(key.expose())),
            directory: Some(directory.to_owned()),
            next_key_pkcs8: None,
            unused: false,
        }
    }

    /// The key, to sign with; `None` if it is of no kind that is known.
    pub(crate) fn signing(&self) -> Option<AccountKey> {
        signing(&self.key_pkcs8)
    }

    /// Reads opened credentials.
    pub(crate) fn read(issuer: &str, opened: &PrivateKey) -> Result<Self, IssueError> {
        serde_json::from_slice(opened.expose()).map_err(|_| unreadable(issuer))
    }

    /// The text to seal.
    pub(crate) fn text(&self, issuer: &str) -> Result<PrivateKey, IssueError> {
        let mut text = Zeroizing::new(Vec::with_capacity(CREDENTIALS_BYTES));
        serde_json::to_writer(&mut *text, self).map_err(|_| unreadable(issuer))?;
        Ok(PrivateKey::new(text))
    }
}

/// A key as credentials have it, to sign with.
pub(crate) fn signing(key: &str) -> Option<AccountKey> {
    let der = BASE64_URL_SAFE_NO_PAD.decode(key.as_bytes()).map(Zeroizing::new);
    AccountKey::from_pkcs8(&der.ok()?)
}

pub(crate) fn unreadable(issuer: &str) -> IssueError {
    IssueError::Misconfigured {
        detail: format!("the credentials kept for issuer {issuer:?} cannot be read"),
    }
}

fn clear<S: Serializer>(key: &Zeroizing<String>, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(key)
}

fn wiped<'de, D: Deserializer<'de>>(from: D) -> Result<Zeroizing<String>, D::Error> {
    String::deserialize(from).map(Zeroizing::new)
}

fn clear_next<S: Serializer>(key: &Option<Zeroizing<String>>, to: S) -> Result<S::Ok, S::Error> {
    key.as_ref().map(|key| key.as_str()).serialize(to)
}

fn wiped_next<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Zeroizing<String>>, D::Error> {
    Ok(Option::<String>::deserialize(from)?.map(Zeroizing::new))
}
