//! The parts, put together.

use std::sync::Arc;

use sealwax_core::permission::Permission;
use sealwax_core::secret::Sealer;
use sealwax_core::store::Store;
use sealwax_core::{Clock, Jitter, Notifier, Span};
use sealwax_store::{DynamoStore, RemoteSettings, Upkeep, open_embedded, open_remote};
use sealwax_workflow::campaign::Campaigns;
use sealwax_workflow::{Departures, Parts, Queue, Settings, Workflow};
use sealwax_xds::{XdsConfig, XdsServer};

use super::announcements::Announcements;
use super::error::AppError;
use super::issuers;
use super::keys::LocalKeys;
use super::outlook;
use super::region;
use super::sealing::ProvenSealer;
use super::watch::{Eyes, Watch};
use crate::accounts::Accounts;
use crate::catalog::{CacheBounds, Catalog, CatalogParts, EdgeTenants, Serving, WildcardZones};
use crate::certificates::Certificates;
use crate::config::{self, Config};
use crate::edge::Answers;
use crate::last_good::{Keeper, LastGood};
use crate::metrics::{Sampler, SamplerParts};
use crate::notify::Sinks;
use crate::permission::{AskEndpoint, RegistrationIsPermission};
use crate::registry;
use crate::system::{SystemClock, SystemJitter, process_name};
use crate::traces::Traces;

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
        // Before the store: it makes the folder, and says whether there is something to serve.
        let (last_good, keeper) = open_last_good(&config.store)?.unzip();
        let serves = last_good.as_ref().is_some_and(LastGood::found_some);
        let opened = Arc::new(region::open_where_it_was(&config.store, Arc::clone(&clock)).await?);
        let upkeep = Arc::clone(&opened) as Arc<dyn Upkeep>;
        let store: Arc<dyn Store> = eyes.store(opened);
        let proven = Arc::new(ProvenSealer::open(config, &*store, serves).await?);
        let sealer = Arc::clone(&proven) as Arc<dyn Sealer>;
        let acme = issuers::build(&config.issuers, &store, &sealer, &clock)?;
        let issuers = eyes.issuers(acme.issuers.clone());
        let staging = acme.tried(eyes.issuers(acme.stagings.clone()));
        let announcements = Arc::new(Announcements::default());
        let sinks = Arc::new(Sinks::open(&config.notify, Arc::clone(&clock)).await?);
        let notifier = eyes.notifier(Arc::clone(&sinks) as Arc<dyn Notifier>);
        let certificates = Certificates {
            store: Arc::clone(&store),
            sealer: Arc::clone(&sealer),
            issuers: issuers.clone(),
            clock: Arc::clone(&clock),
            jitter: Arc::clone(&jitter),
            announcer: Arc::clone(&announcements) as Arc<dyn registry::Announcer>,
            notifier: Arc::clone(&notifier),
        };
        let answers = Answers::default();
        let workflow = Workflow::new(
            Parts {
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
                announcer: Arc::clone(&announcements) as Arc<dyn sealwax_workflow::Announcer>,
                notifier: Arc::clone(&notifier),
            },
            settings(config),
        );
        let queue = Queue::new(workflow);
        let parts =
            CatalogParts { store: Arc::clone(&store), sealer, clock: Arc::clone(&clock), jitter };
        let catalog = open_catalog(parts, config, &queue, last_good.as_ref());
        let source = Arc::clone(&catalog) as Arc<dyn sealwax_xds::CertificateSource>;
        let source = eyes.source(source, config.issuance.max_wait.duration());
        let xds = Arc::new(XdsServer::new(xds_config(config), Arc::clone(&source) as _));
        announcements.connect(Arc::clone(&catalog), Arc::clone(&xds), queue.clone());
        let seen = SamplerParts {
            queue: queue.clone(),
            catalog: Arc::clone(&catalog),
            xds: Arc::clone(&xds),
        };
        let sampler = Sampler::new(seen, &source, eyes.metrics.clone(), &*clock);
        let watch = eyes.watch(sampler);
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
            accounts: Accounts::of(&acme.accounts(), &upkeep),
            notifier,
            sinks,
            upkeep,
            sealer: proven,
            last_good,
            keeper,
        })
    }
}

fn open_catalog(
    parts: CatalogParts,
    config: &Config,
    queue: &Queue,
    last_good: Option<&LastGood>,
) -> Arc<Catalog> {
    let catalog = Arc::new(Catalog::new(parts, CACHE, serving(config)));
    catalog.demand_through(queue.clone());
    if let Some(copy) = last_good {
        catalog.fall_back_on(copy.clone());
    }
    catalog
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

fn open_last_good(configured: &config::Store) -> Result<Option<(LastGood, Keeper)>, AppError> {
    match configured {
        config::Store::Dynamodb { last_good: Some(at), .. } => {
            let opened = LastGood::open(&at.path, at.bytes_max);
            Ok(Some(opened.map_err(|error| AppError::LastGood(error.to_string()))?))
        }
        config::Store::Dynamodb { last_good: None, .. } | config::Store::Embedded { .. } => {
            Ok(None)
        }
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
        ..XdsConfig::default()
    }
}

/// Opens the configured store; creates nothing in a remote one.
///
/// # Errors
/// What keeps it from being opened.
pub async fn open_store(
    configured: &config::Store,
    clock: Arc<dyn Clock>,
) -> Result<DynamoStore, AppError> {
    match configured {
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
