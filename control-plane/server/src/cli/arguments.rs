//! The command line's grammar.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use sealwax_core::DomainState;
use sealwax_core::record::KeyType;
use sealwax_simulation::{Era, Outage, Preset, Revocation};
use url::Url;

use super::simulate;
use crate::bootstrap::{Endpoint, NodeId};

/// On-demand TLS certificates for Envoy.
#[derive(Debug, Parser)]
#[command(name = "sealwax", version, propagate_version = true)]
pub(super) struct Arguments {
    #[command(flatten)]
    pub(super) server: Server,
    /// Print JSON for scripts instead of tables for people.
    #[arg(long, global = true)]
    pub(super) json: bool,
    #[command(subcommand)]
    pub(super) command: Command,
}

/// Which control plane to talk to.
#[derive(Clone, Debug, Args)]
pub(super) struct Server {
    /// The control plane's admin API.
    #[arg(
        long,
        global = true,
        value_name = "URL",
        env = "SEALWAX_SERVER",
        default_value = "http://127.0.0.1:18002"
    )]
    pub(super) server: Url,
    /// File with the admin token. SEALWAX_TOKEN may hold the token itself.
    #[arg(long, global = true, value_name = "FILE")]
    pub(super) token_file: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Run the control plane.
    Serve(Serve),
    /// Register, show, list, renew and remove domains.
    Domain {
        #[command(subcommand)]
        command: DomainCommand,
    },
    /// Show certificates, bring them along, take them out, and have them revoked.
    Cert {
        #[command(subcommand)]
        command: CertCommand,
    },
    /// Give an issuer's ACME account another key or contact.
    Account {
        #[command(subcommand)]
        command: AccountCommand,
    },
    /// Replace many certificates before a moment, at a rate, the busiest names first.
    Campaign {
        #[command(subcommand)]
        command: CampaignCommand,
    },
    /// Say what happened to a domain, what is wrong, who must act, and what happens next.
    Explain {
        /// The domain.
        domain: String,
    },
    /// Set Envoy up.
    Envoy {
        #[command(subcommand)]
        command: EnvoyCommand,
    },
    /// Set the store up, and look at it.
    Store {
        #[command(subcommand)]
        command: StoreCommand,
    },
    /// Check a control plane, one line for each check, with what to do about it.
    Doctor(Doctor),
    /// Run the scheduler over a fleet on virtual time; talks to nobody.
    Simulate(Box<Simulate>),
    /// Print the completions of a shell: bash, elvish, fish, powershell or zsh.
    Completions {
        /// The shell.
        shell: clap_complete::Shell,
    },
    /// Print documents made from the program.
    #[command(hide = true)]
    Docs {
        #[command(subcommand)]
        command: DocsCommand,
    },
}

/// Where the configuration is.
#[derive(Clone, Debug, Args)]
pub(super) struct Serve {
    /// TOML file; without one everything has its default.
    #[arg(long, value_name = "FILE")]
    pub(super) config: Option<PathBuf>,
}

/// Commands that go to the store itself, with the control plane's configuration.
#[derive(Debug, Subcommand)]
pub(super) enum StoreCommand {
    /// Create the table, its indexes, expiry and backups; harmless if they are there.
    Init(Serve),
    /// Show the table and its indexes.
    Status(Serve),
    /// Move every private key under [keys] kek; needs the earlier keys in [keys] retired. Goes on
    /// where an earlier run stopped.
    RewrapKeys(Serve),
    /// Move everything to another store, and read it back. Goes on where an earlier run stopped.
    Copy(CopyStore),
}

/// From where to where.
#[derive(Debug, Args)]
pub(super) struct CopyStore {
    #[command(flatten)]
    pub(super) from: Serve,
    /// The configuration the control plane will have: its [store] is the target, its [keys] kek
    /// is the same key.
    #[arg(long, value_name = "FILE")]
    pub(super) to: PathBuf,
}

#[derive(Debug, Subcommand)]
pub(super) enum DomainCommand {
    /// Register domains; harmless if they are registered already.
    Add(Add),
    /// Show domains.
    Show(Names),
    /// List domains.
    List(List),
    /// Stop serving and renewing domains and delete their keys.
    Remove(Names),
    /// Ask for new certificates now.
    Renew(Renew),
    /// Register many domains: one a line, or one JSON object a line.
    Import(Import),
}

