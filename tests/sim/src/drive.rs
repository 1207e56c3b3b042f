//! The driver: handshakes, an operator, deaths and restarts, stolen leases, wrong clocks, lost
//! stores.

mod agenda;

use std::sync::Arc;

use sealwax_core::store::{Change, Expected};
use sealwax_core::{Span, apply};
use sealwax_simulation::Dice;
use sealwax_workflow::{Ask, Lane};

use crate::campaign::Operator;
use crate::plan::{Trouble, usize_of};
use crate::replica::{DOUBTED, HURRIED, LEASE, Replica};
use crate::world::World;

use self::agenda::{Agenda, Entry};

struct Driver {
    world: Arc<World>,
    dice: Dice,
    replicas: Vec<Replica>,
    instances: u32,
    /// Turns that dead replicas stay dead.
    dead_turns: Vec<u64>,
    campaign: Option<Operator>,
}

/// Runs the plan to its end.
pub(crate) async fn drive(world: &Arc<World>) {
    let dice = Dice::of(world.plan.seed, "driver");
    let mut driver = Driver {
        world: Arc::clone(world),
        dice,
        replicas: Vec::new(),
        instances: 0,
        dead_turns: vec![0; world.plan.replicas],
        campaign: None,
    };
    for _ in 0..world.plan.replicas {
        let replica = driver.start();
        driver.replicas.push(replica);
    }
    let mut agenda = Agenda::of(&world.plan);
    let mut next_turn = Span::ZERO;
    while world.time.passed() < world.plan.length {
        if world.watch.is_over() {
            return driver.end();
        }
        let now = world.time.passed();
        agenda.due(now).for_each(|entry| driver.follow(&entry));
        if next_turn <= now {
            driver.turn();
            world.watch.check_expiry(world);
            next_turn = now + world.plan.sweep_interval();
        } else {
            driver.tick();
        }
        driver.check_rest();
        let pause = driver.hurry(agenda.hurries());
        let wait = agenda.next().unwrap_or(next_turn).min(next_turn).less(now).min(pause);
        tokio::select! {
            () = world.time.pass(wait, 0) => {}
            () = world.doubted() => {}
        }
    }
    world.watch.check_end(world);
    if let Some(operator) = &mut driver.campaign {
        operator.check_end(world);
    }
    driver.end();
}

impl Driver {
    fn start(&mut self) -> Replica {
        self.instances += 1;
        Replica::start(&self.world, self.instances)
    }

    fn end(&self) {
        for replica in &self.replicas {
            replica.life.end();
        }
    }

    /// What is planned for now.
    fn follow(&mut self, entry: &Entry) {
        let world = &self.world;
        match entry {
            Entry::Changes => {
                for domain in &world.domains {
                    world.watch.pace.outside(world, domain);
                }
            }
            Entry::CopyStore => world.copy_store(),
            Entry::LoseStore => world.lose_store(),
            Entry::FindStore => world.find_store(),
            Entry::Recovered(outage) => world.watch.check_recovered(world, outage),
            Entry::Hurry | Entry::Calm => {}
        }
    }

    /// Between two turns, while something may just have ended.
    fn tick(&mut self) {
        self.restart_the_dead();
        self.roll_out();
        self.demand();
    }

    /// A process in which nothing is in flight has no token at hand.
    fn check_rest(&self) {
        for replica in self.replicas.iter().filter(|replica| !replica.life.is_over()) {
            if replica.queue.in_flight() == 0 {
                self.world.watch.tokens.check_at_rest(&self.world, replica.life.instance);
            }
        }
    }

    /// Lets the sweeps pass as often as in production, or not. Returns when to look again.
    fn hurry(&mut self, hurries: bool) -> Span {
        let doubted = || self.world.domains.iter().any(|domain| self.world.is_doubted(domain));
        let interval = if hurries { Some(HURRIED) } else { doubted().then_some(DOUBTED) };
        for replica in self.replicas.iter_mut().filter(|replica| !replica.life.is_over()) {
            replica.hurry(interval);
        }
        match interval {
            // At any moment of a run.
            Some(HURRIED) => Span::from_millis(self.dice.between(1_000, 30_000)),
            Some(interval) => interval,
            None => Span::from_millis(u64::MAX),
        }
    }

