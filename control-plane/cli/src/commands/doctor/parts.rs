//! The process's own parts: key, listeners, work, certificates, the platform's endpoint.

use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use sealwax_core::permission::{Permission as _, Verdict as Answer};
use sealwax_core::{Span, Timestamp};
use sealwax_protocol::DomainName;
use tokio::net::{TcpStream, UnixStream};
use x509_parser::prelude::{FromDer as _, X509Certificate};

use super::Check;
use sealwax_admin::FleetView;
use sealwax_config::{Kek, Listen, Permission, TlsFiles};
use sealwax_platform::permission::AskEndpoint;

/// How long a listener may take to accept a connection.
const CONNECT_WITHIN: Duration = Duration::from_secs(3);
/// A name nobody can have (RFC 2606 section 2): whoever allows it allows everything.
const NOBODYS: &str = "sealwax-doctor.invalid";
/// How many may wait in a lane before someone should look.
const WAITING_MANY: u64 = 10_000;
/// A listener's certificate should be replaced when less is left of it.
const EXPIRES_SOON: Span = Span::from_secs(30 * 86_400);
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

/// The certificate a listener shows: there, and valid for a while yet.
pub(super) fn certificate(section: &str, files: &TlsFiles, now: Timestamp) -> Check {
    let (name, place) = (format!("certificate of [{section}]"), files.cert_file.display());
    let fix = "make another with `sealwax envoy certs --renew`; it is read again by itself";
    let read = || {
        let pem = std::fs::read(&files.cert_file).map_err(|error| error.to_string())?;
        let leaf = CertificateDer::from_pem_slice(&pem).map_err(|error| error.to_string())?;
        let (_, leaf) = X509Certificate::from_der(&leaf).map_err(|error| error.to_string())?;
        Ok::<_, String>(Timestamp::from_secs(leaf.validity().not_after.timestamp()))
    };
    match read() {
        Err(cause) => Check::failed(
            name,
            format!("{place}: {cause}. Run this on the control plane's machine, or {fix}"),
        ),
        Ok(until) if until <= now => {
            Check::failed(name, format!("{place} expired at {until}: no edge connects; {fix}"))
        }
        Ok(until) if until.since(now) < EXPIRES_SOON => {
            Check::warning(name, format!("{place} expires at {until}: {fix}"))
        }
        Ok(_) => Check::ok(name, ""),
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
    let near = fleet.budgets.iter().find(|one| one.limit == "orders" && one.left * 10 < one.of);
    match (limited, near) {
        (None, None) => Check::ok("limits", ""),
        (None, Some(one)) => Check::warning(
            "limits",
            format!(
                "{} of {} new orders are left at {}: what is new waits its turn soon. Ask the CA \
                 for a higher limit, or add another [[issuer]]",
                one.left, one.of, one.issuer
            ),
        ),
        (Some(domains), _) => Check::warning(
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

#[cfg(test)]
mod tests {
    use super::super::Verdict;
    use super::*;
    use sealwax_admin::BudgetView;

    fn fleet(left: u64) -> FleetView {
        let budget =
            BudgetView { issuer: "ca".to_owned(), limit: "orders".to_owned(), left, of: 300 };
        FleetView { budgets: vec![budget], ..sealwax_admin::testing::no_fleet() }
    }

    #[test]
    fn a_limit_that_is_nearly_used_up_is_named() {
        assert_eq!(limits(&fleet(30)).verdict, Verdict::Ok);
        let near = limits(&fleet(29));
        assert_eq!(near.verdict, Verdict::Warning);
        assert!(near.detail.contains("29 of 300") && near.detail.contains("ca"), "{}", near.detail);
    }

    /// What a platform that answers everything with a status is told.
    async fn platform(status: http::StatusCode) -> Check {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/ask", listener.local_addr().unwrap());
        let app = axum::Router::new().fallback(async move || status);
        tokio::spawn(async move { axum::serve(listener, app).await });
        let settings = Permission {
            ask_url: Some(url.parse().unwrap()),
            timeout: Span::from_secs(5),
            cache_ttl: Span::from_secs(60),
            negative_ttl: Span::from_secs(60),
        };
        permission(&settings).await
    }

    #[tokio::test]
    async fn a_permission_endpoint_that_allows_everything_or_answers_nothing_is_noticed() {
        assert_eq!(platform(http::StatusCode::FORBIDDEN).await.verdict, Verdict::Ok);
        let lax = platform(http::StatusCode::OK).await;
        assert_eq!(lax.verdict, Verdict::Warning);
        assert!(lax.detail.contains(NOBODYS), "{}", lax.detail);
        let broken = platform(http::StatusCode::INTERNAL_SERVER_ERROR).await;
        assert_eq!(broken.verdict, Verdict::Failed);
        assert!(broken.detail.contains("[permission] ask_url"), "{}", broken.detail);
    }

    #[test]
    fn a_listeners_certificate_is_missed_in_time() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("control-plane.pem");
        let files = TlsFiles {
            cert_file: path.clone(),
            key_file: path.clone(),
            client_ca_file: path.clone(),
        };
        // Valid until 1767225600 + 90 days.
        let (chain, _) = sealwax_registry::testing::made("sealwax-control-plane");
        let day = |day: i64| Timestamp::from_secs(1_767_225_600 + day * 86_400);
        assert_eq!(certificate("xds", &files, day(0)).verdict, Verdict::Failed, "none there");
        std::fs::write(&path, chain).unwrap();
        for (at, verdict) in [(0, Verdict::Ok), (70, Verdict::Warning), (91, Verdict::Failed)] {
            let check = certificate("xds", &files, day(at));
            assert_eq!(check.verdict, verdict, "{}", check.detail);
            assert!(verdict == Verdict::Ok || check.detail.contains("--renew"));
        }
    }
}
