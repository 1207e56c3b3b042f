//! Every metric there is: its name, labels and meaning. The registry, `docs/metrics.md` and the
//! tests of the dashboard and the alert rules are made from this table.
//!
//! No label has a value that comes from the network: a label is a lane, a state, a cause, a call,
//! or the name of a configured issuer.

/// What a metric measures.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Kind {
    Counter,
    Gauge,
    /// With the upper bounds of its buckets, in seconds.
    Histogram(&'static [f64]),
}

/// What is known about a metric.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Described {
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    pub(super) labels: &'static [&'static str],
    pub(super) about: &'static str,
}

/// A number that only grows while the process lives.
#[derive(Clone, Copy, Debug)]
pub struct Counter(pub(super) Described);

/// A level.
#[derive(Clone, Copy, Debug)]
pub struct Gauge(pub(super) Described);

/// Durations by size.
#[derive(Clone, Copy, Debug)]
pub struct Histogram(pub(super) Described);

/// Reads and writes of the store, and lookups: 0.1 ms in the process, some milliseconds remote.
const QUICK: &[f64] =
    &[0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0];
/// Requests to other parties.
const CALLS: &[f64] = &[0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0];
/// From an order to its certificate: seconds when all is well, minutes when the CA is busy.
const ORDERS: &[f64] = &[0.1, 0.25, 0.5, 1.0, 2.0, 3.0, 5.0, 10.0, 20.0, 30.0, 60.0, 300.0, 3600.0];

const fn counter(
    name: &'static str,
    labels: &'static [&'static str],
    about: &'static str,
) -> Counter {
    Counter(Described { name, kind: Kind::Counter, labels, about })
}

const fn gauge(name: &'static str, labels: &'static [&'static str], about: &'static str) -> Gauge {
    Gauge(Described { name, kind: Kind::Gauge, labels, about })
}

const fn histogram(
    name: &'static str,
    labels: &'static [&'static str],
    buckets: &'static [f64],
    about: &'static str,
) -> Histogram {
    Histogram(Described { name, kind: Kind::Histogram(buckets), labels, about })
}

macro_rules! metrics {
    ($($constant:ident: $type:ty = $made:expr;)*) => {
        $(
            #[doc = concat!("`", stringify!($constant), "`, as the manual of metrics describes it.")]
            pub const $constant: $type = $made;
        )*
        /// Every metric, in the manual's order.
        pub(super) const ALL: &[Described] = &[$($constant.0),*];
    };
}

