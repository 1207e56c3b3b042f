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
use sealwax_core::{Clock, Span, Timestamp};
use sealwax_protocol::DomainName;
use sealwax_simulation::Dice;
use sealwax_workflow::campaign::{self, CampaignSettings, Campaigns};
use sealwax_workflow::{Announcer, Parts, Queue, Settings, Workflow, sweep};
use tokio_util::sync::CancellationToken;

use crate::ca::ISSUER;
use crate::campaign::Busy;
use crate::effects::Gate;
use crate::keys::{PlainSealer, PooledKeys};
use crate::staging::{STAGING, StagingGate};
use crate::store::GatedStore;
use crate::time::Wall;
use crate::world::World;

/// How long a silent holder keeps a name.
pub(crate) const LEASE: Span = Span::from_secs(30);

/// One life of a replica.
#[derive(Debug)]
pub(crate) struct Life {
    /// Different for each life of each replica.
    pub(crate) instance: u32,
    over: AtomicBool,
    stop: CancellationToken,
}

impl Life {
    pub(crate) fn is_over(&self) -> bool {
        self.over.load(Ordering::Relaxed)
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
        let life = Arc::new(Life { instance, over, stop: stop.clone() });
        let gate = Gate { world: Arc::clone(world), life: Arc::clone(&life) };
        let wall = Arc::new(Wall::of(&world.time));
        let clock = Arc::clone(&wall) as Arc<dyn Clock>;
        let store: Arc<dyn Store> =
            Arc::new(GatedStore { gate: gate.clone(), inner: Arc::clone(&world.store) });
        let jitter = Dice::of(world.plan.seed, &format!("jitter of {instance}"));
        let trials = Arc::new(StagingGate(gate.clone())) as Arc<dyn Issuer>;
        let staging = world.plan.staging.then(|| (ISSUER.to_owned(), trials));
        let parts = Parts {
            store: Arc::clone(&store),
            sealer: Arc::new(PlainSealer),
            permission: Arc::new(gate.clone()) as Arc<dyn Permission>,
            preflight: Arc::new(Clear),
            issuers: vec![Arc::new(gate) as Arc<dyn Issuer>],
            staging: staging.into_iter().collect(),
            challenges: Arc::new(sealwax_core::NoEdges),
            keys: Arc::new(PooledKeys::default()),
            clock: Arc::clone(&clock),
            jitter: Arc::new(jitter),
            announcer: Arc::new(Nobody),
            notifier: Arc::new(sealwax_core::notice::Nobody),
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
        tokio::spawn(queue.clone().serve(stop.clone()));
        let interval = world.plan.sweep_interval();
        let swept = Arc::clone(&store);
        tokio::spawn(sweep::serve(swept, clock, queue.clone(), interval, stop));
        Self { life, queue, wall, store, recalling: None }
    }

    /// Works on the campaign from now on, or does not any more.
    pub(crate) fn recall(&mut self, lives: bool, world: &World) {
        match &self.recalling {
            Some(stop) if !lives => {
                stop.cancel();
                self.recalling = None;
            }
            None if lives => {
                let stop = self.life.stop.child_token();
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
