//! What an order and its one authorization say.

use sealwax_core::Cause;
use sealwax_core::failure::bounded_detail;
use sealwax_core::issuer::{IssueError, OrderChallenge, Refusal};
use sealwax_protocol::ChallengeToken;

use crate::border::{AuthorizationBody, AuthorizationStatus, ChallengeStatus, OrderBody};
use crate::classify::{failed_validation, refusal};
use crate::exchange::{Last, Seen};

/// What follows an order's URL in that of its finalization, at CAs that build URLs that way.
const FINALIZE: &str = "/finalize";

/// An order as last seen.
#[derive(Clone, Debug)]
pub(crate) struct Order {
    /// Where it is observed.
    pub(crate) url: String,
    /// What it said.
    pub(crate) body: OrderBody,
    /// What its authorization said, if that was looked at.
    pub(crate) authorization: Option<AuthorizationBody>,
}

impl Order {
    /// An order as it says it is now. What it said before and keeps to itself now still holds: some
    /// CAs leave URLs out once they think them used.
    pub(crate) fn seen(url: &str, mut body: OrderBody, before: Option<Self>) -> Self {
        if let Some(before) = before {
            body.finalize = body.finalize.or(before.body.finalize);
            if body.authorizations.is_empty() {
                body.authorizations = before.body.authorizations;
            }
        }
        Self { url: url.to_owned(), body, authorization: None }
    }
}

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
pub(crate) fn pending(order: &Order, thumbprint: &str) -> Result<Pending, IssueError> {
    let Some(authorization) = &order.authorization else { return Ok(Pending::Settled) };
    match authorization.status {
        AuthorizationStatus::Valid => return Ok(Pending::Settled),
        AuthorizationStatus::Pending => {}
        AuthorizationStatus::Invalid | AuthorizationStatus::Over => {
            return Ok(Pending::Failed(why(order)));
        }
    }
    let Some(challenge) = authorization.http_01() else {
        return Err(IssueError::Refused(Refusal {
            cause: Cause::CaProtocol,
            detail: "the CA offers no http-01 challenge".to_owned(),
        }));
    };
    match challenge.status {
        ChallengeStatus::Valid => return Ok(Pending::Settled),
        ChallengeStatus::Invalid => return Ok(Pending::Failed(why(order))),
        ChallengeStatus::Pending | ChallengeStatus::Processing => {}
    }
    let token = challenge.token.as_deref().unwrap_or_default();
    let token = ChallengeToken::parse(token).map_err(|error| IssueError::Protocol {
        detail: format!("the challenge's token is refused: {error}"),
    })?;
    Ok(Pending::Challenge(OrderChallenge {
        key_authorization: format!("{token}.{thumbprint}"),
        token,
        processing: challenge.status == ChallengeStatus::Processing,
        error: challenge.error.as_ref().map(failed_validation),
    }))
}

/// The URL of an order that was placed, as soon as its header arrived.
pub(crate) fn placed(last: &Last) -> Option<String> {
    match last {
        Last::Answered(Seen { status: 200..300, location, .. }) => location.clone(),
        Last::Lost { post: true, location, .. } => location.clone(),
        Last::Answered(_) | Last::Lost { .. } | Last::Unsent { .. } | Last::Nothing => None,
    }
}

/// The URL of an order whose CA leaves the header out, where its other URL tells it.
pub(crate) fn told_by_finalize(body: &OrderBody) -> Option<String> {
    let url = body.finalize.as_deref()?.trim_end_matches('/').strip_suffix(FINALIZE)?;
    Some(url.to_owned())
}

