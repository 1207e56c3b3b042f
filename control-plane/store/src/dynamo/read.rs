//! Reads by key: what a handshake needs, challenges, accounts, events.

use std::collections::{HashMap, HashSet};

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::KeysAndAttributes;
use sealwax_core::SealedKey;
use sealwax_core::store::{Challenge, Entry, LOAD_MAX, LifecycleEvent, StoreError};
use sealwax_protocol::{ChallengeToken, DomainName};

use super::error::translate;
use super::item;
use super::keys::{self, EVENT_PREFIX, Item, attribute, number, text};
use super::write::incomplete;
use super::{DynamoStore, Patience};

/// Most keys in one BatchGetItem.
const BATCH_KEYS_MAX: usize = 100;
/// How often keys that a batch left over are asked for again.
const BATCH_ATTEMPTS: u32 = 5;
/// How often a record and its certificate are read again when a write came between the two.
const TORN_ATTEMPTS: u32 = 4;
/// Most events in one reading.
const EVENTS_MAX: usize = 1_000;

impl DynamoStore {
    /// Record and certificate of each domain, in order.
    pub(super) async fn load_entries(
        &self,
        domains: &[DomainName],
        patience: Patience,
    ) -> Result<Vec<Option<Entry>>, StoreError> {
        if domains.len() > LOAD_MAX {
            return Err(StoreError::Bug { detail: format!("{} domains at once", domains.len()) });
        }
        let mut wanted: HashSet<&DomainName> = domains.iter().collect();
        let mut entries: HashMap<&DomainName, Entry> = HashMap::new();
        for attempt in 1..=TORN_ATTEMPTS {
            let keys = wanted
                .iter()
                .flat_map(|domain| [keys::record_key(domain), keys::certificate_key(domain)])
                .collect();
            let found = self.batch(keys, patience).await?;
            let mut torn = HashSet::new();
            for domain in wanted {
                match assemble(domain, &found)? {
                    Assembled::Entry(entry) => {
                        entries.insert(domain, *entry);
                    }
                    Assembled::Nothing => {}
                    Assembled::Torn => {
                        torn.insert(domain);
                    }
                }
            }
            wanted = torn;
            if wanted.is_empty() {
                return Ok(domains.iter().map(|domain| entries.get(domain).cloned()).collect());
            }
            tokio::time::sleep(self.pause(attempt)?).await;
        }
        Err(StoreError::Unavailable { detail: "a record is written all the time".to_owned() })
    }

    /// Whether each domain left the trace of a removed one, in order.
    pub(super) async fn find_traces(
        &self,
        domains: &[DomainName],
    ) -> Result<Vec<bool>, StoreError> {
        if domains.len() > LOAD_MAX {
            return Err(StoreError::Bug { detail: format!("{} domains at once", domains.len()) });
        }
        let unique: HashSet<&DomainName> = domains.iter().collect();
        let keys = unique.into_iter().map(keys::record_key).collect();
        let found = self.batch(keys, Patience::Background).await?;
        let gone: HashSet<&str> = found
            .iter()
            .filter(|item| item.contains_key(attribute::GONE))
            .filter_map(|item| item::read_text(item, attribute::PK).ok())
            .collect();
        let pks = domains.iter().map(keys::domain_pk);
        Ok(pks.map(|pk| gone.contains(pk.as_str())).collect())
    }

    /// Items by key, strongly consistent, in no order. At most [`BATCH_KEYS_MAX`].
    pub(super) async fn batch(
        &self,
        keys: Vec<Item>,
        patience: Patience,
    ) -> Result<Vec<Item>, StoreError> {
        if keys.is_empty() {
            return Ok(Vec::new());
        }
        if keys.len() > BATCH_KEYS_MAX {
            return Err(StoreError::Bug { detail: format!("{} keys in a batch", keys.len()) });
        }
        let client = self.client(patience);
        let mut found = Vec::with_capacity(keys.len());
        let request = KeysAndAttributes::builder().set_keys(Some(keys)).consistent_read(true);
        let mut left =
            Some(HashMap::from([(self.table.clone(), request.build().map_err(incomplete)?)]));
        for attempt in 1..=BATCH_ATTEMPTS {
            let answer = client
                .batch_get_item()
                .set_request_items(left.take())
                .send()
                .await
                .map_err(|error| translate("BatchGetItem", &error))?;
            for (_, items) in answer.responses.unwrap_or_default() {
                found.extend(items);
            }
            left = answer.unprocessed_keys.filter(|left| !left.is_empty());
            if left.is_none() {
                return Ok(found);
            }
            tokio::time::sleep(self.pause(attempt)?).await;
        }
        Err(StoreError::Unavailable { detail: "BatchGetItem: keys are left over".to_owned() })
    }

