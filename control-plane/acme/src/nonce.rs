//! Replay nonces kept for the next request.

use std::sync::{Mutex, PoisonError};

/// Most nonces kept: more than any number of requests in flight earns nothing.
const NONCES_MAX: usize = 64;

/// The replay nonces (RFC 8555 section 6.5) that answers brought along and no request used yet.
/// Saves the request for a fresh nonce before each signed one. The newest is used first: a CA
/// forgets old ones.
#[derive(Debug, Default)]
pub(crate) struct NoncePool(Mutex<Vec<String>>);

impl NoncePool {
    /// Keeps a nonce; the oldest makes room.
    pub(crate) fn put(&self, nonce: String) {
        let mut nonces = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if nonces.len() >= NONCES_MAX {
            nonces.remove(0);
        }
        nonces.push(nonce);
    }

    /// Hands out the newest; each only once.
    pub(crate) fn take(&self) -> Option<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).pop()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_nonce_is_handed_out_once_and_the_newest_first() {
        let pool = NoncePool::default();
        for number in 0..NONCES_MAX + 3 {
            pool.put(number.to_string());
        }
        let all: Vec<String> = std::iter::from_fn(|| pool.take()).collect();
        let expected: Vec<String> = (3..NONCES_MAX + 3).rev().map(|n| n.to_string()).collect();
        assert_eq!(all, expected);
    }
}
