//! The CA's limits, kept on our side, so that an order is not placed only to be refused.
//!
//! ```text
//!  reserve(need, now) ── claims ──> every limit that applies has room? ── yes ──> spend them all
//!                                            │ no
//!                                            '──> until when, and what the limit covers
//! ```
//!
//! Pure arithmetic on times that are handed in: whoever owns a [`Budget`] loads and stores its
//! [state](Budget::state). The CA has the last word: what it says is put in by
//! [`Budget::correct`].

mod bucket;
mod ledger;
mod limits;
mod registered;

pub use bucket::{Bucket, Limit};
pub use ledger::{BucketKey, Budget, BudgetState, Exhausted, Need, OrderKind};
pub use limits::{Limits, RequestKind, RequestLimits};
pub use registered::{is_public_suffix, registered_domain};

#[cfg(test)]
mod ledger_tests;
