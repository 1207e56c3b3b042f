//! One campaign in a run: started and steered by an operator, worked on by the replicas, watched.

use std::sync::{Arc, Mutex};

use futures::FutureExt as _;
use sealwax_core::campaign::{Campaign, Selector};
use sealwax_core::store::Store;
use sealwax_core::{DomainRecord, Span, Work};
use sealwax_protocol::DomainName;
use sealwax_workflow::campaign::{Campaigns, Popularity, Steer, Wanted};

use crate::plan::Recall;
use crate::time::Wall;
use crate::world::World;

const SECOND: Span = Span::from_secs(1);

/// When each name was asked for, as far as records say.
#[derive(Debug, Default)]
pub(crate) struct Asked(Mutex<Vec<(Span, DomainName)>>);

impl Asked {
    /// A replica's write was done.
    pub(crate) fn wrote(
        &self,
        world: &World,
        before: Option<&DomainRecord>,
        record: &DomainRecord,
    ) {
        let Some(recall) = &world.plan.recall else { return };
        let marked_before = before.is_some_and(|before| before.replacing == record.replacing);
        if record.replacing.is_none() || marked_before {
            return;
        }
        let (now, domain) = (world.time.passed(), &record.domain);
        let mut asked = self.0.lock().unwrap();
        if asked.iter().any(|(_, known)| known == domain) {
            world.watch.broken("INV-17", &format!("{domain}: asked for twice by a campaign"));
        }
        asked.push((now, domain.clone()));
        // A process that was taken over from does not know it yet: each has a rate of its own.
        let most = usize::try_from(recall.rate).unwrap() * world.plan.replicas;
        let recent = asked.iter().filter(|(at, _)| now.less(*at) < SECOND).count();
        if recent > most {
            world.watch.broken("INV-20", &format!("{recent} names asked for within a second"));
        }
    }

    pub(crate) fn count(&self) -> usize {
        self.0.lock().unwrap().len()
    }
}

/// The operator's view of the campaign.
pub(crate) struct Operator {
    pub(crate) campaigns: Campaigns,
    recall: Recall,
    /// Which certificates it is to replace: names and serial numbers.
    matched: Vec<(DomainName, String)>,
    turns: u32,
    ended: bool,
}

impl Operator {
    /// Starts it.
    pub(crate) fn start(world: &World, recall: Recall) -> Self {
        let store = world.store() as Arc<dyn Store>;
        let campaigns = Campaigns::new(store, Arc::new(Wall::of(&world.time)));
        let now = world.time.now();
        let selector = Selector { issued_before: now, ..Selector::default() };
        let wanted = Wanted {
            selector: selector.clone(),
            rate: recall.rate,
            deadline: now + recall.within,
            reason: "revoked".to_owned(),
        };
        campaigns.start(wanted).now_or_never().unwrap().unwrap();
        let matched = world.domains.iter().filter_map(|domain| {
            let matching = |record: &DomainRecord| {
                let held = record.certificate.as_ref().filter(|_| selector.matches(record));
                held.map(|held| held.serial.clone())
            };
            let serial = world.with_record(domain, matching).flatten()?;
            Some((domain.clone(), serial))
        });
        let matched: Vec<_> = matched.collect();
        world.note(&format!("a campaign begins for {} names", matched.len()));
        Self { campaigns, recall, matched, turns: 0, ended: false }
    }

    /// Looks at it and steers it. False: nobody needs to work on it any more.
    pub(crate) fn turn(&mut self, world: &World) -> bool {
        if self.ended {
            return false;
        }
        self.turns += 1;
        if self.recall.paused {
            match self.turns {
                1 => self.steer(world, Steer::Pause),
                2 => self.steer(world, Steer::Resume),
                _ => {}
            }
        }
        let campaign = self.campaigns.show().now_or_never().unwrap().unwrap();
        if !campaign.lives() {
            self.ended = true;
            self.check_outcome(world, &campaign);
        }
        !self.ended
    }

    fn steer(&self, world: &World, steer: Steer) {
        let steered = self.campaigns.steer(steer).now_or_never().unwrap();
        world.note(&format!("the campaign: {steer:?}, {}", steered.is_ok()));
    }

    /// Every certificate is replaced, or its name is told, and in time if nothing was wrong.
    fn check_outcome(&self, world: &World, campaign: &Campaign) {
        let (from, to) = (self.recall.at, self.recall.at + self.recall.within);
        if world.time.passed() > to && !world.plan.troubled(from, to) {
            world.watch.broken("INV-20", "the campaign was late, and nothing was wrong");
        }
        for (domain, serial) in &self.matched {
            let record = world.record(domain).unwrap();
            let held = record.certificate.as_ref();
            let replaced = held.is_some_and(|held| held.serial != *serial);
            let failed = campaign.failed_names.iter().any(|name| name == domain.as_str());
            let left = world.has_left(domain) || record.work == Work::Parked;
            if !replaced && !failed && !left {
                let how = format!("{domain}: neither replaced nor told: {campaign:?}");
                world.watch.broken("INV-20", &how);
            }
        }
    }

    /// Nobody works on it any more.
    pub(crate) fn check_end(&mut self, world: &World) {
        if self.turn(world) {
            let campaign = self.campaigns.show().now_or_never().unwrap().unwrap();
            world.watch.broken("INV-20", &format!("the campaign does not end: {campaign:?}"));
        }
    }
}

/// Edges see the last names most.
pub(crate) struct Busy(pub(crate) Vec<DomainName>);

impl Popularity for Busy {
    fn busiest(&self, most: usize) -> Vec<DomainName> {
        self.0.iter().rev().take(most.min(2)).cloned().collect()
    }
}
