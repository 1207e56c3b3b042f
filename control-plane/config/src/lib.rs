//! The configuration: a TOML file, overridden by the environment, read into real types.
//!
//! `keys` is the one table of everything that can be set; `docs/configuration.md` is written from
//! it. Whatever is wrong is reported at once, never one thing at a time.

mod allowed;
mod arn;
mod delivery;
mod keys;
mod notify;
mod preflight;
mod problem;
mod read;
mod reader;
mod reference;
mod staging;
mod telemetry;

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};

use sealwax_core::Span;
use sealwax_core::arn::KmsKeyArn;
use sealwax_core::record::KeyType;
use sealwax_protocol::DomainName;
use toml::Table;
use url::Url;

pub use allowed::parse_span;
pub use arn::{StreamArn, TopicArn};
pub use delivery::unix_path;
pub use delivery::{Listen, TlsFiles};
pub use notify::{Destination, EVENTS, Notify};
pub use preflight::Preflight;
pub use problem::{Problem, Problems};
pub use read::loopback;
pub use reference::reference;
pub use staging::Staging;
pub use telemetry::{AccessField, Exporting, LogFormat, Telemetry};

use reader::Reader;
use telemetry::AccessLog;

/// The directory orders go to when no issuer is configured: nothing it issues is trusted.
pub const STAGING_DIRECTORY: &str = "https://acme-staging-v02.api.letsencrypt.org/directory";
/// The name of the issuer when none is configured.
pub const STAGING_NAME: &str = "letsencrypt-staging";
/// The file of the key-encryption key, in the embedded store's folder.
pub const KEK_FILE: &str = "kek";
/// Largest configuration file read, in bytes.
const FILE_BYTES_MAX: usize = 1024 * 1024;

/// Everything that can be configured, validated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// The xDS server.
    pub xds: Xds,
    /// The edge API.
    pub edge: Edge,
    /// The admin API.
    pub admin: Admin,
    /// The store.
    pub store: Store,
    /// Where the key-encryption key is.
    pub kek: Kek,
    /// Keys that open as well, and seal nothing.
    pub retired_keks: Vec<Kek>,
    /// The certificate authorities, in order of preference; never empty.
    pub issuers: Vec<Issuer>,
    /// Asking the platform.
    pub permission: Permission,
    /// Telling the platform.
    pub notify: Vec<Notify>,
    /// Looking at domains before a CA does.
    pub preflight: Preflight,
    /// When and how fast to issue.
    pub issuance: Issuance,
    /// Keeping certificates fresh.
    pub renewal: Renewal,
    /// Where limits differ from what is published.
    pub limits: Limits,
    /// What the process says about itself.
    pub telemetry: Telemetry,
}

/// `[xds]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Xds {
    /// Where it listens.
    pub listen: Listen,
    /// Mutual TLS; never unset where others can reach it.
    pub tls: Option<TlsFiles>,
    /// Most certificates one Envoy holds.
    pub budget_names: usize,
    /// Exceptions to that, by node id.
    pub edge_budgets: BTreeMap<String, usize>,
    /// The tenants an edge may serve, by node id; an edge that is not here may serve all.
    pub edge_tenants: BTreeMap<String, Vec<String>>,
    /// Zones whose imported wildcard certificates cover names.
    pub wildcard_zones: Vec<DomainName>,
    /// Most names withdrawn within the window, in percent of those held.
    pub withdrawal_percent: u64,
    /// The time of that.
    pub withdrawal_window: Span,
    /// Names that may always be withdrawn within it.
    pub withdrawal_floor: u64,
}

/// `[edge]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edge {
    /// Where it listens.
    pub listen: Listen,
    /// Mutual TLS; never unset where others can reach it.
    pub tls: Option<TlsFiles>,
    /// What customers' DNS must point to.
    pub public: Vec<Target>,
}

/// What a DNS record points to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// An address.
    Address(IpAddr),
    /// A host.
    Host(DomainName),
}

/// `[edge] public`
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Targets(Vec<Target>);

/// `[admin]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Admin {
    /// Where it listens; loopback unless there is a token.
    pub listen: SocketAddr,
    /// The file with the bearer token; `None`: no token is asked for.
    pub token_file: Option<PathBuf>,
    /// The file with the token that may do all but take keys out.
    pub write_token_file: Option<PathBuf>,
    /// The file with the token that may look.
    pub read_token_file: Option<PathBuf>,
    /// Requests a second of each kind of caller.
    pub rate: u32,
}

/// `[store]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Store {
    /// In this process, in one folder.
    Embedded {
        /// The folder.
        path: PathBuf,
    },
    /// Tables shared with other control planes.
    Dynamodb {
        /// What their names start with.
        table_prefix: String,
        /// Where they are; the environment's region if unset.
        region: Option<String>,
        /// Another endpoint than the region's.
        endpoint_url: Option<Url>,
        /// The copy on local disk; `None`: there is none.
        last_good: Option<LastGoodCopy>,
    },
}

