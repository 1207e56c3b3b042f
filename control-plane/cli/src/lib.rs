//! The `sealwax` binary: the command line, the bootstrap that Envoy starts with, and the private
//! PKI between edges and control planes.
//!
//! ```text
//!  sealwax serve ------------> sealwax_server::run
//!  sealwax domain, cert, ... -> the admin API of a control plane, over HTTP
//!  sealwax store, doctor ----> the store itself, as configured
//!  sealwax envoy ------------> bootstrap, pki: files, nothing else
//! ```

pub mod bootstrap;
pub mod commands;
pub mod pki;
