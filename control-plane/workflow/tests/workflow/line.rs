//! Who waits for a CA, in the queue of a process that lives: who goes, when, and at what cost.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use crate::common::World;
use sealwax_core::budget::{Limit, Limits, RequestLimits};
use sealwax_core::issuer::IssueError;
use sealwax_core::record::Registration;
use sealwax_core::store::Store as _;
use sealwax_core::{Cause, Clock, SealedKey, Span};
use sealwax_protocol::DomainName;
use sealwax_store::memory::Operation;
use sealwax_workflow::{Ask, Lane, Queue, Workflow, sweep};
use tokio_util::sync::CancellationToken;

const HOUR: Span = Span::from_secs(3_600);

fn orders(count: u64, period: Span) -> Limits {
    Limits { orders_per_account: Limit::per(count, period), ..Limits::default() }
}

/// A process with its queue and its sweep.
struct Living {
    queue: Queue,
    stop: CancellationToken,
    tasks: tokio::task::JoinSet<()>,
}

impl Living {
    fn begin(world: &World, holder: &str) -> Self {
        Self::serving(world, world.process(holder))
    }

    fn serving(world: &World, workflow: Workflow) -> Self {
        let queue = Queue::new(workflow);
        let stop = CancellationToken::new();
        let mut tasks = tokio::task::JoinSet::new();
        tasks.spawn(queue.clone().serve(stop.clone()));
        let clock = Arc::clone(&world.clock) as Arc<dyn Clock>;
        let store = Arc::clone(&world.store) as Arc<dyn sealwax_core::store::Store>;
        let every = Span::from_secs(5);
        tasks.spawn(sweep::serve(store, clock, queue.clone(), every, stop.clone()));
        Self { queue, stop, tasks }
    }

    fn visit(&self, domain: &DomainName) {
        self.queue.submit(domain, Lane::Handshake, Ask::Demand);
    }

    async fn end(mut self) {
        self.stop.cancel();
        while self.tasks.join_next().await.is_some() {}
    }
}

/// Both clocks go on together.
async fn pass(world: &World, secs: u64) {
    for _ in 0..secs {
        tokio::time::sleep(Duration::from_secs(1)).await;
        world.clock.advance(Span::from_secs(1));
    }
    tokio::time::sleep(Duration::from_millis(500)).await;
}

/// The names that have an order, in the order they got it.
fn placed(world: &World, names: &[DomainName]) -> Vec<usize> {
    let all = names.iter().enumerate();
    all.filter(|(_, domain)| world.ca.orders_for(domain) > 0).map(|(number, _)| number).collect()
}

/// What counts of an outage: nothing is spent, nothing is written meanwhile, and seconds after it
/// everyone has a certificate.
#[tokio::test(start_paused = true)]
async fn an_outage_costs_neither_tokens_nor_writes_and_is_over_in_seconds() {
    let world = World::shared().limited(orders(300, HOUR.scale(3, 1)));
    let away = || IssueError::Retry { after: None, detail: "connection refused".to_owned() };
    world.ca.fail("place_order", std::iter::repeat_n(away(), 100_000));
    let writes = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&writes);
    world.store.set_faults(Some(Arc::new(move |operation| {
        if operation == Operation::Write {
            counted.fetch_add(1, Ordering::SeqCst);
        }
        None
    })));
    let mut names = Vec::new();
    for number in 0..50 {
        names.push(world.register(&format!("a.site{number}.com")).await);
    }
    let process = Living::begin(&world, "one");
    for domain in &names {
        process.visit(domain);
    }
    pass(&world, 60).await;
    let before = writes.load(Ordering::SeqCst);
    pass(&world, 240).await;
    // One probes, and is written when it fails; the others are left alone.
    let probes = writes.load(Ordering::SeqCst) - before;
    assert!(probes < 40, "{probes} writes in four minutes of {} names", names.len());
    let left = process.queue.budgets_left(world.clock.now()).await.unwrap();
    assert_eq!((left[0].limit, left[0].left), ("orders", 300), "no order reached the CA");
    assert_eq!(world.ca.orders(), 0);
    world.ca.mend("place_order");
    let mut seconds = 0;
    while world.ca.signed() < 50 && seconds < 600 {
        pass(&world, 1).await;
        seconds += 1;
    }
    assert_eq!(world.ca.signed(), 50);
    assert!(seconds <= 300, "{seconds} s after an outage of 300 s");
    process.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_blip_costs_seconds() {
    let world = World::shared();
    let away = || IssueError::Retry { after: None, detail: "connection reset".to_owned() };
    let mut names = Vec::new();
    for number in 0..60 {
        names.push(world.register(&format!("a.site{number}.com")).await);
    }
    world.ca.fail("place_order", std::iter::repeat_n(away(), 100_000));
    let process = Living::begin(&world, "one");
    for domain in &names {
        process.visit(domain);
    }
    pass(&world, 5).await;
    world.ca.mend("place_order");
    pass(&world, 45).await;
    assert_eq!(world.ca.signed(), 60);
    process.end().await;
}

