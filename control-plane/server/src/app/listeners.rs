//! The three listeners: taken before anything else, served until the stop.

use std::net::SocketAddr;
use std::sync::Arc;

use sealwax_protocol::DomainName;
use sealwax_xds::XdsServer;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::error::AppError;
use super::health::ProcessHealth;
use super::parts::App;
use crate::admin::{AdminApi, Token};
use crate::config::Config;
use crate::edge::{EdgeApi, Readiness, Usage};
use crate::registry::{Announcer, Registry, Rules};
use crate::web::{Connections, serve};

/// Bound sockets: a port that is taken is found before the store is opened.
pub(super) struct Listeners {
    xds: TcpListener,
    edge: TcpListener,
    admin: TcpListener,
}

impl Listeners {
    pub(super) async fn bind(config: &Config) -> Result<Self, AppError> {
        Ok(Self {
            xds: listen("xds", config.xds.listen).await?,
            edge: listen("edge", config.edge.listen).await?,
            admin: listen("admin", config.admin.listen).await?,
        })
    }

    /// Starts serving on `tasks`.
    pub(super) fn serve(
        self,
        app: &App,
        config: &Config,
        tasks: &TaskTracker,
        stop: &CancellationToken,
    ) -> Result<(), AppError> {
        let edge = EdgeApi {
            store: Arc::clone(&app.store),
            clock: Arc::clone(&app.clock),
            readiness: Arc::clone(&app.catalog) as Arc<dyn Readiness>,
            usage: Arc::new(UsageToXds(Arc::clone(&app.xds))),
        };
        let admin = AdminApi {
            registry: registry(app, config),
            certificates: app.certificates.clone(),
            health: Arc::new(ProcessHealth::new(app)),
            token: token(config)?,
        };
        tracing::info!(xds = %config.xds.listen, edge = %config.edge.listen,
            admin = %config.admin.listen, "serving");
        let (xds, until) = (Arc::clone(&app.xds), stop.clone());
        tasks.spawn(async move {
            if let Err(error) = xds.serve(self.xds, until).await {
                tracing::error!(%error, "the xDS server stopped");
            }
        });
        let connections = Connections::default();
        tasks.spawn(serve(self.edge, edge.router(), connections, stop.clone()));
        tasks.spawn(serve(self.admin, admin.router(), connections, stop.clone()));
        Ok(())
    }
}

fn registry(app: &App, config: &Config) -> Registry {
    let rules = Rules {
        issuers: config.issuers.iter().map(|issuer| issuer.name.clone()).collect(),
        on_register: config.issuance.on_register,
    };
    let announcer = Arc::clone(&app.announcements) as Arc<dyn Announcer>;
    Registry::new(Arc::clone(&app.store), Arc::clone(&app.clock), announcer, rules)
}

fn token(config: &Config) -> Result<Option<Arc<Token>>, AppError> {
    let read = |path: &std::path::PathBuf| Token::read(path).map(Arc::new);
    let token = config.admin.token_file.as_ref().map(read).transpose();
    token.map_err(|error| AppError::Token(error.to_string()))
}

async fn listen(section: &'static str, address: SocketAddr) -> Result<TcpListener, AppError> {
    let bound = TcpListener::bind(address).await;
    bound.map_err(|source| AppError::Listen { section, address, source })
}

/// What edges report as used keeps its place in them.
struct UsageToXds(Arc<XdsServer>);

impl Usage for UsageToXds {
    fn used(&self, names: &[DomainName]) {
        // A report does not say which edge it is from: a name busy anywhere is busy.
        self.0.usage(None, names);
    }
}
