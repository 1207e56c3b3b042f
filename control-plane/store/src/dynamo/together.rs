//! Many changes in few transactions. An import is then one sync of the file for each transaction
//! instead of one for each domain; on AWS it costs the same and takes fewer requests.

use std::collections::HashSet;

use aws_sdk_dynamodb::types::TransactWriteItem;
use sealwax_core::store::{
    CertificateChange, Change, Expected, RecordVersion, StoreError, WRITE_ALL_MAX,
};

use super::write::{Outcome, check};
use super::{DynamoStore, random_id};

/// Most items in one transaction (TransactWriteItems).
const ITEMS_MAX: usize = 100;

type Written = Result<RecordVersion, StoreError>;

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
            let version = match change.expected {
                Expected::Absent => 1,
                Expected::Version(RecordVersion(version)) => version + 1,
            };
            let (update, others) = self.items(change, version, None, &write_id).ok()?;
            items.push(TransactWriteItem::builder().update(update).build());
            items.extend(others);
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

fn tell(change: &Change) -> bool {
    change.announce || change.certificate != CertificateChange::Keep
}

/// How many of the first changes fit one transaction: it has room for so many items, and none
/// twice.
fn group(changes: &[Change]) -> usize {
    let mut domains = HashSet::new();
    let mut items = 0;
    let fits = changes.iter().take(WRITE_ALL_MAX).take_while(|change| {
        // Record, certificate, challenge published and withdrawn, announcement, events.
        items += 5 + change.events.len();
        items <= ITEMS_MAX && domains.insert(&change.record.domain)
    });
    fits.count().max(usize::from(!changes.is_empty()))
}
