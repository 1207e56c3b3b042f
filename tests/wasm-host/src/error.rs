//! Why a proxy did not start.

/// What went wrong between a guest and its host.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HostError {
    /// The module is malformed.
    #[error("the module cannot be compiled: {0}")]
    Compile(String),
    /// The module asks for something that is not offered, or has not what a guest must have.
    #[error("the module cannot be linked: {0}")]
    Link(String),
    /// A callback trapped.
    #[error("{callback} trapped: {cause}")]
    Trap {
        /// The callback.
        callback: &'static str,
        /// What the engine says.
        cause: String,
    },
    /// The guest refused its configuration.
    #[error("the guest refused its configuration")]
    Refused,
}

impl HostError {
    #[expect(clippy::needless_pass_by_value, reason = "the shape `map_err` takes")]
    pub(crate) fn compile(error: wasmtime::Error) -> Self {
        Self::Compile(format!("{error:#}"))
    }

    #[expect(clippy::needless_pass_by_value, reason = "the shape `map_err` takes")]
    pub(crate) fn link(error: wasmtime::Error) -> Self {
        Self::Link(format!("{error:#}"))
    }
}
