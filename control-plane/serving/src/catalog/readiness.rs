//! The edge API's question, answered from the catalog.

use async_trait::async_trait;
use sealwax_core::{Lane, Span, Timestamp};
use sealwax_protocol::DomainName;
use sealwax_protocol::edge::CertificateAnswer;
use sealwax_xds::Peer;

use super::{Catalog, Standing};
use crate::edge::{NotKnown, Readiness, Ready};

/// How long an edge may believe that a domain is ready. A removed domain is redirected for so
/// long at most, to a handshake that then fails.
const READY_AGE: Span = Span::from_secs(300);
/// How long an edge may believe that a domain is not registered: bounds how late a redirect
/// starts after a registration.
const UNKNOWN_AGE: Span = Span::from_secs(10);
/// How long an edge may believe that a domain is refused or has failed.
const FAILED_AGE: Span = Span::from_secs(30);
/// How soon an edge may ask again about a certificate that is on its way.
const PENDING_AGE: Span = Span::from_secs(1);
/// How soon to ask again when the store is away.
const AWAY_RETRY: Span = Span::from_secs(2);

#[async_trait]
impl Readiness for Catalog {
    async fn ready(&self, edge: &Peer, domain: &DomainName) -> Result<Ready, NotKnown> {
        let names: Option<Vec<&str>> = match edge {
            Peer::Unproved => None,
            Peer::Certified(names) => Some(names.iter().map(|name| &**name).collect()),
        };
        let standing = self.demand_of(names.as_deref(), domain, Lane::Request).await;
        let standing = standing.ok_or(NotKnown { retry_after: AWAY_RETRY })?;
        if !self.serving.on_handshake && matches!(standing, Standing::Waiting { idle: true, .. }) {
            // No request of a visitor's brings it a certificate: nothing to wait for.
            return Ok(Ready { answer: CertificateAnswer::Denied, max_age: UNKNOWN_AGE });
        }
        if let Standing::Failed { .. } = standing
            && !self.serving.on_handshake
            && standing.may_be_asked_for(self.now())
        {
            // Nor here: an outage is over, and the schedule has its turn.
            let answer = CertificateAnswer::Failed { retry_after: FAILED_AGE.secs() };
            return Ok(Ready { answer, max_age: FAILED_AGE });
        }
        Ok(answer(domain, &standing, self.now()))
    }
}

fn answer(domain: &DomainName, standing: &Standing, now: Timestamp) -> Ready {
    let pending = Ready {
        answer: CertificateAnswer::Pending { retry_after: PENDING_AGE.secs() },
        max_age: PENDING_AGE,
    };
    match standing {
        Standing::Ready(held) if held.facts.valid_at(now) => Ready {
            answer: CertificateAnswer::Ready {
                domain: domain.clone(),
                not_after: held.facts.not_after.rfc3339(),
            },
            max_age: READY_AGE.min(held.facts.not_after.since(now)),
        },
        Standing::Ready(_) | Standing::Waiting { .. } => pending,
        // Asked for again just now.
        Standing::Failed { .. } if standing.may_be_asked_for(now) => pending,
        Standing::Failed { denied: true, .. } => {
            Ready { answer: CertificateAnswer::Denied, max_age: FAILED_AGE }
        }
        Standing::Failed { next_attempt_at, visit_at, .. } => {
            let next = next_attempt_at.iter().chain(visit_at).copied().min();
            let wait = next.map_or(FAILED_AGE, |at| at.since(now));
            Ready {
                answer: CertificateAnswer::Failed { retry_after: wait.secs().max(1) },
                max_age: FAILED_AGE.min(wait).max(PENDING_AGE),
            }
        }
        Standing::Unknown | Standing::Gone => {
            Ready { answer: CertificateAnswer::Unknown, max_age: UNKNOWN_AGE }
        }
    }
}
