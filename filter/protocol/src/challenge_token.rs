//! The token of an ACME http-01 challenge, and the path it is asked for under.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// Where a CA asks for a token (RFC 8555 section 8.3).
pub const CHALLENGE_PATH_PREFIX: &str = "/.well-known/acme-challenge/";
/// Longest token accepted. RFC 8555 section 8.3 asks for at least 128 bits of entropy (22
/// characters); CAs use 43. The bound keeps hostile paths out of caches and logs.
pub const TOKEN_BYTES_MAX: usize = 128;

/// A challenge token: 1 to [`TOKEN_BYTES_MAX`] characters of the base64url alphabet without
/// padding (RFC 8555 section 8.3).
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ChallengeToken(Arc<str>);

/// Why a text is not a [`ChallengeToken`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ChallengeTokenError {
    /// Nothing there.
    #[error("the token is empty")]
    Empty,
    /// More than [`TOKEN_BYTES_MAX`] bytes.
    #[error("the token is longer than 128 bytes")]
    TooLong,
    /// A byte outside the base64url alphabet.
    #[error("the token has a character outside a-z, A-Z, 0-9, '-' and '_'")]
    BadCharacter,
}

impl ChallengeToken {
    /// Reads a token.
    ///
    /// # Errors
    /// Says which rule the text breaks.
    pub fn parse(text: &str) -> Result<Self, ChallengeTokenError> {
        Self::parse_bytes(text.as_bytes())
    }

    /// [`Self::parse`] for bytes from the network, which may not be UTF-8.
    ///
    /// # Errors
    /// As [`Self::parse`].
    pub fn parse_bytes(bytes: &[u8]) -> Result<Self, ChallengeTokenError> {
        if bytes.is_empty() {
            return Err(ChallengeTokenError::Empty);
        }
        if bytes.len() > TOKEN_BYTES_MAX {
            return Err(ChallengeTokenError::TooLong);
        }
        let token_byte = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        if !bytes.iter().all(token_byte) {
            return Err(ChallengeTokenError::BadCharacter);
        }
        Ok(Self(bytes.iter().map(|&byte| char::from(byte)).collect::<String>().into()))
    }

    /// Reads the `:path` of a request. `None`: not under the challenge prefix. `Some(Err)`: under
    /// it, but what follows is no token; such a request is a challenge all the same and must not
    /// reach an origin. Matching is byte for byte: percent-encoded or dotted spellings are not
    /// tokens, and a query is not part of one.
    #[must_use]
    pub fn from_path(path: &[u8]) -> Option<Result<Self, ChallengeTokenError>> {
        let rest = path.strip_prefix(CHALLENGE_PATH_PREFIX.as_bytes())?;
        let token = rest.split(|&byte| byte == b'?').next().unwrap_or_default();
        Some(Self::parse_bytes(token))
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ChallengeToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for ChallengeToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl TryFrom<String> for ChallengeToken {
    type Error = ChallengeTokenError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::parse(&text)
    }
}

impl From<ChallengeToken> for String {
    fn from(token: ChallengeToken) -> Self {
        token.0.as_ref().to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_base64url_and_bounded() {
        assert!(ChallengeToken::parse("DGyRejmCefe7v4NfDGDKfA").is_ok());
        assert!(ChallengeToken::parse(&"a".repeat(TOKEN_BYTES_MAX)).is_ok());
        assert_eq!(
            ChallengeToken::parse(&"a".repeat(TOKEN_BYTES_MAX + 1)),
            Err(ChallengeTokenError::TooLong)
        );
        for text in ["a.b", "a/b", "a%2fb", "a=", "a b", "ä"] {
            assert_eq!(
                ChallengeToken::parse(text),
                Err(ChallengeTokenError::BadCharacter),
                "{text}"
            );
        }
        assert_eq!(ChallengeToken::parse(""), Err(ChallengeTokenError::Empty));
    }

    #[test]
    fn only_the_exact_prefix_is_a_challenge_path() {
        let token = |path: &str| ChallengeToken::from_path(path.as_bytes());
        assert!(matches!(token("/.well-known/acme-challenge/abc"), Some(Ok(_))));
        assert!(matches!(token("/.well-known/acme-challenge/abc?x=1"), Some(Ok(_))));
        assert!(matches!(token("/.well-known/acme-challenge/"), Some(Err(_))));
        assert!(matches!(token("/.well-known/acme-challenge/../etc"), Some(Err(_))));
        assert!(token("/.well-known/acme-challenge").is_none());
        assert!(token("/.well-known/ACME-challenge/abc").is_none());
        assert!(token("/x/.well-known/acme-challenge/abc").is_none());
        assert!(token("/.well-known/./acme-challenge/abc").is_none());
    }
}
