//! Where the work on a domain stands, and who is at it.

use serde::{Deserialize, Serialize};

use crate::secret::SealedKey;
use crate::timestamp::{Span, Timestamp};
use crate::trial::TrialOrder;

/// Where the work on a domain stands. Each arrow to the next one is a conditional write, so that
/// whoever loads the record can go on from it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "at", rename_all = "snake_case")]
pub enum Work {
    /// Nothing in flight: waiting for demand, for `renew_at`, or for `next_attempt_at`.
    Idle,
    /// A certificate is wanted now.
    Wanted {
        /// Since when.
        since: Timestamp,
    },
    /// It is tried in staging whether a validation would succeed; nothing else comes of it.
    Trial {
        /// The staging's own name.
        issuer: String,
        /// Its order there.
        order: TrialOrder,
    },
    /// Permission was given; an order is about to be placed, or was and the answer got lost.
    Ordering {
        /// The issuer chosen.
        issuer: String,
    },
    /// The order exists.
    Ordered {
        /// The issuer it is placed with.
        issuer: String,
        /// Where it is observed.
        order_url: String,
    },
    /// The challenge's answer is in the store, so every edge can give it.
    Challenged {
        /// The issuer.
        issuer: String,
        /// The order.
        order_url: String,
        /// The token whose answer is stored.
        token: String,
    },
    /// The private key is in the store; only now may the order be finalized.
    Keyed {
        /// The issuer.
        issuer: String,
        /// The order.
        order_url: String,
        /// The token whose answer is stored, to be removed at the end.
        token: Option<String>,
        /// The certificate's private key (PKCS#8), sealed.
        key: SealedKey,
    },
    /// Stopped until someone registers it again: the customer left, or the CA paused it.
    Parked,
}

/// Who works on a record. Holds a duration, never an end: an observer times an unchanged lease
/// on its own monotonic clock, so skewed clocks change nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lease {
    /// The process.
    pub holder: String,
    /// New with every write of the holder: unchanged means silent.
    pub id: u64,
    /// How long silence lasts before others may take over.
    pub duration: Span,
}

impl Work {
    /// An order may exist at the CA.
    #[must_use]
    pub const fn in_flight(&self) -> bool {
        match self {
            Self::Trial { .. }
            | Self::Ordering { .. }
            | Self::Ordered { .. }
            | Self::Challenged { .. }
            | Self::Keyed { .. } => true,
            Self::Idle | Self::Wanted { .. } | Self::Parked => false,
        }
    }

    /// Where it stands, in a word.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Idle => "idle",
            Self::Wanted { .. } => "wanted",
            Self::Trial { .. } => "trial",
            Self::Ordering { .. } => "ordering",
            Self::Ordered { .. } => "ordered",
            Self::Challenged { .. } => "challenged",
            Self::Keyed { .. } => "keyed",
            Self::Parked => "parked",
        }
    }

    /// The issuer whose order this is; a trial's is the staging's own name.
    #[must_use]
    pub fn issuer(&self) -> Option<&str> {
        match self {
            Self::Trial { issuer, .. }
            | Self::Ordering { issuer }
            | Self::Ordered { issuer, .. }
            | Self::Challenged { issuer, .. }
            | Self::Keyed { issuer, .. } => Some(issuer),
            Self::Idle | Self::Wanted { .. } | Self::Parked => None,
        }
    }

    /// The token whose answer is stored.
    #[must_use]
    pub fn token(&self) -> Option<&str> {
        match self {
            Self::Challenged { token, .. }
            | Self::Trial { order: TrialOrder::Challenged { token, .. }, .. } => Some(token),
            Self::Keyed { token, .. } => token.as_deref(),
            Self::Idle
            | Self::Wanted { .. }
            | Self::Trial { .. }
            | Self::Ordering { .. }
            | Self::Ordered { .. }
            | Self::Parked => None,
        }
    }
}
