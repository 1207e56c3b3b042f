//! How every replica hears of a change: a sharded log in the table, read by time stamp.
//!
//! Clocks differ by minutes, so stamps are hybrid: a writer takes its clock or the newest stamp
//! of the shard, whichever is later, and knows that newest stamp as it was at most [`HEAD_FRESH`]
//! ago. A write that ends now has therefore a stamp no earlier than the newest one of a write's
//! length ago, however far clocks make stamps jump in between. Readers use just that: they read
//! from what was the newest stamp at least an overlap ago on their own monotonic clock, and their
//! cursor carries what they were already told of it.

use std::collections::HashSet;
use std::sync::Mutex;
use std::time::Duration;

use aws_sdk_dynamodb::operation::query::builders::QueryFluentBuilder;
use futures::future::try_join_all;
use sealwax_core::store::{ChangeBatch, ChangeCursor, Changed, StoreError};
use sealwax_core::{Span, Timestamp};
use sealwax_protocol::DomainName;
use tokio::time::Instant;

use super::error::translate;
use super::keys::{
    self, Item, LOG_SHARDS, attribute, log_pk, log_sk, number, shard_of, spread, text,
};
use super::{DynamoStore, Patience, item};

/// How long an entry is kept.
const ENTRY_LIFE: Span = Span::from_secs(6 * 3_600);
/// A reader that was away longer than this is told to read everything anew.
const RESYNC_AFTER: Span = Span::from_secs(3 * 3_600);
/// The overlap, in lengths of the longest background call: a write takes two at most, since no
/// attempt is begun after the first; the rest is for [`HEAD_FRESH`] and reads that lag.
const OVERLAP_CALLS: u32 = 3;
/// How far before the newest stamp a new reader starts: it cannot know what the newest one was a
/// while ago, so this covers as much skew as writers may have when it comes.
const START_REACH: Span = Span::from_secs(600);
/// How long the newest stamp known of a shard may be trusted.
const HEAD_FRESH: Duration = Duration::from_secs(2);
/// Most pages of one shard that one reading takes, once it found something new.
const PAGES_MAX: usize = 8;
/// What a cursor of this layout starts with.
const CURSOR_LAYOUT: u64 = 2;

/// What this process knows of the log's newest stamps.
#[derive(Debug)]
pub(crate) struct SharedLog {
    heads: Mutex<[Head; LOG_SHARDS]>,
    /// Tells the cursors of this process from others: their time is not ours.
    run: u64,
    began: Instant,
    overlap: Duration,
}

#[derive(Clone, Copy, Debug, Default)]
struct Head {
    stamp: u64,
    known: Option<Instant>,
}

/// A cursor, taken apart.
struct Place {
    /// Wall time of the last poll.
    polled_at: u64,
    /// When `later` was taken, in milliseconds since the process began.
    turned_at: u64,
    /// From where each shard is read: its newest stamp of at least one overlap ago.
    floors: Vec<u64>,
    /// What becomes the floors when they are an overlap old.
    later: Vec<u64>,
    /// What was told of what is not before the floors.
    seen: HashSet<u64>,
}

/// One entry of the log.
struct LogEntry {
    stamp: u64,
    mark: u64,
    domain: DomainName,
}

impl SharedLog {
    /// The log as the process with this number reads it; `call` is the longest a background call
    /// takes.
    pub(crate) fn new(run: u64, call: Duration) -> Self {
        let heads = Mutex::default();
        Self { heads, run, began: Instant::now(), overlap: call * OVERLAP_CALLS }
    }

    /// The item that announces a change of this domain.
    pub(crate) async fn entry(
        &self,
        store: &DynamoStore,
        domain: &DomainName,
        write_id: &str,
    ) -> Result<Item, StoreError> {
        let shard = shard_index(domain);
        let head = match self.fresh(shard) {
            Some(head) => head,
            None => {
                let head = newest(store, shard, Patience::Background).await?;
                self.learn(shard, head);
                head
            }
        };
        let stamp = store.clock.now().millis().max(head);
        let mut entry = keys::key(log_pk(shard), log_sk(stamp, write_id));
        entry.insert(attribute::DOMAIN.to_owned(), text(domain.as_str()));
        let life = Timestamp::from_millis(stamp) + ENTRY_LIFE;
        entry.insert(attribute::TTL.to_owned(), number(life.secs()));
        Ok(entry)
    }

    /// What was announced since the cursor.
    pub(crate) async fn since(
        &self,
        store: &DynamoStore,
        given: &ChangeCursor,
    ) -> Result<ChangeBatch, StoreError> {
        let now = store.clock.now().millis();
        let place = self
            .read_cursor(given)
            .filter(|place| now.abs_diff(place.polled_at) < RESYNC_AFTER.millis());
        if let Some(place) = place {
            let (changed, cursor) = self.poll(store, now, place).await?;
            return Ok(ChangeBatch { changed, cursor, resync: false });
        }
        let starts = (0..LOG_SHARDS).map(|shard| newest(store, shard, Patience::Handshake));
        let later = try_join_all(starts).await?;
        let floors = later.iter().map(|stamp| stamp.saturating_sub(START_REACH.millis())).collect();
        let turned_at = self.elapsed();
        let seen = HashSet::new();
        let place = Place { polled_at: now, turned_at, floors, later, seen };
        // What is in reach was before now: it is marked as told, and not told.
        let (_, cursor) = self.poll(store, now, place).await?;
        Ok(ChangeBatch { changed: Vec::new(), cursor, resync: !given.0.is_empty() })
    }

