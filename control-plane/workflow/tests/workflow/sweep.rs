//! The sweep finds what is due, whatever else is due before it.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on says so by a panic")]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use crate::common::{START, World};
use sealwax_core::store::{Change, Expected, Store as _};
use sealwax_core::{Cause, DomainRecord, Failure, Registration, Span, Timestamp, Work};
use sealwax_protocol::DomainName;
use sealwax_store::memory::Operation;
use sealwax_workflow::{Lane, Queue, sweep};
use tokio_util::sync::CancellationToken;

/// What a lane has room for.
const LANE: usize = 20_000;
const INTERVAL: Span = Span::from_secs(1);

/// A queue that nobody works off, and a sweep that fills it.
struct Filled {
    queue: Queue,
    loads: Arc<AtomicUsize>,
    stop: CancellationToken,
}

impl Filled {
    fn start(world: &World) -> Self {
        let queue = Queue::new(world.process("one"));
        let loads = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&loads);
        world.store.set_faults(Some(Arc::new(move |operation| {
            counted.fetch_add(usize::from(operation == Operation::Load), Ordering::SeqCst);
            None
        })));
        let stop = CancellationToken::new();
        let (store, clock) = (Arc::clone(&world.store), Arc::clone(&world.clock));
        tokio::spawn(sweep::serve(store, clock, queue.clone(), INTERVAL, stop.clone()));
        Self { queue, loads, stop }
    }

    fn waiting(&self, lane: Lane) -> usize {
        let backlog = self.queue.backlog();
        backlog.iter().find(|backlog| backlog.lane == lane).unwrap().waiting
    }
}

async fn put(world: &World, name: &str, change: impl FnOnce(DomainRecord) -> DomainRecord) {
    let domain = DomainName::parse(name).unwrap();
    let record = change(DomainRecord::registered(domain, Registration::default(), START));
    world.store.write(Change::of(record, Expected::Absent)).await.unwrap();
}

async fn put_wanted(world: &World, name: &str, since: Timestamp) {
    let wanted = |record| DomainRecord { work: Work::Wanted { since }, ..record };
    put(world, name, wanted).await;
}

/// Domains that failed often and are due again, and one that is wanted since a second later.
async fn many_that_fail_and_one_that_is_wanted(failing: usize) -> World {
    let world = World::new();
    for n in 0..failing {
        let failure = Failure {
            cause: Cause::DnsNoRecord,
            detail: "no such name".to_owned(),
            attempts: 9,
            stalls: 0,
            outage: sealwax_core::failure::Outage::default(),
            next_attempt_at: Some(START),
            refused: true,
        };
        let failed = |record| DomainRecord { failure: Some(failure), ..record };
        put(&world, &format!("b{n}.example.com"), failed).await;
    }
    put_wanted(&world, "wanted.example.com", START + Span::from_secs(1)).await;
    world.clock.advance(Span::from_secs(2));
    world
}

#[tokio::test(start_paused = true)]
async fn what_fails_again_never_hides_what_is_due_after_it() {
    let world = many_that_fail_and_one_that_is_wanted(LANE + 10).await;
    let filled = Filled::start(&world);
    tokio::time::sleep(Duration::from_millis(10)).await;
    assert_eq!((filled.waiting(Lane::Retry), filled.waiting(Lane::Due)), (LANE, 1));
    filled.stop.cancel();
}

#[tokio::test(start_paused = true)]
async fn what_waits_already_is_not_read_again_until_it_has_waited_long() {
    let world = many_that_fail_and_one_that_is_wanted(1_200).await;
    let filled = Filled::start(&world);
    tokio::time::sleep(Duration::from_millis(10)).await;
    let once = filled.loads.swap(0, Ordering::SeqCst);
    assert!(once >= 1_201 / 50, "{once} reads");
    tokio::time::sleep(INTERVAL.duration() * 30).await;
    assert_eq!(filled.loads.load(Ordering::SeqCst), 0);
    // It may be more urgent than it was.
    tokio::time::sleep(Duration::from_secs(300)).await;
    assert_eq!(filled.loads.load(Ordering::SeqCst), once);
    filled.stop.cancel();
}

#[tokio::test(start_paused = true)]
async fn a_full_lane_holds_the_pass_up_and_nothing_more_is_read() {
    let world = World::new();
    for n in 0..LANE + 10 {
        put_wanted(&world, &format!("w{n}.example.com"), START).await;
    }
    let filled = Filled::start(&world);
    tokio::time::sleep(Duration::from_millis(10)).await;
    assert_eq!(filled.waiting(Lane::Due), LANE);
    filled.loads.store(0, Ordering::SeqCst);
    tokio::time::sleep(INTERVAL.duration() * 30).await;
    assert_eq!(filled.loads.load(Ordering::SeqCst), 0);
    filled.stop.cancel();
}
