//! Conditional writes: one item where one is enough, else one transaction.

use std::time::Duration;

use aws_sdk_dynamodb::error::SdkError;
use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::types::{
    Delete, Put, ReturnValuesOnConditionCheckFailure, TransactWriteItem, Update,
};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use sealwax_core::Span;
use sealwax_core::store::{
    CertificateChange, Change, EVENTS_PER_CHANGE_MAX, Expected, RecordVersion, StoreError,
};
use sealwax_protocol::{ChallengeToken, DomainName};

use super::error::{passing, translate};
use super::expression::{Expression, record_indexes};
use super::item::{self, written_by};
use super::keys::{self, Item, attribute, number, text};
use super::{DynamoStore, random_id};

/// How long the trace of a removed domain is kept. It carries the version on, so that whoever
/// still holds a version of before the removal loses; and it is the evidence on which an edge that
/// was away loses the certificate. So it is kept for longer than any certificate lives (398 days,
/// CA/Browser Forum Baseline Requirements section 6.3.2).
const TRACE_LIFE: Span = Span::from_secs(400 * 86_400);
/// How often a cancelled transaction is tried again when the cause goes away by itself.
const TRANSACTION_ATTEMPTS: u32 = 6;
/// Longest tenant name: it is part of an index key.
const TENANT_BYTES_MAX: usize = 1024;

/// How a conditional write ended.
pub(super) enum Outcome {
    Done,
    /// The condition does not hold; what is there instead.
    Refused(Option<Item>),
}

impl DynamoStore {
    /// Makes a change. `tell` announces it to the replicas.
    pub(super) async fn change(
        &self,
        change: &Change,
        tell: bool,
    ) -> Result<RecordVersion, StoreError> {
        check(change)?;
        let domain = &change.record.domain;
        let first = match change.expected {
            Expected::Absent => 1,
            Expected::Version(RecordVersion(version)) => version + 1,
        };
        match self.attempt(change, tell, first, None).await? {
            Outcome::Done => Ok(RecordVersion(first)),
            Outcome::Refused(Some(found)) => {
                if change.expected == Expected::Absent && found.contains_key(attribute::GONE) {
                    // Registered again: its versions go on where those before ended.
                    let trace = item::read_number(&found, attribute::RECORD_VERSION)?;
                    let next = trace + 1;
                    return match self.attempt(change, tell, next, Some(trace)).await? {
                        Outcome::Done => Ok(RecordVersion(next)),
                        Outcome::Refused(_) => Err(lost(domain)),
                    };
                }
                Err(lost(domain))
            }
            Outcome::Refused(None) => Err(lost(domain)),
        }
    }

    /// Each attempt has an id of its own: it is a transaction's client request token too, and a
    /// token that comes again with another payload is refused (IdempotentParameterMismatch).
    async fn attempt(
        &self,
        change: &Change,
        tell: bool,
        version: u64,
        trace: Option<u64>,
    ) -> Result<Outcome, StoreError> {
        let write_id = random_id()?;
        let key = keys::record_key(&change.record.domain);
        let record = self.record(change, version, trace, &write_id)?;
        let update = record.into_update(&self.table, key)?;
        let others = self.others(change, version)?;
        self.commit(&change.record.domain, update, others, tell, &write_id).await
    }

    /// What a change writes besides the record.
    pub(super) fn others(
        &self,
        change: &Change,
        version: u64,
    ) -> Result<Vec<TransactWriteItem>, StoreError> {
        let domain = &change.record.domain;
        let mut others = Vec::new();
        match &change.certificate {
            CertificateChange::Keep => {}
            CertificateChange::Replace(certificate) => {
                others.push(self.put(item::certificate_item(domain, certificate, version))?);
            }
            CertificateChange::Remove => others.push(self.delete(keys::certificate_key(domain))?),
        }
        if let Some(challenge) = &change.publish {
            others.push(self.put(item::challenge_item(challenge))?);
        }
        let published = change.publish.as_ref().map(|challenge| &challenge.token);
        if let Some(token) = change.withdraw.as_ref().filter(|token| published != Some(*token)) {
            others.push(self.delete(keys::challenge_key(token))?);
        }
        for (n, event) in change.events.iter().enumerate() {
            others.push(self.put(item::event_item(domain, event, version, n)?)?);
        }
        Ok(others)
    }

