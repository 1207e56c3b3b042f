//! `[telemetry]`: what the process says about itself.

use url::Url;

/// `[telemetry]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Telemetry {
    /// Format of the log.
    pub log: LogFormat,
    /// What is logged of each request to the admin API; nothing if empty.
    pub access_log: Vec<AccessField>,
    /// Records read a second to count the fleet; 0: it is not counted.
    pub census_rate: u64,
    /// Where traces go; nowhere if unset.
    pub traces: Option<Exporting>,
}

/// Where traces go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exporting {
    /// The collector's address for traces (OTLP/HTTP, protobuf).
    pub url: Url,
    /// How many of a hundred handshakes that wait are traced.
    pub percent: u64,
}

/// A field of the access log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AccessField {
    /// The request's method.
    Method,
    /// Its path, without the query.
    Path,
    /// The API's name for the path, such as `/v1/domains/{domain}`.
    Route,
    /// The answer's status.
    Status,
    /// How long the answer took to start, in milliseconds.
    DurationMs,
    /// `read`, `write`, `keys`: the token shown; `local`: none is asked for; `stranger`.
    Caller,
    /// The answer's `x-request-id`.
    RequestId,
    /// What the client calls itself.
    UserAgent,
}

impl AccessField {
    /// Every field.
    pub const ALL: [Self; 8] = [
        Self::Method,
        Self::Path,
        Self::Route,
        Self::Status,
        Self::DurationMs,
        Self::Caller,
        Self::RequestId,
        Self::UserAgent,
    ];

    /// The word in the configuration and in the log.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Method => "method",
            Self::Path => "path",
            Self::Route => "route",
            Self::Status => "status",
            Self::DurationMs => "duration_ms",
            Self::Caller => "caller",
            Self::RequestId => "request_id",
            Self::UserAgent => "user_agent",
        }
    }
}

/// `[telemetry] access_log`
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct AccessLog(pub(super) Vec<AccessField>);

/// `[telemetry] log`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}
