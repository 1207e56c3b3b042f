//! The protocol between an Envoy and the control plane.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot go on says so by a panic"
)]

mod delta;
mod hold;
mod identity;
mod lifecycle;
mod limits;
mod refusal;
mod secrecy;
mod sotw;
mod support;
mod withdrawal;
