//! From values to [`Config`], section by section, with the contradictions between them.

use std::path::PathBuf;

use sealwax_core::record::KeyType;
use url::{Host, Url};

use super::keys::{self, Key};
use super::reader::{Position, Reader};
use super::staging;
use super::{
    Admin, Binding, Config, Edge, Exporting, Issuance, Issuer, KEK_FILE, Kek, LastGoodCopy, Limits,
    Listen, Permission, Renewal, STAGING_DIRECTORY, STAGING_NAME, Store, StoreKind, Telemetry,
    TlsFiles, Xds,
};
use super::{notify, preflight};

/// Reads all sections before giving up on any, so that every problem is noted.
pub(super) fn read(reader: &mut Reader) -> Option<Config> {
    let xds = read_xds(reader);
    let edge = read_edge(reader);
    let admin = read_admin(reader);
    let store = read_store(reader);
    let kek = read_kek(reader, store.as_ref());
    let retired_keks = reader.optional(&keys::KEYS_RETIRED, None);
    let issuers = read_issuers(reader);
    let permission = read_permission(reader);
    let preflight = preflight::read(reader, issuers.as_deref());
    let issuance = read_issuance(reader);
    let notify = notify::read(reader);
    let sweep_interval = reader.get(&keys::RENEWAL_SWEEP_INTERVAL, None);
    let gone_grace = reader.get(&keys::RENEWAL_GONE_GRACE, None);
    let gone_per_hour = reader.get(&keys::RENEWAL_GONE_PER_HOUR, None);
    let limits = read_limits(reader);
    let log = reader.get(&keys::TELEMETRY_LOG, None);
    let access_log = reader.optional(&keys::TELEMETRY_ACCESS_LOG, None);
    let census_rate = reader.get(&keys::TELEMETRY_CENSUS_RATE, None);
    let otlp_url = reader.optional(&keys::TELEMETRY_OTLP_URL, None);
    let otlp_percent = reader.get(&keys::TELEMETRY_OTLP_PERCENT, None);
    let (xds, edge, admin) = (xds?, edge?, admin?);
    refuse_shared_addresses(reader, &xds, &edge, &admin);
    Some(Config {
        xds,
        edge,
        admin,
        store: store?,
        kek: kek?,
        retired_keks: retired_keks?.unwrap_or_default(),
        issuers: issuers?,
        permission: permission?,
        preflight: preflight?,
        issuance: issuance?,
        notify: notify?,
        renewal: Renewal {
            sweep_interval: sweep_interval?,
            gone_grace: gone_grace?,
            gone_per_hour: gone_per_hour?,
        },
        limits: limits?,
        telemetry: Telemetry {
            log: log?,
            access_log: access_log?.unwrap_or_default().0,
            census_rate: census_rate?,
            traces: exporting(otlp_url?, otlp_percent?),
        },
    })
}

fn exporting(url: Option<Url>, percent: u64) -> Option<Exporting> {
    url.map(|url| Exporting { url, percent })
}

fn read_xds(reader: &mut Reader) -> Option<Xds> {
    let (listen, tls) = read_protected(reader, &keys::XDS_LISTEN, &XDS_TLS);
    let budget_names = reader.get(&keys::XDS_BUDGET_NAMES, None);
    let edge_budgets = reader.optional(&keys::XDS_EDGE_BUDGETS, None);
    let edge_tenants = reader.optional(&keys::XDS_EDGE_TENANTS, None);
    let wildcard_zones = reader.optional(&keys::XDS_WILDCARD_ZONES, None);
    let withdrawal_percent = reader.get(&keys::XDS_WITHDRAWAL_PERCENT, None);
    let withdrawal_window = reader.get(&keys::XDS_WITHDRAWAL_WINDOW, None);
    let withdrawal_floor = reader.get(&keys::XDS_WITHDRAWAL_FLOOR, None);
    Some(Xds {
        listen: listen?,
        tls: tls?,
        budget_names: budget_names?,
        edge_budgets: edge_budgets?.unwrap_or_default(),
        edge_tenants: edge_tenants?.unwrap_or_default(),
        wildcard_zones: wildcard_zones?.unwrap_or_default(),
        withdrawal_percent: withdrawal_percent?,
        withdrawal_window: withdrawal_window?,
        withdrawal_floor: withdrawal_floor?,
    })
}

