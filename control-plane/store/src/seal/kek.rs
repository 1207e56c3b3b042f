//! Key-encryption keys: what wraps the data keys.

use std::fmt;
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};

use async_trait::async_trait;
use aws_lc_rs::aead::{Aad, Nonce, RandomizedNonceKey};
use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use sealwax_core::secret::SealError;
use zeroize::Zeroizing;

use super::envelope::cipher;

/// A data key in clear, wiped when dropped.
pub type DataKeyBytes = Zeroizing<[u8; 32]>;

/// Names a key-encryption key without saying anything about it.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct KekId(pub [u8; 16]);

impl fmt::Display for KekId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for KekId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KekId({self})")
    }
}

/// Wraps and unwraps data keys: a key in this process, or a service such as AWS KMS.
#[async_trait]
pub trait KeyEncryptionKey: Send + Sync + 'static {
    /// Which key this is.
    fn id(&self) -> KekId;

    /// Encrypts a data key, bound to a context.
    async fn wrap(&self, key: &DataKeyBytes, context: &[u8]) -> Result<Vec<u8>, SealError>;

    /// Decrypts a data key: [`SealError::DoesNotOpen`] when it was wrapped by another key or in
    /// another context, [`SealError::KeyUnavailable`] when that cannot be found out now,
    /// [`SealError::KeyRefused`] when someone must act first.
    async fn unwrap(&self, wrapped: &[u8], context: &[u8]) -> Result<DataKeyBytes, SealError>;
}

/// Where the bytes of a key-encryption key come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KekSource {
    /// `file:PATH`: 32 bytes in hexadecimal or base64.
    File(PathBuf),
    /// `env:NAME`: likewise, in the environment.
    Environment(String),
}

/// What to do when the file of a key is missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WhenMissing {
    /// Say so.
    Refuse,
    /// Make one, readable by this user alone.
    Create,
}

/// Why there is no key-encryption key.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KekError {
    /// The file cannot be read or made.
    #[error("[keys] kek: {path}: {error}")]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        error: std::io::Error,
    },
    /// The variable is not set.
    #[error("[keys] kek: the environment has no {0}")]
    NoVariable(String),
    /// Not 32 bytes.
    #[error(
        "[keys] kek: {0} does not hold 32 bytes in hexadecimal or base64; make a key with \
         `openssl rand -hex 32`"
    )]
    NotAKey(String),
}

/// A key-encryption key in this process.
pub struct LocalKek {
    id: KekId,
    cipher: RandomizedNonceKey,
}

impl LocalKek {
    /// Over 32 random bytes.
    ///
    /// # Errors
    /// Never in practice: 32 bytes fit the cipher.
    pub fn new(key: &Zeroizing<[u8; 32]>) -> Result<Self, SealError> {
        let mut named = Zeroizing::new(b"sealwax key-encryption key id".to_vec());
        named.extend_from_slice(key.as_slice());
        let digest = digest(&SHA256, &named);
        let id = digest.as_ref().first_chunk::<16>().copied().unwrap_or_default();
        Ok(Self { id: KekId(id), cipher: cipher(key)? })
    }

    /// Reads it from where it is.
    ///
    /// # Errors
    /// [`KekError`], with what to do.
    pub fn read(source: &KekSource, missing: WhenMissing) -> Result<Self, KekError> {
        let (text, place) = match source {
            KekSource::File(path) => (read_file(path, missing)?, path.display().to_string()),
            KekSource::Environment(name) => {
                let value = std::env::var(name);
                let value = value.map_err(|_| KekError::NoVariable(name.clone()))?;
                (Zeroizing::new(value), name.clone())
            }
        };
        let key = decode(&text).ok_or_else(|| KekError::NotAKey(place.clone()))?;
        Self::new(&key).map_err(|_| KekError::NotAKey(place))
    }
}

impl fmt::Debug for LocalKek {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LocalKek({})", self.id)
    }
}

#[async_trait]
impl KeyEncryptionKey for LocalKek {
    fn id(&self) -> KekId {
        self.id
    }

