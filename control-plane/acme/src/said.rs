//! What a CA's answer means to this program, for a simulation that plays a CA without HTTP.

use sealwax_core::issuer::IssueError;
use sealwax_core::{Span, Timestamp};

use crate::classify::{Failed, classify};
use crate::exchange::{Last, Seen, Step};
use crate::problem::Problem;

/// A new order was answered with a status of 400 or more: what the workflow is told of it.
/// `body` is a problem document (RFC 7807), or a gateway's page.
#[must_use]
pub fn new_order_refused(
    status: u16,
    retry_after: Option<Span>,
    body: &[u8],
    now: Timestamp,
) -> IssueError {
    let problem = Problem::parse(body);
    let last = Last::Answered(Seen { status, retry_after, location: None, problem });
    match classify(Step::NewOrder, "", last, now) {
        Failed::With(error) | Failed::Doubt(error) => error,
        Failed::NoAccount(detail) => IssueError::Misconfigured { detail },
        Failed::BadNonce | Failed::AlreadyRevoked => {
            IssueError::Retry { after: retry_after, detail: "a nonce was refused".to_owned() }
        }
    }
}
