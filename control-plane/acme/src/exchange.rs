//! What happened on the wire during one call: instant-acme drops the headers of a refused
//! request and the body of a broken one, and both are needed to say what to do next.

use std::cell::RefCell;
use std::future::Future;

use sealwax_core::Span;

use crate::problem::Problem;

/// Where in the protocol a call stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// Reads the directory.
    Directory,
    /// Makes the account, or finds it.
    NewAccount,
    /// Gives the account another key.
    KeyChange,
    /// Places an order.
    NewOrder,
    /// Looks at an order.
    Order,
    /// Looks at an authorization.
    Authorization,
    /// Answers a challenge.
    Challenge,
    /// Sends the signing request.
    Finalize,
    /// Fetches the chain.
    Certificate,
    /// Asks when to renew.
    RenewalInfo,
    /// Revokes.
    Revoke,
    /// Replaces the account's contact; doing it twice does no harm.
    Contact,
}

impl Step {
    /// The CA may have done something that a repetition would do twice, or that must be looked
    /// at first. (A second account does no harm; its key was never kept.)
    pub(crate) const fn has_effect(self) -> bool {
        matches!(self, Self::NewOrder | Self::Challenge | Self::Finalize | Self::Revoke)
    }

    /// The account signs it, under its URL: what the CA does not know may be the account.
    pub(crate) const fn is_signed_by_account(self) -> bool {
        match self {
            Self::NewOrder
            | Self::Order
            | Self::Authorization
            | Self::Challenge
            | Self::Finalize
            | Self::Certificate
            | Self::Revoke
            | Self::Contact => true,
            Self::Directory | Self::NewAccount | Self::KeyChange | Self::RenewalInfo => false,
        }
    }
}

/// How the last request of a call ended.
#[derive(Clone, Debug, Default)]
pub(crate) enum Last {
    /// None was made.
    #[default]
    Nothing,
    /// With an answer.
    Answered(Seen),
    /// It never left: no connection.
    Unsent {
        /// Why.
        detail: String,
    },
    /// It left, and no whole answer came back.
    Lost {
        /// Why.
        detail: String,
        /// It was a signed one, so it may have had an effect.
        post: bool,
        /// The Location header, when the answer got that far.
        location: Option<String>,
    },
}

/// An answer.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    /// The HTTP status.
    pub(crate) status: u16,
    /// Retry-After (RFC 9110 section 10.2.3), both forms.
    pub(crate) retry_after: Option<Span>,
    /// Location, for a new order.
    pub(crate) location: Option<String>,
    /// The problem document of a status of 400 or more.
    pub(crate) problem: Option<Problem>,
}

tokio::task_local! {
    static LAST: RefCell<Last>;
}

/// Runs a call and says how its last request ended.
pub(crate) async fn recorded<T>(call: impl Future<Output = T>) -> (T, Last) {
    LAST.scope(RefCell::default(), async {
        let result = call.await;
        (result, LAST.with(RefCell::take))
    })
    .await
}

/// Notes how a request ended, when it belongs to a recorded call.
pub(crate) fn record(last: Last) {
    // Outside of a recorded call nobody asks.
    let _outside = LAST.try_with(|cell| cell.replace(last));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn each_call_sees_its_own_last_request() {
        let call = |name: &'static str| {
            recorded(async move {
                record(Last::Unsent { detail: "earlier".to_owned() });
                tokio::task::yield_now().await;
                record(Last::Unsent { detail: name.to_owned() });
                tokio::task::yield_now().await;
            })
        };
        let (one, two) = tokio::join!(call("one"), call("two"));
        for (((), last), name) in [(one, "one"), (two, "two")] {
            assert!(matches!(last, Last::Unsent { detail } if detail == name));
        }
        assert!(matches!(recorded(async {}).await.1, Last::Nothing));
    }

    #[test]
    fn outside_of_a_call_nothing_is_noted() {
        record(Last::Nothing);
    }
}
