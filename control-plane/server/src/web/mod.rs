//! What the edge and the admin API share: serving connections, bounds, and how errors are told.

mod accept;
mod bounds;
mod problem;
mod serve;
mod tls;

pub use accept::{Acceptor, Connection, Duplex};
pub use bounds::Bounds;
pub(crate) use bounds::bound;
pub(crate) use problem::PROBLEM_JSON;
pub use problem::Problem;
pub use serve::{Connections, serve};
pub use tls::{Tls, TlsError};