    async fn wrap(&self, key: &DataKeyBytes, context: &[u8]) -> Result<Vec<u8>, SealError> {
        // Room for the tag: the buffer must not move while it is in clear.
        let mut buffer = Zeroizing::new(Vec::with_capacity(key.len() + 16));
        buffer.extend_from_slice(key.as_slice());
        let nonce = self
            .cipher
            .seal_in_place_append_tag(Aad::from(context), &mut *buffer)
            .map_err(|_| SealError::KeyUnavailable("encryption failed".to_owned()))?;
        let mut wrapped = nonce.as_ref().to_vec();
        wrapped.extend_from_slice(&buffer);
        Ok(wrapped)
    }

    async fn unwrap(&self, wrapped: &[u8], context: &[u8]) -> Result<DataKeyBytes, SealError> {
        let (nonce, ciphertext) =
            wrapped.split_first_chunk::<12>().ok_or(SealError::DoesNotOpen)?;
        let mut buffer = Zeroizing::new(ciphertext.to_vec());
        let nonce = Nonce::assume_unique_for_key(*nonce);
        let clear = self
            .cipher
            .open_in_place(nonce, Aad::from(context), &mut buffer)
            .map_err(|_| SealError::DoesNotOpen)?;
        let mut key = Zeroizing::new([0_u8; 32]);
        if clear.len() != key.len() {
            return Err(SealError::DoesNotOpen);
        }
        key.copy_from_slice(clear);
        Ok(key)
    }
}

fn read_file(path: &Path, missing: WhenMissing) -> Result<Zeroizing<String>, KekError> {
    let failed = |error| KekError::File { path: path.to_owned(), error };
    let file = match std::fs::File::open(path) {
        Ok(file) => file,
        Err(error)
            if error.kind() == std::io::ErrorKind::NotFound && missing == WhenMissing::Create =>
        {
            return create_file(path).map_err(failed);
        }
        Err(error) => return Err(failed(error)),
    };
    warn_if_open(path, &file);
    let mut text = Zeroizing::new(String::with_capacity(256));
    file.take(256).read_to_string(&mut text).map_err(failed)?;
    Ok(text)
}

fn create_file(path: &Path) -> std::io::Result<Zeroizing<String>> {
    let mut key = Zeroizing::new([0_u8; 32]);
    aws_lc_rs::rand::fill(key.as_mut_slice())
        .map_err(|_| std::io::Error::other("no randomness"))?;
    let mut text = Zeroizing::new(String::with_capacity(65));
    for byte in key.iter() {
        text.push_str(&Zeroizing::new(format!("{byte:02x}")));
    }
    text.push('\n');
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path)?;
    file.write_all(text.as_bytes())?;
    // Before anything is sealed under it.
    file.sync_all()?;
    Ok(text)
}

#[cfg(unix)]
fn warn_if_open(path: &Path, file: &std::fs::File) {
    use std::os::unix::fs::PermissionsExt as _;
    let mode = file.metadata().map(|found| found.permissions().mode()).unwrap_or_default();
    if mode & 0o077 != 0 {
        tracing::warn!(path = %path.display(), "others may read the key-encryption key: chmod 600");
    }
}

#[cfg(not(unix))]
fn warn_if_open(_path: &Path, _file: &std::fs::File) {}

fn decode(text: &str) -> Option<Zeroizing<[u8; 32]>> {
    let text = text.trim();
    let mut key = Zeroizing::new([0_u8; 32]);
    if text.len() == 64 {
        let (pairs, _) = text.as_bytes().as_chunks::<2>();
        for (byte, pair) in key.iter_mut().zip(pairs) {
            *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
        }
        return Some(key);
    }
    let mut decoded = Zeroizing::new([0_u8; 48]);
    let length = BASE64_STANDARD.decode_slice(text, decoded.as_mut_slice()).ok()?;
    if length != key.len() {
        return None;
    }
    key.copy_from_slice(decoded.get(..length)?);
    Some(key)
}
