//! Campaigns: every certificate replaced once, in order, at a rate, whatever happens to whoever
//! works on it.

#![allow(
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that cannot go on says so by a panic"
)]

use std::sync::Arc;
use std::time::Duration;

use crate::common::World;
use crate::common::tripwire::{Side, TrippedStore, Tripwire};
use sealwax_core::campaign::{Campaign, CampaignState, Selector};
use sealwax_core::issuer::Refusal;
use sealwax_core::store::Store;
use sealwax_core::{Cause, Clock, Span};
use sealwax_protocol::DomainName;
use sealwax_workflow::campaign::{
    self, CampaignError, CampaignSettings, Campaigns, Popularity, Steer, Wanted,
};
use sealwax_workflow::{Ask, Queue, sweep};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

const DAY: Span = Span::from_secs(86_400);
const LEASE: Span = Span::from_secs(30);

struct Busy(Vec<DomainName>);

impl Popularity for Busy {
    fn busiest(&self, most: usize) -> Vec<DomainName> {
        self.0.iter().take(most).cloned().collect()
    }
}

/// Domains with a certificate of the day before.
async fn issued(world: &World, count: usize) -> Vec<DomainName> {
    let mut domains = Vec::new();
    for n in 0..count {
        let domain = world.register(&format!("d{n:02}.example.com")).await;
        world.process("first").run(&domain, Ask::Demand).await.unwrap();
        domains.push(domain);
    }
    world.clock.advance(DAY);
    domains
}

fn campaigns(world: &World, store: Arc<dyn Store>) -> Campaigns {
    Campaigns::new(store, Arc::clone(&world.clock) as Arc<dyn Clock>)
}

fn wanted(world: &World, rate: u32) -> Wanted {
    let now = world.clock.now();
    Wanted {
        selector: Selector { issued_before: now, ..Selector::default() },
        rate,
        deadline: now + DAY,
        reason: "revoked by the CA".to_owned(),
    }
}

/// A process at work on campaigns, which does the renewals too.
struct Process {
    stop: CancellationToken,
    tasks: Vec<JoinHandle<()>>,
}

impl Process {
    fn start(world: &World, holder: &str, campaigns: &Campaigns, busy: &[DomainName]) -> Self {
        let queue = Queue::new(world.process(holder));
        let stop = CancellationToken::new();
        let settings = CampaignSettings { holder: holder.to_owned(), lease: LEASE };
        let popularity = Arc::new(Busy(busy.to_vec()));
        let (store, clock) = (Arc::clone(&world.store), Arc::clone(&world.clock));
        let tasks = vec![
            tokio::spawn(queue.clone().serve(stop.clone())),
            tokio::spawn(sweep::serve(
                store,
                clock,
                queue.clone(),
                Span::from_secs(1),
                stop.clone(),
            )),
            tokio::spawn(campaign::serve(
                campaigns.clone(),
                queue,
                popularity,
                settings,
                stop.clone(),
            )),
        ];
        Self { stop, tasks }
    }

    /// As `kill -9` does.
    fn kill(self) {
        self.tasks.iter().for_each(JoinHandle::abort);
        self.stop.cancel();
    }
}

