//! The pure part: records, decisions, schedules, and the traits the rest is written against.
//!
//! ```text
//!  edge or SDS asks        pure decision            one effect           conditional store    push
//!  ---------------> decide(record, sight, now) --> Issuer | Permission --> Store::write ------> SDS
//!                          ^                                                   |
//!                          '------------- apply(record, outcome, now) <--------'
//! ```
//!
//! Nothing in this crate reads a clock, opens a socket or touches a disk. First issue, renewal,
//! restart and take-over are one path: load the record, decide, do one effect, store, again.

pub mod apply;
pub mod arn;
pub mod backoff;
pub mod brake;
pub mod budget;
pub mod campaign;
pub mod certificate;
mod challenges;
pub mod clock;
pub mod dead_letters;
pub mod decide;
pub mod departure;
pub mod failure;
pub mod health;
pub mod identity;
pub mod issuer;
pub mod lane;
pub mod merge;
pub mod notice;
pub mod pem;
pub mod permission;
pub mod preflight;
pub mod record;
pub mod schedule;
pub mod secret;
pub mod store;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
pub mod text;
pub mod timestamp;
pub mod trial;
pub mod watch;

pub use brake::{Brake, Departing};
pub use certificate::{CertificateFacts, CertificateSource, Chain};
pub use challenges::{Challenges, NoEdges};
pub use clock::{Clock, Jitter};
pub use decide::{Sight, Step, TrialStep, decide};
pub use departure::Departure;
pub use failure::{Cause, Failure, Who};
pub use lane::Lane;
pub use notice::{Delivery, Notice, Notifier, Receiver};
pub use record::{DomainRecord, DomainState, Lease, Registration, Work};
pub use secret::{PrivateKey, SealedKey};
pub use timestamp::{Span, Timestamp};
pub use trial::{TrialOrder, Trials, Venue};
pub use watch::{Watch, Window};
