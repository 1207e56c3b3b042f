//! One worker's challenge answers, so that a CA's several vantage points cost one callout.

use sealwax_protocol::ChallengeToken;

use crate::clock::Instant;
use crate::fingerprint::Fingerprint;

/// Longest key authorization accepted, in bytes: a token of 128, a dot, and a SHA-256 thumbprint
/// in base64url (RFC 8555 section 8.1).
pub const KEY_AUTHORIZATION_BYTES_MAX: usize = 128 + 1 + 43;

#[derive(Debug)]
struct Answer {
    key: Fingerprint,
    expires: Instant,
    key_authorization: Box<[u8]>,
}

/// A bounded list of answers; the oldest gives way.
#[derive(Debug)]
pub struct ChallengeAnswers {
    answers: Vec<Answer>,
    entries_max: usize,
    /// Where the next answer goes once the list is full.
    oldest: usize,
}

impl ChallengeAnswers {
    /// Room for `entries_max` answers.
    #[must_use]
    pub const fn new(entries_max: usize) -> Self {
        Self { answers: Vec::new(), entries_max, oldest: 0 }
    }

    /// The key authorization stored under `key`, if it still holds.
    #[must_use]
    pub fn get(&self, key: Fingerprint, now: Instant) -> Option<&[u8]> {
        let answer =
            self.answers.iter().find(|answer| answer.key == key && answer.expires > now)?;
        Some(&answer.key_authorization)
    }

    /// Keeps a key authorization.
    pub fn put(&mut self, key: Fingerprint, key_authorization: &[u8], expires: Instant) {
        let answer = Answer { key, expires, key_authorization: key_authorization.into() };
        if let Some(same) = self.answers.iter_mut().find(|answer| answer.key == key) {
            *same = answer;
        } else if self.answers.len() < self.entries_max {
            self.answers.push(answer);
        } else if let Some(oldest) = self.answers.get_mut(self.oldest) {
            *oldest = answer;
            self.oldest = (self.oldest + 1) % self.entries_max;
        }
    }
}

/// Whether `body` is a key authorization for `token`: the token, a dot, and base64url. Anything
/// else would make the CA count a failed validation against the account.
#[must_use]
pub fn is_key_authorization(token: &ChallengeToken, body: &[u8]) -> bool {
    let thumbprint = body
        .strip_prefix(token.as_str().as_bytes())
        .and_then(|rest| rest.strip_prefix(b"."))
        .unwrap_or_default();
    let base64url = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    body.len() <= KEY_AUTHORIZATION_BYTES_MAX
        && !thumbprint.is_empty()
        && thumbprint.iter().all(base64url)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(index: u8) -> Fingerprint {
        Fingerprint::of(1, &[&[index]])
    }

    fn at(ms: u64) -> Instant {
        Instant::default().after_ms(ms)
    }

    #[test]
    fn the_oldest_answer_gives_way() {
        let mut answers = ChallengeAnswers::new(2);
        for index in 0..3 {
            answers.put(key(index), b"x", at(10));
        }
        assert_eq!(answers.get(key(0), at(0)), None);
        assert_eq!(answers.get(key(1), at(0)), Some(b"x".as_slice()));
        answers.put(key(3), b"y", at(10));
        assert_eq!(answers.get(key(1), at(0)), None);
        assert_eq!(answers.get(key(2), at(9)), Some(b"x".as_slice()));
        assert_eq!(answers.get(key(2), at(10)), None, "expired");
        answers.put(key(2), b"z", at(20));
        assert_eq!(answers.get(key(2), at(10)), Some(b"z".as_slice()));
    }

    #[test]
    fn only_a_key_authorization_of_the_token_is_one() {
        let token = ChallengeToken::parse("abc").unwrap();
        assert!(is_key_authorization(&token, b"abc.Thumb-print_9"));
        for body in [b"abc".as_slice(), b"abc.", b"abd.x", b"abc.x\n", b"abc.x.y", b"", b"abcx.y"] {
            assert!(!is_key_authorization(&token, body), "{body:?}");
        }
        let long = format!("abc.{}", "a".repeat(KEY_AUTHORIZATION_BYTES_MAX));
        assert!(!is_key_authorization(&token, long.as_bytes()));
    }
}
