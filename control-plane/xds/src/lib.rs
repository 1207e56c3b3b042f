//! Secret discovery for Envoy: certificates on demand, over xDS.
//!
//! ```text
//!   edge  --gRPC-->  service ---> stream ---> subscription   pure: requests, answers, time in,
//!                                   |  ^                     questions, responses out
//!                         questions |  | answers, changes
//!                                   v  |
//!                            CertificateSource       index: name -> streams, for `changed`
//! ```
//!
//! The main path is the delta protocol on the aggregated service (ADS). The rest works with the
//! limits the protocol gives it: `DeltaSecrets`, for which Envoy opens a stream per secret, and
//! the state-of-the-world variants, which know no "does not exist". A budget is kept per stream,
//! so only where an edge has one.
//!
//! Nothing here knows a store or a CA: everything it needs to know is asked of a
//! [`CertificateSource`].

mod backlog;
mod brake;
mod codec;
mod config;
mod edge;
#[cfg(any(test, feature = "fuzzing"))]
#[doc(hidden)]
pub mod fuzzing;
mod index;
mod jitter;
mod peer;
mod registration;
mod request;
mod served;
mod server;
mod service;
mod sotw;
mod source;
mod stream;
mod subscription;
mod wire;

pub use config::XdsConfig;
pub use edge::{EdgeView, Holdings, NackView};
pub use peer::{Connection, Peer};
pub use served::{CHAIN_BYTES_MAX, Importance, KEY_BYTES_MAX, SecretError, ServedCertificate};
pub use server::{XdsError, XdsServer};
pub use source::{CertificateSource, Lookup, Removed};
pub use subscription::SPELLINGS_MAX;
pub use wire::SECRET_TYPE_URL;

/// Longest text kept of what an edge says about a refused version, in bytes.
pub const DETAIL_BYTES_MAX: usize = 512;
