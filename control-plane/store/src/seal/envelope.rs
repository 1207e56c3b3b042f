//! The bytes of a sealed key.
//!
//! ```text
//! "SWXK" | format 1 | algorithm 1 | KEK id 16 | data key id 16
//!        | length of wrapped data key 2 | wrapped data key | nonce 12 | ciphertext and tag
//! ```
//!
//! Authenticated with it: format, algorithm, data key id, and the place it was sealed for. The
//! KEK id and the wrapped data key are not, so that a new KEK need not touch the rest; they
//! authenticate each other.

use aws_lc_rs::aead::{AES_256_GCM, Aad, Nonce, RandomizedNonceKey};
use sealwax_core::secret::{SealError, SealPlace};
use zeroize::Zeroizing;

use super::data_key::DataKey;
use super::kek::KekId;

const MAGIC: &[u8; 4] = b"SWXK";
/// This layout.
const FORMAT: u8 = 1;
/// AES-256-GCM with a random nonce of 96 bits.
const ALGORITHM: u8 = 1;
const NONCE_BYTES: usize = 12;
const TAG_BYTES: usize = 16;
/// Largest wrapped data key: AWS KMS makes under 300 bytes.
const WRAPPED_BYTES_MAX: usize = 1024;

/// Names a data key.
pub(super) type DataKeyId = [u8; 16];

/// A sealed key, taken apart.
pub(super) struct Envelope {
    pub(super) kek: KekId,
    pub(super) data_key: DataKeyId,
    pub(super) wrapped: Vec<u8>,
    nonce: [u8; NONCE_BYTES],
    ciphertext: Vec<u8>,
}

impl Envelope {
    /// An empty one, under this data key.
    pub(super) fn under(data_key: &DataKey) -> Self {
        Self {
            kek: data_key.kek,
            data_key: data_key.id,
            wrapped: data_key.wrapped.clone(),
            nonce: [0; NONCE_BYTES],
            ciphertext: Vec::new(),
        }
    }

    /// Takes stored bytes apart. Whatever is wrong with them, they do not open.
    pub(super) fn read(bytes: &[u8]) -> Result<Self, SealError> {
        let parse = || {
            let rest = bytes.strip_prefix(MAGIC)?.strip_prefix(&[FORMAT, ALGORITHM])?;
            let (kek, rest) = rest.split_first_chunk::<16>()?;
            let (data_key, rest) = rest.split_first_chunk::<16>()?;
            let (length, rest) = rest.split_first_chunk::<2>()?;
            let length = usize::from(u16::from_be_bytes(*length));
            let (wrapped, rest) = rest.split_at_checked(length)?;
            let (nonce, ciphertext) = rest.split_first_chunk::<NONCE_BYTES>()?;
            (wrapped.len() <= WRAPPED_BYTES_MAX && ciphertext.len() >= TAG_BYTES).then(|| Self {
                kek: KekId(*kek),
                data_key: *data_key,
                wrapped: wrapped.to_vec(),
                nonce: *nonce,
                ciphertext: ciphertext.to_vec(),
            })
        };
        parse().ok_or(SealError::DoesNotOpen)
    }

    /// As stored.
    pub(super) fn write(&self) -> Result<Vec<u8>, SealError> {
        let length = u16::try_from(self.wrapped.len())
            .ok()
            .filter(|length| usize::from(*length) <= WRAPPED_BYTES_MAX)
            .ok_or_else(|| SealError::KeyUnavailable("it wraps to too many bytes".to_owned()))?;
        let mut bytes = Vec::new();
        bytes.extend_from_slice(MAGIC);
        bytes.extend_from_slice(&[FORMAT, ALGORITHM]);
        bytes.extend_from_slice(&self.kek.0);
        bytes.extend_from_slice(&self.data_key);
        bytes.extend_from_slice(&length.to_be_bytes());
        bytes.extend_from_slice(&self.wrapped);
        bytes.extend_from_slice(&self.nonce);
        bytes.extend_from_slice(&self.ciphertext);
        Ok(bytes)
    }

    /// Encrypts what is to be sealed.
    pub(super) fn close(
        &mut self,
        cipher: &RandomizedNonceKey,
        place: SealPlace<'_>,
        clear: &[u8],
    ) -> Result<(), SealError> {
        // Room for the tag, so that it is not moved and no copy in clear is left behind.
        let mut buffer = Zeroizing::new(Vec::with_capacity(clear.len() + TAG_BYTES));
        buffer.extend_from_slice(clear);
        let aad = Aad::from(self.context(place));
        let nonce = cipher
            .seal_in_place_append_tag(aad, &mut *buffer)
            .map_err(|_| SealError::KeyUnavailable("encryption failed".to_owned()))?;
        self.nonce = *nonce.as_ref();
        self.ciphertext = buffer.to_vec();
        Ok(())
    }

    /// Decrypts it.
    pub(super) fn open(
        &self,
        cipher: &RandomizedNonceKey,
        place: SealPlace<'_>,
    ) -> Result<Zeroizing<Vec<u8>>, SealError> {
        let mut buffer = Zeroizing::new(self.ciphertext.clone());
        let nonce = Nonce::assume_unique_for_key(self.nonce);
        let aad = Aad::from(self.context(place));
        let length = cipher
            .open_in_place(nonce, aad, &mut buffer)
            .map_err(|_| SealError::DoesNotOpen)?
            .len();
        buffer.truncate(length);
        Ok(buffer)
    }

    /// What a wrapped data key is authenticated with.
    pub(super) fn wrap_context(&self) -> Vec<u8> {
        wrap_context(self.kek, &self.data_key)
    }

    fn context(&self, place: SealPlace<'_>) -> Vec<u8> {
        let (kind, name) = match place {
            SealPlace::Certificate(domain) => (b'c', domain),
            SealPlace::Account(issuer) => (b'a', issuer),
        };
        let mut context = b"sealwax sealed key".to_vec();
        context.extend_from_slice(&[FORMAT, ALGORITHM]);
        context.extend_from_slice(&self.data_key);
        context.push(kind);
        // The one part of open length comes last, so no two places read alike.
        context.extend_from_slice(name.as_bytes());
        context
    }
}

/// What a data key's wrapping is authenticated with.
pub(super) fn wrap_context(kek: KekId, data_key: &DataKeyId) -> Vec<u8> {
    let mut context = b"sealwax data key".to_vec();
    context.extend_from_slice(&[FORMAT, ALGORITHM]);
    context.extend_from_slice(&kek.0);
    context.extend_from_slice(data_key);
    context
}

/// A cipher over 32 bytes of key.
pub(super) fn cipher(key: &[u8; 32]) -> Result<RandomizedNonceKey, SealError> {
    RandomizedNonceKey::new(&AES_256_GCM, key)
        .map_err(|_| SealError::KeyUnavailable("the key does not fit the cipher".to_owned()))
}