/// Lanes, then priority, then who was registered first; and as many as there is room for.
#[tokio::test(start_paused = true)]
async fn who_goes_is_decided_when_there_is_room() {
    let world = World::shared().limited(orders(1, HOUR));
    let mut names = Vec::new();
    for (number, priority) in [None, None, Some(10), Some(200), None].into_iter().enumerate() {
        let registration = Registration { priority, ..Registration::default() };
        names.push(world.put(&format!("a.site{number}.com"), registration).await);
        world.clock.advance(Span::from_secs(1));
    }
    let processes = [Living::begin(&world, "one"), Living::begin(&world, "two")];
    let mut order = Vec::new();
    for domain in &names {
        processes[0].visit(domain);
        pass(&world, 1).await;
    }
    for _ in 0..5 {
        let went = placed(&world, &names).into_iter().filter(|n| !order.contains(n));
        let went: Vec<_> = went.collect();
        assert_eq!(went.len(), 1, "one an hour, whoever of two processes lets it in");
        order.extend(went);
        pass(&world, 3_600).await;
    }
    assert_eq!(order, [0, 3, 1, 4, 2]);
    for process in processes {
        process.end().await;
    }
}

/// Ten thousand that wait must not keep the store busy: what waits is not written, and hardly read.
#[tokio::test(start_paused = true)]
async fn names_that_wait_cost_no_writes_and_one_read_in_minutes() {
    let world = World::shared().limited(orders(1, HOUR.scale(1_000, 1)));
    let mut names = Vec::new();
    for number in 0..200 {
        names.push(world.register(&format!("a.site{number}.com")).await);
    }
    let process = Living::begin(&world, "one");
    for domain in &names {
        process.visit(domain);
    }
    pass(&world, 120).await;
    let counts = Arc::new([AtomicUsize::new(0), AtomicUsize::new(0)]);
    let counted = Arc::clone(&counts);
    world.store.set_faults(Some(Arc::new(move |operation| {
        let which = match operation {
            Operation::Write | Operation::PutDocument => Some(0),
            Operation::Load => Some(1),
            Operation::Remove
            | Operation::Due
            | Operation::List
            | Operation::Challenge
            | Operation::Events
            | Operation::Account
            | Operation::CreateAccount
            | Operation::Document
            | Operation::Changes
            | Operation::Ping => None,
        };
        if let Some(which) = which {
            counted[which].fetch_add(1, Ordering::SeqCst);
        }
        None
    })));
    pass(&world, 3_600).await;
    let [writes, loads] = [0, 1].map(|which| counts[which].load(Ordering::SeqCst));
    assert_eq!(writes, 0);
    assert!(loads <= 200 * 13, "{loads} reads of 200 names in an hour");
    let turns = names.iter().filter_map(|domain| process.queue.turn(domain));
    let last = turns.max_by_key(|turn| turn.ahead).unwrap();
    assert_eq!(last.ahead, 198, "{last:?}");
    assert!(last.detail.contains("new orders of the account"), "{last:?}");
    process.end().await;
}

