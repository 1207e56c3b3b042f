//! `sealwax doctor`: one line for each check, with what to do about it.

use std::net::SocketAddr;
use std::time::Duration;

use http::Method;
use serde::Serialize;
use tokio::net::TcpStream;

use super::arguments::Doctor;
use super::client::AdminClient;
use super::domains::NO_BODY;
use super::exit::{FAILED, Failed, Outcome};
use super::output::Output;
use super::serve::load;
use super::table::table;

/// How long a listener may take to accept a connection.
const CONNECT_WITHIN: Duration = Duration::from_secs(3);

/// How a check ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Verdict {
    Ok,
    Failed,
}

#[derive(Debug, Serialize)]
struct Check {
    check: &'static str,
    verdict: Verdict,
    detail: String,
}

pub(super) async fn run(client: &AdminClient, output: &mut Output, doctor: &Doctor) -> Outcome {
    let config = load(doctor.config.as_deref())?;
    let checks = [
        from("admin API answers", client.tell(Method::GET, &["healthz"]).await),
        from("ready to work", client.tell(Method::GET, &["readyz"]).await),
        from("token and store", list_one(client).await),
        from("xDS listens", reach(config.xds.listen, "xds").await),
        from("edge API listens", reach(config.edge.listen, "edge").await),
    ];
    if output.json {
        for check in &checks {
            output.value(check)?;
        }
    } else {
        let rows = checks.each_ref().map(|check| {
            let word = if check.verdict == Verdict::Ok { "ok" } else { "failed" };
            [word.to_owned(), check.check.to_owned(), check.detail.clone()]
        });
        output.text(&table(["", "CHECK", "WHAT TO DO"], &rows))?;
    }
    let all_well = checks.iter().all(|check| check.verdict == Verdict::Ok);
    if all_well { Ok(()) } else { Err(Failed::said(FAILED)) }
}

fn from(check: &'static str, ended: Outcome) -> Check {
    match ended {
        Ok(()) => Check { check, verdict: Verdict::Ok, detail: String::new() },
        Err(failed) => Check { check, verdict: Verdict::Failed, detail: failed.message },
    }
}

async fn list_one(client: &AdminClient) -> Outcome {
    let query = [("limit", "1".to_owned())];
    let answer: Result<serde::de::IgnoredAny, Failed> =
        client.ask(Method::GET, &["v1", "domains"], &query, NO_BODY).await;
    answer.map(drop)
}

async fn reach(at: SocketAddr, section: &str) -> Outcome {
    let fix = |cause: &str| {
        Failed::new(format!(
            "{at}: {cause}. Start `sealwax serve` with [{section}] listen = \"{at}\", or name \
             its configuration with --config"
        ))
    };
    match tokio::time::timeout(CONNECT_WITHIN, TcpStream::connect(at)).await {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(error)) => Err(fix(&error.to_string())),
        Err(_) => Err(fix("no answer")),
    }
}