#[derive(Debug, Subcommand)]
pub(super) enum AccountCommand {
    /// Give the account a new key; what was cut short is gone on with.
    Rollover {
        /// The [[issuer]]'s name.
        issuer: String,
    },
    /// Tell the CA the configured contact.
    Contact {
        /// The [[issuer]]'s name.
        issuer: String,
    },
}

#[derive(Debug, Subcommand)]
pub(super) enum CampaignCommand {
    /// Start one; there is one at a time.
    Start(CampaignStart),
    /// Show how far the last one is.
    Status(Watch),
    /// Renew no more until it is resumed; what was begun goes on.
    Pause,
    /// Go on.
    Resume,
    /// End it; what was begun goes on.
    Cancel,
}

#[derive(Clone, Debug, Args)]
pub(super) struct Watch {
    /// Show its progress until it ends or is paused.
    #[arg(long)]
    pub(super) watch: bool,
}

#[derive(Clone, Debug, Args)]
pub(super) struct CampaignStart {
    /// When all should be replaced: RFC 3339, or how long from now, such as 24h.
    #[arg(long, value_name = "MOMENT")]
    pub(super) before: String,
    /// Most domains renewed in a second.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=500))]
    pub(super) rate: u32,
    /// Only the certificates of this tenant's domains.
    #[arg(long)]
    pub(super) tenant: Option<String>,
    /// Only those ordered from this [[issuer]].
    #[arg(long)]
    pub(super) issuer: Option<String>,
    /// Only those valid from this moment (RFC 3339) on or later.
    #[arg(long, value_name = "MOMENT")]
    pub(super) issued_after: Option<String>,
    /// Only those valid from before this moment (RFC 3339); all there are now otherwise.
    #[arg(long, value_name = "MOMENT")]
    pub(super) issued_before: Option<String>,
    /// Those that were brought along too.
    #[arg(long)]
    pub(super) imported: bool,
    /// Why; it is in every domain's events.
    #[arg(long, value_name = "TEXT")]
    pub(super) reason: Option<String>,
    /// Show its progress until it ends or is paused.
    #[arg(long)]
    pub(super) watch: bool,
}

#[derive(Debug, Subcommand)]
pub(super) enum CertCommand {
    /// Show the certificates that are served.
    Show(Names),
    /// Bring certificates along, from two files or from what another program keeps. They are
    /// served at once.
    Import(CertImport),
    /// Take a certificate out with its private key, into two files that are not there yet. Needs
    /// a token that may take keys.
    Export(CertExport),
    /// Have the CA revoke certificates; others are issued at once.
    Revoke(Names),
}

#[derive(Debug, Args)]
pub(super) struct CertExport {
    /// The domain.
    #[arg(value_name = "DOMAIN")]
    pub(super) domain: String,
    /// Where the chain goes, leaf first, in PEM.
    #[arg(long, value_name = "FILE")]
    pub(super) chain: PathBuf,
    /// Where the private key goes, PKCS#8 in PEM.
    #[arg(long, value_name = "FILE")]
    pub(super) key: PathBuf,
}

#[derive(Debug, Args)]
pub(super) struct CertImport {
    /// Only for these domains; for all that the certificates name otherwise.
    #[arg(value_name = "DOMAIN")]
    pub(super) domains: Vec<String>,
    /// The chain, leaf first, in PEM.
    #[arg(long, value_name = "FILE", requires = "key")]
    pub(super) chain: Option<PathBuf>,
    /// The leaf's private key in PEM: PKCS#8, PKCS#1 or SEC 1, not encrypted.
    #[arg(long, value_name = "FILE", requires = "chain")]
    pub(super) key: Option<PathBuf>,
    /// What certbot, caddy, traefik or auto-ssl keeps at PATH: /etc/letsencrypt, Caddy's data
    /// folder, acme.json, the folder of auto-ssl's file storage.
    #[arg(long, num_args = 2, value_names = ["PROGRAM", "PATH"], conflicts_with = "chain")]
    pub(super) from: Vec<String>,
    /// The program's ACME account is taken over too, for an issuer that has none. This allows to
    /// replace its key at the CA where that is RSA: the program can order nothing more then.
    #[arg(long, requires = "from")]
    pub(super) take_account: bool,
}

/// A program whose certificates can be taken over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum CertSource {
    /// certbot's configuration folder.
    Certbot,
    /// Caddy's data folder.
    Caddy,
    /// Traefik's acme.json.
    Traefik,
    /// The file storage of lua-resty-auto-ssl.
    AutoSsl,
}

