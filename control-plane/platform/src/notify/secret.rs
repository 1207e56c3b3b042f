//! The secret a receiver knows, and signatures with it.

use std::path::Path;

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use zeroize::Zeroizing;

/// What secrets start with.
const PREFIX: &str = "whsec_";
/// Shortest and longest secret, in bytes (Standard Webhooks, "Signature scheme").
const BYTES_MIN: usize = 24;
const BYTES_MAX: usize = 64;

/// A receiver's secret. Shown by nothing.
pub struct Secret(hmac::Key);

impl Secret {
    /// Reads a file with `whsec_` and base64 in it.
    ///
    /// # Errors
    /// When there is no such file or no secret in it. Never repeats what is in it.
    pub fn read(path: &Path) -> Result<Self, SecretError> {
        let shown = path.display().to_string();
        let text = std::fs::read_to_string(path)
            .map(Zeroizing::new)
            .map_err(|source| SecretError::File { path: shown.clone(), source })?;
        Self::parse(text.trim()).ok_or(SecretError::Malformed { path: shown })
    }

    fn parse(text: &str) -> Option<Self> {
        let encoded = text.strip_prefix(PREFIX)?;
        let bytes = BASE64_STANDARD.decode(encoded).map(Zeroizing::new).ok()?;
        let good = (BYTES_MIN..=BYTES_MAX).contains(&bytes.len());
        good.then(|| Self(hmac::Key::new(hmac::HMAC_SHA256, &bytes)))
    }

    /// The `webhook-signature` of a message.
    pub(super) fn sign(&self, id: &str, timestamp: u64, body: &[u8]) -> String {
        let mut context = hmac::Context::with_key(&self.0);
        context.update(format!("{id}.{timestamp}.").as_bytes());
        context.update(body);
        format!("v1,{}", BASE64_STANDARD.encode(context.sign().as_ref()))
    }
}

/// Why a secret cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SecretError {
    /// The file cannot be read.
    #[error("secret_file {path} cannot be read: {source}")]
    File {
        /// The file.
        path: String,
        /// What the system says.
        source: std::io::Error,
    },
    /// Something else is in it.
    #[error(
        "secret_file {path} must hold whsec_ and 24 to 64 bytes in base64; make one with: \
         echo whsec_$(openssl rand -base64 32)"
    )]
    Malformed {
        /// The file.
        path: String,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The published example of Standard Webhooks.
    #[test]
    fn the_published_example_is_signed_alike() {
        let secret = Secret::parse("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        let signature =
            secret.sign("msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, br#"{"test": 2432232314}"#);
        assert_eq!(signature, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn what_is_no_secret_is_refused_and_not_repeated() {
        let short = "whsec_c2hvcnQ=";
        for text in ["", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_!", short] {
            assert!(Secret::parse(text).is_none(), "{text}");
        }
        let folder = std::env::temp_dir().join(format!("sealwax-secret-{}", std::process::id()));
        std::fs::write(&folder, "swordfish").unwrap();
        let said = Secret::read(&folder).err().unwrap().to_string();
        std::fs::remove_file(&folder).unwrap();
        assert!(!said.contains("swordfish"), "{said}");
    }
}
