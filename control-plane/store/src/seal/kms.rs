//! A key-encryption key that never leaves AWS KMS.
//!
//! KMS wraps and unwraps data keys; it sees no private key. Data keys are kept and shared by many
//! names (see `data_key`), so it is asked some times a day and at a start, never for a handshake
//! whose data key is known.

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use aws_lc_rs::digest::{SHA256, digest};
use aws_sdk_kms::Client;
use aws_sdk_kms::error::{DisplayErrorContext, ProvideErrorMetadata};
use aws_sdk_kms::primitives::Blob;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use sealwax_core::arn::KmsKeyArn;
use sealwax_core::secret::SealError;
use zeroize::Zeroizing;

use super::kek::{DataKeyBytes, KekId, KeyEncryptionKey};
use crate::aws::{AwsEndpoint, Patience};
use crate::credentials;

/// The one name in the encryption context, which KMS authenticates and logs: it is no secret.
const CONTEXT: &str = "sealwax";
/// What a key has to be.
const WANTED: &str = "it must exist, be enabled and symmetric, and the credentials need \
                      kms:Encrypt and kms:Decrypt for it";
/// A start waits for it.
const PATIENCE: Patience =
    Patience { attempt: Duration::from_secs(3), call: Duration::from_secs(10), attempts: 4 };

/// A key in AWS KMS.
pub struct KmsKek {
    id: KekId,
    arn: KmsKeyArn,
    client: Client,
}

impl KmsKek {
    /// The key with this ARN, which is asked nothing yet.
    pub async fn open(arn: &KmsKeyArn, at: &AwsEndpoint) -> Self {
        let client = Client::new(&at.config(arn.region(), &PATIENCE).await);
        Self { id: id(arn), arn: arn.clone(), client }
    }
}

impl fmt::Debug for KmsKek {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KmsKek({})", self.arn)
    }
}

#[async_trait]
impl KeyEncryptionKey for KmsKek {
    fn id(&self) -> KekId {
        self.id
    }

    async fn wrap(&self, key: &DataKeyBytes, context: &[u8]) -> Result<Vec<u8>, SealError> {
        let answer = self
            .client
            .encrypt()
            .key_id(self.arn.as_str())
            .plaintext(Blob::new(key.to_vec()))
            .encryption_context(CONTEXT, BASE64_STANDARD.encode(context))
            .send()
            .await
            .map_err(|error| self.failed("Encrypt", error.code(), &error))?;
        let wrapped = answer.ciphertext_blob.map(Blob::into_inner);
        wrapped.ok_or_else(|| SealError::KeyUnavailable("KMS Encrypt: no ciphertext".to_owned()))
    }

    async fn unwrap(&self, wrapped: &[u8], context: &[u8]) -> Result<DataKeyBytes, SealError> {
        let answer = self
            .client
            .decrypt()
            .key_id(self.arn.as_str())
            .ciphertext_blob(Blob::new(wrapped))
            .encryption_context(CONTEXT, BASE64_STANDARD.encode(context))
            .send()
            .await
            .map_err(|error| match error.code() {
                Some("InvalidCiphertextException" | "IncorrectKeyException") => {
                    SealError::DoesNotOpen
                }
                code => self.failed("Decrypt", code, &error),
            })?;
        let clear = answer.plaintext.map(Blob::into_inner).map(Zeroizing::new);
        let clear = clear.ok_or(SealError::DoesNotOpen)?;
        let mut key = Zeroizing::new([0_u8; 32]);
        if clear.len() != key.len() {
            return Err(SealError::DoesNotOpen);
        }
        key.copy_from_slice(&clear);
        Ok(key)
    }
}

impl KmsKek {
    fn failed(
        &self,
        call: &str,
        code: Option<&str>,
        error: &(impl std::error::Error + Send + Sync),
    ) -> SealError {
        let detail = format!("KMS {call} with {}: {}", self.arn, DisplayErrorContext(error));
        match code {
            Some(
                "NotFoundException"
                | "DisabledException"
                | "KMSInvalidStateException"
                | "InvalidKeyUsageException",
            ) => SealError::KeyRefused(format!("{detail}; {WANTED}")),
            // A role that is mended, a token that is renewed, a clock that is set.
            Some(
                "AccessDeniedException"
                | "UnrecognizedClientException"
                | "InvalidClientTokenId"
                | "InvalidSignatureException"
                | "IncompleteSignatureException"
                | "MissingAuthenticationTokenException"
                | "ExpiredTokenException",
            ) => {
                credentials::refused();
                SealError::KeyUnavailable(format!("{detail}; {WANTED}"))
            }
            _ => SealError::KeyUnavailable(detail),
        }
    }
}

fn id(arn: &KmsKeyArn) -> KekId {
    let named = format!("sealwax key-encryption key in KMS {arn}");
    let digest = digest(&SHA256, named.as_bytes());
    KekId(digest.as_ref().first_chunk::<16>().copied().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_key_has_an_id_of_its_own() {
        let [one, other] = ["1234abcd-12ab", "other"].map(|key| {
            let arn = format!("arn:aws:kms:eu-central-1:111122223333:key/{key}");
            id(&KmsKeyArn::parse(&arn).unwrap())
        });
        assert_ne!(one, other);
    }
}
