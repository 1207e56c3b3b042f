//! Real parts for tests, the demo and benchmarks: started on free loopback ports, waited for by
//! what they say of themselves, and gone when their value is dropped, even if the program that
//! started them is killed.
//!
//! ```text
//!   TlsVisitor ──SNI──▶ Envoy ──ADS──▶ ControlPlane ──ACME──▶ Pebble ──▶ ChallengeDns
//!   http::get ─────────▶  │ ────edge────▶  │                      │
//!                         ▼                ▼                      └─http-01─▶ Envoy's HTTP port
//!                       Origin        embedded store or Moto
//! ```
//!
//! [`Line`] starts all of them at once. [`TcpProxy`] stands where a test wants to cut, [`BentCa`]
//! where it wants another CA than Pebble, [`TestClock`] where it cannot wait for the time.
//!
//! Nothing here sleeps for a guessed time: [`wait_until`] looks at a level again and again, up to
//! a bound, and says what it was waiting for when the bound is reached.

mod admin;
mod bent;
mod clock;
mod control_plane;
mod dynamodb;
mod edge;
mod envoy;
pub mod http;
mod line;
mod locate;
mod moto;
mod origin;
mod pebble;
mod pki;
mod ports;
mod process;
mod proxy;
mod tls;
mod wait;

pub use admin::Admin;
pub use bent::{Asks, Bend, BentCa};
pub use clock::TestClock;
pub use control_plane::{ControlPlane, ControlPlaneSettings, StoreSettings};
pub use dynamodb::DynamoDb;
pub use edge::Edge;
pub use envoy::{Envoy, EnvoyPorts, EnvoySettings, validate};
pub use line::{Line, LineSettings};
pub use locate::{beside_sealwax, checkout, filter_module, sealwax_binary, tool};
pub use moto::Moto;
pub use origin::Origin;
pub use pebble::{ChallengeDns, Pebble, PebbleSettings};
pub use pki::LoopbackPki;
pub use ports::Port;
pub use process::Process;
pub use proxy::TcpProxy;
pub use tls::{Attempt, Served, TlsConnection, TlsVisitor};
pub use wait::{PATIENCE, wait_until};
