//! The challenges' answers that this process published, and how it answered the edges.
//!
//! The process that has a CA fetch a challenge needs no store to answer it: what is throttled or
//! away for a moment then costs no validation. Other processes behind other edges read the store.

use std::sync::Arc;
use std::time::Duration;

use moka::policy::EvictionPolicy;
use moka::sync::Cache;
use sealwax_core::Challenges;
use sealwax_core::preflight::Fetched;
use sealwax_core::store::Challenge;
use sealwax_protocol::ChallengeToken;

/// Answers kept, at some 500 bytes each: far more than orders that one process has in validation.
const ANSWERS_MAX: u64 = 8_192;
/// How long one is kept: validations begin within seconds, and one that waits out an outage reads
/// the store.
const ANSWER_LIFE: Duration = Duration::from_secs(3_600);
/// Tokens whose fetches are remembered, at some 100 bytes each. Anybody can make tokens up.
const FETCHES_MAX: u64 = 16_384;
/// How long: a validation that failed is known within minutes.
const FETCH_LIFE: Duration = Duration::from_secs(900);

/// Cheap to clone.
#[derive(Clone)]
pub struct Answers {
    known: Cache<ChallengeToken, Arc<Challenge>>,
    fetched: Cache<ChallengeToken, Fetched>,
}

impl Default for Answers {
    fn default() -> Self {
        Self {
            known: Cache::builder()
                .max_capacity(ANSWERS_MAX)
                .eviction_policy(EvictionPolicy::lru())
                .time_to_live(ANSWER_LIFE)
                .build(),
            fetched: Cache::builder().max_capacity(FETCHES_MAX).time_to_live(FETCH_LIFE).build(),
        }
    }
}

impl Answers {
    /// An answer this process published.
    pub(super) fn get(&self, token: &ChallengeToken) -> Option<Challenge> {
        self.known.get(token).map(|known| (*known).clone())
    }

    /// An edge asked, and was told the answer or that it is not to be had.
    pub(super) fn note(&self, token: &ChallengeToken, told: bool) {
        self.fetched.entry_by_ref(token).and_upsert_with(|before| {
            let mut seen = before.map(moka::Entry::into_value).unwrap_or_default();
            let count = if told { &mut seen.answered } else { &mut seen.unanswered };
            *count = count.saturating_add(1);
            seen
        });
    }
}

impl Challenges for Answers {
    fn published(&self, challenge: &Challenge) {
        self.known.insert(challenge.token.clone(), Arc::new(challenge.clone()));
    }

    fn withdrawn(&self, token: &ChallengeToken) {
        self.known.invalidate(token);
    }

    fn fetched(&self, token: &ChallengeToken) -> Fetched {
        self.fetched.get(token).unwrap_or_default()
    }
}
