//! The ACME issuer: instant-acme behind the [`Issuer`](sealwax_core::issuer::Issuer) trait, with
//! every answer classified into what to do next.
//!
//! ```text
//!  AcmeIssuer ── ask! ──> instant-acme ── HttpClient ──> Transport ──> the CA
//!      │  │               (makes accounts)                  │
//!      │  '─── orders: signed, read at the border ─────────>│
//!      │                                           notes how the request ended
//!      '<── classify(step, status, Retry-After, problem) <──'
//! ```
//!
//! Nothing here waits for an order or tries again by itself, but for a refused replay nonce: the
//! workflow does, from its records.

mod account;
mod adopt;
mod answered;
mod ask;
mod border;
mod classify;
mod directory;
mod exchange;
mod issuer;
mod jws;
mod kept;
pub mod key;
mod limit;
mod lost;
mod nonce;
mod order;
mod problem;
mod renewal;
mod rollover;
pub mod said;
pub mod settings;
mod shelf;
mod signed;
mod transport;

pub use adopt::{AdoptError, FoundAccount};
// The parts that the tests share call this crate by its name.
#[cfg(test)]
extern crate self as sealwax_acme;

pub use issuer::AcmeIssuer;
pub use rollover::AccountVault;
pub use sealwax_core::budget;
pub use settings::{ExternalAccountBinding, IssuerSettings, REQUEST_TIMEOUT, SettingsError};
