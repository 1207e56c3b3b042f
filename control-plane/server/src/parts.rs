//! The parts, put together.

use std::sync::Arc;

use sealwax_acme::{AccountVault, AcmeIssuer};
use sealwax_core::permission::Permission;
use sealwax_core::secret::Sealer;
use sealwax_core::store::Store;
use sealwax_core::{Clock, Jitter, Lane, Notifier, Span};
use sealwax_protocol::DomainName;
use sealwax_store::{
    DynamoStore, RemoteSettings, Upkeep, embedded_exists, open_embedded, open_remote,
};
use sealwax_workflow::campaign::Campaigns;
use sealwax_workflow::{Ask, Departures, Parts, Queue, Settings, Workflow};
use sealwax_xds::{XdsConfig, XdsServer};

use super::announcements::Announcements;
use super::error::AppError;
use super::ground::Ground;
use super::issuers;
use super::keys::LocalKeys;
use super::late_store::LateStore;
use super::outlook;
use super::sealing::ProvenSealer;
use super::vault::Vault;
use super::watch::{Eyes, Watch};
use sealwax_config::{self as config, Config};
use sealwax_platform::notify::Sinks;
use sealwax_platform::permission::{AskEndpoint, RegistrationIsPermission};
use sealwax_registry::accounts::Accounts;
use sealwax_registry::certificates::Certificates;
use sealwax_serving::catalog::{
    CacheBounds, Catalog, CatalogParts, Demand, EdgeTenants, Serving, WildcardZones,
};
use sealwax_serving::edge::Answers;
use sealwax_serving::identity::{IdentityWatch, Trust};
use sealwax_serving::last_good::{Keeper, LastGood};
use sealwax_system::{SystemClock, SystemJitter, process_name};
use sealwax_telemetry::metrics::{MeteredSource, Sampler, SamplerParts};
use sealwax_telemetry::traces::Traces;

/// What is remembered of names.
const CACHE: CacheBounds = CacheBounds {
    // About 16,000 P-256 certificates.
    bytes: 96 * 1024 * 1024,
    // How long one is believed without a word from the store.
    certificate_life: Span::from_secs(600),
    // How long an unknown name is believed to stay unknown, if nobody registers it.
    negative_life: Span::from_secs(60),
};

/// Everything that runs.
pub struct App {
    /// All state.
    pub store: Arc<dyn Store>,
    /// The challenges' answers this process published.
    pub answers: Answers,
    /// Wall time.
    pub clock: Arc<dyn Clock>,
    /// Which domain is next.
    pub queue: Queue,
    /// What may be served.
    pub catalog: Arc<Catalog>,
    /// Serves Envoy.
    pub xds: Arc<XdsServer>,
    /// Tells caches and edges.
    pub announcements: Arc<Announcements>,
    /// Watches the others.
    pub watch: Watch,
    /// Certificates brought along and taken back.
    pub certificates: Certificates,
    /// The accounts of the issuers.
    pub accounts: Accounts,
    /// Replacing many certificates.
    pub campaigns: Campaigns,
    /// Whether too many domains are said to be gone.
    pub departures: Departures,
    /// Tells the platform.
    pub notifier: Arc<dyn Notifier>,
    /// Whom it tells.
    pub sinks: Arc<Sinks>,
    /// Which store it is, and whether it is the known one.
    pub identity: Arc<IdentityWatch>,
    /// An embedded store that was not there at the start.
    pub(super) late: Option<Arc<LateStore>>,
    /// The store, for what is done to all of it.
    pub(super) upkeep: Arc<dyn Upkeep>,
    /// Seals and opens private keys.
    pub(super) sealer: Arc<ProvenSealer>,
    /// What is served while the store is away; an embedded one never is.
    pub(super) last_good: Option<LastGood>,
    /// Writes it.
    pub(super) keeper: Option<Keeper>,
}

