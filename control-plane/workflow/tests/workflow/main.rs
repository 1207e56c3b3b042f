//! The workflow on virtual time, with a scripted CA.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot go on says so by a panic"
)]

mod bounds;
mod budget;
mod campaign;
mod common;
mod departure;
mod fallback;
mod left;
mod line;
mod missing;
mod outages;
mod preflight;
mod races;
mod share;
mod stopping;
mod sweep;
mod tenants;
mod trial;
mod visits;
mod watching;
mod workflow;
