//! A faithful proxy-wasm 0.2.1 host on wasmtime, for testing filters.
//!
//! ```no_run
//! use std::time::Duration;
//! use wasm_host::{CalloutEnd, Outcome, Program, Proxy, Request, Settings};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let program = Program::new(&std::fs::read("filter.wasm")?)?;
//! let settings = Settings::new(r#"{"cluster":"auth"}"#).cluster("auth").workers(2);
//! let mut proxy = Proxy::start(&program, settings)?;
//!
//! let stream = proxy.request(0, Request::get("example.com", "/"));
//! assert_eq!(proxy.outcome(stream), Outcome::Paused);
//! let callout = proxy.callouts().remove(0);
//! proxy.end_callout(callout.id, CalloutEnd::response(200, "yes"));
//! assert_eq!(proxy.outcome(stream), Outcome::Continued);
//! proxy.advance(Duration::from_secs(1));
//! assert_eq!(proxy.violations(), []);
//! # Ok(())
//! # }
//! ```
//!
//! What it copies from Envoy, and what it does not, is in the crate's README.

mod error;
mod hostcalls;
mod instance;
mod observed;
mod program;
mod proxy;
mod request;
mod settings;
mod shared;
mod status;
mod vm_state;
pub mod wire;

pub use error::HostError;
pub use hostcalls::HOSTCALLS;
pub use observed::{
    CalloutEnd, CalloutId, CalloutRequest, Fault, LocalReply, Outcome, StreamId, Violation,
};
pub use program::Program;
pub use proxy::{PluginId, Proxy};
pub use request::Request;
pub use settings::{FailurePolicy, Settings};
pub use status::Status;
