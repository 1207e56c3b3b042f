//! An ACME server (RFC 8555) in the test's own process: directory, accounts with external account
//! binding, orders with profiles and `replaces`, http-01 for real, chains signed for real,
//! renewal information (RFC 9773), revocation. It checks every signature, nonce and URL, and it
//! misbehaves on command ([`Knobs`]).
//!
//! ```text
//!   client ──HTTP──▶ wire ──▶ jws ──▶ endpoints ──▶ Books (accounts, orders, certificates)
//!                     │                   │
//!                 faults, journal     validation ──http-01──▶ Knobs::resolver
//! ```
//!
//! Nothing in it waits for time: what is slow is slow in looks, not in seconds.

mod authority;
mod books;
mod endpoints;
mod journal;
mod jws;
mod knobs;
mod orders;
mod problem;
mod server;
mod validation;
mod wire;

pub use journal::{Endpoint, Journal, Visit};
pub use knobs::{
    Ari, Bend, ChainFault, ExternalAccount, Fault, FaultKind, Knobs, Validation, Window,
};
pub use problem::Problem;
pub use server::{FakeAcme, StartError};
