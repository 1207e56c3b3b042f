//! The production workflow on virtual time, under every fault, one seed a run.
//!
//! ```text
//!  plan(seed) ──> storms, outages, jumps            watch: the invariants, after every event
//!      │                                                      ^
//!      v                                                      │
//!  drive ──> replicas: Workflow, Queue, sweep ──> effects ──> store, CA, platform
//!            (production, unchanged)              (struck)    (in memory)
//! ```
//!
//! A replica is production code on a paused clock. Each of its effects goes through a gate that
//! can kill the replica before or after it, do it twice, lose its answer, refuse it, or hold it for
//! longer than a lease. What it does to the store and to the CA is watched at that very moment.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a simulation that cannot go on says so by a panic, which its run reports"
)]

mod ca;
mod campaign;
mod drive;
mod effects;
mod keys;
mod notifier;
mod plan;
mod platform;
mod replica;
mod run;
mod staging;
mod store;
mod time;
mod watch;
mod world;

pub use effects::{Effect, Strike};
pub use plan::{Blow, Mutation, Plan, Recall, Trouble, Window};
pub use run::{Report, run, run_seeds};
