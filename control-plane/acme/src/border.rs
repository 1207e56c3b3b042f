//! Orders, authorizations and challenges as CAs write them, read leniently.
//!
//! instant-acme reads them as RFC 8555 section 7.1 draws them, and certificates fail by a field
//! that nobody needs: `"replaces": ""`, `"authorizations": null`, no `finalize`. Here each field is
//! read by itself; one that is absent, empty or of another type is as if it were not there, and
//! whoever needs it says so.

use sealwax_core::Timestamp;
use sealwax_core::issuer::OrderStatus;
use serde_json::Value;
use time::OffsetDateTime;
use time::format_description::well_known::{Rfc2822, Rfc3339};
use url::Url;

use crate::problem::Problem;

/// Most authorizations and challenges looked at: an order has one identifier here.
const LIST_MAX: usize = 16;
/// The challenge type that is answered here (RFC 8555 section 8.3).
const HTTP_01: &str = "http-01";

/// An order (RFC 8555 section 7.1.3).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct OrderBody {
    pub(crate) status: OrderStatus,
    pub(crate) authorizations: Vec<String>,
    pub(crate) finalize: Option<String>,
    pub(crate) certificate: Option<String>,
    pub(crate) error: Option<Problem>,
    /// When the CA drops it, if it says so in a way that can be read.
    pub(crate) expires: Option<Timestamp>,
}

/// An authorization (RFC 8555 section 7.1.4).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct AuthorizationBody {
    pub(crate) status: AuthorizationStatus,
    /// The word it was read from, for people.
    pub(crate) status_word: String,
    pub(crate) challenges: Vec<ChallengeBody>,
}

/// Where an authorization stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AuthorizationStatus {
    /// To be validated, and whatever else is neither of the others.
    Pending,
    /// Proven.
    Valid,
    /// A validation failed.
    Invalid,
    /// Expired, deactivated or revoked: over, without anything having failed.
    Over,
}

/// A challenge (RFC 8555 section 7.1.5).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ChallengeBody {
    /// In lower case.
    pub(crate) kind: String,
    pub(crate) url: Option<String>,
    pub(crate) token: Option<String>,
    pub(crate) status: ChallengeStatus,
    /// Why it failed, or why a try of the CA did; some CAs write it without a word in it.
    pub(crate) error: Option<Problem>,
}

/// Where a challenge stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ChallengeStatus {
    /// To be answered, and whatever else is neither of the others.
    Pending,
    /// Being validated.
    Processing,
    /// Proven.
    Valid,
    /// Failed.
    Invalid,
}

impl OrderBody {
    /// Reads an answer to a request for `url`.
    ///
    /// # Errors
    /// In words: it is no object, or nothing in it says where the order stands.
    pub(crate) fn read(body: &[u8], url: &str) -> Result<Self, String> {
        let value = object(body)?;
        let link = |name: &str| text(&value, name).map(|found| resolved(url, found));
        let certificate = link("certificate");
        let error = problem(&value);
        let word = text(&value, "status").unwrap_or_default().to_ascii_lowercase();
        let status = match word.as_str() {
            "pending" => OrderStatus::Pending,
            "ready" => OrderStatus::Ready,
            "processing" => OrderStatus::Processing,
            // The certificate is about to be there: some CAs say so in this order.
            "valid" if certificate.is_none() => OrderStatus::Processing,
            "valid" => OrderStatus::Valid,
            "invalid" | "expired" | "deactivated" | "revoked" | "canceled" | "cancelled" => {
                OrderStatus::Invalid
            }
            _ if certificate.is_some() => OrderStatus::Valid,
            _ if error.is_some() => OrderStatus::Invalid,
            _ => return Err(format!("an order whose status is {word:?}")),
        };
        let listed = value.get("authorizations").and_then(Value::as_array);
        let listed = listed.into_iter().flatten().filter_map(Value::as_str);
        let authorizations = listed.filter(|found| !found.is_empty()).take(LIST_MAX);
        Ok(Self {
            status,
            authorizations: authorizations.map(|found| resolved(url, found)).collect(),
            finalize: link("finalize"),
            certificate,
            error,
            expires: value.get("expires").and_then(moment),
        })
    }
}