    async fn poll(
        &self,
        store: &DynamoStore,
        now: u64,
        place: Place,
    ) -> Result<(Vec<Changed>, ChangeCursor), StoreError> {
        let Place { turned_at, floors, later, seen, .. } = place;
        let elapsed = self.elapsed();
        let overlap = u64::try_from(self.overlap.as_millis()).unwrap_or(u64::MAX);
        let turn = elapsed.saturating_sub(turned_at) >= overlap;
        let reads = floors.iter().enumerate();
        let reads = reads.map(|(shard, floor)| read_shard(store, shard, *floor, &seen));
        let found = try_join_all(reads).await?;
        let (mut next_floors, mut next_later) = (Vec::new(), Vec::new());
        let (mut told, mut fresh) = (Vec::new(), Vec::new());
        let bounds = floors.into_iter().zip(later);
        for (shard, (read, (floor, later))) in found.into_iter().zip(bounds).enumerate() {
            let stamps = read.entries.iter().map(|entry| entry.stamp);
            let head = stamps.max().unwrap_or(0).max(later);
            if read.complete {
                self.learn(shard, head);
            }
            let floor = if turn { later } else { floor };
            next_floors.push(floor);
            next_later.push(if turn { head } else { later });
            for entry in read.entries {
                if entry.stamp >= floor {
                    told.push(entry.mark);
                }
                if !seen.contains(&entry.mark) {
                    fresh.push((entry.stamp, entry.domain));
                }
            }
        }
        let turned_at = if turn { elapsed } else { turned_at };
        let mut cursor = vec![CURSOR_LAYOUT, self.run, now, turned_at];
        cursor.append(&mut next_floors);
        cursor.append(&mut next_later);
        cursor.append(&mut told);
        fresh.sort_by_key(|(stamp, _)| *stamp);
        let changed = fresh.into_iter().map(|(_, domain)| Changed { domain }).collect();
        Ok((changed, ChangeCursor(cursor)))
    }

    fn elapsed(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    fn read_cursor(&self, cursor: &ChangeCursor) -> Option<Place> {
        let ([layout, run, polled_at, turned_at], rest) = cursor.0.split_first_chunk::<4>()?;
        let (floors, rest) = rest.split_at_checked(LOG_SHARDS)?;
        let (later, seen) = rest.split_at_checked(LOG_SHARDS)?;
        (*layout == CURSOR_LAYOUT && *run == self.run).then(|| Place {
            polled_at: *polled_at,
            turned_at: *turned_at,
            floors: floors.to_vec(),
            later: later.to_vec(),
            seen: seen.iter().copied().collect(),
        })
    }

    fn fresh(&self, shard: usize) -> Option<u64> {
        let heads = self.heads.lock().ok()?;
        let head = heads.get(shard)?;
        head.known.filter(|known| known.elapsed() < HEAD_FRESH).map(|_| head.stamp)
    }

    fn learn(&self, shard: usize, stamp: u64) {
        // A lock poisoned by a panic elsewhere only costs the shortcut.
        if let Ok(mut heads) = self.heads.lock()
            && let Some(head) = heads.get_mut(shard)
        {
            *head = Head { stamp: head.stamp.max(stamp), known: Some(Instant::now()) };
        }
    }
}

/// What was read of a shard.
struct Read {
    entries: Vec<LogEntry>,
    /// To its end, so the newest entry is among them.
    complete: bool,
}

/// The entries of a shard from a stamp on. Stops early only after something new was found.
async fn read_shard(
    store: &DynamoStore,
    shard: usize,
    from: u64,
    seen: &HashSet<u64>,
) -> Result<Read, StoreError> {
    let mut entries = Vec::new();
    let mut start = None;
    let mut pages = 0;
    loop {
        let answer = shard_query(store, shard, Patience::Handshake)
            .key_condition_expression("#pk = :pk AND #sk >= :from")
            .expression_attribute_names("#sk", attribute::SK)
            .expression_attribute_values(":from", text(log_sk(from, "")))
            .set_exclusive_start_key(start.take())
            .send()
            .await
            .map_err(|error| translate("Query", &error))?;
        for found in answer.items.unwrap_or_default() {
            let sk = item::read_text(&found, attribute::SK)?;
            if let Some(stamp) = keys::log_stamp(sk) {
                let mark = spread(sk);
                entries.push(LogEntry { stamp, mark, domain: item::read_domain(&found)? });
            }
        }
        pages += 1;
        start = answer.last_evaluated_key.filter(|key| !key.is_empty());
        let enough = pages >= PAGES_MAX && entries.iter().any(|e| !seen.contains(&e.mark));
        if start.is_none() || enough {
            return Ok(Read { entries, complete: start.is_none() });
        }
    }
}

/// The newest stamp of a shard, strongly consistent; 0 if it is empty.
async fn newest(store: &DynamoStore, shard: usize, patience: Patience) -> Result<u64, StoreError> {
    let answer = shard_query(store, shard, patience)
        .key_condition_expression("#pk = :pk")
        .scan_index_forward(false)
        .consistent_read(true)
        .limit(1)
        .send()
        .await
        .map_err(|error| translate("Query", &error))?;
    let newest = answer.items.unwrap_or_default().into_iter().next();
    let Some(newest) = newest else { return Ok(0) };
    Ok(keys::log_stamp(item::read_text(&newest, attribute::SK)?).unwrap_or(0))
}

fn shard_query(store: &DynamoStore, shard: usize, patience: Patience) -> QueryFluentBuilder {
    store
        .client(patience)
        .query()
        .table_name(&store.table)
        .expression_attribute_names("#pk", attribute::PK)
        .expression_attribute_values(":pk", text(log_pk(shard)))
}

fn shard_index(domain: &DomainName) -> usize {
    let shards = u64::try_from(LOG_SHARDS).unwrap_or(1);
    usize::try_from(shard_of(domain.as_str(), shards)).unwrap_or(0)
}
