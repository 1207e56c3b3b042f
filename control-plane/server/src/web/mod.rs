//! What the edge and the admin API share: serving connections, bounds, and how errors are told.

mod bounds;
mod problem;
mod serve;

pub use bounds::Bounds;
pub(crate) use bounds::bound;
pub(crate) use problem::PROBLEM_JSON;
pub use problem::Problem;
pub use serve::{Connections, serve};
