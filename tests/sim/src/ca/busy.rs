//! A CA that is busy: 429 and 503 in its words, read by production's own classification.

use sealwax_acme::said::new_order_refused;
use sealwax_core::Span;
use sealwax_core::issuer::IssueError;
use sealwax_protocol::DomainName;

use crate::plan::usize_of;
use crate::world::World;

/// What Boulder, its load balancers and smaller CAs answer to a new order: status, type, words.
const ANSWERS: [(u16, &str, &str); 6] = [
    (503, "rateLimited", "Service busy; retry later."),
    (503, "", "upstream connect error"),
    (429, "rateLimited", "too many new orders (300) from this account in the last 3h0m0s"),
    (429, "rateLimited", "too many failed authorizations (5) for \"{}\" in the last 1h0m0s"),
    (429, "", "slow down"),
    (500, "serverInternal", "Error creating new order"),
];

/// One of them, with Retry-After at times.
pub(super) fn answer(world: &World, domain: &DomainName) -> IssueError {
    let dice = world.dice("busy", domain.as_str());
    let (status, kind, words) = ANSWERS[usize_of(dice.below(6))];
    let words = words.replace("{}", domain.as_str());
    let body = if kind.is_empty() {
        words
    } else {
        let kind = format!("urn:ietf:params:acme:error:{kind}");
        serde_json::json!({ "type": kind, "detail": words }).to_string()
    };
    let retry_after = dice.chance(300).then(|| Span::from_secs(dice.between(0, 120)));
    new_order_refused(status, retry_after, body.as_bytes(), world.time.now())
}
