//! Pages of a listing, by the indexes. Never a scan.
//!
//! An index lags behind the table, so it only names candidates: each page's records are read
//! from the table and checked again.

use aws_sdk_dynamodb::types::AttributeValue;
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use sealwax_core::Timestamp;
use sealwax_core::record::{DomainRecord, DomainState};
use sealwax_core::store::{NAMES_PAGE, NamePage, Page, Selection, StoreError};
use sealwax_protocol::DomainName;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::error::translate;
use super::keys::{
    self, DUE, DUE_SHARDS, Index, Item, LIST_SHARDS, LISTING, STATE, TENANT, TENANT_SHARDS,
    attribute, number, shard_value, spread, text,
};
use super::{DynamoStore, Patience, item};

/// Most index pages behind one listing page: bounds the time of a call. A page may then be short
/// although its cursor says that there is more.
const INDEX_PAGES_MAX: usize = 64;
/// Most records of one index page: they are read in one batch.
const INDEX_PAGE: usize = 100;
/// Most records in one page.
const PAGE_MAX: usize = 1_000;

/// One item collection of an index, perhaps a part of it.
pub(super) struct Part {
    pub(super) index: Index,
    pub(super) hash: String,
    pub(super) range: Range,
}

pub(super) enum Range {
    All,
    /// Only what sorts before this moment.
    Before(Timestamp),
    /// Only what starts with this.
    Prefix(String),
}

/// Where a listing goes on. Opaque to callers.
#[derive(Serialize, Deserialize)]
struct Cursor {
    /// For which selection: with another one it would skip and repeat.
    of: u64,
    /// In which part.
    part: usize,
    /// After which entry: `pk`, and the index's sort key if that is another attribute.
    after: Option<(String, Option<String>)>,
}

/// A page of an index's entries.
pub(super) struct Entries {
    pub(super) keys: Vec<Item>,
    pub(super) next: Option<Item>,
}

impl DynamoStore {
    pub(super) async fn find_page(
        &self,
        selection: &Selection,
        limit: usize,
        cursor: Option<&str>,
    ) -> Result<Page, StoreError> {
        let limit = limit.clamp(1, PAGE_MAX);
        let of = spread(&format!("{selection:?}"));
        let parts = plan(selection);
        let mut at = match cursor {
            Some(text) => from_text(text)
                .filter(|cursor: &Cursor| cursor.of == of)
                .ok_or_else(foreign_cursor)?,
            None => Cursor { of, part: 0, after: None },
        };
        let mut records = Vec::new();
        for _ in 0..INDEX_PAGES_MAX {
            let Some(part) = parts.get(at.part) else {
                return Ok(Page { records, cursor: None });
            };
            let wanted = (limit - records.len()).min(INDEX_PAGE);
            let start = at.after.take().map(|after| part.start(after)).transpose()?;
            let entries = self.entries(part, wanted, start).await?;
            let found = self.records_of(&entries.keys).await?;
            records.extend(found.into_iter().filter(|record| selected(selection, record)));
            match entries.next {
                Some(next) => at.after = Some(part.after(&next)?),
                None => at.part += 1,
            }
            if records.len() >= limit {
                break;
            }
        }
        if at.part >= parts.len() {
            return Ok(Page { records, cursor: None });
        }
        Ok(Page { records, cursor: Some(to_text(&at)?) })
    }

    /// What the index alone says: no record is read.
    pub(super) async fn find_names(&self, cursor: Option<&str>) -> Result<NamePage, StoreError> {
        let all = Selection::default();
        let of = spread(&format!("names {all:?}"));
        let parts = plan(&all);
        let mut at = match cursor {
            Some(text) => from_text(text)
                .filter(|cursor: &Cursor| cursor.of == of)
                .ok_or_else(foreign_cursor)?,
            None => Cursor { of, part: 0, after: None },
        };
        let mut domains = Vec::new();
        while domains.len() < NAMES_PAGE {
            let Some(part) = parts.get(at.part) else {
                return Ok(NamePage { domains, cursor: None });
            };
            let start = at.after.take().map(|after| part.start(after)).transpose()?;
            let entries = self.entries(part, NAMES_PAGE, start).await?;
            for entry in &entries.keys {
                domains.extend(domain_of(entry)?);
            }
            match entries.next {
                Some(next) => at.after = Some(part.after(&next)?),
                None => at.part += 1,
            }
        }
        Ok(NamePage { domains, cursor: Some(to_text(&at)?) })
    }

    /// The issuers that have an account.
    pub(super) async fn find_accounts(&self) -> Result<Vec<String>, StoreError> {
        let part = Part { index: LISTING, hash: keys::ACCOUNTS.to_owned(), range: Range::All };
        let mut issuers = Vec::new();
        let mut start = None;
        loop {
            let entries = self.entries(&part, INDEX_PAGE, start.take()).await?;
            for entry in &entries.keys {
                let pk = item::read_text(entry, attribute::PK)?;
                issuers.extend(keys::issuer_of(pk).map(str::to_owned));
            }
            start = entries.next;
            if start.is_none() {
                return Ok(issuers);
            }
        }
    }

