//! The process at work on the campaign: a round a second.

use std::collections::VecDeque;
use std::sync::Arc;

use sealwax_core::campaign::{Campaign, CampaignState, Phase, Standing};
use sealwax_core::store::{Change, Expected, LOAD_MAX, StoreError, WRITE_ALL_MAX};
use sealwax_core::{DomainRecord, Lease, Span, Timestamp};
use sealwax_protocol::DomainName;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::pace::Pace;
use super::{Campaigns, Popularity};
use crate::queue::Queue;
use crate::run::Ask;
use crate::step::event;
use sealwax_core::Lane;

/// How long a round takes at least.
const ROUND: Span = Span::from_secs(1);
/// How often the store is asked for a campaign while there is none to work on: one read.
const LOOK: Span = Span::from_secs(10);
/// Names that are asked for first because edges see them most.
const BUSIEST_MAX: usize = 20_000;
/// Records of a page of the listing. One page a round is counted.
const PAGE: usize = 200;
/// Pages and batches of records looked at in a round to find names to ask for.
const LOOKS_MAX: usize = 20;

/// How a process works on campaigns.
#[derive(Clone, Debug)]
pub struct CampaignSettings {
    /// This process among all that ever use the store; new at each start.
    pub holder: String,
    /// How long a silent holder keeps the campaign.
    pub lease: Span,
}

/// What a process knows of the campaign at work; lost with it, and found again.
struct Worker {
    campaigns: Campaigns,
    queue: Queue,
    popularity: Arc<dyn Popularity>,
    settings: CampaignSettings,
    /// Another process's lease, and since when it is seen unchanged.
    foreign: Option<(Lease, Instant)>,
    ahead: Option<Ahead>,
    pace: Pace,
    lease_ids: u64,
}

/// The names of a phase that were not looked at yet, in their order.
struct Ahead {
    campaign: String,
    phase: Phase,
    names: VecDeque<DomainName>,
    /// The phase after them.
    next: Phase,
}

/// Works on the campaign, if there is one and no other process does, until told to stop.
pub async fn serve(
    campaigns: Campaigns,
    queue: Queue,
    popularity: Arc<dyn Popularity>,
    settings: CampaignSettings,
    stop: CancellationToken,
) {
    let steered = Arc::clone(&campaigns.steered);
    let mut worker = Worker {
        // Seeded by the start time, counted on: an id only differs from the one before.
        lease_ids: campaigns.clock.now().millis().wrapping_shl(16),
        campaigns,
        queue,
        popularity,
        settings,
        foreign: None,
        ahead: None,
        pace: Pace::new(),
    };
    loop {
        let wait = match worker.round().await {
            Ok(Soon::Next) => ROUND,
            Ok(Soon::Later) => LOOK.min(worker.settings.lease),
            Err(error) => {
                // What was taken from ahead may not have been written down.
                worker.ahead = None;
                if matches!(error, StoreError::Lost { .. }) {
                    ROUND
                } else {
                    tracing::debug!(%error, "the campaign waits for the store");
                    LOOK
                }
            }
        };
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(wait.duration()) => {}
            () = steered.notified(), if wait > ROUND => {}
        }
    }
}

/// When the next round is worth it.
enum Soon {
    Next,
    Later,
}

impl Worker {
    async fn round(&mut self) -> Result<Soon, StoreError> {
        let found = self.campaigns.find().await?;
        let Some((before, version)) = found.filter(|(campaign, _)| campaign.lives()) else {
            self.ahead = None;
            return Ok(Soon::Later);
        };
        if !self.may_work(&before) {
            return Ok(Soon::Later);
        }
        let now = self.campaigns.clock.now();
        let mut campaign = before.clone();
        let unasked = self.settle(&mut campaign, now).await?;
        let asked = if campaign.state == CampaignState::Running {
            self.count(&mut campaign).await?;
            self.next(&mut campaign, unasked).await?
        } else {
            Vec::new()
        };
        campaign.finish(now);
        if campaign.state == CampaignState::Paused && campaign == before {
            return Ok(if campaign.open.is_empty() { Soon::Later } else { Soon::Next });
        }
        campaign.lease = campaign.lives().then(|| self.lease());
        // Written down before it is done: whoever goes on asks those that were not asked.
        self.campaigns.put(&campaign, version).await?;
        if campaign.state == CampaignState::Finished {
            tracing::info!(
                campaign = campaign.id,
                replaced = campaign.replaced,
                failed = campaign.failed,
                gone = campaign.gone,
                "the campaign is finished"
            );
        }
        self.ask(&campaign, &asked, now).await?;
        Ok(if campaign.lives() { Soon::Next } else { Soon::Later })
    }

