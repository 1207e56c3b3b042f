//! Items in, items out: what is stored of a record, a certificate, a challenge, an event.

use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::AttributeValue;
use sealwax_core::certificate::Chain;
use sealwax_core::record::{DomainRecord, SCHEMA};
use sealwax_core::store::{
    Challenge, LifecycleEvent, RecordVersion, StoreError, Stored, StoredCertificate,
};
use sealwax_core::{SealedKey, Span, Timestamp};
use sealwax_protocol::{ChallengeToken, DomainName};

use super::keys::{self, Item, attribute, number, text};

/// How long events are kept.
pub(crate) const EVENT_LIFE: Span = Span::from_secs(90 * 86_400);
/// How long after its end a challenge's answer may be collected.
const CHALLENGE_GRACE: Span = Span::from_secs(86_400);
/// Largest record: a quarter of what DynamoDB takes, so that every item of a change fits.
const RECORD_BYTES_MAX: usize = 100 * 1024;

/// A record's text, as stored.
pub(crate) fn record_body(record: &DomainRecord) -> Result<String, StoreError> {
    let body = serde_json::to_string(record)
        .map_err(|error| StoreError::Bug { detail: format!("a record as JSON: {error}") })?;
    if body.len() > RECORD_BYTES_MAX {
        return Err(StoreError::Bug {
            detail: format!("the record of {} has {} bytes", record.domain, body.len()),
        });
    }
    Ok(body)
}

/// A record as read, with the version its certificate item must have. `None` for the trace that
/// a removed domain leaves.
pub(crate) fn read_record(item: &Item) -> Result<Option<(Stored, Option<u64>)>, StoreError> {
    if item.contains_key(attribute::GONE) {
        return Ok(None);
    }
    let record: DomainRecord = read_json(item, attribute::BODY)?;
    // Readers accept this shape and the one before it (rolling deploys).
    if record.schema > SCHEMA || record.schema + 1 < SCHEMA {
        return Err(unreadable(
            item,
            format!("it has schema {}, this version reads {SCHEMA}; update it", record.schema),
        ));
    }
    let version = RecordVersion(read_number(item, attribute::RECORD_VERSION)?);
    let certificate = match item.get(attribute::CERTIFICATE_VERSION) {
        Some(_) => Some(read_number(item, attribute::CERTIFICATE_VERSION)?),
        None => None,
    };
    Ok(Some((Stored { record, version }, certificate)))
}

/// The served certificate as an item.
pub(crate) fn certificate_item(
    domain: &DomainName,
    certificate: &StoredCertificate,
    version: u64,
) -> Item {
    let mut item = keys::certificate_key(domain);
    item.insert(attribute::CHAIN.to_owned(), text(certificate.chain.pem()));
    item.insert(attribute::SEALED.to_owned(), sealed(&certificate.key));
    item.insert(attribute::RECORD_VERSION.to_owned(), number(version));
    item
}

/// The served certificate as read, with the record version that it came with.
pub(crate) fn read_certificate(item: &Item) -> Result<(StoredCertificate, u64), StoreError> {
    let chain = Chain::from_pem(read_text(item, attribute::CHAIN)?.to_owned())
        .map_err(|error| unreadable(item, error.to_string()))?;
    let certificate = StoredCertificate { chain, key: read_sealed(item)? };
    Ok((certificate, read_number(item, attribute::RECORD_VERSION)?))
}

/// A challenge's answer as an item.
pub(crate) fn challenge_item(challenge: &Challenge) -> Item {
    let mut item = keys::challenge_key(&challenge.token);
    item.insert(attribute::DOMAIN.to_owned(), text(challenge.domain.as_str()));
    item.insert(attribute::KEY_AUTHORIZATION.to_owned(), text(&challenge.key_authorization));
    item.insert(attribute::EXPIRES_AT.to_owned(), number(challenge.expires_at.millis()));
    item.insert(attribute::TTL.to_owned(), number((challenge.expires_at + CHALLENGE_GRACE).secs()));
    item
}

/// A challenge's answer as read.
pub(crate) fn read_challenge(token: &ChallengeToken, item: &Item) -> Result<Challenge, StoreError> {
    Ok(Challenge {
        token: token.clone(),
        domain: read_domain(item)?,
        key_authorization: read_text(item, attribute::KEY_AUTHORIZATION)?.to_owned(),
        expires_at: Timestamp::from_millis(read_number(item, attribute::EXPIRES_AT)?),
    })
}

/// An event as an item.
pub(crate) fn event_item(
    domain: &DomainName,
    event: &LifecycleEvent,
    version: u64,
    n: usize,
) -> Result<Item, StoreError> {
    let body = serde_json::to_string(event)
        .map_err(|error| StoreError::Bug { detail: format!("an event as JSON: {error}") })?;
    let mut item = keys::event_key(domain, event, version, n);
    item.insert(attribute::BODY.to_owned(), text(body));
    item.insert(attribute::TTL.to_owned(), number((event.at + EVENT_LIFE).secs()));
    Ok(item)
}

