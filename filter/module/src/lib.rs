//! The proxy-wasm module: callbacks to events, commands to hostcalls.
//!
//! ```text
//!  proxy ──> guard ──> proxy-wasm SDK ──> contexts ──> filter/core
//!    ^      (drops what     (contexts by id)                │
//!    │       should not come)                               │
//!    '───────────────────── host, abi <─────────────────────'
//! ```
//!
//! The SDK keeps the contexts and calls the right one. Two things it does take the worker's VM down
//! with it, and are kept from happening: it panics on a callback for a context it does not know,
//! which `guard` drops, and on a hostcall's status it does not expect, which `abi` takes as it
//! comes. `tests/filter` proves both, for every callback and every hostcall.

mod abi;
mod contexts;
mod guard;
mod host;
