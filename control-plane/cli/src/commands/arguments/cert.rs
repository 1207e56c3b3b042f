//! `sealwax cert`

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::Names;

#[derive(Debug, Subcommand)]
pub(in crate::commands) enum CertCommand {
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
pub(in crate::commands) struct CertExport {
    /// The domain.
    #[arg(value_name = "DOMAIN")]
    pub(in crate::commands) domain: String,
    /// Where the chain goes, leaf first, in PEM.
    #[arg(long, value_name = "FILE")]
    pub(in crate::commands) chain: PathBuf,
    /// Where the private key goes, PKCS#8 in PEM.
    #[arg(long, value_name = "FILE")]
    pub(in crate::commands) key: PathBuf,
}

#[derive(Debug, Args)]
pub(in crate::commands) struct CertImport {
    /// Only for these domains; for all that the certificates name otherwise.
    #[arg(value_name = "DOMAIN")]
    pub(in crate::commands) domains: Vec<String>,
    /// The chain in PEM. With no --key, the key stands in the same file.
    #[arg(long, value_name = "FILE")]
    pub(in crate::commands) chain: Option<PathBuf>,
    /// The leaf's private key in PEM: PKCS#8, PKCS#1 or SEC 1, not encrypted.
    #[arg(long, value_name = "FILE", requires = "chain")]
    pub(in crate::commands) key: Option<PathBuf>,
    /// What certbot, caddy, traefik, auto-ssl, acme.sh, lego or dehydrated keeps at PATH:
    /// /etc/letsencrypt, Caddy's data folder, acme.json, the folder of auto-ssl's file storage,
    /// ~/.acme.sh, the .lego folder, the folder with dehydrated's certs.
    #[arg(long, num_args = 2, value_names = ["PROGRAM", "PATH"], conflicts_with = "chain")]
    pub(in crate::commands) from: Vec<String>,
    /// The program's ACME account is taken over too, for an issuer that has none. This allows to
    /// replace its key at the CA where that is RSA: the program can order nothing more then.
    #[arg(long, requires = "from")]
    pub(in crate::commands) take_account: bool,
    /// Certificates that are served are replaced even where they are better: longer valid,
    /// trusted by more, or renewed by themselves.
    #[arg(long)]
    pub(in crate::commands) replace: bool,
    /// Say what would be done, and do nothing.
    #[arg(long)]
    pub(in crate::commands) dry_run: bool,
}

/// A program whose certificates can be taken over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(in crate::commands) enum CertSource {
    /// certbot's configuration folder.
    Certbot,
    /// Caddy's data folder.
    Caddy,
    /// Traefik's acme.json.
    Traefik,
    /// The file storage of lua-resty-auto-ssl.
    AutoSsl,
    /// acme.sh's home folder.
    #[value(name = "acme.sh")]
    AcmeSh,
    /// lego's folder.
    Lego,
    /// dehydrated's base folder.
    Dehydrated,
}
