//! The process's own parts: key, listeners, work, certificates, the platform's endpoint.

use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

use sealwax_core::permission::{Permission as _, Verdict as Answer};
use sealwax_protocol::DomainName;
use tokio::net::{TcpStream, UnixStream};

use super::Check;
use crate::admin::FleetView;
use crate::config::{Kek, Listen, Permission};
use crate::permission::AskEndpoint;

/// How long a listener may take to accept a connection.
const CONNECT_WITHIN: Duration = Duration::from_secs(3);
/// A name nobody can have (RFC 2606 section 2): whoever allows it allows everything.
const NOBODYS: &str = "sealwax-doctor.invalid";
/// How many may wait in a lane before someone should look.
const WAITING_MANY: u64 = 10_000;
/// Bits of a file's mode that let others than its owner have it.
const OTHERS: u32 = 0o077;

pub(super) fn key(kek: &Kek) -> Check {
    let name = "key";
    let path = match kek {
        Kek::File(path) => path,
        // Whether KMS lets it be used shows when the control plane proves its key: see `ready`.
        Kek::Env(_) | Kek::Kms(_) => return Check::ok(name, ""),
    };
    let place = path.display();
    match std::fs::metadata(path) {
        Ok(found) if found.permissions().mode() & OTHERS == 0 => Check::ok(name, ""),
        Ok(_) => Check::warning(name, format!("others can read {place}: chmod 600 {place}")),
        Err(error) => Check::failed(
            name,
            format!(
                "{place}: {error}. Run this on the control plane's machine, or restore the key: without it no certificate can be served"
            ),
        ),
    }
}

pub(super) async fn listens(name: &str, section: &str, at: &Listen) -> Check {
    let fix = |cause: &str| {
        let said = format!(
            "{at}: {cause}. Start `sealwax serve` with [{section}] listen = \"{at}\", or name \
             its configuration with --config"
        );
        Check::failed(name, said)
    };
    let connect = async {
        match at {
            Listen::Address(at) => TcpStream::connect(at).await.map(drop),
            Listen::Unix(path) => UnixStream::connect(path).await.map(drop),
        }
    };
    match tokio::time::timeout(CONNECT_WITHIN, connect).await {
        Ok(Ok(())) => Check::ok(name, ""),
        Ok(Err(error)) => fix(&error.to_string()),
        Err(_) => fix("no answer"),
    }
}

pub(super) async fn permission(settings: &Permission) -> Check {
    let name = "permission endpoint";
    let Some(url) = &settings.ask_url else {
        return Check::ok(name, "none: registration is permission");
    };
    let Ok(domain) = DomainName::parse(NOBODYS) else { return Check::ok(name, "") };
    let endpoint = match AskEndpoint::new(settings, url.clone()) {
        Ok(endpoint) => endpoint,
        Err(error) => return Check::failed(name, error.to_string()),
    };
    match endpoint.ask(&domain).await {
        Answer::Gone | Answer::Denied => Check::ok(name, ""),
        Answer::Granted => Check::warning(
            name,
            format!(
                "it allows {NOBODYS}, which nobody can own: answer 4xx for names that are not your customers'"
            ),
        ),
        Answer::Unknown { detail } => Check::failed(
            name,
            format!(
                "{detail}. Nothing is issued until it answers 2xx or 4xx: see [permission] ask_url and timeout"
            ),
        ),
    }
}

pub(super) fn work(fleet: &FleetView) -> Check {
    let many = fleet.queue.iter().find(|lane| lane.waiting > WAITING_MANY);
    match many {
        None => Check::ok("work", ""),
        Some(lane) => Check::warning(
            "work",
            format!(
                "{} domains wait in the lane {:?}: raise [issuance] concurrency, or wait if an import is running",
                lane.waiting, lane.lane
            ),
        ),
    }
}

pub(super) fn limits(fleet: &FleetView) -> Check {
    let limited = fleet.census.as_ref().and_then(|census| census.causes.get("ca_rate_limited"));
    match limited {
        None => Check::ok("limits", ""),
        Some(domains) => Check::warning(
            "limits",
            format!(
                "{domains} domains wait for a limit of their CA; sealwax explain says which. Ask the CA for a higher one if it is the account's, or add another [[issuer]]"
            ),
        ),
    }
}

pub(super) fn certificates(fleet: &FleetView) -> Check {
    let name = "certificates";
    let Some(census) = &fleet.census else { return Check::ok(name, "not counted yet") };
    let of = |label: &str| census.overdue.get(label).copied().unwrap_or(0);
    let expired = census.remaining.get("expired").copied().unwrap_or(0);
    let overdue = of("7d").saturating_add(of("more"));
    if expired == 0 && overdue == 0 {
        return Check::ok(name, "");
    }
    let said = format!(
        "{expired} expired, {overdue} renewals overdue for a day or longer: see `sealwax domain \
         list --due-within 1h`, and `sealwax explain` for each"
    );
    Check::warning(name, said)
}
