//! Paths: what is under the challenge prefix is a challenge, and a token is only ever a token.

use sealwax_protocol::ChallengeToken;
use sealwax_protocol::challenge_token::CHALLENGE_PATH_PREFIX;

/// One input.
///
/// # Panics
/// When a rule is broken.
pub fn fuzz(bytes: &[u8]) {
    let prefixed = [CHALLENGE_PATH_PREFIX.as_bytes(), bytes].concat();
    let Some(token) = ChallengeToken::from_path(&prefixed) else {
        panic!("under the prefix, yet no challenge");
    };
    if let Ok(token) = token {
        assert!((1..=128).contains(&token.as_str().len()));
        assert!(
            token.as_str().bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
        );
        assert!(bytes.starts_with(token.as_str().as_bytes()));
        assert!(matches!(bytes.get(token.as_str().len()), None | Some(b'?')));
    }
    let under = bytes.starts_with(CHALLENGE_PATH_PREFIX.as_bytes());
    assert_eq!(ChallengeToken::from_path(bytes).is_some(), under);
}