    /// The records behind index entries, in the entries' order; without those that are gone.
    async fn records_of(&self, entries: &[Item]) -> Result<Vec<DomainRecord>, StoreError> {
        let mut domains = Vec::new();
        for entry in entries {
            domains.extend(domain_of(entry)?);
        }
        let wanted = domains.iter().map(keys::record_key).collect();
        let mut found = std::collections::HashMap::new();
        for stored in self.batch(wanted, Patience::Background).await? {
            if let Some((stored, _)) = item::read_record(&stored)? {
                found.insert(stored.record.domain.clone(), stored.record);
            }
        }
        Ok(domains.iter().filter_map(|domain| found.remove(domain)).collect())
    }

    pub(super) async fn entries(
        &self,
        part: &Part,
        limit: usize,
        start: Option<Item>,
    ) -> Result<Entries, StoreError> {
        let mut query = self
            .background
            .query()
            .table_name(&self.table)
            .index_name(part.index.name)
            .expression_attribute_names("#hash", part.index.hash)
            .expression_attribute_values(":hash", text(&part.hash))
            .limit(i32::try_from(limit).unwrap_or(i32::MAX))
            .set_exclusive_start_key(start);
        query = match &part.range {
            Range::All => query.key_condition_expression("#hash = :hash"),
            Range::Before(moment) => query
                .key_condition_expression("#hash = :hash AND #range < :range")
                .expression_attribute_names("#range", part.index.range)
                .expression_attribute_values(":range", number(moment.millis())),
            Range::Prefix(prefix) => query
                .key_condition_expression("#hash = :hash AND begins_with(#range, :range)")
                .expression_attribute_names("#range", part.index.range)
                .expression_attribute_values(":range", text(prefix)),
        };
        let answer = query.send().await.map_err(|error| translate("Query", &error))?;
        Ok(Entries {
            keys: answer.items.unwrap_or_default(),
            next: answer.last_evaluated_key.filter(|key| !key.is_empty()),
        })
    }
}

impl Part {
    /// The key to start after.
    pub(super) fn start(&self, (pk, range): (String, Option<String>)) -> Result<Item, StoreError> {
        let mut start = keys::key(pk, keys::META);
        start.insert(self.index.hash.to_owned(), text(&self.hash));
        if self.index.range != attribute::PK {
            let range = range.ok_or_else(foreign_cursor)?;
            let value =
                if self.index.range_is_number { AttributeValue::N(range) } else { text(range) };
            start.insert(self.index.range.to_owned(), value);
        }
        Ok(start)
    }

    pub(super) fn after(&self, key: &Item) -> Result<(String, Option<String>), StoreError> {
        let pk = item::read_text(key, attribute::PK)?.to_owned();
        let range = match key.get(self.index.range) {
            _ if self.index.range == attribute::PK => None,
            Some(AttributeValue::S(value) | AttributeValue::N(value)) => Some(value.clone()),
            _ => return Err(item::unreadable(key, "an index entry without its key".to_owned())),
        };
        Ok((pk, range))
    }
}

/// Which item collections hold what is selected: the narrowest index there is.
fn plan(selection: &Selection) -> Vec<Part> {
    let all = |index: Index, prefix: &str, shards: u64| {
        (0..shards)
            .map(|shard| Part { index, hash: shard_value(prefix, shard), range: Range::All })
            .collect()
    };
    match (selection.due_before, &selection.tenant, selection.state) {
        (Some(moment), _, _) => (0..DUE_SHARDS)
            .map(|shard| Part {
                index: DUE,
                hash: shard_value("due", shard),
                range: Range::Before(moment),
            })
            .collect(),
        (None, Some(tenant), state) => (0..TENANT_SHARDS)
            .map(|shard| Part {
                index: TENANT,
                hash: shard_value(tenant, shard),
                range: state.map_or(Range::All, |state| {
                    Range::Prefix(format!("{}#", DomainState::as_str(state)))
                }),
            })
            .collect(),
        (None, None, Some(state)) => all(STATE, state.as_str(), LIST_SHARDS),
        (None, None, None) => all(LISTING, "all", LIST_SHARDS),
    }
}

/// The record itself decides, not the index.
pub(crate) fn selected(selection: &Selection, record: &DomainRecord) -> bool {
    !record.removed
        && selection.state.is_none_or(|state| record.state() == state)
        && selection
            .tenant
            .as_ref()
            .is_none_or(|tenant| record.registration.tenant.as_ref() == Some(tenant))
        && selection
            .due_before
            .is_none_or(|moment| record.scheduled_at().is_some_and(|at| at < moment))
}

pub(super) fn domain_of(entry: &Item) -> Result<Option<DomainName>, StoreError> {
    Ok(keys::domain_of(item::read_text(entry, attribute::PK)?))
}

pub(super) fn to_text(cursor: &impl Serialize) -> Result<String, StoreError> {
    let json = serde_json::to_vec(cursor)
        .map_err(|error| StoreError::Bug { detail: format!("a cursor as JSON: {error}") })?;
    Ok(BASE64_URL_SAFE_NO_PAD.encode(json))
}

pub(super) fn from_text<T: DeserializeOwned>(text: &str) -> Option<T> {
    serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(text).ok()?).ok()
}

/// Not ours, or of another listing.
pub(crate) fn foreign_cursor() -> StoreError {
    StoreError::Bug { detail: "the cursor is not of this listing".to_owned() }
}
