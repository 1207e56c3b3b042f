//! Time in four bytes.

use sealwax_core::{Span, Timestamp};

/// The first moment of every scenario: 2026-01-01.
pub(crate) const START: Timestamp = Timestamp::from_millis(1_767_225_600_000);
/// How far before the start a moment can lie: certificates were issued before it.
const BEFORE: Span = Span::from_secs(1_000 * 86_400);

/// A moment in whole seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Moment(u32);

impl Moment {
    /// After everything.
    pub(crate) const NEVER: Self = Self(u32::MAX);

    /// The first whole second that is not before this time: nothing is due too early.
    pub(crate) fn not_before(at: Timestamp) -> Self {
        let millis = at.since(START - BEFORE).millis();
        u32::try_from(millis.div_ceil(1000)).map_or(Self::NEVER, Self)
    }

    pub(crate) fn timestamp(self) -> Timestamp {
        (START - BEFORE) + Span::from_secs(u64::from(self.0))
    }

    /// Whole hours since the start; those before it are hour zero.
    pub(crate) fn hour(self) -> usize {
        hour(self.timestamp())
    }
}

/// Whole hours since the start.
pub(crate) fn hour(at: Timestamp) -> usize {
    usize::try_from(at.since(START).secs() / 3600).unwrap_or(usize::MAX)
}
