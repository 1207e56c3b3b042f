//! Asking the platform whether a domain is still its customer's.

use async_trait::async_trait;
use sealwax_protocol::DomainName;

/// The platform's answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Go on.
    Granted,
    /// The domain has left: stop renewing, clean up.
    Gone,
    /// Not allowed.
    Denied,
    /// No usable answer: never issue on it, never stop serving on it.
    Unknown {
        /// What was seen instead of an answer.
        detail: String,
    },
}

/// Whoever knows which domains are whose.
#[async_trait]
pub trait Permission: Send + Sync + 'static {
    /// Asks. Bounded in time by the implementation.
    async fn ask(&self, domain: &DomainName) -> Verdict;
}