/// Where what was served is kept for when a remote store is away.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LastGoodCopy {
    /// The folder.
    pub path: PathBuf,
    /// Most bytes in it.
    pub bytes_max: u64,
}

/// `[store] kind`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum StoreKind {
    Embedded,
    Dynamodb,
}

/// `[keys] kek`: where the key-encryption key is, never the key itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kek {
    /// In a file, created at the first start.
    File(PathBuf),
    /// In an environment variable.
    Env(String),
    /// In AWS KMS, which it never leaves.
    Kms(KmsKeyArn),
}

/// `[[issuer]]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Issuer {
    /// What it is called.
    pub name: String,
    /// Its ACME directory.
    pub directory: Url,
    /// Mail addresses, without `mailto:`.
    pub contact: Vec<String>,
    /// Roots for the directory's own TLS certificate; the system's if unset.
    pub ca_file: Option<PathBuf>,
    /// The external account binding.
    pub binding: Option<Binding>,
    /// The ACME profile to ask for.
    pub profile: Option<String>,
    /// The key type of certificates whose registration names none.
    pub key_type: KeyType,
    /// Whose limits it has; by its directory if unset.
    pub limits: Option<LimitsPreset>,
    /// Where what failed is tried first; `None`: nowhere.
    pub staging: Option<Staging>,
}

/// An external account binding (RFC 8555 section 7.3.4).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Binding {
    /// The key identifier.
    pub kid: String,
    /// The file with the HMAC key, base64url.
    pub hmac_key_file: PathBuf,
}

/// `[permission]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Permission {
    /// Whom to ask; `None`: every registered domain is allowed.
    pub ask_url: Option<Url>,
    /// How long the platform may take.
    pub timeout: Span,
    /// How long a permission is remembered.
    pub cache_ttl: Span,
    /// How long a refusal is remembered.
    pub negative_ttl: Span,
}

/// `[issuance]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Issuance {
    /// Most domains worked on at a time.
    pub concurrency: usize,
    /// Issue when a handshake or a request asks.
    pub on_handshake: bool,
    /// Issue at registration.
    pub on_register: bool,
    /// How long a handshake is held.
    pub max_wait: Span,
    /// How long a holder of work may be silent.
    pub lease: Span,
}

/// `[renewal]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Renewal {
    /// How often the schedule is looked at.
    pub sweep_interval: Span,
    /// How long a domain that has left keeps its certificate.
    pub gone_grace: Span,
    /// Most domains parked, and most certificates of parked ones erased, within an hour.
    pub gone_per_hour: u64,
}

/// `[limits]`; `None`: as published.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// New orders of an account in three hours.
    pub orders: Option<u64>,
    /// New certificates under a registered domain in a week.
    pub registered_domain: Option<u64>,
    /// Certificates of one name in a week.
    pub name: Option<u64>,
    /// Failed validations of one name in an hour.
    pub failures: Option<u64>,
    /// Most of the orders one tenant may use.
    pub tenant_share_percent: u64,
}

/// `[[issuer]] limits`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LimitsPreset {
    /// Let's Encrypt's production CA.
    LetsEncrypt,
    /// Let's Encrypt's staging CA.
    LetsEncryptStaging,
    /// No limits.
    None,
}

impl Config {
    /// Reads the file, if there is one, and the environment's overrides.
    ///
    /// # Errors
    /// Everything that is wrong with them.
    pub fn load(
        file: Option<&Path>,
        environment: impl Iterator<Item = (String, String)>,
    ) -> Result<Self, Problems> {
        let (place, text) = match file {
            None => ("configuration".to_owned(), String::new()),
            Some(path) => (path.display().to_string(), read_file(path)?),
        };
        Self::parse(place, &text, environment)
    }

    fn parse(
        place: String,
        text: &str,
        environment: impl Iterator<Item = (String, String)>,
    ) -> Result<Self, Problems> {
        let root: Table =
            text.parse().map_err(|error: toml::de::Error| one(&place, &not_toml(text, &error)))?;
        let mut reader = Reader::new(place, root, environment);
        let config = read::read(&mut reader);
        let problems = reader.problems();
        match config {
            Some(config) if problems.is_empty() => Ok(config),
            _ => Err(Problems(problems)),
        }
    }
}

fn read_file(path: &Path) -> Result<String, Problems> {
    let place = path.display().to_string();
    let text = std::fs::read_to_string(path)
        .map_err(|error| one(&place, &format!("cannot be read: {error}")))?;
    if text.len() > FILE_BYTES_MAX {
        return Err(one(&place, "is larger than 1 MiB"));
    }
    Ok(text)
}

fn one(place: &str, said: &str) -> Problems {
    let key = "the file".to_owned();
    Problems(vec![Problem::new(place.to_owned(), key, None, said.to_owned())])
}

fn not_toml(text: &str, error: &toml::de::Error) -> String {
    let line = error
        .span()
        .and_then(|span| text.get(..span.start))
        .map_or(1, |before| before.matches('\n').count() + 1);
    format!("is not TOML: line {line}: {}", error.message().replace('\n', "; "))
}

#[cfg(test)]
mod tests;