    /// Removes a domain that is at this version, and leaves a trace that holds its place in the
    /// sequence of writes.
    pub(super) async fn remove_record(
        &self,
        domain: &DomainName,
        version: RecordVersion,
    ) -> Result<(), StoreError> {
        let Some(found) = self.record_item(domain).await? else { return Err(lost(domain)) };
        let Some((stored, _)) = item::read_record(&found)? else { return Err(lost(domain)) };
        if stored.version != version {
            return Err(lost(domain));
        }
        let write_id = random_id()?;
        let mut update = Expression::default();
        update.expect_version(version.0);
        update.set(attribute::RECORD_VERSION, number(version.0 + 1));
        update.set(attribute::WRITE_ID, text(&write_id));
        update.set(attribute::GONE, aws_sdk_dynamodb::types::AttributeValue::Bool(true));
        update.set(attribute::TTL, number((self.clock.now() + TRACE_LIFE).secs()));
        update.remove(attribute::BODY);
        update.remove(attribute::CERTIFICATE_VERSION);
        record_indexes(&mut update, None);
        let update = update.into_update(&self.table, keys::record_key(domain))?;
        let mut others = vec![self.delete(keys::certificate_key(domain))?];
        // A token that is not one was never published.
        let token = stored.record.work.token().and_then(|text| ChallengeToken::parse(text).ok());
        if let Some(token) = token {
            others.push(self.delete(keys::challenge_key(&token))?);
        }
        match self.commit(domain, update, others, true, &write_id).await? {
            Outcome::Done => Ok(()),
            Outcome::Refused(_) => Err(lost(domain)),
        }
    }

    /// What a change makes of the record, on top of this trace of a removed one.
    pub(super) fn record(
        &self,
        change: &Change,
        version: u64,
        trace: Option<u64>,
        write_id: &str,
    ) -> Result<Expression, StoreError> {
        let record = &change.record;
        let mut update = Expression::default();
        match (change.expected, trace) {
            (Expected::Absent, None) => update.expect_absent(),
            (Expected::Absent, Some(trace)) => {
                update.expect_version(trace);
                update.remove(attribute::GONE);
                update.remove(attribute::TTL);
            }
            (Expected::Version(RecordVersion(expected)), _) => {
                update.expect_version(expected);
                update.expect_present(attribute::BODY);
            }
        }
        update.set(attribute::BODY, text(item::record_body(record)?));
        update.set(attribute::RECORD_VERSION, number(version));
        update.set(attribute::WRITE_ID, text(write_id));
        match &change.certificate {
            CertificateChange::Keep => {}
            CertificateChange::Replace(_) => {
                update.set(attribute::CERTIFICATE_VERSION, number(version));
            }
            CertificateChange::Remove => update.remove(attribute::CERTIFICATE_VERSION),
        }
        record_indexes(&mut update, Some(record));
        Ok(update)
    }

    async fn commit(
        &self,
        domain: &DomainName,
        update: Update,
        mut others: Vec<TransactWriteItem>,
        tell: bool,
        write_id: &str,
    ) -> Result<Outcome, StoreError> {
        if tell && let Some(entry) = self.log.entry(self, domain, write_id).await? {
            others.push(self.put(entry)?);
        }
        let outcome = if others.is_empty() {
            self.update_alone(domain, update, write_id).await
        } else {
            others.insert(0, TransactWriteItem::builder().update(update).build());
            self.transaction(domain, others, write_id).await
        };
        // Told even when the outcome is unknown: a reload too many is harmless.
        if tell && !matches!(outcome, Ok(Outcome::Refused(_))) {
            self.log.announced(domain);
        }
        outcome
    }

    async fn update_alone(
        &self,
        domain: &DomainName,
        update: Update,
        write_id: &str,
    ) -> Result<Outcome, StoreError> {
        let sent = self
            .background
            .update_item()
            .table_name(&self.table)
            .set_key(Some(update.key))
            .update_expression(update.update_expression)
            .set_condition_expression(update.condition_expression)
            .set_expression_attribute_names(update.expression_attribute_names)
            .set_expression_attribute_values(update.expression_attribute_values)
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .send()
            .await;
        match sent {
            Ok(_) => Ok(Outcome::Done),
            Err(SdkError::ServiceError(error)) if refused(error.err()).is_some() => {
                // The SDK tries again after a lost acknowledgement, and then meets its own write.
                Ok(match refused(error.err()).flatten() {
                    Some(found) if written_by(&found, write_id) => Outcome::Done,
                    found => Outcome::Refused(found),
                })
            }
            Err(error) => self.settle(domain, write_id, translate("UpdateItem", &error)).await,
        }
    }