/// Visits of a name that finds no room are bounded too.
#[tokio::test(start_paused = true)]
async fn visits_of_a_name_that_finds_no_room_are_bounded() {
    let world = World::shared().limited(orders(1, HOUR));
    let (first, waits) = (world.register("a.one.com").await, world.register("a.two.com").await);
    let process = Living::begin(&world, "one");
    process.visit(&first);
    pass(&world, 1).await;
    let version = world.entry(&waits).await.stored.version;
    for _ in 0..600 {
        for _ in 0..20 {
            process.visit(&waits);
        }
        pass(&world, 1).await;
    }
    let written = world.entry(&waits).await.stored.version.0 - version.0;
    assert!(written <= 120, "{written} writes in ten minutes");
    pass(&world, 3_060).await;
    assert_eq!(world.ca.orders_for(&waits), 1);
    process.end().await;
}

/// What is free again soon may be taken by others as soon: nobody asks for it without an end.
#[tokio::test(start_paused = true)]
async fn a_limit_of_requests_that_stays_used_up_is_waited_for_once() {
    let requests = RequestLimits { new_order: Limit::per(1, Span::from_secs(1)), ..limits_of() };
    let world = World::new().limited(Limits { requests, ..Limits::default() });
    let process = world.process("one");
    let first = world.register("a.first.com").await;
    process.run(&first, Ask::Demand).await.unwrap();
    let second = world.register("a.second.com").await;
    // The wall clock stands still, as if somebody else took each token.
    let run = process.run(&second, Ask::Demand);
    tokio::time::timeout(Duration::from_secs(60), run).await.unwrap().unwrap();
    assert_eq!(world.record(&second).await.failure.unwrap().cause, Cause::CaRateLimited);
}

fn limits_of() -> RequestLimits {
    Limits::default().requests
}

/// An account that was replaced is used at once, by the process that heard of it and by the others.
#[tokio::test(start_paused = true)]
async fn names_that_wait_for_an_account_go_on_when_it_was_replaced() {
    for here in [true, false] {
        let world = World::shared();
        let workflow = world.process("one");
        let living = Living::serving(&world, workflow.clone());
        let domain = world.register("a.example.com").await;
        let detail = "the account is deactivated".to_owned();
        world.ca.fail("place_order", [IssueError::Misconfigured { detail }]);
        living.visit(&domain);
        pass(&world, 60).await;
        assert_eq!(world.ca.orders_for(&domain), 0);
        let account = SealedKey::new(vec![7]);
        world.store.create_account("memory", &account).await.unwrap();
        if here {
            workflow.account_works("memory");
        }
        pass(&world, 20).await;
        assert_eq!(world.ca.orders_for(&domain), 1, "{here}");
        living.end().await;
    }
}

/// Those that wait for a store to be accepted go on as soon as it is.
#[tokio::test(start_paused = true)]
async fn names_that_wait_for_the_store_go_on_when_it_is_trusted() {
    let world = World::new();
    world.trusted.store(false, Ordering::SeqCst);
    let living = Living::begin(&world, "one");
    let domain = world.register("a.example.com").await;
    living.visit(&domain);
    // Past the moment at which everyone who waits is looked at again.
    pass(&world, 310).await;
    assert_eq!(world.ca.orders_for(&domain), 0);
    assert!(living.queue.turn(&domain).unwrap().detail.contains("sealwax doctor"));
    world.trusted.store(true, Ordering::SeqCst);
    pass(&world, 10).await;
    assert_eq!(world.ca.orders_for(&domain), 1);
    living.end().await;
}
