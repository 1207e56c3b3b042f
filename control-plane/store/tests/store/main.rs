//! Every store against one contract, and what each does in trouble.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot go on says so by a panic"
)]

mod access;
mod backends;
mod conformance;
mod embedded;
mod faults;
mod keys;
mod kms;
mod model;
mod propagation;
