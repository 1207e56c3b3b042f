//! What the filter asks of the proxy it runs in: only the calls it uses.
//!
//! Every call can fail (a header map that is gone, a host out of memory), and no failure may stop
//! the filter: a call that fails answers `None` or `false`, and the caller decides what that
//! means for the request.

/// A proxy-wasm context: a configured filter (root) or one request (stream).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ContextId(pub u32);

/// Identifies a callout in flight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CalloutToken(pub u32);

/// The header maps the filter reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeaderMap {
    /// Of the request in focus.
    Request,
    /// Of the response in focus.
    Response,
    /// Of the callout answer being delivered.
    Callout,
}

/// What a metric counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MetricKind {
    /// Only grows.
    Counter,
    /// The latest value.
    Gauge,
    /// A distribution.
    Histogram,
}

/// Log levels the filter uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum LogLevel {
    /// One line a request.
    Debug,
    /// Once a change of state.
    Warn,
    /// A refused configuration.
    Error,
}

/// A request to the control plane.
#[derive(Clone, Copy, Debug)]
pub struct Callout<'a> {
    /// The cluster to call.
    pub cluster: &'a str,
    /// All headers, pseudo-headers first.
    pub headers: &'a [(&'a str, &'a [u8])],
    /// Empty for none.
    pub body: &'a [u8],
    /// Never 0, which would mean for ever.
    pub timeout_ms: u32,
}

/// A reply that never reaches the origin.
#[derive(Clone, Copy, Debug)]
pub struct Reply<'a> {
    /// The HTTP status.
    pub status: u16,
    /// Headers besides `:status`.
    pub headers: &'a [(&'a str, &'a [u8])],
    /// Empty for none.
    pub body: &'a [u8],
}

/// The proxy.
pub trait Host {
    /// Wall-clock time in nanoseconds since 1970.
    fn now_ns(&mut self) -> Option<u64>;
    /// The first value of a header, bytes as they came. `None` too when the map is not there.
    fn header(&mut self, map: HeaderMap, name: &str) -> Option<Vec<u8>>;
    /// Sets a header of the response in focus.
    fn set_response_header(&mut self, name: &str, value: &[u8]) -> bool;
    /// An attribute of the stream in focus; the parts of its path are joined by NUL.
    fn property(&mut self, path: &str) -> Option<Vec<u8>>;
    /// The first `bytes_max` bytes of the callout answer's body.
    fn callout_body(&mut self, bytes_max: usize) -> Option<Vec<u8>>;
    /// The plugin's configuration, in [`on_configure`](crate::Filter::configure) only.
    fn configuration(&mut self, bytes_max: usize) -> Option<Vec<u8>>;
    /// A value all workers share.
    fn shared(&mut self, key: &str) -> Option<Vec<u8>>;
    /// Stores a value for all workers.
    fn set_shared(&mut self, key: &str, value: &[u8]) -> bool;
    /// Starts a callout. `None`: it was not started and no answer will come.
    fn call(&mut self, callout: &Callout<'_>) -> Option<CalloutToken>;
    /// Answers the request in focus.
    fn reply(&mut self, reply: &Reply<'_>) -> bool;
    /// Resets the request in focus.
    fn abort(&mut self) -> bool;
    /// Lets the paused request in focus go on.
    fn resume(&mut self) -> bool;
    /// Puts a context into focus. `false`: it is gone.
    fn focus(&mut self, context: ContextId) -> bool;
    /// Asks for [`tick`](crate::Filter::tick) every `period_ms`.
    fn set_tick_ms(&mut self, period_ms: u32) -> bool;
    /// Registers a metric and answers its id.
    fn define_metric(&mut self, kind: MetricKind, name: &str) -> Option<u32>;
    /// Adds to a counter.
    fn add_metric(&mut self, id: u32, amount: u64) -> bool;
    /// Sets a gauge, or adds a sample to a histogram.
    fn record_metric(&mut self, id: u32, value: u64) -> bool;
    /// Whether debug lines are wanted at all.
    fn debug_wanted(&mut self) -> bool;
    /// Writes a line to the proxy's log.
    fn log(&mut self, level: LogLevel, line: &str);
}
