//! Fault simulation: what strikes, and what must hold.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot go on says so by a panic"
)]

mod exhaustive;
mod seeds;
mod watches;
