//! What the workflow asks of a certificate authority.

use async_trait::async_trait;
use sealwax_protocol::{ChallengeToken, DomainName};

use crate::certificate::Chain;
use crate::failure::Cause;
use crate::preflight::CaaIdentity;
use crate::timestamp::{Span, Timestamp};

/// An order's status (RFC 8555 section 7.1.6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OrderStatus {
    /// Authorizations are missing.
    Pending,
    /// May be finalized.
    Ready,
    /// Being issued.
    Processing,
    /// The certificate can be downloaded.
    Valid,
    /// Failed for good.
    Invalid,
}

/// An order as the CA shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OrderView {
    /// Where it is observed.
    pub url: String,
    /// Its status.
    pub status: OrderStatus,
    /// The http-01 challenge that is still to be answered, while the order is pending.
    pub challenge: Option<OrderChallenge>,
    /// Why it is invalid.
    pub failure: Option<Refusal>,
    /// How long the CA wants to be left alone before it is asked again.
    pub retry_after: Option<Span>,
    /// When the CA forgets it, if it says (RFC 8555 section 7.1.3).
    pub expires: Option<Timestamp>,
}

/// The http-01 challenge of an order with one identifier.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OrderChallenge {
    /// What the CA will ask for.
    pub token: ChallengeToken,
    /// What it must be answered (RFC 8555 section 8.1).
    pub key_authorization: String,
    /// The CA was told to go ahead (challenge status `processing`).
    pub processing: bool,
    /// What the CA's last try found, while the challenge stays open: some CAs (step-ca among them)
    /// write it there and expect the answer to be sent again (RFC 8555 section 8.2).
    pub error: Option<Refusal>,
}

/// Why a CA will not issue, classified from its problem document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The cause.
    pub cause: Cause,
    /// The CA's words, bounded.
    pub detail: String,
}

/// What to ask for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OrderRequest {
    /// The one identifier.
    pub domain: DomainName,
    /// The ACME profile.
    pub profile: Option<String>,
    /// The certificate this one replaces (RFC 9773 section 5): its ARI identifier.
    pub replaces: Option<String>,
}

/// When a CA suggests to renew (RFC 9773).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RenewalInfo {
    /// Start of the window.
    pub start: Timestamp,
    /// End of the window.
    pub end: Timestamp,
    /// When to ask again.
    pub retry_after: Span,
    /// A page that says why, if the window was moved for a reason.
    pub explanation_url: Option<String>,
}

/// A certificate authority. Every call is bounded in time; none retries by itself but for a
/// refused replay nonce (RFC 8555 section 6.5).
#[async_trait]
pub trait Issuer: Send + Sync + 'static {
    /// The name it has in the configuration.
    fn name(&self) -> &str;

    /// Places a new order (RFC 8555 section 7.4). Does not look at its authorizations: the
    /// caller stores the URL first.
    async fn place_order(&self, request: &OrderRequest) -> Result<String, IssueError>;

    /// Looks at an order, and at its authorization while it is pending.
    async fn observe(&self, order_url: &str) -> Result<OrderView, IssueError>;

    /// Tells the CA that the order's challenge can be fetched (RFC 8555 section 7.5.1).
    async fn answer(&self, order_url: &str) -> Result<(), IssueError>;

    /// Sends the certificate signing request, DER (RFC 8555 section 7.4).
    async fn finalize(&self, order_url: &str, csr_der: &[u8]) -> Result<(), IssueError>;

    /// Fetches the chain of a valid order.
    async fn download(&self, order_url: &str) -> Result<Chain, IssueError>;

    /// When to renew the certificate with this ARI identifier; `None` if the CA has no ARI,
    /// [`IssueError::OrderGone`] if it does not know the certificate.
    async fn renewal_info(&self, ari_id: &str) -> Result<Option<RenewalInfo>, IssueError>;

    /// Revokes a certificate (leaf, DER) this account issued (RFC 8555 section 7.6).
    async fn revoke(&self, leaf_der: &[u8]) -> Result<(), IssueError>;

    /// Gives up what the order has proven (RFC 8555 section 7.5.2), so that the next order for
    /// the name is validated anew. For a trial: one that relied on an earlier one would prove
    /// nothing.
    async fn relinquish(&self, order_url: &str) -> Result<(), IssueError>;

    /// Who it is in CAA records, as far as that can be known now.
    async fn caa_identity(&self) -> CaaIdentity {
        CaaIdentity::default()
    }
}

/// What a rate limit covers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LimitScope {
    /// This name only.
    Name,
    /// The registered domain above it.
    RegisteredDomain,
    /// The ACME account.
    Account,
    /// The CA as seen from this address.
    Ca,
}

/// Why a CA did not do what it was asked; each variant says what to do next.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum IssueError {
    /// Try again, not before `after`.
    #[error("the CA could not do it now: {detail}")]
    Retry {
        /// What the CA asked for in Retry-After.
        after: Option<Span>,
        /// What was seen.
        detail: String,
    },
    /// Wait until `until`.
    #[error("a limit of the CA is used up until {until}: {detail}")]
    RateLimited {
        /// When it is worth trying again; not after now: the CA does not say.
        until: Timestamp,
        /// What the limit covers.
        scope: LimitScope,
        /// The CA's words.
        detail: String,
    },
    /// The CA paused this name; someone must unpause it.
    #[error("the CA paused the name: {detail}")]
    Paused {
        /// The CA's words, with its link.
        detail: String,
    },
    /// Someone must act on this domain.
    #[error("the CA refused: {}", .0.detail)]
    Refused(Refusal),
    /// The CA has no such profile as this domain's registration asks for: another one, or none,
    /// may do.
    #[error("the CA refuses the profile of this domain: {detail}")]
    ProfileRefused {
        /// The CA's words.
        detail: String,
    },
    /// The CA took an order and does not say where it is: nobody can go on with it, and it counts.
    #[error("the CA took an order that cannot be found: {detail}")]
    Unfindable {
        /// What was seen.
        detail: String,
    },
    /// Nothing can be issued by this CA until its configuration changes.
    #[error("the CA refuses this account: {detail}")]
    Misconfigured {
        /// What is wrong.
        detail: String,
    },
    /// The request may have been done: look before acting again.
    #[error("no answer from the CA, so it may have been done: {detail}")]
    UnknownOutcome {
        /// What was seen.
        detail: String,
    },
    /// The order is not there any more, or not yet: a CA answers from copies that lag behind. Of
    /// [`Issuer::renewal_info`]: the CA does not know the certificate.
    #[error("the CA does not have it: {detail}")]
    OrderGone {
        /// The CA's words.
        detail: String,
    },
    /// The CA, or this program, broke the protocol.
    #[error("the CA answered what the protocol does not allow: {detail}")]
    Protocol {
        /// What was seen.
        detail: String,
    },
}
