//! Every byte of state: DynamoDB, embedded or remote, and the sealing of private keys.
//!
//! ```text
//!              Store (sealwax_core::store)
//!                        |
//!                   DynamoStore            one table, one code path
//!                    /        \
//!        open_embedded          open_remote
//!   engine in this process,     AWS or any endpoint,
//!   one file, one process       any number of replicas
//! ```
//!
//! `docs/access-patterns.md` beside this crate says what each call reads, writes and costs.

mod aws;
#[cfg(feature = "testing")]
pub mod conformance;
mod copy;
mod credentials;
mod dynamo;
mod embedded;
#[cfg(feature = "testing")]
pub mod memory;
mod remote;
mod rewrap;
pub mod seal;
mod upkeep;
#[cfg(feature = "testing")]
pub mod wire;

pub use aws::{AwsEndpoint, Patience, StaticCredentials};
pub use copy::{CopyError, CopyProgress, copy_store};
pub use dynamo::{DynamoStore, Initialized, Pace, TableFacts, Timeouts};
#[cfg(feature = "testing")]
pub use embedded::{SharedEngine, open_embedded_through};
pub use embedded::{embedded_exists, embedded_file, open_embedded};
#[cfg(feature = "testing")]
pub use remote::open_remote_through;
pub use remote::{RemoteSettings, open_remote};
pub use rewrap::{RewrapError, RewrapProgress, rewrap_keys};
pub use seal::KeySealer;
pub use upkeep::{Upkeep, UpkeepFront};
