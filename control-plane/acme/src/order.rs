//! What an order and its one authorization say.

use instant_acme::{
    AuthorizationStatus, ChallengeStatus, ChallengeType, Order, OrderStatus as AcmeStatus,
};
use sealwax_core::Cause;
use sealwax_core::failure::bounded_detail;
use sealwax_core::issuer::{IssueError, OrderChallenge, OrderStatus, Refusal};
use sealwax_protocol::ChallengeToken;

use crate::classify::refusal;
use crate::exchange::{Last, Seen};
use crate::problem::Problem;

/// Where a pending order's authorization stands.
pub(crate) enum Pending {
    /// To be answered, or being validated.
    Challenge(OrderChallenge),
    /// Done: the order is about to follow.
    Settled,
    /// Failed: the order is about to follow.
    Failed(Refusal),
}

/// What to do next about the order's challenge, from what was fetched.
pub(crate) fn pending(order: &mut Order, thumbprint: &str) -> Result<Pending, IssueError> {
    let state = order.state().authorizations.first().and_then(|found| found.state.as_ref());
    let Some(authorization) = state else { return Ok(Pending::Settled) };
    match authorization.status {
        AuthorizationStatus::Valid => return Ok(Pending::Settled),
        AuthorizationStatus::Pending => {}
        AuthorizationStatus::Invalid
        | AuthorizationStatus::Revoked
        | AuthorizationStatus::Expired
        | AuthorizationStatus::Deactivated => return Ok(Pending::Failed(why(order))),
    }
    let found = authorization.challenges.iter().find(|one| one.r#type == ChallengeType::Http01);
    let Some(challenge) = found else {
        return Err(IssueError::Refused(Refusal {
            cause: Cause::CaProtocol,
            detail: "the CA offers no http-01 challenge".to_owned(),
        }));
    };
    let token = ChallengeToken::parse(&challenge.token).map_err(|error| IssueError::Protocol {
        detail: format!("the challenge's token is refused: {error}"),
    })?;
    match challenge.status {
        ChallengeStatus::Pending | ChallengeStatus::Processing => {
            Ok(Pending::Challenge(OrderChallenge {
                key_authorization: format!("{token}.{thumbprint}"),
                token,
                processing: challenge.status == ChallengeStatus::Processing,
            }))
        }
        ChallengeStatus::Valid => Ok(Pending::Settled),
        ChallengeStatus::Invalid => Ok(Pending::Failed(why(order))),
    }
}

/// The URL of an order that was placed, as soon as its header arrived.
pub(crate) fn placed(last: &Last) -> Option<String> {
    match last {
        Last::Answered(Seen { status: 200..300, location, .. }) => location.clone(),
        Last::Lost { post: true, location, .. } => location.clone(),
        Last::Answered(_) | Last::Lost { .. } | Last::Unsent { .. } | Last::Nothing => None,
    }
}

/// The same in our terms.
pub(crate) const fn status_of(status: AcmeStatus) -> OrderStatus {
    match status {
        AcmeStatus::Pending => OrderStatus::Pending,
        AcmeStatus::Ready => OrderStatus::Ready,
        AcmeStatus::Processing => OrderStatus::Processing,
        AcmeStatus::Valid => OrderStatus::Valid,
        AcmeStatus::Invalid => OrderStatus::Invalid,
    }
}

/// Why an order is invalid: its authorization's challenge says it best, then the order itself;
/// one that merely expired says nothing.
pub(crate) fn why(order: &mut Order) -> Refusal {
    let state = order.state();
    let challenges = state
        .authorizations
        .iter()
        .filter_map(|found| found.state.as_ref())
        .flat_map(|authorization| &authorization.challenges);
    let mut errors = challenges.filter_map(|challenge| challenge.error.as_ref());
    match errors.next().or(state.error.as_ref()) {
        Some(problem) => refusal(&Problem::from(problem)),
        None => Refusal {
            cause: Cause::OrderLost,
            detail: bounded_detail("the order is invalid and does not say why: it expired"),
        },
    }
}
