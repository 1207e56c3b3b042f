//! A process: production code in front of the gate, from its start to its death.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use sealwax_core::budget::Limits;
use sealwax_core::issuer::Issuer;
use sealwax_core::permission::Permission;
use sealwax_core::preflight::{Address, Findings, Looked, Path, Preflight};
use sealwax_core::store::Store;
use sealwax_core::{Clock, Notifier, Span, Timestamp};
use sealwax_protocol::DomainName;
use sealwax_simulation::Dice;
use sealwax_workflow::campaign::{self, CampaignSettings, Campaigns};
use sealwax_workflow::{Announcer, Parts, Queue, Settings, Workflow, sweep};
use tokio_util::sync::CancellationToken;

use crate::ca::ISSUER;
use crate::campaign::Busy;
use crate::effects::Gate;
use crate::keys::{PlainSealer, PooledKeys};
use crate::plan::Mutation;
use crate::staging::{STAGING, StagingGate};
use crate::store::GatedStore;
use crate::time::Wall;
use crate::world::World;

/// How long a silent holder keeps a name.
pub(crate) const LEASE: Span = Span::from_secs(30);

/// How long a process may take to stop: `TimeoutStopSec` of the shipped unit.
const STOP_TIMEOUT: Span = Span::from_secs(90);
/// Between two passes of the sweep while something may just have ended.
pub(crate) const HURRIED: Span = Span::from_secs(20);
/// While the platform is asked again and again about a name that may have left.
pub(crate) const DOUBTED: Span = Span::from_secs(180);

/// Works until it is told to stop, and then as long as production takes to stop.
async fn lead(world: Arc<World>, life: Arc<Life>, queue: Queue, told: CancellationToken) {
    if world.plan.mutation == Some(Mutation::DropsAtOnce) {
        tokio::select! {
            () = queue.serve(CancellationToken::new()) => {}
            () = told.cancelled() => {}
        }
    } else {
        queue.serve(told).await;
    }
    if life.end() {
        world.note(&format!("replica {} stops", life.instance));
        world.watch.check_stopped(&world, &life);
    }
}

/// One life of a replica.
#[derive(Debug)]
pub(crate) struct Life {
    /// Different for each life of each replica.
    pub(crate) instance: u32,
    over: AtomicBool,
    /// SIGKILL: nothing goes on.
    stop: CancellationToken,
    /// SIGTERM: it stops by itself.
    told: CancellationToken,
}

impl Life {
    pub(crate) fn is_over(&self) -> bool {
        self.over.load(Ordering::Relaxed)
    }

    /// It was told to stop, and has not yet.
    pub(crate) fn is_stopping(&self) -> bool {
        self.told.is_cancelled() && !self.is_over()
    }

    /// False: it was over already.
    pub(crate) fn end(&self) -> bool {
        let ended = !self.over.swap(true, Ordering::Relaxed);
        // Drops the futures of everything that runs, wherever they are.
        self.stop.cancel();
        ended
    }

    pub(crate) fn holder(&self) -> String {
        format!("process-{}", self.instance)
    }
}

/// A running replica.
pub(crate) struct Replica {
    pub(crate) life: Arc<Life>,
    pub(crate) queue: Queue,
    pub(crate) wall: Arc<Wall>,
    store: Arc<dyn Store>,
    /// Ends its work on the campaign, while there is some.
    recalling: Option<CancellationToken>,
    /// Ends the passes of the sweep that come between the others.
    sweeping: Option<(Span, CancellationToken)>,
    /// When it was told to stop.
    told_at: Option<Span>,
}

/// Sees nothing wrong with any domain.
struct Clear;

#[async_trait]
impl Preflight for Clear {
    async fn look(&self, _domain: &DomainName, now: Timestamp) -> Option<Findings> {
        let from = IpAddr::V4(Ipv4Addr::LOCALHOST);
        Some(Findings {
            at: now,
            ipv4: Looked::Found(vec![Address { ip: from, ours: None }]),
            ipv6: Looked::Nothing { said: "no such record".to_owned() },
            aliases: Vec::new(),
            caa: Looked::Nothing { said: "no such record".to_owned() },
            path: Path::Answered { from, redirects: 0 },
            also: Vec::new(),
            vantage_proven: true,
        })
    }
}

struct Nobody;

impl Announcer for Nobody {
    fn changed(&self, _domain: &DomainName) {}

    fn resync(&self) {}
}

