//! Problem documents (RFC 8555 section 6.7).

use serde_json::{Value, json};

/// What the server refuses a request, or a validation, with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// HTTP status.
    pub status: u16,
    /// ACME's type, without its prefix.
    pub kind: String,
    /// The text.
    pub detail: String,
    /// Retry-After, verbatim: seconds or an HTTP date.
    pub retry_after: Option<String>,
}

impl Problem {
    /// A problem of one of ACME's types.
    #[must_use]
    pub fn new(status: u16, kind: &str, detail: impl Into<String>) -> Self {
        Self { status, kind: kind.to_owned(), detail: detail.into(), retry_after: None }
    }

    /// With a Retry-After header.
    #[must_use]
    pub fn retry_after(mut self, value: impl Into<String>) -> Self {
        self.retry_after = Some(value.into());
        self
    }

    pub(crate) fn malformed(detail: impl Into<String>) -> Self {
        Self::new(400, "malformed", detail)
    }

    pub(crate) fn not_found(what: &str) -> Self {
        Self::new(404, "malformed", format!("no such {what}"))
    }

    pub(crate) fn document(&self) -> Value {
        json!({
            "type": format!("urn:ietf:params:acme:error:{}", self.kind),
            "detail": self.detail,
            "status": self.status,
        })
    }
}
