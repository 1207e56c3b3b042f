//! What this process knows of challenges beside the store: the answers it published itself, and how
//! its edges fared when they asked for one.

use sealwax_protocol::ChallengeToken;

use crate::preflight::Fetched;
use crate::store::Challenge;

/// Answers of challenges in memory, and what came of the edges' questions. Bounded by whoever
/// keeps it; what is not known any more is in the store.
pub trait Challenges: Send + Sync + 'static {
    /// The answer is in the store: this process gives it from memory from now on.
    fn published(&self, challenge: &Challenge);

    /// Nobody will ask for it any more.
    fn withdrawn(&self, token: &ChallengeToken);

    /// How this process answered its edges for the token.
    fn fetched(&self, token: &ChallengeToken) -> Fetched;
}

/// No edge asks here.
#[derive(Clone, Copy, Debug)]
pub struct NoEdges;

impl Challenges for NoEdges {
    fn published(&self, _challenge: &Challenge) {}

    fn withdrawn(&self, _token: &ChallengeToken) {}

    fn fetched(&self, _token: &ChallengeToken) -> Fetched {
        Fetched::default()
    }
}
