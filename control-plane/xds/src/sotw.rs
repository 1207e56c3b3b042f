//! The state-of-the-world variant, in terms of the delta one.
//!
//! For completeness, and with the limits the protocol has: a request repeats every name, so each
//! new one costs all of them; there is no "does not exist", so a name that may not be served is
//! met with silence and Envoy waits for its own timeout; and nothing can be taken back, so no
//! budget is kept. After a reconnect everything is sent again.

use std::collections::HashSet;

use bytes::Bytes;

use crate::served::any_of;
use crate::subscription::Response;
use crate::wire::{DeltaRequest, SECRET_TYPE_URL, StateRequest, StateResponse};

/// The names of the last request: the next one is understood by what is different.
#[derive(Debug, Default)]
pub(crate) struct StateNames(HashSet<Bytes>);

impl StateNames {
    /// The request as a change. An empty list is no wildcard, neither at first nor later.
    pub(crate) fn change(&mut self, request: StateRequest) -> DeltaRequest {
        let names: HashSet<Bytes> = request.names.into_iter().collect();
        let subscribe = names.difference(&self.0).cloned().collect();
        let unsubscribe = self.0.difference(&names).cloned().collect();
        // Copied: a name would keep the whole message it came in.
        self.0 = names.iter().map(|name| Bytes::copy_from_slice(name)).collect();
        DeltaRequest {
            node: request.node,
            type_url: request.type_url,
            subscribe,
            unsubscribe,
            initial_versions: Vec::new(),
            response_nonce: request.response_nonce,
            error_detail: request.error_detail,
        }
    }
}

/// The response, if there is a way to say it: removals have none.
pub(crate) fn state_response(response: Response) -> Option<StateResponse> {
    if response.resources.is_empty() {
        return None;
    }
    Some(StateResponse {
        // Compared with nothing, by either side.
        version: response.nonce.clone(),
        resources: response.resources.iter().filter_map(any_of).collect(),
        type_url: Bytes::from_static(SECRET_TYPE_URL.as_bytes()),
        nonce: response.nonce,
    })
}