impl App {
    /// Opens the store and puts the parts together. Starts nothing but the catalog's loader.
    ///
    /// # Errors
    /// What keeps it from starting.
    pub async fn build(config: &Config) -> Result<Self, AppError> {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let jitter: Arc<dyn Jitter> = Arc::new(SystemJitter::default());
        let eyes = Eyes::open(Arc::clone(&clock), traces(&config.telemetry)?);
        let Ground { store, upkeep, late, last_good, keeper, trust, identity, sealer: proven } =
            Ground::open(config, &eyes, &clock).await?;
        let sealer = Arc::clone(&proven) as Arc<dyn Sealer>;
        let vault = vault(&upkeep, &eyes);
        let acme = issuers::build(&config.issuers, &store, &sealer, &clock, &vault)?;
        let issuers = eyes.issuers(acme.issuers.clone());
        let staging = acme.tried(eyes.issuers(acme.stagings.clone()));
        let announcements = Arc::new(Announcements::default());
        let sinks = Arc::new(Sinks::open(&config.notify, Arc::clone(&clock)).await?);
        let notifier = eyes.notifier(Arc::clone(&sinks) as Arc<dyn Notifier>);
        let answers = Answers::default();
        let parts = Parts {
            store: Arc::clone(&store),
            sealer: Arc::clone(&sealer),
            permission: eyes.permission(permission(&config.permission)?),
            preflight: eyes.preflight(outlook::build(config)),
            issuers,
            staging,
            challenges: Arc::new(answers.clone()),
            keys: Arc::new(LocalKeys),
            clock: Arc::clone(&clock),
            jitter: Arc::clone(&jitter),
            announcer: Arc::clone(&announcements) as _,
            notifier: Arc::clone(&notifier),
            trusts: trusts(&trust),
        };
        let certificates = certificates(&parts, &announcements);
        let workflow = Workflow::new(parts, settings(config));
        let accounts = accounts(&acme.accounts(), vault, &workflow);
        let queue = Queue::new(workflow);
        let (read, clocks) = (Arc::clone(&store), Arc::clone(&clock));
        let parts = CatalogParts { store: read, sealer, clock: clocks, jitter, trust };
        let catalog = open_catalog(parts, config, &queue, last_good.as_ref());
        let source = eyes.source(Arc::clone(&catalog) as _, config.issuance.max_wait.duration());
        let xds = Arc::new(XdsServer::new(xds_config(config), Arc::clone(&source) as _));
        announcements.connect(Arc::clone(&catalog), Arc::clone(&xds), queue.clone());
        let watch = watch(eyes, &queue, &catalog, &xds, &source);
        Ok(Self {
            campaigns: Campaigns::new(Arc::clone(&store), Arc::clone(&clock)),
            departures: Departures::new(Arc::clone(&store), config.renewal.gone_per_hour),
            store,
            answers,
            clock,
            queue,
            catalog,
            xds,
            announcements,
            watch,
            certificates,
            accounts,
            notifier,
            sinks,
            identity,
            late,
            upkeep,
            sealer: proven,
            last_good,
            keeper,
        })
    }
}

/// Demand of visitors goes into the workflow's queue.
struct Demanded(Queue);

impl Demand for Demanded {
    fn wanted(&self, domain: &DomainName, lane: Lane) {
        self.0.submit(domain, lane, Ask::Demand);
    }
}

fn open_catalog(
    parts: CatalogParts,
    config: &Config,
    queue: &Queue,
    last_good: Option<&LastGood>,
) -> Arc<Catalog> {
    let catalog = Arc::new(Catalog::new(parts, CACHE, serving(config)));
    catalog.demand_through(Arc::new(Demanded(queue.clone())));
    if let Some(copy) = last_good {
        catalog.fall_back_on(copy.clone());
    }
    catalog
}

/// Brought along and taken back with the workflow's own parts.
fn certificates(parts: &Parts, announcements: &Arc<Announcements>) -> Certificates {
    Certificates {
        store: Arc::clone(&parts.store),
        sealer: Arc::clone(&parts.sealer),
        issuers: parts.issuers.clone(),
        clock: Arc::clone(&parts.clock),
        jitter: Arc::clone(&parts.jitter),
        announcer: Arc::clone(announcements) as _,
        notifier: Arc::clone(&parts.notifier),
    }
}

/// Nothing is ordered on the word of a store that may be the wrong one.
fn trusts(trust: &Trust) -> Arc<dyn Fn() -> bool + Send + Sync> {
    let trust = trust.clone();
    Arc::new(move || trust.acts())
}

