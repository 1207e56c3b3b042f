//! What may be served: from memory, from the store, and from a copy on disk while that is away.
//!
//! ```text
//!  Envoy's handshake --> xds --> catalog --> memory | store | last-good copy
//!  Envoy's filter -----> edge --/    |
//!                                    '--> Demand: whoever orders certificates
//! ```
//!
//! A certificate that was served once is served on while the store, the CA and the platform are
//! away. Nothing here knows how certificates are ordered.

pub mod catalog;
pub mod edge;
pub mod identity;
pub mod last_good;