    /// A new version is rolled out: SIGTERM for one after the other.
    fn roll_out(&mut self) {
        let rolls = self.world.plan.is(Trouble::Rollout, self.world.time.passed());
        let stopping = self.replicas.iter().any(|replica| replica.life.is_stopping());
        if rolls && !stopping && self.dice.chance(250) {
            let one = self.any();
            self.replicas[one].terminate(&self.world);
        }
        for replica in self.replicas.iter_mut().filter(|replica| replica.life.is_stopping()) {
            replica.terminate(&self.world);
        }
    }

    fn turn(&mut self) {
        self.restart_the_dead();
        self.roll_out();
        self.set_clocks();
        let plan = &self.world.plan;
        if plan.is(Trouble::Storm, self.world.time.passed()) {
            if self.dice.chance(plan.harm_permille) {
                let victim = self.any();
                self.world.kill(&self.replicas[victim].life);
            }
            if self.dice.chance(plan.harm_permille) && !plan.exclusive {
                self.steal_a_lease();
            }
        }
        self.recall();
        self.demand();
        if self.dice.chance(5) && !self.world.plan.windows.is_empty() {
            self.renew_one();
        }
    }

    /// A campaign begins, is steered, and ends.
    fn recall(&mut self) {
        let world = Arc::clone(&self.world);
        let due = world.plan.recall.filter(|recall| recall.at <= world.time.passed());
        let Some(recall) = due else { return };
        let operator = self.campaign.get_or_insert_with(|| Operator::start(&world, recall));
        let lives = operator.turn(&world);
        for replica in self.replicas.iter_mut().filter(|replica| !replica.life.is_over()) {
            replica.recall(lives, &world);
        }
    }

    fn restart_the_dead(&mut self) {
        for index in 0..self.replicas.len() {
            if !self.replicas[index].life.is_over() {
                continue;
            }
            if self.dead_turns[index] == 0 {
                self.replicas[index] = self.start();
                self.dead_turns[index] = self.dice.below(3);
            } else {
                self.dead_turns[index] -= 1;
            }
        }
    }

    fn set_clocks(&self) {
        let passed = self.world.time.passed();
        for (index, replica) in self.replicas.iter().enumerate() {
            let off = self.world.plan.windows.iter().find(|window| {
                window.trouble == Trouble::ClockOff && window.from <= passed && passed < window.to
            });
            let mine = index == self.replicas.len() - 1;
            replica.wall.set_off(off.filter(|_| mine).map_or(0, |window| window.off_millis));
        }
    }

    /// Handshakes for what has no certificate, at one replica or at two at once.
    fn demand(&self) {
        for domain in &self.world.domains {
            let held = self.world.with_record(domain, |record| record.certificate.is_some());
            if held == Some(true) || !(self.dice.chance(400) || self.world.plan.windows.is_empty())
            {
                continue;
            }
            self.world.watch.pace.visited(&self.world, domain);
            let (one, other) = (self.any(), self.any());
            for replica in [one, other] {
                self.replicas[replica].queue.submit(domain, Lane::Handshake, Ask::Demand);
            }
        }
    }

    fn any(&self) -> usize {
        usize_of(self.dice.below(u64::try_from(self.replicas.len()).unwrap()))
    }

    /// Someone else holds the name from now on, and is never heard of again.
    fn steal_a_lease(&self) {
        let domains = &self.world.domains;
        let domain = &domains[usize_of(self.dice.below(u64::try_from(domains.len()).unwrap()))];
        let Some(entry) = self.world.entry(domain) else { return };
        let record = entry.stored.record;
        let Some(lease) = record.lease.clone() else { return };
        for replica in &self.replicas {
            if replica.life.holder() == lease.holder {
                self.world.watch.disturb(replica.life.instance, domain);
                self.world.ca.excuse(replica.life.instance, Some(domain));
            }
        }
        let stolen = apply::leased(record, "thief", self.dice.roll(), LEASE);
        let change = Change::of(stolen, Expected::Version(entry.stored.version));
        self.world.put(change).unwrap();
        self.world.watch.leased(&self.world, domain);
        self.world.watch.pace.outside(&self.world, domain);
        self.world.note(&format!("the lease of {domain} is stolen"));
    }

    /// An operator asks for a new certificate.
    fn renew_one(&self) {
        let domains = &self.world.domains;
        let domain = &domains[usize_of(self.dice.below(u64::try_from(domains.len()).unwrap()))];
        self.world.renew(domain);
    }
}