fn vault(upkeep: &Arc<dyn Upkeep>, eyes: &Eyes) -> Arc<dyn AccountVault> {
    Arc::new(Vault { upkeep: Arc::clone(upkeep), metrics: eyes.metrics.clone() })
}

/// Accounts that work again are told to the workflow.
fn accounts(
    issuers: &[Arc<AcmeIssuer>],
    vault: Arc<dyn AccountVault>,
    workflow: &Workflow,
) -> Accounts {
    let told = workflow.clone();
    Accounts::of(issuers, vault, Box::new(move |issuer: &str| told.account_works(issuer)))
}

fn watch(
    eyes: Eyes,
    queue: &Queue,
    catalog: &Arc<Catalog>,
    xds: &Arc<XdsServer>,
    source: &MeteredSource,
) -> Watch {
    let (catalog, xds) = (Arc::clone(catalog), Arc::clone(xds));
    let parts = SamplerParts { queue: queue.clone(), catalog, xds };
    let sampler = Sampler::new(parts, source, eyes.metrics.clone(), &*eyes.clock);
    eyes.watch(sampler)
}

fn traces(configured: &config::Telemetry) -> Result<Traces, AppError> {
    match &configured.traces {
        None => Ok(Traces::default()),
        Some(exporting) => {
            Traces::to(exporting).map_err(|error| AppError::Traces(error.to_string()))
        }
    }
}

fn settings(config: &Config) -> Settings {
    Settings {
        holder: process_name(),
        lease: config.issuance.lease,
        key_types: issuers::key_types(&config.issuers),
        concurrency: config.issuance.concurrency,
        limits: issuers::limits(config),
        gone_grace: config.renewal.gone_grace,
        gone_per_hour: config.renewal.gone_per_hour,
    }
}

fn serving(config: &Config) -> Serving {
    Serving {
        on_handshake: config.issuance.on_handshake,
        wildcard_zones: WildcardZones::new(&config.xds.wildcard_zones),
        tenants: EdgeTenants::new(&config.xds.edge_tenants),
    }
}

fn xds_config(config: &Config) -> XdsConfig {
    XdsConfig {
        max_wait: config.issuance.max_wait.duration(),
        max_names_per_edge: config.xds.budget_names,
        edge_budgets: config.xds.edge_budgets.clone().into_iter().collect(),
        withdrawal_percent: usize::try_from(config.xds.withdrawal_percent).unwrap_or(100),
        withdrawal_window: config.xds.withdrawal_window.duration(),
        withdrawal_floor: usize::try_from(config.xds.withdrawal_floor).unwrap_or(usize::MAX),
        ..XdsConfig::default()
    }
}

/// What to do where there is no embedded store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WhenAbsent {
    /// Create one.
    Create,
    /// Say so.
    Refuse,
}

/// Opens the configured store; creates nothing in a remote one.
///
/// # Errors
/// What keeps it from being opened.
pub async fn open_store(
    configured: &config::Store,
    absent: WhenAbsent,
    clock: Arc<dyn Clock>,
) -> Result<DynamoStore, AppError> {
    match configured {
        config::Store::Embedded { path }
            if absent == WhenAbsent::Refuse && !embedded_exists(path) =>
        {
            Err(AppError::NoStore(path.clone()))
        }
        config::Store::Embedded { path } => Ok(open_embedded(path, clock).await?),
        config::Store::Dynamodb { table_prefix, region, endpoint_url, .. } => {
            let settings = RemoteSettings {
                region: region.clone(),
                endpoint_url: endpoint_url.as_ref().map(ToString::to_string),
                table_prefix: table_prefix.clone(),
                ..RemoteSettings::default()
            };
            Ok(open_remote(&settings, clock).await?)
        }
    }
}

fn permission(configured: &config::Permission) -> Result<Arc<dyn Permission>, AppError> {
    match &configured.ask_url {
        None => Ok(Arc::new(RegistrationIsPermission)),
        Some(url) => {
            let endpoint = AskEndpoint::new(configured, url.clone());
            Ok(Arc::new(endpoint.map_err(|error| AppError::Permission(error.to_string()))?))
        }
    }
}
