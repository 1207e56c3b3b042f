//! One domain, one unit of work: decide, one effect, conditional store, next.
//!
//! [`Workflow::run`] drives one domain as far as it goes now; [`Queue`] says which domain is next
//! and keeps each one in one pair of hands; [`sweep`] wakes what is due; [`changes`] hears what
//! other replicas did. None of them remembers anything that is not in the store, so any of them
//! may be killed at any moment.

mod announce;
mod budget;
pub mod campaign;
pub mod changes;
mod dead_letters;
mod departure;
mod departures;
mod entry;
mod held;
mod houses;
mod in_flight;
mod issuers;
mod keys;
mod lanes;
mod lease_watch;
mod leaving;
mod line;
mod missing;
mod notify;
mod outcome;
mod parts;
mod preflight;
mod queue;
mod run;
mod step;
mod stopping;
pub mod sweep;
mod trial;
mod turn;
mod validation;
mod watching;
mod word;
mod write;

pub use announce::Announcer;
pub use budget::BudgetLeft;
pub use dead_letters::DeadLetterList;
pub use departures::Departures;
pub use keys::{KeyError, KeyMaker};
pub use line::Turn;
pub use parts::{Parts, Settings};
pub use queue::{Backlog, Queue};
pub use run::{Ask, Rested, RunError, Workflow};
pub use sealwax_core::Lane;
