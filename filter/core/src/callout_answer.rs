//! The answer to a callout, before anything is known about what it means.

use crate::host::{HeaderMap, Host};

/// Status, lifetime and body of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CalloutAnswer {
    /// The HTTP status.
    pub status: u16,
    /// What `cache-control: max-age` says, in seconds.
    pub max_age_s: Option<u64>,
    /// The body, complete.
    pub body: Vec<u8>,
}

/// Why a callout brought no answer that means anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// The proxy could not start it.
    NotSent,
    /// Reset before an answer was complete, or larger than the proxy buffers.
    Reset,
    /// 504, as the proxy answers for a timeout.
    Timeout,
    /// 503, as the proxy answers for an unreachable control plane.
    Unavailable,
    /// Another status that is no answer.
    Status,
    /// A body longer than any true answer.
    Oversized,
    /// A body that is not what its status promises.
    BadBody,
}

impl Failure {
    /// Which failure a status is.
    #[must_use]
    pub const fn of_status(status: u16) -> Self {
        match status {
            504 => Self::Timeout,
            503 => Self::Unavailable,
            _ => Self::Status,
        }
    }
}

/// Reads the answer being delivered.
///
/// # Errors
/// [`Failure::Reset`] without headers, [`Failure::Oversized`], and [`Failure::BadBody`] for a
/// body that cannot be read.
pub fn read_answer<H: Host>(
    host: &mut H,
    headers: u32,
    body_bytes: u32,
    body_bytes_max: usize,
) -> Result<CalloutAnswer, Failure> {
    let status = (headers > 0)
        .then(|| host.header(HeaderMap::Callout, ":status"))
        .flatten()
        .and_then(|value| str::from_utf8(&value).ok()?.parse().ok())
        .ok_or(Failure::Reset)?;
    let body_bytes = usize::try_from(body_bytes).unwrap_or(usize::MAX);
    if body_bytes > body_bytes_max {
        return Err(Failure::Oversized);
    }
    let max_age_s = host.header(HeaderMap::Callout, "cache-control").as_deref().and_then(max_age);
    let body = if body_bytes == 0 {
        Vec::new()
    } else {
        host.callout_body(body_bytes)
            .filter(|body| body.len() == body_bytes)
            .ok_or(Failure::BadBody)?
    };
    Ok(CalloutAnswer { status, max_age_s, body })
}

/// `max-age` of a `cache-control` value (RFC 9111 section 5.2.2.1); `no-store` and `no-cache`
/// count as 0.
fn max_age(value: &[u8]) -> Option<u64> {
    let value = str::from_utf8(value).ok()?;
    let mut seconds = None;
    for directive in value.split(',').map(str::trim) {
        if directive.eq_ignore_ascii_case("no-store") || directive.eq_ignore_ascii_case("no-cache")
        {
            return Some(0);
        }
        if let Some((name, number)) = directive.split_once('=')
            && name.eq_ignore_ascii_case("max-age")
        {
            seconds = number.trim_matches('"').parse().ok();
        }
    }
    seconds
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lifetimes_are_read_as_http_caches_read_them() {
        assert_eq!(max_age(b"max-age=60"), Some(60));
        assert_eq!(max_age(b"public, Max-Age=\"5\""), Some(5));
        assert_eq!(max_age(b"max-age=60, no-store"), Some(0));
        assert_eq!(max_age(b"max-age=-1"), None);
        assert_eq!(max_age(b"s-maxage=3"), None);
        assert_eq!(max_age(b"\xff"), None);
    }
}
