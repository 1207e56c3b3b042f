//! `sealwax envoy`

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Subcommand};

use crate::bootstrap::{Endpoint, NodeId};

#[derive(Debug, Subcommand)]
pub(in crate::commands) enum EnvoyCommand {
    /// Print a complete Envoy configuration for this control plane.
    Bootstrap(Box<EnvoyBootstrap>),
    /// Make certificates for mutual TLS: a private CA, the control plane's and an edge's.
    Certs(EnvoyCerts),
    /// Let the withdrawals go that the brake holds back, from the edges of this control plane.
    Release(EnvoyRelease),
}

#[derive(Debug, Args)]
pub(in crate::commands) struct EnvoyRelease {
    /// Names that the store has neither a record nor a removal of, too.
    #[arg(long)]
    pub(in crate::commands) unknown: bool,
}

#[derive(Debug, Args)]
pub(in crate::commands) struct EnvoyCerts {
    /// The edge's identity, as in its bootstrap.
    #[arg(long, value_name = "NODE_ID")]
    pub(in crate::commands) edge: NodeId,
    /// The folder; a CA that is there already is used.
    #[arg(long, value_name = "DIR")]
    pub(in crate::commands) out: PathBuf,
    /// Make the control plane's certificate anew as well.
    #[arg(long)]
    pub(in crate::commands) renew: bool,
}

#[derive(Debug, Args)]
pub(in crate::commands) struct EnvoyBootstrap {
    /// The control plane's configuration: says where its listeners are.
    #[arg(long, value_name = "FILE")]
    pub(in crate::commands) config: Option<PathBuf>,
    /// This Envoy's identity.
    #[arg(long, value_name = "NODE_ID", default_value = "sealwax-edge-1")]
    pub(in crate::commands) edge: NodeId,
    /// Address Envoy's listeners are bound to.
    #[arg(long, value_name = "IP", default_value = "0.0.0.0")]
    pub(in crate::commands) bind: std::net::IpAddr,
    /// Port of plain HTTP.
    #[arg(long, value_name = "PORT", default_value_t = 10080)]
    pub(in crate::commands) http_port: u16,
    /// Port of HTTPS.
    #[arg(long, value_name = "PORT", default_value_t = 10443)]
    pub(in crate::commands) https_port: u16,
    /// Port clients reach HTTPS at; that of --https-port unless something in front changes it.
    #[arg(long, value_name = "PORT")]
    pub(in crate::commands) redirect_port: Option<u16>,
    /// Address of Envoy's own admin interface.
    #[arg(long, value_name = "IP:PORT", default_value = "127.0.0.1:9901")]
    pub(in crate::commands) admin: SocketAddr,
    /// The filter's file.
    #[arg(long, value_name = "PATH", default_value = "target/sealwax_filter.wasm")]
    pub(in crate::commands) wasm: String,
    /// The domain served to clients that name none; they are refused otherwise.
    #[arg(long, value_name = "DOMAIN")]
    pub(in crate::commands) default_domain: Option<sealwax_protocol::DomainName>,
    /// The control plane's xDS server, if not where the configuration says; unix:PATH for a socket.
    #[arg(long, value_name = "HOST:PORT")]
    pub(in crate::commands) xds: Option<Endpoint>,
    /// The control plane's edge API, if not where the configuration says.
    #[arg(long, value_name = "HOST:PORT")]
    pub(in crate::commands) edge_api: Option<Endpoint>,
    /// The folder of `sealwax envoy certs`, as Envoy sees it: for listeners with mutual TLS.
    #[arg(long, value_name = "DIR")]
    pub(in crate::commands) certs: Option<PathBuf>,
    /// The application behind all domains.
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:8080")]
    pub(in crate::commands) origin: Endpoint,
}