/// Why an order is invalid: its authorization's challenge says it best, then the order itself.
/// A challenge that failed did so because of the domain, even where the CA does not say how. An
/// order that merely expired says nothing.
pub(crate) fn why(order: &Order) -> Refusal {
    let challenges = order.authorization.iter().flat_map(|found| &found.challenges);
    let telling = challenges.clone().filter_map(|challenge| challenge.error.as_ref());
    if let Some(problem) = telling.clone().find(|problem| !problem.words().is_empty()) {
        return failed_validation(problem);
    }
    let of_order = order.body.error.as_ref().filter(|problem| !problem.words().is_empty());
    if let Some(problem) = of_order {
        return refusal(problem);
    }
    let failed = challenges.clone().any(|challenge| challenge.status == ChallengeStatus::Invalid);
    if failed || telling.clone().next().is_some() {
        return Refusal {
            cause: Cause::ChallengeWrong,
            detail: "the CA's validation of the domain failed, and the CA gave no reason"
                .to_owned(),
        };
    }
    let over =
        order.authorization.as_ref().filter(|found| found.status == AuthorizationStatus::Over);
    let detail = match over {
        Some(found) => format!("the order's authorization is {}", found.status_word),
        None => "the order is invalid and does not say why: it expired".to_owned(),
    };
    Refusal { cause: Cause::OrderLost, detail: bounded_detail(&detail) }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    const URL: &str = "https://ca.example/order/1";

    fn order(body: &Value, authorization: Option<&Value>) -> Order {
        let body = OrderBody::read(body.to_string().as_bytes(), URL).unwrap();
        let read = |value: &Value| AuthorizationBody::read(value.to_string().as_bytes(), URL);
        let authorization = authorization.map(|value| read(value).unwrap());
        Order { authorization, ..Order::seen(URL, body, None) }
    }

    #[test]
    fn a_failed_challenge_without_a_reason_is_a_failed_validation() {
        let invalid = json!({ "status": "invalid" });
        for error in [json!({}), json!(null), json!({ "status": 400 })] {
            let challenge = json!({ "type": "http-01", "status": "invalid", "error": error });
            let authorization = json!({ "status": "invalid", "challenges": [challenge] });
            let why = why(&order(&invalid, Some(&authorization)));
            assert_eq!(why.cause, Cause::ChallengeWrong, "{error}");
            assert!(why.detail.contains("gave no reason"), "{}", why.detail);
        }
    }

    #[test]
    fn an_order_that_ran_out_blames_nobody() {
        let invalid = json!({ "status": "invalid", "error": {} });
        let unanswered = json!({ "status": "expired",
            "challenges": [{ "type": "http-01", "status": "pending" }] });
        let expired = why(&order(&invalid, Some(&unanswered)));
        assert_eq!(
            (expired.cause, expired.detail.as_str()),
            (Cause::OrderLost, "the order's authorization is expired")
        );
        assert_eq!(why(&order(&invalid, None)).cause, Cause::OrderLost);
    }

    #[test]
    fn the_orders_own_words_do_where_the_challenge_has_none() {
        let invalid = json!({ "status": "invalid",
            "error": { "type": "urn:ietf:params:acme:error:caa", "detail": "CAA forbids" } });
        let silent = json!({ "status": "invalid",
            "challenges": [{ "type": "http-01", "status": "invalid", "error": {} }] });
        assert_eq!(why(&order(&invalid, Some(&silent))).cause, Cause::CaaForbids);
    }

    #[test]
    fn what_an_order_said_before_still_holds() {
        let before =
            order(&json!({ "status": "pending", "finalize": "f", "authorizations": ["a"] }), None);
        let now = json!({ "status": "ready", "authorizations": null });
        let body = OrderBody::read(now.to_string().as_bytes(), URL).unwrap();
        let now = Order::seen(URL, body, Some(before.clone())).body;
        assert_eq!(
            (now.finalize, now.authorizations),
            (before.body.finalize, before.body.authorizations)
        );
    }

    #[test]
    fn an_orders_url_is_told_by_its_other_one() {
        let told = |finalize: &str| {
            let body = json!({ "status": "pending", "finalize": finalize });
            told_by_finalize(&order(&body, None).body)
        };
        assert_eq!(told("/o/7/finalize").as_deref(), Some("https://ca.example/o/7"));
        assert_eq!(told("/finalize/7/o"), None);
    }
}
