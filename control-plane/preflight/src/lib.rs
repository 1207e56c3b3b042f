//! Looks at a domain as a CA would: [`Outlook`] behind the `Preflight` trait of the core, which
//! judges what it sees.
//!
//! ```text
//!   A, AAAA ─┐
//!   edges'   ├─▶ ours? ─▶ GET http://DOMAIN/.well-known/acme-challenge/TOKEN ─▶ findings
//!   hosts ───┘            at every address, redirects, never into the operator's network
//!   CAA, from the name up to its top-level domain ────────────────────────────▶
//! ```
//!
//! Everything is asked at once and ends at one deadline; what did not answer by then is unknown.
//! Names, answers and redirects are the customers', so hostile: addresses that are neither on the
//! internet nor our edges are not connected to, and everything read is bounded.

mod dns;
mod edges;
mod fetch;
mod outlook;
mod tls;

pub use outlook::{Outlook, OutlookError, OutlookSettings};
