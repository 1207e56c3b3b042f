//! The CA's limits, kept on our side, so that an order is not placed only to be refused.
//!
//! ```text
//!  reserve(need, now) ── claims ──> every limit that applies has room? ── yes ──> spend them all
//!                                            │ no
//!                                            '──> until when, and what the limit covers
//! ```
//!
//! The buckets are kept where they are shared: a name's own in its record, a registered domain's,
//! a tenant's and an account's each in a document of the store ([`Part`]).
//!
//! Pure arithmetic on times that are handed in: whoever owns a [`Budget`] loads and stores its
//! [state](Budget::state). The CA has the last word: what it says is put in by
//! [`Budget::correct`].

mod bucket;
mod claims;
mod ledger;
mod limits;
mod need;
mod registered;

pub use bucket::{Bucket, Limit};
pub use ledger::{Budget, BudgetState};
pub use limits::{Limits, RequestKind, RequestLimits};
pub use need::{BucketKey, Exhausted, Headroom, Need, OrderKind, Part};
pub use registered::{is_public_suffix, registered_domain};

#[cfg(test)]
mod ledger_tests;