impl AuthorizationBody {
    /// Reads an answer to a request for `url`.
    ///
    /// # Errors
    /// In words: it is no object.
    pub(crate) fn read(body: &[u8], url: &str) -> Result<Self, String> {
        let value = object(body)?;
        let word = text(&value, "status").unwrap_or_default().to_ascii_lowercase();
        let status = match word.as_str() {
            "valid" => AuthorizationStatus::Valid,
            "invalid" => AuthorizationStatus::Invalid,
            "expired" | "deactivated" | "revoked" => AuthorizationStatus::Over,
            _ => AuthorizationStatus::Pending,
        };
        let listed = value.get("challenges").and_then(Value::as_array);
        let listed = listed.into_iter().flatten().filter(|one| one.is_object());
        let challenges = listed.take(LIST_MAX).map(|one| ChallengeBody::of(one, url)).collect();
        Ok(Self { status, status_word: word, challenges })
    }

    /// The challenge that is answered here.
    pub(crate) fn http_01(&self) -> Option<&ChallengeBody> {
        self.challenges.iter().find(|one| one.kind == HTTP_01)
    }
}

impl ChallengeBody {
    /// Reads the answer to an answered challenge; `None` if it says nothing that can be read,
    /// which is no fault: the order says how it goes on.
    pub(crate) fn read(body: &[u8], url: &str) -> Option<Self> {
        object(body).ok().map(|value| Self::of(&value, url))
    }

    fn of(value: &Value, base: &str) -> Self {
        let word = text(value, "status").unwrap_or_default().to_ascii_lowercase();
        let status = match word.as_str() {
            "processing" => ChallengeStatus::Processing,
            "valid" => ChallengeStatus::Valid,
            "invalid" => ChallengeStatus::Invalid,
            _ => ChallengeStatus::Pending,
        };
        // What the drafts before the RFC called it.
        let url = text(value, "url").or_else(|| text(value, "uri"));
        Self {
            kind: text(value, "type").unwrap_or_default().to_ascii_lowercase(),
            url: url.map(|found| resolved(base, found)),
            token: text(value, "token").map(ToOwned::to_owned),
            status,
            error: problem(value),
        }
    }
}

fn object(body: &[u8]) -> Result<Value, String> {
    let value: Value = serde_json::from_slice(body).map_err(|error| format!("no JSON: {error}"))?;
    if value.is_object() { Ok(value) } else { Err("JSON, and no object".to_owned()) }
}

/// A text that says something.
fn text<'a>(value: &'a Value, name: &str) -> Option<&'a str> {
    value.get(name).and_then(Value::as_str).map(str::trim).filter(|found| !found.is_empty())
}

/// The problem in a field that says something, however little: `{}` is one, `null` and `""` are
/// none.
fn problem(value: &Value) -> Option<Problem> {
    let found = value.get("error")?;
    if found.is_object() {
        return Some(Problem::read(found));
    }
    found.as_str().filter(|words| !words.is_empty()).map(Problem::said)
}

/// An absolute URL as it stands, because a signed request must name it to the letter
/// (RFC 8555 section 6.4); another one seen from where it was found.
pub(crate) fn resolved(base: &str, found: &str) -> String {
    if Url::parse(found).is_ok() {
        return found.to_owned();
    }
    match Url::parse(base).and_then(|base| base.join(found)) {
        Ok(url) => url.into(),
        Err(_) => found.to_owned(),
    }
}

/// RFC 3339 as the RFC wants it, and what else is seen: mail dates, seconds since 1970.
fn moment(value: &Value) -> Option<Timestamp> {
    if let Some(secs) = value.as_i64() {
        return Some(Timestamp::from_secs(secs));
    }
    let text = value.as_str()?.trim();
    let parsed =
        OffsetDateTime::parse(text, &Rfc3339).or_else(|_| OffsetDateTime::parse(text, &Rfc2822));
    match parsed {
        Ok(moment) => Some(Timestamp::from_secs(moment.unix_timestamp())),
        Err(_) => text.parse().ok().map(Timestamp::from_secs),
    }
}

#[cfg(test)]
mod tests;
