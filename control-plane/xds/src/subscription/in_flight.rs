//! Responses sent and not answered yet, by nonce.

use std::collections::HashMap;

use bytes::Bytes;

use super::table::Key;
use crate::served::Version;

/// Most responses without an answer; an edge that is this far behind is sent no more until it
/// answers. Also what an edge that never answers costs.
const RESPONSES_MAX: usize = 4096;

#[derive(Debug)]
pub(super) struct InFlight {
    /// In front of every nonce, so that one of another stream is not taken for ours.
    stream_id: u64,
    last: u64,
    responses: HashMap<u64, Pushed>,
}

/// What a response carried.
#[derive(Debug)]
pub(super) enum Pushed {
    /// One certificate.
    One(Key, Version),
    /// Several.
    Batch(Vec<(Key, Version)>),
}

impl InFlight {
    pub(super) fn new(stream_id: u64) -> Self {
        Self { stream_id, last: 0, responses: HashMap::new() }
    }

    pub(super) fn is_full(&self) -> bool {
        self.responses.len() >= RESPONSES_MAX
    }

    /// A nonce for a response nothing has to be remembered of.
    pub(super) fn nonce(&mut self) -> Bytes {
        self.last += 1;
        format!("{:x}.{:x}", self.stream_id, self.last).into()
    }

    /// Remembers a response.
    pub(super) fn add(&mut self, pushed: Pushed) -> Bytes {
        let nonce = self.nonce();
        self.responses.insert(self.last, pushed);
        nonce
    }

    /// The response a nonce belongs to, once. `None`: unknown, answered before, or nothing to
    /// remember.
    pub(super) fn take(&mut self, nonce: &[u8]) -> Option<Pushed> {
        let text = std::str::from_utf8(nonce).ok()?;
        let (stream_id, number) = text.split_once('.')?;
        if u64::from_str_radix(stream_id, 16).ok()? != self.stream_id {
            return None;
        }
        self.responses.remove(&u64::from_str_radix(number, 16).ok()?)
    }
}
