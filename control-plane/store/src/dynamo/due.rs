//! What is due: the shards of its index side by side, each from its oldest entry on.

use futures::future::try_join_all;
use sealwax_core::Timestamp;
use sealwax_core::store::{DuePage, StoreError};
use sealwax_protocol::DomainName;
use serde::{Deserialize, Serialize};

use super::keys::{DUE, DUE_SHARDS, attribute, shard_value};
use super::listing::{Part, Range, domain_of, foreign_cursor, from_text, to_text};
use super::{DynamoStore, item};

/// Most domains one page of what is due names.
const DUE_MAX: usize = 10_000;

/// Where a walk over what is due stands in each shard, and whose turn is next: a page that has not
/// room for all shards goes on where the one before ended, so that none waits for the others' end.
#[derive(Serialize, Deserialize)]
struct Walk {
    turn: usize,
    shards: Vec<At>,
}

#[derive(PartialEq, Eq, Serialize, Deserialize)]
enum At {
    Start,
    /// After this entry: `pk`, and the index's sort key.
    After((String, Option<String>)),
    End,
}

impl DynamoStore {
    pub(super) async fn find_due(
        &self,
        now: Timestamp,
        limit: usize,
        cursor: Option<&str>,
    ) -> Result<DuePage, StoreError> {
        let limit = limit.clamp(1, DUE_MAX);
        let mut walk = cursor.map_or_else(|| Ok(Walk::start()), Walk::read)?;
        let shards = walk.next(limit);
        let each = limit / shards.len().max(1);
        let found = shards.into_iter().map(|(at, shard)| self.due_in_shard(shard, at, now, each));
        let mut due: Vec<_> = try_join_all(found).await?.into_iter().flatten().collect();
        due.sort_by_key(|(at, _)| *at);
        let domains = due.into_iter().map(|(_, domain)| domain).collect();
        Ok(DuePage { domains, cursor: walk.write()? })
    }

    async fn due_in_shard(
        &self,
        shard: u64,
        at: &mut At,
        now: Timestamp,
        limit: usize,
    ) -> Result<Vec<(u64, DomainName)>, StoreError> {
        // Entries of this very moment are due, the range ends before the next one.
        let range = Range::Before(Timestamp::from_millis(now.millis().saturating_add(1)));
        let part = Part { index: DUE, hash: shard_value("due", shard), range };
        let mut due = Vec::new();
        let mut start = match at {
            At::Start => None,
            At::After(key) => Some(part.start(key.clone())?),
            At::End => return Ok(due),
        };
        loop {
            let entries = self.entries(&part, limit - due.len(), start.take()).await?;
            for entry in &entries.keys {
                let at = item::read_number(entry, attribute::DUE_AT)?;
                due.extend(domain_of(entry)?.map(|domain| (at, domain)));
            }
            let Some(next) = entries.next else {
                *at = At::End;
                return Ok(due);
            };
            if due.len() >= limit {
                *at = At::After(part.after(&next)?);
                return Ok(due);
            }
            start = Some(next);
        }
    }
}

impl Walk {
    fn start() -> Self {
        Self { turn: 0, shards: (0..DUE_SHARDS).map(|_| At::Start).collect() }
    }

    /// So many shards at most that are not at their end, from the one on whose turn it is.
    fn next(&mut self, limit: usize) -> Vec<(&mut At, u64)> {
        let (turn, count) = (self.turn, self.shards.len().max(1));
        let mut open: Vec<_> = self.shards.iter_mut().zip(0..DUE_SHARDS).enumerate().collect();
        open.rotate_left(turn % count);
        open.retain(|(_, (at, _))| **at != At::End);
        open.truncate(limit);
        self.turn = open.last().map_or(0, |(index, _)| (index + 1) % count);
        open.into_iter().map(|(_, shard)| shard).collect()
    }

    fn read(text: &str) -> Result<Self, StoreError> {
        let walk: Option<Self> = from_text(text);
        walk.filter(|walk| walk.shards.len() == Self::start().shards.len())
            .ok_or_else(foreign_cursor)
    }

    /// `None`: it is at its end.
    fn write(&self) -> Result<Option<String>, StoreError> {
        let ended = self.shards.iter().all(|at| *at == At::End);
        (!ended).then(|| to_text(self)).transpose()
    }
}
