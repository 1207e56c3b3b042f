//! Domains, certificates and accounts, as operators and platforms change them.
//!
//! Each change is one conditional write of one record, told to caches and edges afterwards.

pub mod accounts;
pub mod certificates;
mod domains;
#[cfg(any(test, feature = "testing"))]
pub mod testing;

pub use domains::{Announcer, Known, Put, Registry, RegistryError, Rules, Terms, Window};
