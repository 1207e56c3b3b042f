//! Many changes in few transactions. An import is then one sync of the file for each transaction
//! instead of one for each domain; on AWS it costs the same and takes fewer requests.

use std::collections::HashSet;

use aws_sdk_dynamodb::types::TransactWriteItem;
use sealwax_core::store::{
    CertificateChange, Change, Expected, RecordVersion, StoreError, WRITE_ALL_MAX,
};

use super::write::{Outcome, check};
use super::{DynamoStore, keys, random_id};

/// Most items in one transaction (TransactWriteItems).
const ITEMS_MAX: usize = 100;

/// What became of one change.
pub(super) type Written = Result<RecordVersion, StoreError>;

impl DynamoStore {
    /// Makes changes of different domains, each on its own terms: one that loses takes none of the
    /// others with it.
    pub(super) async fn change_all(&self, changes: Vec<Change>) -> Vec<Written> {
        let mut written = Vec::with_capacity(changes.len());
        let mut rest = changes.as_slice();
        while let Some(group) = rest.get(..group(rest)).filter(|group| !group.is_empty()) {
            rest = rest.get(group.len()..).unwrap_or_default();
            match self.change_together(group).await {
                Some(together) => written.extend(together),
                None => {
                    for change in group {
                        written.push(self.change(change, tell(change)).await);
                    }
                }
            }
        }
        written
    }

    /// `None`: nothing is done, and each has to be tried by itself to see which one is in the way.
    async fn change_together(&self, group: &[Change]) -> Option<Vec<Written>> {
        let (first, _) = group.split_first().filter(|(_, others)| !others.is_empty())?;
        let write_id = random_id().ok()?;
        let mut items = Vec::new();
        let mut versions = Vec::new();
        for change in group {
            check(change).ok()?;
            let key = keys::record_key(&change.record.domain);
            let item = TransactWriteItem::builder();
            let (version, item) = match change.expected {
                Expected::Absent => {
                    let record = self.record(change, 1, None, &write_id).ok()?;
                    (1, item.put(record.into_put(&self.table, key).ok()?))
                }
                Expected::Version(RecordVersion(version)) => {
                    let record = self.record(change, version + 1, None, &write_id).ok()?;
                    (version + 1, item.update(record.into_update(&self.table, key).ok()?))
                }
            };
            items.push(item.build());
            items.extend(self.others(change, version).ok()?);
            if tell(change) {
                // One key for each: a group's entries differ by more than their stamp.
                let entry_id = random_id().ok()?;
                let entry = self.log.entry(self, &change.record.domain, &entry_id).await.ok()?;
                items.extend(entry.map(|entry| self.put(entry)).transpose().ok()?);
            }
            versions.push(RecordVersion(version));
        }
        // All or nothing: what became of the first became of all.
        let outcome = self.transaction(&first.record.domain, items, &write_id).await;
        if matches!(outcome, Ok(Outcome::Refused(_))) {
            return None;
        }
        for change in group.iter().filter(|change| tell(change)) {
            self.log.announced(&change.record.domain);
        }
        match outcome {
            Ok(_) => Some(versions.into_iter().map(Ok).collect()),
            Err(StoreError::Unavailable { detail }) => {
                let away = |_| Err(StoreError::Unavailable { detail: detail.clone() });
                Some(versions.into_iter().map(away).collect())
            }
            Err(_) => None,
        }
    }
}

/// Replicas are told of it.
pub(super) fn tell(change: &Change) -> bool {
    change.announce || change.certificate != CertificateChange::Keep
}

/// How many of the first changes fit one transaction: it has room for so many items, and none
/// twice.
fn group(changes: &[Change]) -> usize {
    let mut domains = HashSet::new();
    let mut items = 0;
    let fits = changes.iter().take(WRITE_ALL_MAX).take_while(|change| {
        items += most_items(change);
        items <= ITEMS_MAX && domains.insert(&change.record.domain)
    });
    fits.count().max(usize::from(!changes.is_empty()))
}

/// How many items a change writes at most: the record, and what goes with it.
fn most_items(change: &Change) -> usize {
    let others = [
        tell(change),
        change.certificate != CertificateChange::Keep,
        change.publish.is_some(),
        change.withdraw.is_some(),
    ];
    1 + others.into_iter().filter(|written| *written).count() + change.events.len()
}
