//! Orders whose challenge was answered and is being validated.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use sealwax_core::issuer::OrderChallenge;

/// Most orders remembered: more than a process works on at a time.
const ORDERS_MAX: usize = 512;
/// Every so many looks the authorization is fetched as well.
const LOOKS_PER_AUTHORIZATION: u32 = 4;

/// Saves the look at the authorization while the CA validates: the order's own status follows it
/// (RFC 8555 section 7.1.6), and polling both would double what counts against the CA's limits of
/// requests. A CA whose order lags behind is found out by a look at both now and then. Forgetting
/// one costs a request.
#[derive(Default)]
pub(crate) struct Answered(Mutex<VecDeque<Waiting>>);

struct Waiting {
    order_url: String,
    challenge: OrderChallenge,
    looks: u32,
}

impl Answered {
    /// The CA was told to go ahead.
    pub(crate) fn put(&self, order_url: &str, challenge: OrderChallenge) {
        let mut waiting = self.lock();
        waiting.retain(|kept| kept.order_url != order_url);
        if waiting.len() >= ORDERS_MAX {
            waiting.pop_front();
        }
        let challenge = OrderChallenge { processing: true, ..challenge };
        waiting.push_back(Waiting { order_url: order_url.to_owned(), challenge, looks: 0 });
    }

    /// The challenge of a pending order, if this look can do without its authorization.
    pub(crate) fn look(&self, order_url: &str) -> Option<OrderChallenge> {
        let mut waiting = self.lock();
        let found = waiting.iter_mut().find(|kept| kept.order_url == order_url)?;
        found.looks = found.looks.wrapping_add(1);
        (!found.looks.is_multiple_of(LOOKS_PER_AUTHORIZATION)).then(|| found.challenge.clone())
    }

    /// The order is not pending any more.
    pub(crate) fn forget(&self, order_url: &str) {
        self.lock().retain(|kept| kept.order_url != order_url);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, VecDeque<Waiting>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use sealwax_protocol::ChallengeToken;

    use super::*;

    fn challenge() -> OrderChallenge {
        let token = ChallengeToken::parse("x".repeat(43).as_str()).unwrap();
        OrderChallenge {
            key_authorization: format!("{token}.y"),
            token,
            processing: false,
            error: None,
        }
    }

    #[test]
    fn three_looks_of_four_do_without_the_authorization() {
        let answered = Answered::default();
        assert!(answered.look("a").is_none(), "never answered here");
        answered.put("a", challenge());
        let looks: Vec<_> = (0..8).map(|_| answered.look("a").is_some()).collect();
        assert_eq!(looks, [true, true, true, false, true, true, true, false]);
        assert!(answered.look("a").unwrap().processing);
        answered.forget("a");
        assert!(answered.look("a").is_none());
    }

    #[test]
    fn the_longest_known_is_forgotten_first() {
        let answered = Answered::default();
        for n in 0..=ORDERS_MAX {
            answered.put(&n.to_string(), challenge());
        }
        assert!(answered.look("0").is_none());
        assert!(answered.look("1").is_some());
    }
}
