//! The three listeners: taken before anything else, served until the stop.

use std::sync::Arc;

use futures::StreamExt as _;
use sealwax_protocol::DomainName;
use sealwax_workflow::DeadLetterList;
use sealwax_xds::XdsServer;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::error::AppError;
use super::glance::ProcessFleet;
use super::health::ProcessHealth;
use super::parts::App;
use super::steward::ProcessSteward;
use sealwax_admin::{AdminApi, Advice, Scope, Tokens, caa_of};
use sealwax_config::{Config, Listen, TlsFiles};
use sealwax_registry::{Announcer, Registry, Rules};
use sealwax_serving::edge::{EdgeApi, Readiness, Usage};
use sealwax_web::{Acceptor, Connections, Tls, serve};

/// What ALPN offers: gRPC is HTTP/2; a filter may speak either.
const XDS_PROTOCOLS: &[&[u8]] = &[b"h2"];
const EDGE_PROTOCOLS: &[&[u8]] = &[b"h2", b"http/1.1"];

/// The two moments of an ending.
#[derive(Clone, Copy)]
pub(super) struct Stops<'a> {
    /// A stop was asked for: nothing new begins, and event streams end.
    pub(super) asked: &'a CancellationToken,
    /// Work has come to rest: connections end.
    pub(super) end: &'a CancellationToken,
}

/// Bound sockets: a port that is taken is found before the store is opened.
pub(super) struct Listeners {
    xds: Acceptor,
    edge: Acceptor,
    admin: Acceptor,
    /// Whose files are watched.
    tls: Vec<Arc<Tls>>,
}

impl Listeners {
    pub(super) async fn bind(config: &Config) -> Result<Self, AppError> {
        let xds_tls = tls("xds", config.xds.tls.as_ref(), XDS_PROTOCOLS)?;
        let edge_tls = tls("edge", config.edge.tls.as_ref(), EDGE_PROTOCOLS)?;
        Ok(Self {
            tls: xds_tls.iter().chain(&edge_tls).cloned().collect(),
            xds: listen("xds", &config.xds.listen, xds_tls).await?,
            edge: listen("edge", &config.edge.listen, edge_tls).await?,
            admin: listen("admin", &config.admin.listen.into(), None).await?,
        })
    }

    /// Starts serving on `tasks`.
    pub(super) fn serve(
        self,
        app: &App,
        config: &Config,
        tasks: &TaskTracker,
        stops: Stops<'_>,
    ) -> Result<(), AppError> {
        let edge = EdgeApi {
            store: Arc::clone(&app.store),
            answers: app.answers.clone(),
            clock: Arc::clone(&app.clock),
            readiness: Arc::clone(&app.catalog) as Arc<dyn Readiness>,
            usage: Arc::new(UsageToXds(Arc::clone(&app.xds))),
            steps: Arc::new(app.watch.trail.clone()),
        };
        let admin = AdminApi {
            registry: registry(app, config),
            certificates: app.certificates.clone(),
            accounts: app.accounts.clone(),
            campaigns: app.campaigns.clone(),
            dead_letters: DeadLetterList::new(Arc::clone(&app.store)),
            departures: app.departures.clone(),
            health: Arc::new(ProcessHealth::new(app, stops.asked.clone())),
            fleet: Arc::new(ProcessFleet::new(app)),
            steward: Arc::new(ProcessSteward::new(app)),
            feed: app.watch.feed.clone(),
            trail: app.watch.trail.clone(),
            advice: Arc::new(advice(config)),
            stop: stops.asked.clone(),
            tokens: tokens(config)?,
            rate: config.admin.rate,
            access_log: config.telemetry.access_log.clone().into(),
        };
        tracing::info!(xds = %config.xds.listen, edge = %config.edge.listen,
            admin = %config.admin.listen, "serving");
        let stop = stops.end;
        let (xds, until) = (Arc::clone(&app.xds), stop.clone());
        tasks.spawn(async move {
            let connections = self.xds.connections().map(Ok);
            if let Err(error) = xds.serve_connections(connections, until).await {
                tracing::error!(%error, "the xDS server stopped");
            }
        });
        for tls in self.tls {
            tasks.spawn(tls.watch(stop.clone()));
        }
        let connections = Connections::default();
        tasks.spawn(serve(self.edge, edge.router(), connections, stop.clone()));
        tasks.spawn(serve(self.admin, admin.router(), connections, stop.clone()));
        Ok(())
    }
}

fn advice(config: &Config) -> Advice {
    Advice {
        edges: config.edge.public.clone(),
        caa: caa_of(&config.issuers),
        ask_url: config.permission.ask_url.as_ref().map(bare),
    }
}

/// Without its query, which may hold a credential.
fn bare(url: &url::Url) -> String {
    let mut url = url.clone();
    url.set_query(None);
    url.to_string()
}

fn registry(app: &App, config: &Config) -> Registry {
    let rules = Rules {
        issuers: config.issuers.iter().map(|issuer| issuer.name.clone()).collect(),
        on_register: config.issuance.on_register,
    };
    let announcer = Arc::clone(&app.announcements) as Arc<dyn Announcer>;
    Registry::new(Arc::clone(&app.store), Arc::clone(&app.clock), announcer, rules)
        .telling(Arc::clone(&app.notifier))
}

fn tokens(config: &Config) -> Result<Option<Arc<Tokens>>, AppError> {
    let admin = &config.admin;
    let files = [
        (Scope::Read, admin.read_token_file.as_deref()),
        (Scope::Write, admin.write_token_file.as_deref()),
        (Scope::Keys, admin.token_file.as_deref()),
    ];
    let tokens = Tokens::read(files).map_err(|error| AppError::Token(error.to_string()))?;
    Ok(tokens.map(Arc::new))
}

fn tls(
    section: &'static str,
    files: Option<&TlsFiles>,
    protocols: &'static [&'static [u8]],
) -> Result<Option<Arc<Tls>>, AppError> {
    let load = |files: &TlsFiles| Tls::load(files.clone(), protocols);
    files.map(load).transpose().map_err(|source| AppError::Tls { section, source })
}

async fn listen(
    section: &'static str,
    place: &Listen,
    tls: Option<Arc<Tls>>,
) -> Result<Acceptor, AppError> {
    let bound = Acceptor::bind(place, tls).await;
    bound.map_err(|source| AppError::Listen { section, address: place.clone(), source })
}

/// What edges report as used keeps its place in them.
struct UsageToXds(Arc<XdsServer>);

impl Usage for UsageToXds {
    fn used(&self, names: &[DomainName]) {
        // A report does not say which edge it is from: a name busy anywhere is busy.
        self.0.usage(None, names);
    }
}
