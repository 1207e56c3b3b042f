//! Whatever an edge sends, every response keeps the protocol's rules and nothing grows without
//! bound.

/// One input.
///
/// # Panics
/// When a rule is broken.
pub fn fuzz(bytes: &[u8]) {
    sealwax_xds::fuzzing::play(bytes);
}
