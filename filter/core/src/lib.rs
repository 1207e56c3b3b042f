//! The filter's decisions, free of proxy-wasm so that they run natively.
//!
//! ```text
//!  request ──> challenge? ──> cached? ──> shared? ──> callout ──> answer ─┐
//!                 │             │           │           │ wait or pass    │
//!                 │             └───────────┴───────────┤                 │
//!                 v                                     v                 v
//!           cached? shared?                           decide <────────────┘
//!           callout ──> 200 | 404 | 503           308 | 404 | pass
//! ```
//!
//! [`Filter`] is one configured filter in one worker. The module in `filter/module` translates
//! proxy-wasm callbacks into calls of it, and its [`Host`] calls into hostcalls; nothing is decided
//! there. A request either goes on at once, is answered at once, or becomes a waiter of exactly one
//! lookup; waiters leave by an answer, by their deadline, or with their stream, and by nothing
//! else, which is why none is resumed twice.

pub mod breaker;
pub mod callout_answer;
pub mod challenge_answers;
pub mod clock;
pub mod config;
pub mod filter;
pub mod fingerprint;
pub mod host;
pub mod lookups;
pub mod metrics;
pub mod shared_slots;
pub mod usage;
pub mod verdict;
pub mod verdict_cache;

pub use config::{Config, ConfigErrors};
pub use filter::{Filter, Flow};
pub use host::{CalloutToken, ContextId, Host};
