//! What a test can see: outcomes, callouts, violations, faults.

use crate::status::Status;
use crate::wire::Headers;

/// A stream (one request), unique in its [`Proxy`](crate::Proxy).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StreamId {
    pub(crate) worker: usize,
    /// The generation of the worker's instance: context ids start again in a new one.
    pub(crate) generation: u32,
    pub(crate) context: u32,
}

impl StreamId {
    /// Its context id in that worker.
    #[must_use]
    pub const fn context(&self) -> u32 {
        self.context
    }

    /// The worker that serves it.
    #[must_use]
    pub const fn worker(&self) -> usize {
        self.worker
    }
}

/// A reply that did not come from an origin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LocalReply {
    /// The HTTP status.
    pub status: u32,
    /// As the client gets them: after the guest's own response callback.
    pub headers: Headers,
    /// As the client gets it: empty for HEAD.
    pub body: Vec<u8>,
    /// The response code details, for logs.
    pub details: Vec<u8>,
    /// -1 for none.
    pub grpc_status: i32,
}

impl LocalReply {
    /// The first value of a header.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&[u8]> {
        let name = name.as_bytes();
        self.headers.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_slice())
    }
}

/// Where a request stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The guest holds it.
    Paused,
    /// It goes to the origin.
    Continued,
    /// The guest answered it.
    Replied(LocalReply),
    /// The guest reset it.
    Reset,
    /// The instance is broken and the policy is to refuse: 503 by the proxy.
    Refused,
}

/// A callout in flight, unique in its [`Proxy`](crate::Proxy).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CalloutId {
    pub(crate) worker: usize,
    pub(crate) generation: u32,
    pub(crate) token: u32,
}

/// What a callout asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CalloutRequest {
    /// Identifies it.
    pub id: CalloutId,
    /// The root context that asked; callouts belong to roots, never to streams.
    pub root: u32,
    /// The cluster.
    pub cluster: String,
    /// All headers.
    pub headers: Headers,
    /// The body.
    pub body: Vec<u8>,
    /// 0: it never times out.
    pub timeout_ms: u32,
    /// When it was sent, in nanoseconds since 1970.
    pub sent_ns: u64,
}

impl CalloutRequest {
    /// The worker that sent it.
    #[must_use]
    pub const fn worker(&self) -> usize {
        self.id.worker
    }

    /// The first value of a header as text; empty if there is none.
    #[must_use]
    pub fn header(&self, name: &str) -> String {
        let name = name.as_bytes();
        let value = self.headers.iter().find(|(n, _)| n == name).map(|(_, value)| value);
        value.map(|value| String::from_utf8_lossy(value).into_owned()).unwrap_or_default()
    }
}

/// How a callout ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CalloutEnd {
    /// With a response. Timeouts, unreachable hosts and failed connections are responses too, made
    /// up by the proxy: 504 and 503.
    Response {
        /// All headers, `:status` among them.
        headers: Headers,
        /// The body.
        body: Vec<u8>,
    },
    /// Reset, or larger than the proxy buffers: the guest sees 0 headers.
    Reset,
}

impl CalloutEnd {
    /// A response of a status and a body.
    #[must_use]
    pub fn response(status: u16, body: impl Into<Vec<u8>>) -> Self {
        let headers = vec![(b":status".to_vec(), status.to_string().into_bytes())];
        Self::Response { headers, body: body.into() }
    }

    /// With one more header.
    #[must_use]
    pub fn with_header(mut self, name: &str, value: impl Into<Vec<u8>>) -> Self {
        if let Self::Response { headers, .. } = &mut self {
            headers.push((name.as_bytes().to_vec(), value.into()));
        }
        self
    }

    /// What Envoy makes of a timeout.
    #[must_use]
    pub fn timeout() -> Self {
        Self::response(504, "upstream request timeout")
    }

    /// What Envoy makes of a cluster without a healthy host.
    #[must_use]
    pub fn unavailable() -> Self {
        Self::response(503, "no healthy upstream")
    }
}

/// Something a guest did that a proxy tolerates and a test should not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Violation {
    /// Resumed a stream that was not paused.
    ResumedTwice,
    /// Resumed a stream after answering it.
    ResumedAfterReply,
    /// Answered a stream twice, or after it went on.
    RepliedTwice,
    /// Resumed or answered with a root context in focus: the proxy says Ok and does nothing.
    RootInFocus(&'static str),
    /// Used a header map or buffer that is not there in this phase.
    OutOfPhase {
        /// The hostcall.
        function: &'static str,
        /// The map's or buffer's number.
        what: u32,
    },
    /// A callout without a timeout: if it is lost, so is its memory.
    NoTimeout,
}

/// Makes a hostcall fail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The hostcall, or `None` for every one.
    pub function: Option<&'static str>,
    /// How many calls of it go well first.
    pub after: u64,
    /// How many fail then; `u64::MAX` for all.
    pub times: u64,
    /// What they return. [`Status::Ok`] without doing anything is a fault as well.
    pub status: Status,
}

impl Fault {
    /// Every call of `function` fails with `status`.
    #[must_use]
    pub const fn always(function: &'static str, status: Status) -> Self {
        Self { function: Some(function), after: 0, times: u64::MAX, status }
    }
}