    /// A domain's record item, or the trace of a removed one.
    pub(super) async fn record_item(
        &self,
        domain: &DomainName,
    ) -> Result<Option<Item>, StoreError> {
        self.get(keys::record_key(domain), Patience::Background).await
    }

    /// One item, strongly consistent.
    pub(super) async fn get(
        &self,
        key: Item,
        patience: Patience,
    ) -> Result<Option<Item>, StoreError> {
        let answer = self
            .client(patience)
            .get_item()
            .table_name(&self.table)
            .set_key(Some(key))
            .consistent_read(true)
            .send()
            .await
            .map_err(|error| translate("GetItem", &error))?;
        Ok(answer.item)
    }

    pub(super) async fn find_challenge(
        &self,
        token: &ChallengeToken,
    ) -> Result<Option<Challenge>, StoreError> {
        let Some(found) = self.get(keys::challenge_key(token), Patience::Handshake).await? else {
            return Ok(None);
        };
        let challenge = item::read_challenge(token, &found)?;
        // The table collects garbage days late.
        Ok((challenge.expires_at > self.clock.now()).then_some(challenge))
    }

    pub(super) async fn find_account(&self, issuer: &str) -> Result<Option<SealedKey>, StoreError> {
        let found = self.get(keys::account_key(issuer), Patience::Background).await?;
        found.as_ref().map(item::read_sealed).transpose()
    }

    pub(super) async fn find_events(
        &self,
        domain: &DomainName,
        limit: usize,
    ) -> Result<Vec<LifecycleEvent>, StoreError> {
        let limit = limit.min(EVENTS_MAX);
        let mut events = Vec::new();
        let mut start = None;
        while events.len() < limit {
            let page = i32::try_from(limit - events.len()).unwrap_or(i32::MAX);
            let answer = self
                .background
                .query()
                .table_name(&self.table)
                .key_condition_expression("#pk = :pk AND begins_with(#sk, :events)")
                .filter_expression("#ttl > :now")
                .expression_attribute_names("#pk", attribute::PK)
                .expression_attribute_names("#sk", attribute::SK)
                .expression_attribute_names("#ttl", attribute::TTL)
                .expression_attribute_values(":pk", text(keys::domain_pk(domain)))
                .expression_attribute_values(":events", text(EVENT_PREFIX))
                .expression_attribute_values(":now", number(self.clock.now().secs()))
                .scan_index_forward(false)
                .limit(page)
                .set_exclusive_start_key(start.take())
                .send()
                .await
                .map_err(|error| translate("Query", &error))?;
            for found in answer.items.unwrap_or_default() {
                events.push(item::read_event(&found)?);
            }
            start = answer.last_evaluated_key.filter(|key| !key.is_empty());
            if start.is_none() {
                break;
            }
        }
        Ok(events)
    }

    pub(super) fn client(&self, patience: Patience) -> &Client {
        match patience {
            Patience::Handshake => &self.handshake,
            Patience::Background => &self.background,
        }
    }
}

enum Assembled {
    Entry(Box<Entry>),
    Nothing,
    /// Record and certificate are of different writes.
    Torn,
}

fn assemble(domain: &DomainName, found: &[Item]) -> Result<Assembled, StoreError> {
    let pk = keys::domain_pk(domain);
    let of_kind = |sk: &str| {
        found.iter().find(|item| {
            item::read_text(item, attribute::PK).is_ok_and(|found| found == pk)
                && item::read_text(item, attribute::SK).is_ok_and(|found| found == sk)
        })
    };
    let record = of_kind(keys::META).map(item::read_record).transpose()?.flatten();
    let certificate = of_kind(keys::CERTIFICATE).map(item::read_certificate).transpose()?;
    let Some((stored, expected)) = record else {
        return Ok(if certificate.is_some() { Assembled::Torn } else { Assembled::Nothing });
    };
    if certificate.as_ref().map(|(_, version)| *version) != expected {
        return Ok(Assembled::Torn);
    }
    let certificate = certificate.map(|(certificate, _)| certificate);
    Ok(Assembled::Entry(Box::new(Entry { stored, certificate })))
}
