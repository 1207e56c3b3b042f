//! A look at a domain from outside before a CA takes one, and what to make of it: pure but for
//! the trait.
//!
//! It is advisory. What it sees classifies a domain and may delay its order along the schedule; it
//! never says that a domain gets no certificate, because a look from here is not the CA's: NAT,
//! split DNS and firewalls make it wrong. What is not known never delays.

mod afterwards;
mod caa;
mod findings;
mod judge;
mod network;

use async_trait::async_trait;
use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use sealwax_protocol::{ChallengeToken, DomainName};

use crate::failure::{Failure, Who};
use crate::record::DomainRecord;
use crate::timestamp::Timestamp;

pub use afterwards::{Fetched, UNSAID, edges_fault, explained, may_be_explained};
pub use caa::{CaaIdentity, CaaRecord, CaaSet};
pub use findings::{Address, Findings, Looked, NO_ANSWER_IN_TIME, Path, Place, Sighting};
pub use judge::{Opinion, judge};
pub use network::{Network, NetworkError, is_public};

/// Orders in a row that a look may hold back: a minute, ten and a hundred of the schedule. The
/// daily attempts after them go to the CA whatever is seen from here.
pub const HOLDS_MAX: u32 = 3;
/// What the token of a look starts with. A CA's is random, so the two never meet.
const TOKEN_PREFIX: &str = "sealwax-preflight-";

/// Whoever looks at domains as a CA would.
#[async_trait]
pub trait Preflight: Send + Sync + 'static {
    /// Looks. Bounded in time by the implementation, to little: a handshake may be held meanwhile.
    /// `None`: nobody looks here.
    async fn look(&self, domain: &DomainName, now: Timestamp) -> Option<Findings>;
}

/// Nobody looks: every order is placed.
#[derive(Clone, Copy, Debug)]
pub struct Off;

#[async_trait]
impl Preflight for Off {
    async fn look(&self, _domain: &DomainName, _now: Timestamp) -> Option<Findings> {
        None
    }
}

/// Whether a domain is looked at before its next order: before its first one, and after a failure
/// that its owner has to mend. Not when an operator said that it is to be tried anyway.
#[must_use]
pub fn is_due(record: &DomainRecord) -> bool {
    let owners = |cause: crate::failure::Cause| cause.who() == Who::Customer;
    let failed = record.failure.as_ref().and_then(Failure::counted).is_some_and(owners);
    !record.preflight_waived && (record.certificate.is_none() || failed)
}

/// Whether a doubt holds the order back, or is only noted.
#[must_use]
pub fn may_hold(record: &DomainRecord) -> bool {
    record.failure.as_ref().map_or(0, |failure| failure.attempts) < HOLDS_MAX
}

/// The token of a look, in the challenge path; `nonce` keeps caches on the way out of it.
#[must_use]
pub fn token(nonce: u64) -> String {
    format!("{TOKEN_PREFIX}{nonce:016x}")
}

/// What an edge answers when it is asked for the token of a look; `None` for all others. It needs
/// no store, so that any control plane behind any edge can give it; it is no secret, because
/// whoever fakes it only gets the CA's refusal instead of a delay.
#[must_use]
pub fn answer(token: &ChallengeToken) -> Option<String> {
    let token = token.as_str();
    token.strip_prefix(TOKEN_PREFIX)?;
    let hash = digest(&SHA256, format!("sealwax preflight {token}").as_bytes());
    Some(format!("{token}.{}", BASE64_URL_SAFE_NO_PAD.encode(hash)))
}

#[cfg(test)]
mod tests;
