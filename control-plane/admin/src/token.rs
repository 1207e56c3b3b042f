//! The bearer token of the admin API.

use std::fmt;
use std::path::{Path, PathBuf};

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::digest::{SHA256, SHA256_OUTPUT_LEN, digest};
use zeroize::Zeroizing;

/// Shortest token accepted, in bytes.
pub(super) const TOKEN_BYTES_MIN: usize = 16;
/// Largest token file read, in bytes.
const FILE_BYTES_MAX: usize = 4096;

/// What callers must show. Only its digest is kept, so that it cannot leak from here, and so
/// that comparing says nothing about its length.
#[derive(Clone, PartialEq, Eq)]
pub struct Token([u8; SHA256_OUTPUT_LEN]);

impl Token {
    /// A token.
    ///
    /// # Errors
    /// [`TokenError::Short`], [`TokenError::Odd`].
    pub fn new(text: &str) -> Result<Self, TokenError> {
        if text.len() < TOKEN_BYTES_MIN {
            return Err(TokenError::Short);
        }
        if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(TokenError::Odd);
        }
        Ok(Self(fingerprint(text.as_bytes())))
    }

    /// Reads a file with one line.
    ///
    /// # Errors
    /// The file cannot be read or holds no token.
    pub fn read(path: &Path) -> Result<Self, TokenError> {
        Self::new(&read_token_file(path)?)
    }

    /// Whether this is the token, in constant time.
    #[must_use]
    pub fn is(&self, shown: &[u8]) -> bool {
        verify_slices_are_equal(&self.0, &fingerprint(shown)).is_ok()
    }
}

/// The token in a file, in clear: for those who have to show it.
///
/// # Errors
/// The file cannot be read or is no token file.
pub fn read_token_file(path: &Path) -> Result<Zeroizing<String>, TokenError> {
    let text = std::fs::read_to_string(path)
        .map(Zeroizing::new)
        .map_err(|error| TokenError::File { path: path.to_owned(), error })?;
    if text.len() > FILE_BYTES_MAX {
        return Err(TokenError::Odd);
    }
    Ok(Zeroizing::new(text.trim().to_owned()))
}

fn fingerprint(bytes: &[u8]) -> [u8; SHA256_OUTPUT_LEN] {
    let mut out = [0; SHA256_OUTPUT_LEN];
    for (to, from) in out.iter_mut().zip(digest(&SHA256, bytes).as_ref()) {
        *to = *from;
    }
    out
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(…)")
    }
}

/// Why there is no usable token.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TokenError {
    /// The file cannot be read.
    #[error("the token file {} cannot be read: {error}", path.display())]
    File {
        /// Which one.
        path: PathBuf,
        /// Why not.
        error: std::io::Error,
    },
    /// Too easy to guess.
    #[error("the token has fewer than 16 characters; make one with: openssl rand -hex 32")]
    Short,
    /// Not one line of printable characters.
    #[error("the token is not one line of printable ASCII characters")]
    Odd,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_token_itself_is_the_token() {
        let token = Token::new("0123456789abcdef").unwrap();
        assert!(token.is(b"0123456789abcdef"));
        for shown in [&b""[..], b"0123456789abcde", b"0123456789abcdef0", b"0123456789abcdeF"] {
            assert!(!token.is(shown));
        }
        assert_eq!(format!("{token:?}"), "Token(…)");
    }

    #[test]
    fn weak_and_odd_tokens_are_refused() {
        assert!(matches!(Token::new("short"), Err(TokenError::Short)));
        assert!(matches!(Token::new("two words in a line"), Err(TokenError::Odd)));
        assert!(matches!(Token::read(Path::new("/nowhere")), Err(TokenError::File { .. })));
    }
}