fn read_edge(reader: &mut Reader) -> Option<Edge> {
    let (listen, tls) = read_protected(reader, &keys::EDGE_LISTEN, &EDGE_TLS);
    let public = reader.optional(&keys::EDGE_PUBLIC, None);
    Some(Edge { listen: listen?, tls: tls?, public: public?.unwrap_or_default().0 })
}

/// A listener's three files of mutual TLS: certificate, key, clients' roots.
type TlsKeys = [Key<PathBuf>; 3];
const XDS_TLS: TlsKeys =
    [keys::XDS_TLS_CERT_FILE, keys::XDS_TLS_KEY_FILE, keys::XDS_CLIENT_CA_FILE];
const EDGE_TLS: TlsKeys =
    [keys::EDGE_TLS_CERT_FILE, keys::EDGE_TLS_KEY_FILE, keys::EDGE_CLIENT_CA_FILE];

/// Private keys leave through one of these listeners and challenges through the other: what
/// others can reach has mutual TLS.
fn read_protected(
    reader: &mut Reader,
    key: &Key<Listen>,
    tls: &TlsKeys,
) -> (Option<Listen>, Option<Option<TlsFiles>>) {
    let listen = reader.get(key, None);
    let [cert_file, key_file, client_ca_file] = tls;
    let files = [
        reader.optional(cert_file, None),
        reader.optional(key_file, None),
        reader.optional(client_ca_file, None),
    ];
    let [Some(cert), Some(own_key), Some(client_ca)] = files else { return (listen, None) };
    let files = match (cert, own_key, client_ca) {
        (Some(cert_file), Some(key_file), Some(client_ca_file)) => {
            Some(TlsFiles { cert_file, key_file, client_ca_file })
        }
        (None, None, None) => None,
        (_, _, _) => {
            let said = "is only allowed together with all of tls_cert_file, tls_key_file and \
                        client_ca_file";
            tls.iter().for_each(|key| reader.refuse_if_set(&key.entry, None, said));
            return (listen, None);
        }
    };
    match &listen {
        Some(listen) if listen.is_exposed() && files.is_none() => {
            let said = "is not a loopback address; allowed: any address with mutual TLS \
                        (tls_cert_file, tls_key_file, client_ca_file), or 127.0.0.1, [::1] or \
                        unix:PATH without";
            reader.refuse(&key.entry, None, said);
        }
        Some(Listen::Unix(_)) if files.is_some() => {
            let said = "is not allowed with a Unix socket, whose file's permissions protect it";
            tls.iter().for_each(|key| reader.refuse_if_set(&key.entry, None, said));
        }
        Some(_) | None => {}
    }
    (listen, Some(files))
}

fn read_admin(reader: &mut Reader) -> Option<Admin> {
    let listen = reader.get(&keys::ADMIN_LISTEN, None);
    let token_file = reader.optional(&keys::ADMIN_TOKEN_FILE, None);
    let write_token_file = reader.optional(&keys::ADMIN_WRITE_TOKEN_FILE, None);
    let read_token_file = reader.optional(&keys::ADMIN_READ_TOKEN_FILE, None);
    let rate = reader.get(&keys::ADMIN_RATE, None);
    refuse_partial_tokens(reader, &token_file, [&write_token_file, &read_token_file]);
    let exposed = listen.is_some_and(|listen| !listen.ip().is_loopback());
    if exposed && matches!(token_file, Some(None)) {
        let said = "is not a loopback address; allowed: any address together with \
                    admin.token_file, or 127.0.0.1 or [::1] without";
        reader.refuse(&keys::ADMIN_LISTEN.entry, None, said);
    }
    Some(Admin {
        listen: listen?,
        token_file: token_file?,
        write_token_file: write_token_file?,
        read_token_file: read_token_file?,
        rate: u32::try_from(rate?).unwrap_or(u32::MAX),
    })
}

/// With a token for some and none for all, whoever has no token could do nothing, and nobody
/// could take a key out: rather say so.
fn refuse_partial_tokens(
    reader: &mut Reader,
    token_file: &Option<Option<PathBuf>>,
    others: [&Option<Option<PathBuf>>; 2],
) {
    if matches!(token_file, Some(None)) && others.iter().any(|other| matches!(other, Some(Some(_))))
    {
        let said = "is missing; required together with admin.write_token_file and \
                    admin.read_token_file";
        reader.refuse(&keys::ADMIN_TOKEN_FILE.entry, None, said);
    }
}

