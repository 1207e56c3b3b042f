//! An event as every sink tells it.

use sealwax_core::{DomainRecord, Notice};
use serde::Serialize;

use super::sink::SendError;
use crate::view::DomainView;

/// What is sent, and what a sink may put beside it.
pub(super) struct Event<'a> {
    /// The same at each delivery, and that of no other event.
    pub(super) id: &'a str,
    pub(super) kind: &'a str,
    pub(super) domain: &'a str,
    pub(super) tenant: Option<&'a str>,
    /// JSON.
    pub(super) body: String,
}

#[derive(Serialize)]
struct Body<'a> {
    id: &'a str,
    r#type: &'a str,
    timestamp: String,
    data: Data<'a>,
}

#[derive(Serialize)]
struct Data<'a> {
    detail: &'a str,
    domain: Shown,
}

/// What is left of a removed domain is none of the states.
#[derive(Serialize)]
#[serde(untagged)]
enum Shown {
    There(Box<DomainView>),
    Removed(serde_json::Value),
}

impl Shown {
    fn of(record: &DomainRecord) -> serde_json::Result<Self> {
        let view = DomainView::from(record);
        if !record.removed {
            return Ok(Self::There(Box::new(view)));
        }
        let mut shown = serde_json::to_value(view)?;
        if let Some(state) = shown.get_mut("state") {
            *state = "removed".into();
        }
        Ok(Self::Removed(shown))
    }
}

impl<'a> Event<'a> {
    /// What a notice tells, with the record as it is now.
    pub(super) fn of(notice: &'a Notice, record: &'a DomainRecord) -> Result<Self, SendError> {
        let unreadable = |error| SendError::Retry(format!("the record is not JSON: {error}"));
        let body = Body {
            id: &notice.id,
            r#type: &notice.kind,
            timestamp: notice.at.rfc3339(),
            data: Data { detail: &notice.detail, domain: Shown::of(record).map_err(unreadable)? },
        };
        let body = serde_json::to_string(&body).map_err(unreadable)?;
        Ok(Self {
            id: &notice.id,
            kind: &notice.kind,
            domain: record.domain.as_str(),
            tenant: record.registration.tenant.as_deref().filter(|tenant| !tenant.is_empty()),
            body,
        })
    }
}

#[cfg(test)]
mod tests {
    use sealwax_core::Timestamp;

    use super::super::tests::record;
    use super::*;

    #[test]
    fn what_is_removed_is_not_shown_as_parked() {
        let shown =
            |record: &DomainRecord| serde_json::to_value(Shown::of(record).unwrap()).unwrap();
        assert_eq!(shown(&record())["state"], "pending");
        let removed = sealwax_core::apply::removed(record(), Timestamp::from_secs(2));
        assert_eq!(shown(&removed)["state"], "removed");
    }
}