/// An event as read.
pub(crate) fn read_event(item: &Item) -> Result<LifecycleEvent, StoreError> {
    read_json(item, attribute::BODY)
}

/// A sealed key as a value.
pub(crate) fn sealed(key: &SealedKey) -> AttributeValue {
    AttributeValue::B(Blob::new(key.as_bytes()))
}

/// The sealed key of an item.
pub(crate) fn read_sealed(item: &Item) -> Result<SealedKey, StoreError> {
    match item.get(attribute::SEALED) {
        Some(AttributeValue::B(bytes)) => Ok(SealedKey::new(bytes.as_ref().to_vec())),
        _ => Err(unreadable(item, "it has no sealed key".to_owned())),
    }
}

/// The domain an item names.
pub(crate) fn read_domain(item: &Item) -> Result<DomainName, StoreError> {
    DomainName::parse(read_text(item, attribute::DOMAIN)?)
        .map_err(|error| unreadable(item, format!("its domain: {error}")))
}

/// A text attribute.
pub(crate) fn read_text<'a>(item: &'a Item, name: &str) -> Result<&'a str, StoreError> {
    match item.get(name) {
        Some(AttributeValue::S(value)) => Ok(value),
        _ => Err(unreadable(item, format!("it has no text {name}"))),
    }
}

/// A whole number attribute.
pub(crate) fn read_number(item: &Item, name: &str) -> Result<u64, StoreError> {
    match item.get(name) {
        Some(AttributeValue::N(value)) => value.parse().ok(),
        _ => None,
    }
    .ok_or_else(|| unreadable(item, format!("it has no number {name}")))
}

/// Whether an item was written by this write.
pub(crate) fn written_by(item: &Item, write_id: &str) -> bool {
    matches!(item.get(attribute::WRITE_ID), Some(AttributeValue::S(id)) if id == write_id)
}

/// The complaint about an item, with its key and never with its content.
pub(crate) fn unreadable(item: &Item, detail: String) -> StoreError {
    let part = |name: &str| match item.get(name) {
        Some(AttributeValue::S(value)) => value.clone(),
        _ => "?".to_owned(),
    };
    StoreError::Unreadable {
        key: format!("{}/{}", part(attribute::PK), part(attribute::SK)),
        detail,
    }
}

fn read_json<T: serde::de::DeserializeOwned>(item: &Item, name: &str) -> Result<T, StoreError> {
    serde_json::from_str(read_text(item, name)?).map_err(|error| {
        // The error's own text may quote what it stumbled over.
        let (line, column) = (error.line(), error.column());
        unreadable(item, format!("its {name} is not understood at {line}:{column}"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use sealwax_core::Registration;

    fn stored_item(schema: u16) -> Item {
        let domain = DomainName::parse("a.example.com").unwrap();
        let mut record =
            DomainRecord::registered(domain.clone(), Registration::default(), Timestamp::default());
        record.schema = schema;
        let mut item = keys::record_key(&domain);
        item.insert(attribute::BODY.to_owned(), text(record_body(&record).unwrap()));
        item.insert(attribute::RECORD_VERSION.to_owned(), number(3));
        item
    }

    #[test]
    fn a_record_of_a_newer_version_is_refused_by_name() {
        assert!(read_record(&stored_item(SCHEMA)).unwrap().is_some());
        let error = read_record(&stored_item(SCHEMA + 1)).unwrap_err();
        assert!(error.to_string().contains("D#a.example.com/meta"), "{error}");
    }

    #[test]
    fn the_shape_before_this_one_is_read() {
        assert!(read_record(&stored_item(SCHEMA - 1)).unwrap().is_some());
    }

    #[test]
    fn a_damaged_item_is_named_but_not_quoted() {
        let mut item = stored_item(SCHEMA);
        item.insert(attribute::BODY.to_owned(), text("{\"schema\":\"swordfish\"}"));
        let error = read_record(&item).unwrap_err();
        assert!(matches!(error, StoreError::Unreadable { .. }));
        assert!(!error.to_string().contains("swordfish"), "{error}");
        item.remove(attribute::BODY);
        assert!(matches!(read_record(&item), Err(StoreError::Unreadable { .. })));
    }

    #[test]
    fn versions_beyond_a_floating_point_number_survive() {
        let mut item = stored_item(SCHEMA);
        item.insert(attribute::RECORD_VERSION.to_owned(), number(u64::MAX));
        let (stored, _) = read_record(&item).unwrap().unwrap();
        assert_eq!(stored.version, RecordVersion(u64::MAX));
    }
}