metrics! {
    DOMAINS: Gauge = gauge("sealwax_domains", &["state"],
        "Registered domains by state, as the last census found them.");
    REMAINING: Gauge = gauge("sealwax_certificates_remaining", &["within"],
        "Served certificates by the time until they expire: `expired`, then `1d`, `3d`, `7d`, `14d`, `30d`, `60d` (less than that, each certificate once), and `more`. By the last census.");
    LIFE_LEFT: Gauge = gauge("sealwax_certificates_life_left", &["percent"],
        "Served certificates by the share of their life that is left, which reads alike for 90-day and 6-day ones: `0`, then `10`, `25`, `33`, `50` (less than that, each certificate once), and `100`. By the last census.");
    OVERDUE: Gauge = gauge("sealwax_renewals_overdue", &["since"],
        "Certificates whose renewal is overdue: for less than `1h`, `1d`, `7d`, or for `more`. By the last census.");
    FAILING: Gauge = gauge("sealwax_domains_failing", &["cause"],
        "Domains whose last attempt failed, by cause. By the last census.");
    CENSUS_AT: Gauge = gauge("sealwax_census_timestamp_seconds", &[],
        "When the last census ended, in seconds since 1970.");
    CENSUS_SECONDS: Gauge = gauge("sealwax_census_seconds", &[],
        "How long the last census took.");
    DUE_LATE: Gauge = gauge("sealwax_due_late", &[],
        "Domains that have been due (renewal, retry, order in flight) for five minutes or longer. Read from the due index every minute; counted up to 1,000.");
    QUEUE_WAITING: Gauge = gauge("sealwax_queue_waiting", &["lane"],
        "Domains that wait to be worked on.");
    QUEUE_OLDEST: Gauge = gauge("sealwax_queue_oldest_seconds", &["lane"],
        "How long the domain that came first into the lane has waited there; 0 if none does.");
    RUNS: Gauge = gauge("sealwax_runs_in_flight", &[],
        "Domains that are being worked on.");
    EVENTS: Counter = counter("sealwax_lifecycle_events_total", &["kind"],
        "Events written to the records of domains by this process, by kind.");
    ORDERS_TOTAL: Counter = counter("sealwax_orders_total", &["issuer", "outcome"],
        "Orders by outcome: `placed`, `issued`, `failed`; in staging, where none is issued, `tried`. A staging is the issuer `NAME.staging`.");
    ISSUANCE_SECONDS: Histogram = histogram("sealwax_issuance_seconds", &["issuer", "outcome"], ORDERS,
        "From the placing of an order to its certificate (`issued`) or its end without one (`failed`). Orders that another process placed are left out.");
    CA_CALL_SECONDS: Histogram = histogram("sealwax_ca_call_seconds", &["issuer", "call"], CALLS,
        "How long a CA takes for each step.");
    CA_ERRORS: Counter = counter("sealwax_ca_errors_total", &["issuer", "call", "kind"],
        "Steps a CA did not do: `retry`, `rate_limited`, `paused`, `refused`, `profile_refused`, `misconfigured`, `unknown_outcome`, `order_gone`, `unfindable`, `protocol`.");
    CA_ACCOUNTS_REPLACED: Counter = counter("sealwax_ca_accounts_replaced_total", &["issuer", "why"],
        "ACME accounts that took the place of another: the CA did not know the one before any more (`forgotten`; `key_refused` if the new one has a new key), or `reset` was asked for. Orders in flight were placed anew; CAA records with the `accounturi` of the one before forbid what they allowed.");
    BUDGET_LEFT: Gauge = gauge("sealwax_ca_budget_left", &["issuer", "limit"],
        "What is left of a CA's limits that all names share: `orders` (new orders of the account, all replicas together) and `requests` (requests for new orders from this process's address). Read every 15 seconds; no figure where `[[issuer]] limits` are none. The limits of single names and of registered domains are in `sealwax explain`.");
    BUDGET: Gauge = gauge("sealwax_ca_budget", &["issuer", "limit"],
        "The same limits when nothing is used of them.");
    PERMISSION_SECONDS: Histogram = histogram("sealwax_permission_seconds", &["answer"], CALLS,
        "How long the platform's permission endpoint takes, by answer: `granted`, `denied`, `gone`, `unknown`. Answers from memory are in it.");
    PREFLIGHT_SECONDS: Histogram = histogram("sealwax_preflight_seconds", &["seen"], CALLS,
        "How long a look at a domain takes, before its order or after its validation failed, by where its challenge path led: to an `edge`, `elsewhere`, to nobody (`unreachable`), to `no_address`; or `unknown` (the name servers gave no answer, or a firewall kept the look out), or `nothing` (there was no place to look). The order is placed after those two.");
    PREFLIGHT_HELD: Counter = counter("sealwax_preflight_held_total", &["cause"],
        "Orders that were not placed because of what the look saw, by cause.");
    CAMPAIGN: Gauge = gauge("sealwax_campaign", &["state"],
        "1 for the state of the newest campaign: `running`, `paused`, `finished`, `cancelled`. This and the next two are read from the store every five seconds, by each replica; no figure where there never was a campaign.");
    CAMPAIGN_DOMAINS: Gauge = gauge("sealwax_campaign_domains", &["standing"],
        "Certificates of that campaign: `replaced`, `failed`, `gone` (the domain left), `open` (asked for and not there yet), `waiting` (counted and not asked for).");
    CAMPAIGN_LATE: Gauge = gauge("sealwax_campaign_late", &[],
        "1 if that campaign has not ended and, at its rate, ends after its deadline; otherwise 0.");
    DEPARTURES_HELD: Gauge = gauge("sealwax_departures_held", &[],
        "1 while nothing is parked or erased any more, because the platform says of more domains than `[renewal] gone_per_hour` that they are gone; otherwise 0.");
    NOTIFICATIONS: Counter = counter("sealwax_notifications_total", &["outcome"],
        "Events for webhooks, topics and streams: `delivered`, `failed` (tried again, or given up), `waiting` (not tried: the receiver failed before, or too much is under way), `no_receiver` (none is configured for it any more). What is given up is `sealwax_lifecycle_events_total{kind=\"notification.dropped\"}`.");
    LOOKUPS: Counter = counter("sealwax_lookups_total", &["from", "answer"],
        "Names edges asked for: answered from `memory`, or `asked` for in catalog and store; with `ready`, `pending`, `absent` (refused), `missing` (the store has nothing of it), `unavailable`.");
    LOOKUP_SECONDS: Histogram = histogram("sealwax_lookup_seconds", &["answer"], QUICK,
        "How long lookups take that memory does not answer at once.");
    HELD: Gauge = gauge("sealwax_handshakes_held", &[],
        "Names whose handshakes are held for a certificate on its way, or because the store is away.");
    CATALOG_ENTRIES: Gauge = gauge("sealwax_catalog_entries", &[],
        "Names remembered in memory.");
    KNOWN_NAMES: Gauge = gauge("sealwax_known_names", &[],
        "Registered names known in memory, at 6 to 12 bytes each. Those that left are among them until the next pass over the store's names, every six hours.");
    KNOWN_FILLED: Gauge = gauge("sealwax_known_names_filled", &[],
        "1 while that set is whole, so that a name that is not in it is refused without a read of the store; 0 before the first pass, and after the change log was interrupted until the next one.");
    STRANGERS: Counter = counter("sealwax_strangers_refused_total", &[],
        "Look-ups of names that nobody registered, answered without a read of the store.");
    LAST_GOOD: Gauge = gauge("sealwax_last_good_certificates", &[],
        "Certificates on local disk for when the store is away; only with `[store] last_good_path`.");
    STORE_TRUSTED: Gauge = gauge("sealwax_store_trusted", &[],
        "1 when the store is the one this control plane knows, as new as it was; else 0: nothing is withdrawn on its word. `GET /readyz` says why.");
    WITHOUT_RECORD: Gauge = gauge("sealwax_edge_names_without_record", &[],
        "Certificates held by edges connected here of names that the store has neither a record nor a removal of. They stay.");
    HELD_BACK: Gauge = gauge("sealwax_withdrawals_held_back", &[],
        "Certificates whose withdrawal from edges the brake holds back (`[xds] withdrawal_percent`).");
    BRAKES: Counter = counter("sealwax_withdrawal_brakes_total", &[],
        "How often the brake on withdrawals was applied.");
    EDGES: Gauge = gauge("sealwax_edges", &[],
        "Connected streams of edges.");
    EDGE_NAMES: Gauge = gauge("sealwax_edge_names", &[],
        "Certificates connected edges hold, all together.");
    EDGE_FULLEST: Gauge = gauge("sealwax_edge_budget_used", &[],
        "The fullest edge's certificates as a share of its budget, 0 to 1 and shortly above.");
    EDGE_EVENTS: Counter = counter("sealwax_edge_events_total", &["event"],
        "What was sent to edges and what they said: `push`, `removal`, `eviction` and `timeout` (both removals too), `ack`, `nack`. Collected every second; what a stream does in its last second may be missing.");
    STORE_CALL_SECONDS: Histogram = histogram("sealwax_store_call_seconds", &["call"], QUICK,
        "How long the store takes for each call.");
    STORE_ERRORS: Counter = counter("sealwax_store_errors_total", &["call", "kind"],
        "Calls the store did not do: `lost` (someone else wrote first: normal with several replicas), `throttled`, `unavailable`, `misconfigured`, `unreadable`, `bug`.");
    BUILD: Gauge = gauge("sealwax_build_info", &["version"],
        "1, with the version.");
    STARTED: Gauge = gauge("process_start_time_seconds", &[],
        "When the process started, in seconds since 1970.");
    RESIDENT: Gauge = gauge("process_resident_memory_bytes", &[],
        "Memory the process holds. Linux only.");
}