#[derive(Clone, Debug, Args)]
pub(super) struct Names {
    /// The domains; international ones may be written in Unicode.
    #[arg(required = true, value_name = "DOMAIN")]
    pub(super) domains: Vec<String>,
}

#[derive(Clone, Debug, Default, Args)]
pub(super) struct Registration {
    /// Whose domain it is, in your words.
    #[arg(long)]
    pub(super) tenant: Option<String>,
    /// The [[issuer]] to use; the first one otherwise.
    #[arg(long)]
    pub(super) issuer: Option<String>,
    /// The ACME profile to ask for.
    #[arg(long)]
    pub(super) profile: Option<String>,
    /// ecdsa_p256, ecdsa_p384, rsa2048 or rsa4096.
    #[arg(long, value_parser = key_type)]
    pub(super) key_type: Option<KeyType>,
    /// 0 to 255, higher first.
    #[arg(long)]
    pub(super) priority: Option<u8>,
}

#[derive(Debug, Args)]
pub(super) struct Add {
    #[command(flatten)]
    pub(super) names: Names,
    #[command(flatten)]
    pub(super) registration: Registration,
}

#[derive(Debug, Args)]
pub(super) struct List {
    /// Only domains in this state: pending, issuing, issued, deferred, refused or parked.
    #[arg(long, value_parser = state)]
    pub(super) state: Option<DomainState>,
    /// Only domains of this tenant.
    #[arg(long)]
    pub(super) tenant: Option<String>,
    /// Only domains whose renewal or retry is due within this time, such as 7d.
    #[arg(long, value_name = "DURATION")]
    pub(super) due_within: Option<String>,
    /// Most domains to list.
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u64).range(1..))]
    pub(super) limit: u64,
}

#[derive(Debug, Args)]
pub(super) struct Renew {
    #[command(flatten)]
    pub(super) names: Names,
    /// Renew outside the renewal window too, and without a look at the domain first.
    #[arg(long)]
    pub(super) force: bool,
}

#[derive(Debug, Args)]
pub(super) struct Import {
    /// The file, or - for standard input.
    #[arg(value_name = "FILE")]
    pub(super) from: PathBuf,
    /// Start at this line: what an import that was stopped says.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..))]
    pub(super) from_line: u64,
    #[command(flatten)]
    pub(super) registration: Registration,
}

#[derive(Debug, Subcommand)]
pub(super) enum EnvoyCommand {
    /// Print a complete Envoy configuration for this control plane.
    Bootstrap(Box<EnvoyBootstrap>),
    /// Make certificates for mutual TLS: a private CA, the control plane's and an edge's.
    Certs(EnvoyCerts),
}

#[derive(Debug, Args)]
pub(super) struct EnvoyCerts {
    /// The edge's identity, as in its bootstrap.
    #[arg(long, value_name = "NODE_ID")]
    pub(super) edge: NodeId,
    /// The folder; a CA that is there already is used.
    #[arg(long, value_name = "DIR")]
    pub(super) out: PathBuf,
    /// Make the control plane's certificate anew as well.
    #[arg(long)]
    pub(super) renew: bool,
}

#[derive(Debug, Args)]
pub(super) struct EnvoyBootstrap {
    /// The control plane's configuration: says where its listeners are.
    #[arg(long, value_name = "FILE")]
    pub(super) config: Option<PathBuf>,
    /// This Envoy's identity.
    #[arg(long, value_name = "NODE_ID", default_value = "sealwax-edge-1")]
    pub(super) edge: NodeId,
    /// Address Envoy's listeners are bound to.
    #[arg(long, value_name = "IP", default_value = "0.0.0.0")]
    pub(super) bind: std::net::IpAddr,
    /// Port of plain HTTP.
    #[arg(long, value_name = "PORT", default_value_t = 10080)]
    pub(super) http_port: u16,
    /// Port of HTTPS.
    #[arg(long, value_name = "PORT", default_value_t = 10443)]
    pub(super) https_port: u16,
    /// Port clients reach HTTPS at; that of --https-port unless something in front changes it.
    #[arg(long, value_name = "PORT")]
    pub(super) redirect_port: Option<u16>,
    /// Address of Envoy's own admin interface.
    #[arg(long, value_name = "IP:PORT", default_value = "127.0.0.1:9901")]
    pub(super) admin: SocketAddr,
    /// The filter's file.
    #[arg(long, value_name = "PATH", default_value = "target/sealwax_filter.wasm")]
    pub(super) wasm: String,
    /// The domain served to clients that name none; they are refused otherwise.
    #[arg(long, value_name = "DOMAIN")]
    pub(super) default_domain: Option<sealwax_protocol::DomainName>,
    /// The control plane's xDS server, if not where the configuration says; unix:PATH for a socket.
    #[arg(long, value_name = "HOST:PORT")]
    pub(super) xds: Option<Endpoint>,
    /// The control plane's edge API, if not where the configuration says.
    #[arg(long, value_name = "HOST:PORT")]
    pub(super) edge_api: Option<Endpoint>,
    /// The folder of `sealwax envoy certs`, as Envoy sees it: for listeners with mutual TLS.
    #[arg(long, value_name = "DIR")]
    pub(super) certs: Option<PathBuf>,
    /// The application behind all domains.
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:8080")]
    pub(super) origin: Endpoint,
}

