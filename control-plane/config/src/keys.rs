//! Every key there is: where it stands, what it accepts, its default, and what it does. The
//! reader, its errors and `docs/configuration.md` are made from this table.

use std::collections::BTreeMap;
use std::marker::PhantomData;
use std::net::SocketAddr;
use std::path::PathBuf;

use sealwax_core::Span;
use sealwax_core::preflight::Network;
use sealwax_core::record::KeyType;
use sealwax_protocol::DomainName;
use url::Url;

use super::allowed::Allowed;
use super::arn::{StreamArn, TopicArn};
use super::delivery::BUDGET_MAX;
use super::notify::EVENTS;
use super::{AccessLog, Kek, LimitsPreset, Listen, LogFormat, StoreKind, Targets};

/// A key whose value becomes a `T`.
pub(super) struct Key<T> {
    pub(super) entry: Entry,
    value: PhantomData<fn() -> T>,
}

/// What is known about a key, whatever its type.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry {
    pub(super) section: &'static str,
    pub(super) name: &'static str,
    pub(super) allowed: Allowed,
    pub(super) absent: Absent,
    pub(super) doc: &'static str,
}

/// What stands in for a key that is not set.
#[derive(Clone, Copy, Debug)]
pub(super) enum Absent {
    /// This value.
    Value(&'static str),
    /// Nothing, or what these words say.
    Unset(&'static str),
    /// The key must be set.
    Required,
}

/// A section that may appear several times, as `[[issuer]]`.
pub(super) const ISSUER: &str = "issuer";
/// As [`ISSUER`].
pub(super) const NOTIFY: &str = "notify";

/// Whether a section may appear several times.
pub(super) fn repeats(section: &str) -> bool {
    matches!(section, ISSUER | NOTIFY)
}

/// The sections, in the manual's order, each with what it is about.
pub(super) const SECTIONS: [(&str, &str); 13] = [
    ("xds", "Where Envoy fetches certificates (gRPC, aggregated discovery)."),
    ("edge", "Where the filter asks for challenges and certificates."),
    ("admin", "Where operators and platforms register domains."),
    ("store", "Where every byte of state is kept."),
    ("keys", "What private keys are encrypted under before they reach the store."),
    (
        ISSUER,
        "Certificate authorities, written as `[[issuer]]`; several are a fallback order. Without \
         any, Let's Encrypt's staging environment is used.",
    ),
    ("permission", "Asking the platform whether a domain may have a certificate."),
    (
        "preflight",
        "Looking at a domain as a certificate authority would, before its first order and after a \
         failure that its owner has to mend. What is seen is in explanations; it delays an order by \
         two hours at most and never forbids it. `sealwax domain renew --force` skips it.",
    ),
    (
        NOTIFY,
        "Where events go, written as `[[notify]]`: webhooks (Standard Webhooks), SNS topics, Kinesis \
         streams. Delivered at least once, from the store; tried again for two and a half days.",
    ),
    ("issuance", "When and how fast certificates are issued."),
    ("renewal", "Keeping certificates fresh."),
    (
        "limits",
        "What the certificate authorities allow, where it differs from what they publish. All \
         control planes on one store share these budgets; nothing is ordered beyond them.",
    ),
    ("telemetry", "What the process says about itself."),
];

const fn seconds(min: u64, max: u64) -> Allowed {
    Allowed::Duration { min: Span::from_secs(min), max: Span::from_secs(max) }
}

const fn millis(min: u64, max: u64) -> Allowed {
    Allowed::Duration { min: Span::from_millis(min), max: Span::from_secs(max) }
}

macro_rules! keys {
    ($($constant:ident: $type:ty = $section:ident.$name:ident, $allowed:expr, $absent:expr, $doc:expr;)*) => {
        $(pub(super) const $constant: Key<$type> = Key {
            entry: Entry {
                section: stringify!($section),
                name: stringify!($name),
                allowed: $allowed,
                absent: $absent,
                doc: $doc,
            },
            value: PhantomData,
        };)*
        /// Every key, in the manual's order.
        pub(super) const ALL: &[Entry] = &[$($constant.entry),*];
    };
}

use Absent::{Required, Unset, Value};

keys! {
    XDS_LISTEN: Listen = xds.listen, Allowed::Listen, Value("127.0.0.1:18000"),
        "Where the xDS server listens. Needs the three TLS files unless it is loopback or a Unix socket.";
    XDS_TLS_CERT_FILE: PathBuf = xds.tls_cert_file, Allowed::Path, Unset("no TLS"),
        "PEM file with the control plane's certificate and its chain. With TLS every edge must show a certificate in which its node id is a DNS or URI name. Read again when it changes.";
    XDS_TLS_KEY_FILE: PathBuf = xds.tls_key_file, Allowed::Path, Unset("no TLS"),
        "PEM file with the private key of `tls_cert_file`. Read again when it changes.";
    XDS_CLIENT_CA_FILE: PathBuf = xds.client_ca_file, Allowed::Path, Unset("no TLS"),
        "PEM file with the roots that vouch for edges' certificates. Read again when it changes.";
    XDS_BUDGET_NAMES: usize = xds.budget_names,
        Allowed::Integer { min: 1, max: BUDGET_MAX }, Value("50000"),
        "Most certificates one Envoy holds; the least useful are withdrawn beyond it. Envoy uses about 25 KB for each.";
    XDS_EDGE_BUDGETS: BTreeMap<String, usize> = xds.edge_budgets, Allowed::EdgeNumbers, Unset("`budget_names` for all"),
        "Other budgets than `budget_names` for some edges, as `[\"edge-small=2000\"]`.";
    XDS_EDGE_TENANTS: BTreeMap<String, Vec<String>> = xds.edge_tenants, Allowed::EdgeTexts, Unset("every edge may serve every tenant"),
        "Which tenants' domains an edge may serve, as `[\"edge-eu=acme\", \"edge-eu=globex\"]`. An edge that is named here gets no other domain; one that is not gets all.";
    XDS_WILDCARD_ZONES: Vec<DomainName> = xds.wildcard_zones, Allowed::Zones, Unset("none"),
        "Zones in which a domain's imported certificate for `*.DOMAIN` serves the names right below it that have none of their own.";
    XDS_WITHDRAWAL_PERCENT: u64 = xds.withdrawal_percent, Allowed::Integer { min: 1, max: 100 }, Value("10"),
        "Most names that may be withdrawn from edges within `withdrawal_window`, in percent of those they hold, whatever the reason: further ones stay until the time is over or `sealwax envoy release` lets them go. 100: no bound.";
    XDS_WITHDRAWAL_WINDOW: Span = xds.withdrawal_window, seconds(10, 86_400), Value("10m"),
        "The time of `withdrawal_percent`.";
    XDS_WITHDRAWAL_FLOOR: u64 = xds.withdrawal_floor, Allowed::Integer { min: 0, max: 1_000_000 }, Value("100"),
        "Names that may always be withdrawn within `withdrawal_window`, however few edges hold.";
    EDGE_LISTEN: Listen = edge.listen, Allowed::Listen, Value("127.0.0.1:18001"),
        "Where the edge API listens. Needs the three TLS files unless it is loopback or a Unix socket.";
    EDGE_TLS_CERT_FILE: PathBuf = edge.tls_cert_file, Allowed::Path, Unset("no TLS"),
        "As in `[xds]`; it may be the same file.";
    EDGE_TLS_KEY_FILE: PathBuf = edge.tls_key_file, Allowed::Path, Unset("no TLS"),
        "As in `[xds]`; it may be the same file.";
    EDGE_CLIENT_CA_FILE: PathBuf = edge.client_ca_file, Allowed::Path, Unset("no TLS"),
        "As in `[xds]`; it may be the same file.";
    EDGE_PUBLIC: Targets = edge.public, Allowed::Targets, Unset("explanations do not name them"),
        "What customers' DNS must point to: the public addresses of the edges, or a host name that has them. Explanations name the exact records then, and the preflight tells edges from other servers by it.";
    ADMIN_LISTEN: SocketAddr = admin.listen, Allowed::Address, Value("127.0.0.1:18002"),
        "Address of the admin API. Needs `token_file` unless it is loopback.";
    ADMIN_TOKEN_FILE: PathBuf = admin.token_file, Allowed::Path, Unset("no token is asked for"),
        "File that holds the bearer token of the admin API: one line of at least 16 characters. It may do everything, taking private keys out included.";
    ADMIN_WRITE_TOKEN_FILE: PathBuf = admin.write_token_file, Allowed::Path, Unset("there is no such token"),
        "File with a second token, which may do everything but take private keys out.";
    ADMIN_READ_TOKEN_FILE: PathBuf = admin.read_token_file, Allowed::Path, Unset("there is no such token"),
        "File with a third token, which may only look: for dashboards and Prometheus.";
    ADMIN_RATE: u64 = admin.rate, Allowed::Integer { min: 1, max: 100_000 }, Value("500"),
        "Requests a second that are taken from callers that look, from those that change something, and from those without a good token, each; twice as many at once. Others are answered 429.";
    STORE_KIND: StoreKind = store.kind, Allowed::Choice(&["embedded", "dynamodb"]), Value("embedded"),
        "`embedded` keeps everything in one folder and serves one control plane; `dynamodb` is shared by several.";
    STORE_PATH: PathBuf = store.path, Allowed::Path, Value("./sealwax-data"),
        "Folder of the embedded store. Only with kind `embedded`.";
    STORE_TABLE_PREFIX: String = store.table_prefix, Allowed::Name, Value("sealwax"),
        "What the names of the tables start with. Only with kind `dynamodb`.";
    STORE_REGION: String = store.region, Allowed::Name, Unset("the environment's region"),
        "Region of the tables. Only with kind `dynamodb`.";
    STORE_ENDPOINT_URL: Url = store.endpoint_url, Allowed::Url, Unset("the region's endpoint"),
        "Another DynamoDB endpoint. Only with kind `dynamodb`.";
    STORE_LAST_GOOD_PATH: PathBuf = store.last_good_path, Allowed::Path, Value("./sealwax-last-good"),
        "Folder on local disk with a copy, encrypted as in the store, of the certificates served: they are served from there when the store is away at a start. Only with kind `dynamodb`; each control plane needs its own.";
    STORE_LAST_GOOD_MB: u64 = store.last_good_mb, Allowed::Integer { min: 0, max: 1_000_000 }, Value("256"),
        "Most megabytes of that copy; 100 hold about 12,000 certificates. The least recently read leave first. 0: no copy. Only with kind `dynamodb`.";
    KEYS_KEK: Kek = keys.kek, Allowed::Kek, Unset("`file:kek` in the embedded store's folder"),
        "Where the key-encryption key is: in a file or in the environment, 32 bytes in hexadecimal or base64, or in AWS KMS, named by the ARN of a symmetric key, which it never leaves. A missing file is created at the first start. Required with kind `dynamodb`.";
    KEYS_RETIRED: Vec<Kek> = keys.retired, Allowed::Keks, Unset("no other keys"),
        "Earlier keys, written like `kek`, one or a list, that what is stored may still be under. Needed until `sealwax store rewrap-keys` is through; the embedded store is rewrapped while it serves.";
    ISSUER_NAME: String = issuer.name, Allowed::Name, Required,
        "What it is called in registrations, logs and the store. Its account belongs to this name.";
    ISSUER_DIRECTORY: Url = issuer.directory, Allowed::Url, Required,
        "ACME directory (RFC 8555 section 7.1.1).";
    ISSUER_CONTACT: Vec<String> = issuer.contact, Allowed::Mails, Unset("no contact"),
        "Mail addresses the CA may write to.";
    ISSUER_CA_FILE: PathBuf = issuer.ca_file, Allowed::Path, Unset("the system's roots"),
        "PEM file with the roots that vouch for the directory's own TLS certificate.";
    ISSUER_EAB_KID: String = issuer.eab_kid, Allowed::Text, Unset("no binding"),
        "Key identifier of the external account binding. Needs `eab_hmac_key_file`.";
    ISSUER_EAB_HMAC_KEY_FILE: PathBuf = issuer.eab_hmac_key_file, Allowed::Path, Unset("no binding"),
        "File with the binding's HMAC key in base64url. Needs `eab_kid`.";
    ISSUER_PROFILE: String = issuer.profile, Allowed::Text, Unset("the CA's own choice"),
        "ACME profile to ask for.";
    ISSUER_KEY_TYPE: KeyType = issuer.key_type,
        Allowed::Choice(&["ecdsa_p256", "ecdsa_p384", "rsa2048", "rsa4096"]), Value("ecdsa_p256"),
        "Key type of certificates whose registration names none.";
    ISSUER_LIMITS: LimitsPreset = issuer.limits,
        Allowed::Choice(&["letsencrypt", "letsencrypt-staging", "none"]),
        Unset("`letsencrypt-staging` for its directory, `none` on a loopback address, else `letsencrypt`"),
        "Whose published limits it has; `[limits]` changes single ones.";
    ISSUER_STAGING_DIRECTORY: Url = issuer.staging_directory, Allowed::Url, Unset("no trials"),
        "ACME directory of the CA's staging. After a validation that failed, attempts are made there until one succeeds, and only then in `directory`: a domain that stays broken costs nothing of the CA's limits. Nothing is issued there. Its account is called like the issuer with `.staging` behind it. Needs every control plane on the store to be of a version that knows it.";
    ISSUER_STAGING_CA_FILE: PathBuf = issuer.staging_ca_file, Allowed::Path, Unset("the system's roots"),
        "As `ca_file`, of the staging directory.";
    ISSUER_STAGING_EAB_KID: String = issuer.staging_eab_kid, Allowed::Text, Unset("no binding"),
        "As `eab_kid`, for the account in staging. Needs `staging_eab_hmac_key_file`.";
    ISSUER_STAGING_EAB_HMAC_KEY_FILE: PathBuf = issuer.staging_eab_hmac_key_file, Allowed::Path, Unset("no binding"),
        "As `eab_hmac_key_file`, for the account in staging. Needs `staging_eab_kid`.";
    ISSUER_STAGING_LIMITS: LimitsPreset = issuer.staging_limits,
        Allowed::Choice(&["letsencrypt", "letsencrypt-staging", "none"]),
        Unset("`none` on a loopback address, else `letsencrypt-staging`"),
        "Whose published limits the staging has. `[limits]` does not change them.";
    PERMISSION_ASK_URL: Url = permission.ask_url, Allowed::Url, Unset("registered domains are allowed"),
        "Asked as `GET {ask_url}?domain=NAME` before an order: 2xx allows, 404 and 410 say the domain has left, 408, 425 and 429 are no answer, other 4xx refuse, anything else is no answer.";
    PERMISSION_TIMEOUT: Span = permission.timeout, millis(100, 60), Value("3s"),
        "How long the platform may take to answer.";
    PERMISSION_CACHE_TTL: Span = permission.cache_ttl, seconds(0, 86_400), Value("5m"),
        "How long a permission is remembered.";
    PERMISSION_NEGATIVE_TTL: Span = permission.negative_ttl, seconds(0, 3_600), Value("30s"),
        "How long a refusal is remembered.";
    PREFLIGHT_ENABLED: bool = preflight.enabled, Allowed::Flag,
        Unset("`false` when every issuer is on a loopback address, as test CAs are, else `true`"),
        "Look at all.";
    PREFLIGHT_RESOLVERS: Vec<SocketAddr> = preflight.resolvers, Allowed::Resolvers, Unset("the system's"),
        "Name servers that resolve. Set it where the system's answer otherwise than the internet's (split DNS).";
    PREFLIGHT_EDGES: Vec<Network> = preflight.edges, Allowed::Networks, Unset("what `[edge] public` says"),
        "More addresses and networks that lead to the edges: load balancers, proxies customers use. Without these and `[edge] public` addresses are not judged, only the path of challenges.";
    PREFLIGHT_PORT: u64 = preflight.port, Allowed::Integer { min: 1, max: 65_535 }, Value("80"),
        "Where the path of challenges is fetched. Certificate authorities use 80; others are for test CAs.";
    PREFLIGHT_TIMEOUT: Span = preflight.timeout, millis(100, 10), Value("2s"),
        "How long a look may take: a handshake may be held meanwhile. What is not known by then delays nothing.";
    NOTIFY_URL: Url = notify.url, Allowed::Url, Unset("none; one of `url`, `sns_topic` and `kinesis_stream` is required"),
        "Where events are posted, as webhooks. Must be https, or on a loopback address.";
    NOTIFY_SECRET_FILE: PathBuf = notify.secret_file, Allowed::Path, Unset("none; required with `url`"),
        "File with the secret that signs webhooks: `whsec_` and 24 to 64 bytes in base64. Only with `url`.";
    NOTIFY_SNS_TOPIC: TopicArn = notify.sns_topic, Allowed::Topic, Unset("none"),
        "The SNS topic events are published to. One whose name ends in `.fifo` gets a domain's events in their order. The credentials are those of the SDK's chain and need `sns:Publish`.";
    NOTIFY_KINESIS_STREAM: StreamArn = notify.kinesis_stream, Allowed::Stream, Unset("none"),
        "The Kinesis data stream events are put into, a domain's in their order. The credentials are those of the SDK's chain and need `kinesis:PutRecord`.";
    NOTIFY_ENDPOINT_URL: Url = notify.endpoint_url, Allowed::Url, Unset("the region's endpoint"),
        "Another endpoint of SNS or Kinesis, such as a private one. Must be https, or on a loopback address. Only with `sns_topic` or `kinesis_stream`.";
    NOTIFY_EVENTS: Vec<String> = notify.events, Allowed::Words(EVENTS), Unset("all of them"),
        "The events to tell.";
    ISSUANCE_CONCURRENCY: usize = issuance.concurrency, Allowed::Integer { min: 1, max: 1024 }, Value("64"),
        "Most domains worked on at a time, which is how many requests CAs get at a time. What only waits for a CA's verdict does not count.";
    ISSUANCE_ON_HANDSHAKE: bool = issuance.on_handshake, Allowed::Flag, Value("true"),
        "Issue for a registered domain when its first handshake or request asks for it. False: nothing a visitor does places an order, over TLS or plain HTTP; a domain is issued when it is registered, by `renew`, and on the schedule.";
    ISSUANCE_ON_REGISTER: bool = issuance.on_register, Allowed::Flag, Value("false"),
        "Issue as soon as a domain is registered.";
    ISSUANCE_MAX_WAIT: Span = issuance.max_wait, millis(100, 300), Value("10s"),
        "How long a handshake is held for a certificate that is being issued. Keep Envoy's `transport_socket_connect_timeout` a little above it.";
    ISSUANCE_LEASE: Span = issuance.lease, seconds(2, 600), Value("30s"),
        "How long a control plane may be silent before another one takes its work over.";
    RENEWAL_SWEEP_INTERVAL: Span = renewal.sweep_interval, millis(50, 3_600), Value("5s"),
        "How often the schedule is looked at for renewals and retries that are due. With a long backlog less often, up to a minute apart.";
    RENEWAL_GONE_GRACE: Span = renewal.gone_grace, seconds(0, 90 * 86_400), Value("7d"),
        "How long a domain that has left, by the platform's word, keeps its certificate and key.";
    RENEWAL_GONE_PER_HOUR: u64 = renewal.gone_per_hour, Allowed::Integer { min: 1, max: 10_000_000 }, Value("20"),
        "Most domains that all control planes together park within an hour because the platform says that they are gone, and most of their certificates erased. One more stops both for a day, or until `sealwax domain release-parking`: it is rather the platform's mistake.";
    LIMITS_ORDERS: u64 = limits.orders_per_3h, Allowed::Integer { min: 1, max: 10_000_000 }, Unset("as published"),
        "New orders of one account in three hours.";
    LIMITS_REGISTERED_DOMAIN: u64 = limits.certificates_per_registered_domain_per_week, Allowed::Integer { min: 1, max: 10_000_000 }, Unset("as published"),
        "New certificates for names under one registered domain in seven days.";
    LIMITS_NAME: u64 = limits.certificates_per_name_per_week, Allowed::Integer { min: 1, max: 10_000_000 }, Unset("as published"),
        "Certificates for exactly one name in seven days.";
    LIMITS_FAILURES: u64 = limits.failures_per_name_per_hour, Allowed::Integer { min: 1, max: 10_000_000 }, Unset("as published"),
        "Failed validations of one name in an hour.";
    LIMITS_TENANT_SHARE: u64 = limits.tenant_share_percent, Allowed::Integer { min: 1, max: 100 }, Value("100"),
        "Most of an account's orders that one tenant may use, in percent.";
    TELEMETRY_LOG: LogFormat = telemetry.log, Allowed::Choice(&["text", "json"]), Value("text"),
        "Format of the log on standard error.";
    TELEMETRY_ACCESS_LOG: AccessLog = telemetry.access_log, Allowed::Fields, Unset("no access log"),
        "What is logged of each request to the admin API; with `log = \"json\"` as fields of an object.";
    TELEMETRY_CENSUS_RATE: u64 = telemetry.census_rate, Allowed::Integer { min: 0, max: 100_000 }, Value("200"),
        "Records read a second, on average, to count the fleet for metrics and dashboard; 0 counts nothing. At 200 a million domains take 83 minutes; on DynamoDB each is a read unit.";
    TELEMETRY_OTLP_URL: Url = telemetry.otlp_url, Allowed::Url, Unset("no traces"),
        "Where traces go (OTLP over HTTP, protobuf), such as `http://127.0.0.1:4318/v1/traces`: one trace for each handshake that waits for its certificate. Headers for it, such as a collector's key, are read from `OTEL_EXPORTER_OTLP_HEADERS`.";
    TELEMETRY_OTLP_PERCENT: u64 = telemetry.otlp_percent, Allowed::Integer { min: 1, max: 100 }, Value("100"),
        "How many of a hundred handshakes that wait are traced.";
}