    fn lease(&mut self) -> Lease {
        self.lease_ids = self.lease_ids.wrapping_add(1);
        let CampaignSettings { holder, lease } = &self.settings;
        Lease { holder: holder.clone(), id: self.lease_ids, duration: *lease }
    }

    /// Whether the campaign is this process's, or its holder fell silent: its lease was seen
    /// unchanged for its duration on this process's own clock.
    fn may_work(&mut self, campaign: &Campaign) -> bool {
        let foreign = campaign.lease.as_ref().filter(|lease| lease.holder != self.settings.holder);
        let Some(lease) = foreign.filter(|_| !self.campaigns.store.exclusive()) else {
            self.foreign = None;
            return true;
        };
        let now = Instant::now();
        match &self.foreign {
            Some((known, since)) if known == lease => {
                now.duration_since(*since) >= lease.duration.duration()
            }
            Some(_) | None => {
                self.foreign = Some((lease.clone(), now));
                false
            }
        }
    }

    /// Puts what became of the open names into the books. Returns those that were never asked.
    async fn settle(
        &self,
        campaign: &mut Campaign,
        now: Timestamp,
    ) -> Result<Vec<DomainName>, StoreError> {
        let open = campaign.open.iter().filter_map(|name| DomainName::parse(name).ok());
        let open: Vec<DomainName> = open.collect();
        let (mut unasked, mut outcomes) = (Vec::new(), Vec::with_capacity(open.len()));
        for some in open.chunks(LOAD_MAX) {
            let entries = self.campaigns.store.load(some).await?;
            for (name, entry) in some.iter().zip(entries) {
                let standing = entry
                    .map_or(Standing::Gone, |entry| campaign.standing(&entry.stored.record, now));
                if standing == Standing::Unasked {
                    unasked.push(name.clone());
                }
                outcomes.push((name.to_string(), standing));
            }
        }
        campaign.settle(outcomes);
        Ok(unasked)
    }

    /// Counts a page further.
    async fn count(&self, campaign: &mut Campaign) -> Result<(), StoreError> {
        if campaign.count.complete {
            return Ok(());
        }
        let selection = campaign.selector.selection();
        let cursor = campaign.count.cursor.take();
        let page = self.campaigns.store.list(&selection, PAGE, cursor.as_deref()).await?;
        let found = page.records.iter().filter(|record| campaign.covers(record)).count();
        campaign.count.found = campaign.count.found.saturating_add(found as u64);
        campaign.count.complete = page.cursor.is_none();
        campaign.count.cursor = page.cursor;
        Ok(())
    }

    /// Who is asked for in this round: those an earlier round did not come to, then new ones,
    /// which are put on the list of the open ones.
    async fn next(
        &mut self,
        campaign: &mut Campaign,
        unasked: Vec<DomainName>,
    ) -> Result<Vec<DomainName>, StoreError> {
        let allowed = self.pace.allowed(campaign.rate);
        let mut asked: Vec<_> = unasked.into_iter().take(allowed).collect();
        for _ in 0..LOOKS_MAX {
            let room = allowed.saturating_sub(asked.len()).min(campaign.capacity());
            if room == 0 || campaign.phase == Phase::Asked {
                break;
            }
            let some = self.ahead(campaign).await?;
            let entries = self.campaigns.store.load(&some).await?;
            let mut later = Vec::new();
            let mut room = room;
            for (name, entry) in some.into_iter().zip(entries) {
                if !entry.is_some_and(|entry| campaign.wants(&entry.stored.record)) {
                    continue;
                }
                if room == 0 {
                    later.push(name);
                } else if !campaign.open.iter().any(|open| *open == name.as_str()) {
                    room -= 1;
                    campaign.open.push(name.to_string());
                    asked.push(name);
                }
            }
            if let Some(ahead) = &mut self.ahead {
                later.into_iter().rev().for_each(|name| ahead.names.push_front(name));
            }
        }
        self.pace.spend(asked.len());
        Ok(asked)
    }

