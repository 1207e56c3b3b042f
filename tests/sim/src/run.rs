//! One seed, one run; and many of them.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::drive::drive;
use crate::plan::{Plan, Trouble};
use crate::world::World;

/// What came of a run.
#[derive(Clone, Debug)]
pub struct Report {
    /// Repeats it.
    pub seed: u64,
    /// What should not have been, by its number.
    pub broken: Vec<String>,
    /// Orders that were over a limit of the CA, by limit.
    pub refused: Vec<&'static str>,
    /// Orders the CA took.
    pub orders: usize,
    /// Orders its staging took.
    pub trials: usize,
    /// Names a campaign asked for.
    pub recalled: usize,
    /// Certificates it issued.
    pub certificates: u64,
    /// Effects of all replicas.
    pub effects: u64,
    /// What was done to the run.
    pub notes: Vec<String>,
    /// Equal for two runs in which the same happened at the same time.
    pub digest: u64,
}

impl Report {
    /// What failed, and what led to it.
    #[must_use]
    pub fn story(&self) -> String {
        let (broken, notes) = (self.broken.join("\n  "), self.notes.join("\n  "));
        format!("seed {}:\n  {broken}\nafter:\n  {notes}", self.seed)
    }
}

/// Runs a plan to its end, in no time.
///
/// # Panics
/// When the runtime cannot be had.
#[must_use]
pub fn run(plan: Plan) -> Report {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .expect("a runtime");
    runtime.block_on(async {
        let world = Arc::new(World::new(plan));
        world.register_all();
        drive(&world).await;
        // What was ordered while another store was in the place of this one, nobody counted: from
        // then on a limit may be passed.
        let lost = world.plan.all(Trouble::StoreLost).map(|window| window.from).min();
        for limit in world.ca.refused_before(lost.unwrap_or(world.plan.length)) {
            world.watch.broken("INV-11", &format!("over the limit of {limit}"));
        }
        Report {
            seed: world.plan.seed,
            broken: world.watch.all_broken(),
            refused: world.ca.refused(),
            orders: world.ca.orders(),
            trials: world.staging.orders(),
            recalled: world.asked.count(),
            certificates: world.ca.certificates(),
            effects: world.effects.count(),
            notes: world.notes(),
            digest: world.digested(),
        }
    })
}

/// Runs the plans of many seeds on several threads; the reports are in the order of the seeds.
///
/// # Panics
/// When one of the runs does.
#[must_use]
pub fn run_seeds(seeds: &[u64], threads: usize) -> Vec<Report> {
    let next = AtomicU64::new(0);
    let mut reports: Vec<(usize, Report)> = std::thread::scope(|scope| {
        let work = || {
            let mut done = Vec::new();
            loop {
                let index = usize::try_from(next.fetch_add(1, Ordering::Relaxed)).unwrap();
                let Some(seed) = seeds.get(index) else { return done };
                done.push((index, run(Plan::of(*seed))));
            }
        };
        let threads: Vec<_> = (0..threads.max(1)).map(|_| scope.spawn(work)).collect();
        threads.into_iter().flat_map(|thread| thread.join().expect("a run")).collect()
    });
    reports.sort_by_key(|(index, _)| *index);
    reports.into_iter().map(|(_, report)| report).collect()
}