async fn until(campaigns: &Campaigns, reached: impl Fn(&Campaign) -> bool) -> Campaign {
    for _ in 0..10_000 {
        let campaign = campaigns.show().await.unwrap();
        if reached(&campaign) {
            return campaign;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("never: {:?}", campaigns.show().await);
}

async fn asked(world: &World, domains: &[DomainName]) -> Vec<DomainName> {
    let mut asked = Vec::new();
    for domain in domains {
        if world.entry(domain).await.stored.record.replacing.is_some() {
            asked.push(domain.clone());
        }
    }
    asked
}

fn orders(world: &World, domains: &[DomainName]) -> Vec<usize> {
    domains.iter().map(|domain| world.ca.orders_for(domain)).collect()
}

#[tokio::test(start_paused = true)]
async fn every_certificate_is_replaced_once_the_busiest_first_and_no_faster_than_allowed() {
    let world = World::shared();
    let domains = issued(&world, 9).await;
    let newer = world.register("newer.example.com").await;
    let campaigns = campaigns(&world, Arc::clone(&world.store) as Arc<dyn Store>);
    campaigns.start(wanted(&world, 2)).await.unwrap();
    world.process("first").run(&newer, Ask::Demand).await.unwrap();
    let busy = [domains[7].clone(), domains[5].clone(), domains[0].clone()];
    let begun = tokio::time::Instant::now();
    let process = Process::start(&world, "one", &campaigns, &busy);
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    assert_eq!(asked(&world, &domains).await, [domains[5].clone(), domains[7].clone()]);
    tokio::time::sleep(Duration::from_secs(1)).await;
    let second = asked(&world, &domains).await;
    assert!(second.len() == 4 && second.contains(&domains[0]), "{second:?}");
    let done = until(&campaigns, |campaign| !campaign.lives()).await;
    assert_eq!(done.state, CampaignState::Finished);
    assert_eq!((done.replaced, done.failed, done.gone, done.total()), (9, 0, 0, Some(9)));
    assert!(begun.elapsed() >= Duration::from_secs(5), "nine at two a second");
    assert_eq!(orders(&world, &domains), [2; 9]);
    assert_eq!(world.ca.orders_for(&newer), 1, "issued after the campaign began");
    let told = world.store.events(&domains[3], 50).await.unwrap();
    let told = told.iter().find(|event| event.kind == "renewal.requested").unwrap();
    assert!(told.detail.contains("revoked by the CA"), "{}", told.detail);
    process.kill();
}

#[tokio::test(start_paused = true)]
async fn a_paused_campaign_asks_for_none_until_it_is_resumed_and_a_cancelled_one_for_none() {
    let world = World::shared();
    let domains = issued(&world, 8).await;
    let campaigns = campaigns(&world, Arc::clone(&world.store) as Arc<dyn Store>);
    let started = campaigns.start(wanted(&world, 1)).await.unwrap();
    let another = campaigns.start(wanted(&world, 1)).await;
    assert!(matches!(another, Err(CampaignError::Lives(id)) if id == started.id));
    let process = Process::start(&world, "one", &campaigns, &[]);
    until(&campaigns, |campaign| campaign.replaced >= 2).await;
    campaigns.steer(Steer::Pause).await.unwrap();
    tokio::time::sleep(Duration::from_secs(5)).await;
    let paused = asked(&world, &domains).await.len();
    tokio::time::sleep(Duration::from_secs(600)).await;
    assert_eq!(asked(&world, &domains).await.len(), paused);
    campaigns.steer(Steer::Resume).await.unwrap();
    until(&campaigns, |campaign| campaign.replaced > 4).await;
    campaigns.steer(Steer::Cancel).await.unwrap();
    tokio::time::sleep(Duration::from_secs(60)).await;
    let cancelled = campaigns.show().await.unwrap();
    assert_eq!((cancelled.state, cancelled.ended_at.is_some()), (CampaignState::Cancelled, true));
    assert!(asked(&world, &domains).await.len() < 8);
    assert!(orders(&world, &domains).into_iter().all(|orders| orders <= 2));
    assert!(matches!(campaigns.steer(Steer::Resume).await, Err(CampaignError::Ended(_))));
    process.kill();
}

#[tokio::test(start_paused = true)]
async fn another_process_goes_on_when_the_holder_is_silent_and_nobody_is_asked_twice() {
    // How many effects there are, when nothing happens.
    let effects = {
        let world = World::shared();
        crashed(&world, usize::MAX, Side::Before).await.effects().len()
    };
    assert!(effects >= 6, "{effects}");
    for nth in 0..effects {
        for side in [Side::Before, Side::After] {
            let world = World::shared();
            crashed(&world, nth, side).await;
        }
    }
}

/// A campaign whose first process dies at its nth effect.
async fn crashed(world: &World, nth: usize, side: Side) -> Arc<Tripwire> {
    let domains = issued(world, 4).await;
    let tripwire = Arc::new(Tripwire::default());
    let tripped = TrippedStore::new(Arc::clone(&world.store), Arc::clone(&tripwire));
    let steering = campaigns(world, Arc::clone(&world.store) as Arc<dyn Store>);
    steering.start(wanted(world, 2)).await.unwrap();
    tripwire.arm(nth, side);
    let first = Process::start(world, "one", &campaigns(world, Arc::new(tripped)), &[]);
    let over = until(&steering, |campaign| !campaign.lives());
    tokio::select! {
        () = tripwire.dead.notified() => {}
        _ = over => {}
    }
    first.kill();
    let alive = campaigns(world, Arc::clone(&world.store) as Arc<dyn Store>);
    let second = Process::start(world, "two", &alive, &[]);
    let done = until(&steering, |campaign| !campaign.lives()).await;
    let place = format!("{side:?} effect {nth}");
    assert_eq!((done.replaced, done.total()), (4, Some(4)), "{place}");
    assert_eq!(orders(world, &domains), [2; 4], "{place}");
    second.kill();
    tripwire
}

#[tokio::test(start_paused = true)]
async fn a_failing_name_is_told_and_holds_nobody_up() {
    let world = World::shared();
    let domains = issued(&world, 3).await;
    let detail = "no such name".to_owned();
    world.ca.reject(&domains[1], Refusal { cause: Cause::DnsNoRecord, detail });
    let campaigns = campaigns(&world, Arc::clone(&world.store) as Arc<dyn Store>);
    campaigns.start(wanted(&world, 10)).await.unwrap();
    let process = Process::start(&world, "one", &campaigns, &[]);
    let done = until(&campaigns, |campaign| !campaign.lives()).await;
    assert_eq!((done.replaced, done.failed), (2, 1));
    assert_eq!(done.failed_names, [domains[1].to_string()]);
    process.kill();
}

#[tokio::test(start_paused = true)]
async fn a_campaign_that_makes_no_sense_is_refused() {
    let world = World::shared();
    let campaigns = campaigns(&world, Arc::clone(&world.store) as Arc<dyn Store>);
    assert!(matches!(campaigns.show().await, Err(CampaignError::None)));
    assert!(matches!(campaigns.steer(Steer::Pause).await, Err(CampaignError::None)));
    let good = wanted(&world, 1);
    let past = Wanted { deadline: world.clock.now(), ..good.clone() };
    let never = Wanted { rate: 0, ..good.clone() };
    let long = Wanted { reason: "x".repeat(1_000), ..good };
    for wrong in [past, never, long] {
        assert!(matches!(campaigns.start(wrong).await, Err(CampaignError::Wrong(_))));
    }
}