    /// The next names of the phase; none at the end of a page or a phase, after which the next
    /// one begins.
    async fn ahead(&mut self, campaign: &mut Campaign) -> Result<Vec<DomainName>, StoreError> {
        let known = self.ahead.take();
        let known =
            known.filter(|ahead| ahead.campaign == campaign.id && ahead.phase == campaign.phase);
        let mut ahead = match known {
            Some(ahead) => ahead,
            None => self.look_ahead(campaign).await?,
        };
        if ahead.names.is_empty() {
            campaign.phase = ahead.next;
            return Ok(Vec::new());
        }
        let some = ahead.names.len().min(LOAD_MAX);
        let some = ahead.names.drain(..some).collect();
        self.ahead = Some(ahead);
        Ok(some)
    }

    async fn look_ahead(&self, campaign: &Campaign) -> Result<Ahead, StoreError> {
        let (names, next) = match &campaign.phase {
            Phase::Busiest => {
                let names = self.popularity.busiest(BUSIEST_MAX);
                (names.into(), Phase::Rest { cursor: None })
            }
            Phase::Rest { cursor } => {
                let selection = campaign.selector.selection();
                let page = self.campaigns.store.list(&selection, PAGE, cursor.as_deref()).await?;
                let next =
                    page.cursor.map_or(Phase::Asked, |cursor| Phase::Rest { cursor: Some(cursor) });
                (important_first(page.records, campaign), next)
            }
            Phase::Asked => (VecDeque::new(), Phase::Asked),
        };
        Ok(Ahead { campaign: campaign.id.clone(), phase: campaign.phase.clone(), names, next })
    }

    /// Writes into the records that certificates are wanted. Whatever this does not come to is
    /// found unasked by the next round, of whichever process.
    async fn ask(
        &self,
        campaign: &Campaign,
        names: &[DomainName],
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let detail = format!("campaign {}: {}", campaign.id, campaign.reason);
        for some in names.chunks(WRITE_ALL_MAX.min(LOAD_MAX)) {
            let entries = self.campaigns.store.load(some).await?;
            let changes: Vec<Change> = entries
                .into_iter()
                .flatten()
                .filter_map(|entry| {
                    let record = campaign.asked(&entry.stored.record, now)?;
                    let record = DomainRecord { updated_at: now, ..record };
                    let expected = Expected::Version(entry.stored.version);
                    let events = vec![event(now, "renewal.requested", detail.clone())];
                    Some(Change { events, ..Change::of(record, expected) })
                })
                .collect();
            let asked: Vec<DomainRecord> =
                changes.iter().map(|change| change.record.clone()).collect();
            let written = self.campaigns.store.write_all(changes).await;
            for (record, written) in asked.iter().zip(written) {
                if written.is_ok() {
                    self.queue.submit(&record.domain, Lane::of_due(record, now), Ask::Due);
                }
            }
        }
        Ok(())
    }
}

/// The names of a page that are to be asked for, those of high priority first.
fn important_first(mut page: Vec<DomainRecord>, campaign: &Campaign) -> VecDeque<DomainName> {
    page.retain(|record| campaign.wants(record));
    page.sort_by_key(|record| std::cmp::Reverse(record.registration.priority.unwrap_or(100)));
    page.into_iter().map(|record| record.domain).collect()
}
