//! How a command ends.

use std::fmt;

pub(super) const DONE: u8 = 0;
pub(super) const FAILED: u8 = 1;
pub(super) const USAGE: u8 = 2;
pub(super) const NOT_FOUND: u8 = 3;

/// Done, or why not.
pub(super) type Outcome = Result<(), Failed>;

/// Why a command did not do what it was asked, in a line that says what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Failed {
    /// Nothing more to say if empty: each line was said already.
    pub(super) message: String,
    pub(super) code: u8,
    /// The control plane would do it if it were said more plainly (409 Conflict).
    pub(super) conflict: bool,
}

impl Failed {
    pub(super) fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), code: FAILED, conflict: false }
    }

    pub(super) fn usage(message: impl Into<String>) -> Self {
        Self { message: message.into(), code: USAGE, conflict: false }
    }

    pub(super) fn not_found(message: impl Into<String>) -> Self {
        Self { message: message.into(), code: NOT_FOUND, conflict: false }
    }

    /// Everything was said already.
    pub(super) const fn said(code: u8) -> Self {
        Self { message: String::new(), code, conflict: false }
    }
}

impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

/// The status of several things done one after the other: the first failure that is not merely
/// something not found, then not found, then done.
pub(super) fn worst(one: u8, other: u8) -> u8 {
    match (one, other) {
        (DONE, code) | (code, DONE) => code,
        (NOT_FOUND, code) => code,
        (code, _) => code,
    }
}
