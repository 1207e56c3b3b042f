//! What hostcalls return.

/// A proxy-wasm status. Guests built with the Rust SDK know only some of these; a host for them
/// returns no others, and this one does not unless a [`Fault`](crate::Fault) says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(i32)]
pub enum Status {
    /// Done.
    Ok = 0,
    /// Nothing there.
    NotFound = 1,
    /// A parameter makes no sense here.
    BadArgument = 2,
    /// Something cannot be encoded.
    SerializationFailure = 3,
    /// Something cannot be decoded.
    ParseFailure = 4,
    /// An expression is wrong.
    BadExpression = 5,
    /// A pointer is outside memory.
    InvalidMemoryAccess = 6,
    /// A queue is empty.
    Empty = 7,
    /// Compare-and-swap found another value.
    CasMismatch = 8,
    /// A result is not what was expected.
    ResultMismatch = 9,
    /// The host failed.
    InternalFailure = 10,
    /// A connection broke.
    BrokenConnection = 11,
    /// Not offered.
    Unimplemented = 12,
}

impl Status {
    /// Every status of the ABI.
    pub const ALL: [Self; 13] = [
        Self::Ok,
        Self::NotFound,
        Self::BadArgument,
        Self::SerializationFailure,
        Self::ParseFailure,
        Self::BadExpression,
        Self::InvalidMemoryAccess,
        Self::Empty,
        Self::CasMismatch,
        Self::ResultMismatch,
        Self::InternalFailure,
        Self::BrokenConnection,
        Self::Unimplemented,
    ];
}
