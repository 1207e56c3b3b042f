//! What is seen of the process from outside.
//!
//! ```text
//!  metrics  figures, at GET /metrics            feed   every lifecycle event, as it happens
//!  traces   of handshakes that wait, over OTLP  trail  the steps of a domain, for explanations
//!  log      lines on standard error
//! ```
//!
//! Each is a value of the same trait as the part it stands in front of: no part knows that it is
//! measured.

pub mod feed;
pub mod log;
pub mod metrics;
pub mod traces;
pub mod trail;