    pub(super) async fn transaction(
        &self,
        domain: &DomainName,
        items: Vec<TransactWriteItem>,
        write_id: &str,
    ) -> Result<Outcome, StoreError> {
        let mut attempt = 1;
        let began = tokio::time::Instant::now();
        loop {
            let sent = self
                .background
                .transact_write_items()
                .set_transact_items(Some(items.clone()))
                .client_request_token(write_id)
                .send()
                .await;
            let Err(error) = sent else { return Ok(Outcome::Done) };
            match cancelled(&error, write_id) {
                Cancelled::Condition(outcome) => return Ok(outcome),
                Cancelled::Passing
                    if attempt < TRANSACTION_ATTEMPTS && began.elapsed() < self.attempts_for =>
                {
                    tokio::time::sleep(self.pause(attempt)?).await;
                    attempt += 1;
                }
                Cancelled::Passing => {
                    let error = StoreError::Unavailable {
                        detail: format!(
                            "TransactWriteItems: still contended after {attempt} attempts"
                        ),
                    };
                    return self.settle(domain, write_id, error).await;
                }
                Cancelled::Otherwise => {
                    let error = translate("TransactWriteItems", &error);
                    return self.settle(domain, write_id, error).await;
                }
            }
        }
    }

    /// A write whose outcome is unknown: done if it is found done.
    async fn settle(
        &self,
        domain: &DomainName,
        write_id: &str,
        error: StoreError,
    ) -> Result<Outcome, StoreError> {
        if !matches!(error, StoreError::Unavailable { .. }) {
            return Err(error);
        }
        match self.record_item(domain).await {
            Ok(Some(found)) if written_by(&found, write_id) => Ok(Outcome::Done),
            Ok(_) | Err(_) => Err(error),
        }
    }

    /// Exponential, with full jitter: colliding writers must not meet again.
    pub(super) fn pause(&self, attempt: u32) -> Result<Duration, StoreError> {
        let ceiling = self.backoff.saturating_mul(1 << attempt.min(6));
        let mut byte = [0_u8; 1];
        aws_lc_rs::rand::fill(&mut byte)
            .map_err(|_| StoreError::Bug { detail: "no randomness".to_owned() })?;
        let [byte] = byte;
        Ok(ceiling.mul_f64(f64::from(byte) / 255.0))
    }

    pub(super) fn put(&self, item: Item) -> Result<TransactWriteItem, StoreError> {
        let put = Put::builder().table_name(&self.table).set_item(Some(item)).build();
        Ok(TransactWriteItem::builder().put(put.map_err(incomplete)?).build())
    }

    fn delete(&self, key: Item) -> Result<TransactWriteItem, StoreError> {
        let delete = Delete::builder().table_name(&self.table).set_key(Some(key)).build();
        Ok(TransactWriteItem::builder().delete(delete.map_err(incomplete)?).build())
    }
}

/// A request that lacks something the SDK wants.
pub(super) fn incomplete(error: aws_sdk_dynamodb::error::BuildError) -> StoreError {
    StoreError::Bug { detail: error.to_string() }
}

pub(super) fn check(change: &Change) -> Result<(), StoreError> {
    let refuse = |detail: String| Err(StoreError::Bug { detail });
    if change.events.len() > EVENTS_PER_CHANGE_MAX {
        return refuse(format!("{} events in one change", change.events.len()));
    }
    if change.record.registration.tenant.as_ref().is_some_and(|t| t.len() > TENANT_BYTES_MAX) {
        return refuse(format!("a tenant longer than {TENANT_BYTES_MAX} bytes"));
    }
    Ok(())
}

fn lost(domain: &DomainName) -> StoreError {
    StoreError::Lost { domain: domain.to_string() }
}

/// `Some` if the condition failed, with the item found if one was.
fn refused(error: &UpdateItemError) -> Option<Option<Item>> {
    let UpdateItemError::ConditionalCheckFailedException(failed) = error else { return None };
    Some(failed.item.clone())
}

enum Cancelled {
    Condition(Outcome),
    Passing,
    Otherwise,
}

fn cancelled(error: &SdkError<TransactWriteItemsError, HttpResponse>, write_id: &str) -> Cancelled {
    let Some(service) = error.as_service_error() else { return Cancelled::Otherwise };
    if service.is_transaction_in_progress_exception() {
        return Cancelled::Passing;
    }
    let TransactWriteItemsError::TransactionCanceledException(cancelled) = service else {
        return Cancelled::Otherwise;
    };
    let reasons = cancelled.cancellation_reasons();
    let failed = reasons.iter().find(|reason| reason.code() == Some("ConditionalCheckFailed"));
    if let Some(failed) = failed {
        return Cancelled::Condition(match failed.item() {
            Some(found) if written_by(found, write_id) => Outcome::Done,
            found => Outcome::Refused(found.cloned()),
        });
    }
    if reasons.iter().any(|reason| reason.code().is_some_and(passing)) {
        return Cancelled::Passing;
    }
    Cancelled::Otherwise
}
