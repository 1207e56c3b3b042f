//! `sealwax domain`

use std::path::PathBuf;

use clap::{Args, Subcommand};
use sealwax_core::DomainState;
use sealwax_core::record::KeyType;

#[derive(Debug, Subcommand)]
pub(in crate::commands) enum DomainCommand {
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
    /// Go on parking domains that the platform says are gone, after so many at once stopped it.
    ReleaseParking,
    /// Register many domains: one a line, or one JSON object a line.
    Import(Import),
}

#[derive(Clone, Debug, Args)]
pub(in crate::commands) struct Names {
    /// The domains; international ones may be written in Unicode.
    #[arg(required = true, value_name = "DOMAIN")]
    pub(in crate::commands) domains: Vec<String>,
}

#[derive(Clone, Debug, Default, Args)]
pub(in crate::commands) struct Registration {
    /// Whose domain it is, in your words.
    #[arg(long)]
    pub(in crate::commands) tenant: Option<String>,
    /// The [[issuer]] to use; the first one otherwise.
    #[arg(long)]
    pub(in crate::commands) issuer: Option<String>,
    /// The ACME profile to ask for.
    #[arg(long)]
    pub(in crate::commands) profile: Option<String>,
    /// ecdsa_p256, ecdsa_p384, rsa2048 or rsa4096.
    #[arg(long, value_parser = key_type)]
    pub(in crate::commands) key_type: Option<KeyType>,
    /// 0 to 255, higher first.
    #[arg(long)]
    pub(in crate::commands) priority: Option<u8>,
}

#[derive(Debug, Args)]
pub(in crate::commands) struct Add {
    #[command(flatten)]
    pub(in crate::commands) names: Names,
    #[command(flatten)]
    pub(in crate::commands) registration: Registration,
    /// Only domains that are this tenant's now; with an empty text only nobody's.
    #[arg(long, value_name = "TENANT")]
    pub(in crate::commands) if_tenant: Option<String>,
    /// A certificate that a domain's former tenant brought along stays when the domain moves to
    /// another; the former tenant has its key.
    #[arg(long)]
    pub(in crate::commands) keep_certificate: bool,
}

#[derive(Debug, Args)]
pub(in crate::commands) struct List {
    /// Only domains in this state: pending, issuing, issued, deferred, refused or parked.
    #[arg(long, value_parser = state)]
    pub(in crate::commands) state: Option<DomainState>,
    /// Only domains of this tenant.
    #[arg(long)]
    pub(in crate::commands) tenant: Option<String>,
    /// Only domains whose renewal or retry is due within this time, such as 7d.
    #[arg(long, value_name = "DURATION")]
    pub(in crate::commands) due_within: Option<String>,
    /// Most domains to list.
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u64).range(1..))]
    pub(in crate::commands) limit: u64,
}

#[derive(Debug, Args)]
pub(in crate::commands) struct Renew {
    #[command(flatten)]
    pub(in crate::commands) names: Names,
    /// Renew outside the renewal window too, and without a look at the domain first.
    #[arg(long)]
    pub(in crate::commands) force: bool,
}

#[derive(Debug, Args)]
pub(in crate::commands) struct Import {
    /// The file, or - for standard input.
    #[arg(value_name = "FILE")]
    pub(in crate::commands) from: PathBuf,
    /// Start at this line: what an import that was stopped says.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..))]
    pub(in crate::commands) from_line: u64,
    #[command(flatten)]
    pub(in crate::commands) registration: Registration,
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
