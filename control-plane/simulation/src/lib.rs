//! A fleet of domains on virtual time.
//!
//! ```text
//!  calendar ── due ──> sweep ──> lanes ──> walk: decide, effect, apply, … ──> calendar
//!                                            │            │
//!                                          budget        the CA: its life spans, its outages,
//!                                       (production)     its limits, counted by itself
//! ```
//!
//! What is decided is decided by the code that runs in production: `decide`, `apply`, `schedule`,
//! `backoff`, the sweep's batches and the budget. What stands around it, the CA, the store and the
//! passing of time, is reduced to what a year of a million domains can be run through in a minute.
//! `docs/simulation.md` says what follows from that and what does not.

mod calendar;
mod dice;
mod engine;
mod fleet;
mod moment;
mod outcome;
pub mod published;
mod report;
mod scenario;
mod tally;
mod walk;
mod world;

pub use dice::Dice;
pub use engine::{RunError, run};
pub use outcome::{Imported, Outcome, Revoked, Verdict};
pub use report::{html, text};
pub use scenario::{Era, Import, Outage, Preset, Revocation, Scenario, ScenarioError, Start};