#[derive(Debug, Args)]
pub(super) struct Doctor {
    /// The control plane's configuration: says where its listeners are.
    #[arg(long, value_name = "FILE")]
    pub(super) config: Option<PathBuf>,
    /// An edge's plain HTTP listener, such as http://192.0.2.7:80: checks the way of challenges
    /// through it. May be given several times.
    #[arg(long, value_name = "URL")]
    pub(super) edge_http: Vec<Url>,
}

/// A fleet, and what happens to it. Moments are days (`30d`) or hours (`720h`) from the start.
#[derive(Debug, Args)]
pub(super) struct Simulate {
    /// Domains with a certificate at the start.
    #[arg(long, value_name = "N", default_value_t = 10_000)]
    pub(super) domains: u32,
    /// Days to simulate.
    #[arg(long, value_name = "N", default_value_t = 365)]
    pub(super) days: u32,
    /// steady, import, outage, revocation or lifetimes; the other options change it.
    #[arg(long, value_name = "NAME", default_value = "steady", value_parser = simulate::preset)]
    pub(super) scenario: Preset,
    /// The CA does not answer, such as 30d..32d; may be repeated.
    #[arg(long, value_name = "FROM..TO", value_parser = simulate::outage)]
    pub(super) ca_outage: Vec<Outage>,
    /// What certificates live, such as 90d, and later 45d@120d; may be repeated.
    #[arg(long, value_name = "LIFE[@WHEN]", value_parser = simulate::era)]
    pub(super) life: Vec<Era>,
    /// Domains registered together, such as 50000@30d.
    #[arg(long, value_name = "DOMAINS@WHEN", value_parser = simulate::import)]
    pub(super) import: Option<sealwax_simulation::Import>,
    /// Part of the certificates the CA revokes, such as 20@30d for 20 %.
    #[arg(long, value_name = "PERCENT@WHEN", value_parser = simulate::revocation)]
    pub(super) revoke: Option<Revocation>,
    /// Percentage of names whose validation always fails.
    #[arg(long, value_name = "PERCENT", default_value_t = 0, value_parser = clap::value_parser!(u8).range(..=100))]
    pub(super) broken: u8,
    /// Start with certificates that were all issued on one day.
    #[arg(long)]
    pub(super) together: bool,
    /// Repeats a run.
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub(super) seed: u64,
    /// Write a page with plots to this file.
    #[arg(long, value_name = "FILE")]
    pub(super) html: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
pub(super) enum DocsCommand {
    /// docs/configuration.md
    Configuration,
    /// docs/metrics.md
    Metrics,
    /// Manual pages, one file for each command.
    Man {
        /// The folder they are written to.
        #[arg(value_name = "DIR")]
        to: PathBuf,
    },
}

fn state(text: &str) -> Result<DomainState, String> {
    let words = DomainState::ALL.map(DomainState::as_str);
    DomainState::ALL
        .into_iter()
        .find(|state| state.as_str() == text)
        .ok_or_else(|| format!("allowed: {}", words.join(", ")))
}

fn key_type(text: &str) -> Result<KeyType, String> {
    serde_json::from_value(serde_json::Value::from(text))
        .map_err(|_| "allowed: ecdsa_p256, ecdsa_p384, rsa2048, rsa4096".to_owned())
}