fn refuse_shared_addresses(reader: &mut Reader, xds: &Xds, edge: &Edge, admin: &Admin) {
    if edge.listen.is(&xds.listen) {
        reader.refuse(&keys::EDGE_LISTEN.entry, None, "is the address of xds.listen too");
    }
    let admin = Listen::from(admin.listen);
    if admin.is(&xds.listen) || admin.is(&edge.listen) {
        let said = "is the address of another listener too";
        reader.refuse(&keys::ADMIN_LISTEN.entry, None, said);
    }
}

fn read_store(reader: &mut Reader) -> Option<Store> {
    let kind = reader.get(&keys::STORE_KIND, None);
    let path = reader.get(&keys::STORE_PATH, None);
    let table_prefix = reader.get(&keys::STORE_TABLE_PREFIX, None);
    let region = reader.optional(&keys::STORE_REGION, None);
    let endpoint_url = reader.optional(&keys::STORE_ENDPOINT_URL, None);
    let copy_path = reader.get(&keys::STORE_LAST_GOOD_PATH, None);
    let copy_mb = reader.get(&keys::STORE_LAST_GOOD_MB, None);
    match kind? {
        StoreKind::Embedded => {
            let remote = [
                keys::STORE_TABLE_PREFIX.entry,
                keys::STORE_REGION.entry,
                keys::STORE_ENDPOINT_URL.entry,
                keys::STORE_LAST_GOOD_PATH.entry,
                keys::STORE_LAST_GOOD_MB.entry,
            ];
            for entry in remote {
                reader.refuse_if_set(
                    &entry,
                    None,
                    "is only allowed with store.kind = \"dynamodb\"",
                );
            }
            Some(Store::Embedded { path: path? })
        }
        StoreKind::Dynamodb => {
            let said = "is only allowed with store.kind = \"embedded\"";
            reader.refuse_if_set(&keys::STORE_PATH.entry, None, said);
            let (path, megabytes) = (copy_path?, copy_mb?);
            let copy = LastGoodCopy { path, bytes_max: megabytes.saturating_mul(1_000_000) };
            Some(Store::Dynamodb {
                table_prefix: table_prefix?,
                region: region?,
                endpoint_url: endpoint_url?,
                last_good: (megabytes > 0).then_some(copy),
            })
        }
    }
}

fn read_kek(reader: &mut Reader, store: Option<&Store>) -> Option<Kek> {
    match (reader.optional(&keys::KEYS_KEK, None)?, store?) {
        (Some(kek), _) => Some(kek),
        (None, Store::Embedded { path }) => Some(Kek::File(path.join(KEK_FILE))),
        (None, Store::Dynamodb { .. }) => {
            let said = "is missing; required with store.kind = \"dynamodb\", because every \
                        control plane must have the same one";
            reader.refuse(&keys::KEYS_KEK.entry, None, said);
            None
        }
    }
}

fn read_issuers(reader: &mut Reader) -> Option<Vec<Issuer>> {
    let count = reader.repeated(keys::ISSUER);
    if count == 0 {
        return Some(vec![unconfigured()?]);
    }
    let read: Vec<Option<Issuer>> =
        (0..count).map(|position| read_issuer(reader, Some(position))).collect();
    let issuers: Vec<Issuer> = read.into_iter().collect::<Option<_>>()?;
    for (position, issuer) in issuers.iter().enumerate() {
        if issuers.iter().take(position).any(|earlier| earlier.name == issuer.name) {
            let said = "is the name of an earlier [[issuer]] too";
            reader.refuse(&keys::ISSUER_NAME.entry, Some(position), said);
        }
    }
    Some(issuers)
}

/// What orders go to when no issuer is configured.
fn unconfigured() -> Option<Issuer> {
    Some(Issuer {
        name: STAGING_NAME.to_owned(),
        directory: Url::parse(STAGING_DIRECTORY).ok()?,
        contact: Vec::new(),
        ca_file: None,
        binding: None,
        profile: None,
        key_type: KeyType::default(),
        limits: None,
        staging: None,
    })
}