impl Replica {
    pub(crate) fn start(world: &Arc<World>, instance: u32) -> Self {
        let stop = CancellationToken::new();
        let over = AtomicBool::new(false);
        let told = stop.child_token();
        let life = Arc::new(Life { instance, over, stop, told: told.clone() });
        let gate = Gate { world: Arc::clone(world), life: Arc::clone(&life) };
        let wall = Arc::new(Wall::of(&world.time));
        let clock = Arc::clone(&wall) as Arc<dyn Clock>;
        let store: Arc<dyn Store> =
            Arc::new(GatedStore { gate: gate.clone(), exclusive: world.plan.exclusive });
        let jitter = Dice::of(world.plan.seed, &format!("jitter of {instance}"));
        let trials = Arc::new(StagingGate(gate.clone())) as Arc<dyn Issuer>;
        let staging = world.plan.staging.then(|| (ISSUER.to_owned(), trials));
        let parts = Parts {
            store: Arc::clone(&store),
            sealer: Arc::new(PlainSealer),
            permission: Arc::new(gate.clone()) as Arc<dyn Permission>,
            preflight: Arc::new(Clear),
            issuers: vec![Arc::new(gate.clone()) as Arc<dyn Issuer>],
            staging: staging.into_iter().collect(),
            challenges: Arc::new(sealwax_core::NoEdges),
            keys: Arc::new(PooledKeys::default()),
            clock: Arc::clone(&clock),
            jitter: Arc::new(jitter),
            announcer: Arc::new(Nobody),
            notifier: Arc::new(gate) as Arc<dyn Notifier>,
            trusts: Arc::new(|| true),
        };
        let settings = Settings {
            holder: life.holder(),
            lease: LEASE,
            key_types: BTreeMap::new(),
            concurrency: 4,
            limits: BTreeMap::from([
                (ISSUER.to_owned(), Limits::default()),
                (STAGING.to_owned(), Limits::staging()),
            ]),
            gone_grace: Span::from_secs(86_400),
            gone_per_hour: 20,
        };
        let queue = Queue::new(Workflow::new(parts, settings));
        tokio::spawn(lead(Arc::clone(world), Arc::clone(&life), queue.clone(), told.clone()));
        let interval = world.plan.sweep_interval();
        let swept = Arc::clone(&store);
        tokio::spawn(sweep::serve(swept, clock, queue.clone(), interval, told));
        Self { life, queue, wall, store, recalling: None, sweeping: None, told_at: None }
    }

    /// SIGTERM; SIGKILL if it has not stopped in time.
    pub(crate) fn terminate(&mut self, world: &World) {
        let now = world.time.passed();
        match self.told_at {
            None => {
                world.note(&format!("replica {} is told to stop", self.life.instance));
                self.told_at = Some(now);
                self.life.told.cancel();
            }
            Some(at) if now.less(at) >= STOP_TIMEOUT && !self.life.is_over() => {
                world.note(&format!("replica {} did not stop in time", self.life.instance));
                world.kill(&self.life);
            }
            Some(_) => {}
        }
    }

    /// The sweep passes so often from now on, or not any more between its rare passes.
    pub(crate) fn hurry(&mut self, interval: Option<Span>) {
        if self.sweeping.as_ref().map(|(interval, _)| *interval) == interval {
            return;
        }
        if let Some((_, stop)) = self.sweeping.take() {
            stop.cancel();
        }
        let Some(interval) = interval.filter(|_| !self.life.told.is_cancelled()) else { return };
        let stop = self.life.told.child_token();
        let clock = Arc::clone(&self.wall) as Arc<dyn Clock>;
        let (store, queue) = (Arc::clone(&self.store), self.queue.clone());
        tokio::spawn(sweep::serve(store, clock, queue, interval, stop.clone()));
        self.sweeping = Some((interval, stop));
    }

    /// Works on the campaign from now on, or does not any more.
    pub(crate) fn recall(&mut self, lives: bool, world: &World) {
        match &self.recalling {
            Some(stop) if !lives => {
                stop.cancel();
                self.recalling = None;
            }
            None if lives => {
                let stop = self.life.told.child_token();
                let clock = Arc::clone(&self.wall) as Arc<dyn Clock>;
                let campaigns = Campaigns::new(Arc::clone(&self.store), clock);
                let settings = CampaignSettings { holder: self.life.holder(), lease: LEASE };
                let busy = Arc::new(Busy(world.domains.clone()));
                let (queue, stopped) = (self.queue.clone(), stop.clone());
                // A process that dies drops what it is at.
                tokio::spawn(async move {
                    tokio::select! {
                        () = stopped.cancelled() => {}
                        () = campaign::serve(campaigns, queue, busy, settings, stopped.clone()) => {}
                    }
                });
                self.recalling = Some(stop);
            }
            Some(_) | None => {}
        }
    }
}
