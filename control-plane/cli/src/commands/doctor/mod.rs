//! `sealwax doctor`: one line for each check, with what to do about it.

mod departures;
mod edges;
mod issuers;
mod parts;
mod preflight;
mod receivers;
mod store;

use http::Method;
use sealwax_core::Clock as _;
use serde::Serialize;

use super::arguments::Doctor;
use super::client::AdminClient;
use super::domains::NO_BODY;
use super::exit::{FAILED, Failed, Outcome};
use super::output::Output;
use super::serve::load;
use super::table::table;
use sealwax_admin::{DroppedView, EdgesView, FleetView, StoreView};
use sealwax_server::outlook;
use sealwax_system::SystemClock;

/// How a check ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Verdict {
    Ok,
    Warning,
    Failed,
}

impl Verdict {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warning => "warning",
            Self::Failed => "failed",
        }
    }
}

/// One thing looked at.
#[derive(Debug, Serialize)]
pub(super) struct Check {
    check: String,
    verdict: Verdict,
    detail: String,
}

impl Check {
    fn new(check: impl Into<String>, verdict: Verdict, detail: impl Into<String>) -> Self {
        Self { check: check.into(), verdict, detail: detail.into() }
    }

    fn ok(check: impl Into<String>, detail: impl Into<String>) -> Self {
        Self::new(check, Verdict::Ok, detail)
    }

    fn warning(check: impl Into<String>, detail: impl Into<String>) -> Self {
        Self::new(check, Verdict::Warning, detail)
    }

    fn failed(check: impl Into<String>, detail: impl Into<String>) -> Self {
        Self::new(check, Verdict::Failed, detail)
    }

    fn of(check: impl Into<String>, ended: Outcome) -> Self {
        match ended {
            Ok(()) => Self::ok(check, ""),
            Err(failed) => Self::failed(check, failed.message),
        }
    }
}

pub(super) async fn run(client: &AdminClient, output: &mut Output, doctor: &Doctor) -> Outcome {
    let config = load(doctor.config.as_deref())?;
    let alive = client.tell(Method::GET, &["healthz"]).await;
    let answers = alive.is_ok();
    let mut checks = vec![Check::of("admin API", alive)];
    // A control plane that does not answer is one problem and not ten.
    if answers {
        checks.push(Check::of("store", client.tell(Method::GET, &["readyz"]).await));
        checks.extend(from_the_process(client).await);
    }
    checks.push(parts::key(&config.kek));
    checks.push(parts::listens("xDS", "xds", &config.xds.listen).await);
    checks.push(parts::listens("edge API", "edge", &config.edge.listen).await);
    for (section, tls) in [("xds", &config.xds.tls), ("edge", &config.edge.tls)] {
        let shown = tls.iter().map(|files| parts::certificate(section, files, SystemClock.now()));
        checks.extend(shown);
    }
    for issuer in &config.issuers {
        checks.extend(issuers::directory(issuer).await);
    }
    checks.push(parts::permission(&config.permission).await);
    checks.extend(preflight::checks(&config, outlook::settings(&config)).await);
    for edge in &doctor.edge_http {
        checks.push(edges::challenge_path(client, edge).await);
    }
    report(output, &checks)
}

async fn from_the_process(client: &AdminClient) -> Vec<Check> {
    let fleet: Result<FleetView, Failed> =
        client.ask(Method::GET, &["v1", "fleet"], &[], NO_BODY).await;
    let fleet = match fleet {
        Ok(fleet) => fleet,
        Err(failed) => return vec![Check::failed("token", failed.message)],
    };
    let mut checks = vec![Check::ok("token", "")];
    let edges: Result<EdgesView, Failed> =
        client.ask(Method::GET, &["v1", "edges"], &[], NO_BODY).await;
    match edges {
        Ok(edges) => checks.extend(edges::connected(&edges)),
        Err(failed) => checks.push(Check::failed("edges", failed.message)),
    }
    let known: Result<StoreView, Failed> =
        client.ask(Method::GET, &["v1", "store"], &[], NO_BODY).await;
    match known {
        Ok(view) => checks.extend(store::checks(&view)),
        Err(failed) => checks.push(Check::failed("store identity", failed.message)),
    }
    checks.extend(fleet.issuers.iter().map(issuers::standing));
    checks.extend(receivers::standing(&fleet));
    let dropped: Result<DroppedView, Failed> =
        client.ask(Method::GET, &["v1", "notifications", "dropped"], &[], NO_BODY).await;
    checks.push(match dropped {
        Ok(list) => receivers::dead_letters(&list, SystemClock.now()),
        Err(failed) => Check::failed("events given up", failed.message),
    });
    let brake = client.ask(Method::GET, &["v1", "departures"], &[], NO_BODY).await;
    checks.push(departures::check(brake));
    checks.push(parts::work(&fleet));
    checks.push(parts::limits(&fleet));
    checks.push(parts::certificates(&fleet));
    checks
}

fn report(output: &mut Output, checks: &[Check]) -> Outcome {
    if output.json {
        for check in checks {
            output.value(check)?;
        }
    } else {
        let rows: Vec<_> = checks
            .iter()
            .map(|check| {
                let word = check.verdict.as_str().to_owned();
                [word, check.check.clone(), check.detail.clone()]
            })
            .collect();
        output.people(&table(["", "CHECK", "WHAT TO DO"], &rows))?;
    }
    let failed = checks.iter().any(|check| check.verdict == Verdict::Failed);
    if failed { Err(Failed::said(FAILED)) } else { Ok(()) }
}
