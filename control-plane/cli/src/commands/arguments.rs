//! The command line's grammar.

mod campaign;
mod cert;
mod domain;
mod envoy;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use sealwax_simulation::{Era, Outage, Preset, Revocation};
use url::Url;

use super::simulate;

pub(super) use campaign::{CampaignCommand, CampaignStart};
pub(super) use cert::{CertCommand, CertExport, CertImport, CertSource};
pub(super) use domain::{Add, DomainCommand, Import, List, Names, Registration, Renew};
pub(super) use envoy::{EnvoyBootstrap, EnvoyCerts, EnvoyCommand};

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
    /// Give an issuer's ACME account another key or contact, or register a new one.
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
    /// Take the store that is there for the right one, in place of the one that was known: asks
    /// the control plane.
    Accept,
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
    /// Forget an account that the CA no longer has or has closed, and register anew.
    Reset {
        /// The [[issuer]]'s name.
        issuer: String,
    },
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