fn read_issuer(reader: &mut Reader, at: Position) -> Option<Issuer> {
    let name = reader.get(&keys::ISSUER_NAME, at);
    let directory = reader.get(&keys::ISSUER_DIRECTORY, at);
    let contact = reader.optional(&keys::ISSUER_CONTACT, at);
    let ca_file = reader.optional(&keys::ISSUER_CA_FILE, at);
    let binding = read_binding(reader, &EAB, at);
    let profile = reader.optional(&keys::ISSUER_PROFILE, at);
    let key_type = reader.get(&keys::ISSUER_KEY_TYPE, at);
    let limits = reader.optional(&keys::ISSUER_LIMITS, at);
    let staging = staging::read(reader, directory.as_ref(), at);
    Some(Issuer {
        name: name?,
        directory: directory?,
        contact: contact?.unwrap_or_default(),
        ca_file: ca_file?,
        binding: binding?,
        profile: profile?,
        key_type: key_type?,
        limits: limits?,
        staging: staging?,
    })
}

/// The two keys of an external account binding: its identifier and its key's file.
pub(super) type BindingKeys = (Key<String>, Key<PathBuf>);
const EAB: BindingKeys = (keys::ISSUER_EAB_KID, keys::ISSUER_EAB_HMAC_KEY_FILE);

/// Both or neither.
pub(super) fn read_binding(
    reader: &mut Reader,
    (kid, hmac_key_file): &BindingKeys,
    at: Position,
) -> Option<Option<Binding>> {
    let found = (reader.optional(kid, at), reader.optional(hmac_key_file, at));
    let lonely = |other: &str| format!("is only allowed together with {other}");
    match (found.0?, found.1?) {
        (Some(kid), Some(hmac_key_file)) => Some(Some(Binding { kid, hmac_key_file })),
        (None, None) => Some(None),
        (Some(_), None) => {
            reader.refuse(&kid.entry, at, &lonely(hmac_key_file.entry.name));
            None
        }
        (None, Some(_)) => {
            reader.refuse(&hmac_key_file.entry, at, &lonely(kid.entry.name));
            None
        }
    }
}

fn read_permission(reader: &mut Reader) -> Option<Permission> {
    let ask_url = reader.optional(&keys::PERMISSION_ASK_URL, None);
    let timeout = reader.get(&keys::PERMISSION_TIMEOUT, None);
    let cache_ttl = reader.get(&keys::PERMISSION_CACHE_TTL, None);
    let negative_ttl = reader.get(&keys::PERMISSION_NEGATIVE_TTL, None);
    Some(Permission {
        ask_url: ask_url?,
        timeout: timeout?,
        cache_ttl: cache_ttl?,
        negative_ttl: negative_ttl?,
    })
}

/// Whether a URL is on this machine.
pub fn loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => false,
    }
}

fn read_limits(reader: &mut Reader) -> Option<Limits> {
    let orders = reader.optional(&keys::LIMITS_ORDERS, None);
    let registered_domain = reader.optional(&keys::LIMITS_REGISTERED_DOMAIN, None);
    let name = reader.optional(&keys::LIMITS_NAME, None);
    let failures = reader.optional(&keys::LIMITS_FAILURES, None);
    let tenant_share_percent = reader.get(&keys::LIMITS_TENANT_SHARE, None);
    Some(Limits {
        orders: orders?,
        registered_domain: registered_domain?,
        name: name?,
        failures: failures?,
        tenant_share_percent: tenant_share_percent?,
    })
}

fn read_issuance(reader: &mut Reader) -> Option<Issuance> {
    let concurrency = reader.get(&keys::ISSUANCE_CONCURRENCY, None);
    let on_handshake = reader.get(&keys::ISSUANCE_ON_HANDSHAKE, None);
    let on_register = reader.get(&keys::ISSUANCE_ON_REGISTER, None);
    let max_wait = reader.get(&keys::ISSUANCE_MAX_WAIT, None);
    let lease = reader.get(&keys::ISSUANCE_LEASE, None);
    if let (Some(false), Some(false)) = (on_handshake, on_register) {
        let said = "is not allowed together with issuance.on_register = false: no certificate \
                    would ever be issued";
        reader.refuse(&keys::ISSUANCE_ON_HANDSHAKE.entry, None, said);
    }
    Some(Issuance {
        concurrency: concurrency?,
        on_handshake: on_handshake?,
        on_register: on_register?,
        max_wait: max_wait?,
        lease: lease?,
    })
}
