//! What the edge and the admin API share: serving connections, bounds, and how errors are told.

mod accept;
mod bounds;
mod problem;
mod serve;
mod tls;

pub use accept::{Acceptor, Connection, Duplex, SOCKET_MODE};
pub use bounds::{Bounds, bound};
pub use problem::{PROBLEM_JSON, Problem};
pub use serve::{Connections, serve};
pub use tls::{Tls, TlsError};
