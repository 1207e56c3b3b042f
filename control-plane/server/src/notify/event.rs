//! An event as every sink tells it.

use sealwax_core::{DomainRecord, Notice};
use serde::Serialize;

use super::sink::SendError;
use crate::admin::DomainView;

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
    domain: DomainView,
}

impl<'a> Event<'a> {
    /// What a notice tells, with the record as it is now.
    pub(super) fn of(notice: &'a Notice, record: &'a DomainRecord) -> Result<Self, SendError> {
        let body = Body {
            id: &notice.id,
            r#type: &notice.kind,
            timestamp: notice.at.rfc3339(),
            data: Data { detail: &notice.detail, domain: DomainView::from(record) },
        };
        let body = serde_json::to_string(&body)
            .map_err(|error| SendError::Retry(format!("the record is not JSON: {error}")))?;
        Ok(Self {
            id: &notice.id,
            kind: &notice.kind,
            domain: record.domain.as_str(),
            tenant: record.registration.tenant.as_deref().filter(|tenant| !tenant.is_empty()),
            body,
        })
    }
}
