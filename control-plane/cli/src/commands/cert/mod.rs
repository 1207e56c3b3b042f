//! `sealwax cert`: certificates that are served, brought along, or taken back.

mod accounts;
mod export;
mod kept;
mod key;
mod sources;

use std::path::Path;

use clap::ValueEnum as _;
use http::Method;
use serde::Serialize;
use zeroize::Zeroizing;

use super::arguments::{CertCommand, CertImport, CertSource, Names};
use super::client::AdminClient;
use super::domains::NO_BODY;
use super::exit::{DONE, Failed, Outcome, worst};
use super::output::{Output, remark};
use super::table::table;
use sealwax_admin::{CertificateView, DomainView};
use sources::Bundle;

/// Largest chain or key file read, in bytes: real ones have some kilobytes.
const FILE_BYTES_MAX: u64 = 1024 * 1024;

const HEADING: [&str; 5] = ["DOMAIN", "VALID UNTIL", "RENEWS", "FROM", "SERIAL"];

pub(super) async fn run(
    client: &AdminClient,
    output: &mut Output,
    command: CertCommand,
) -> Outcome {
    match command {
        CertCommand::Show(names) => show(client, output, &names).await,
        CertCommand::Import(from) => import(client, output, &from).await,
        CertCommand::Export(asked) => export::run(client, output, &asked).await,
        CertCommand::Revoke(names) => revoke(client, output, &names).await,
    }
}

async fn show(client: &AdminClient, output: &mut Output, names: &Names) -> Outcome {
    let mut shown = Shown::default();
    for domain in &names.domains {
        let path = ["v1", "domains", domain];
        let view: Result<DomainView, Failed> = client.ask(Method::GET, &path, &[], NO_BODY).await;
        shown.take(output, view.and_then(has_one))?;
    }
    shown.end(output)
}

fn has_one(view: DomainView) -> Result<DomainView, Failed> {
    if view.certificate.is_none() {
        return Err(Failed::not_found(format!("{} has no certificate", view.domain)));
    }
    Ok(view)
}

async fn revoke(client: &AdminClient, output: &mut Output, names: &Names) -> Outcome {
    let mut shown = Shown::default();
    for domain in &names.domains {
        let path = ["v1", "domains", domain, "certificate", "revoke"];
        shown.take(output, client.ask(Method::POST, &path, &[], NO_BODY).await)?;
    }
    shown.end(output)
}

#[derive(Serialize)]
struct Brought<'a> {
    chain_pem: &'a str,
    key_pem: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    ordered_from: Option<&'a str>,
}

async fn import(client: &AdminClient, output: &mut Output, asked: &CertImport) -> Outcome {
    let bundles = match (asked.from.as_slice(), &asked.chain, &asked.key) {
        ([program, path], None, None) => sources::find(source(program)?, Path::new(path))?,
        ([], Some(chain), Some(key)) => vec![Ok(Bundle::read(chain, key)?)],
        _ => return Err(Failed::usage("give --chain and --key, or --from PROGRAM PATH")),
    };
    if bundles.is_empty() {
        return Err(Failed::not_found("there is no certificate there"));
    }
    let taken = match asked.from.as_slice() {
        [program, path] => {
            let found = kept::find(source(program)?, Path::new(path));
            accounts::take(client, found, asked.take_account).await
        }
        _ => accounts::Taken::default(),
    };
    let mut shown = Shown { code: taken.code, ..Shown::default() };
    for bundle in bundles {
        let bundle = match bundle {
            Ok(bundle) => bundle,
            Err(failed) => {
                shown.take(output, Err(failed))?;
                continue;
            }
        };
        for name in bundle.names.iter().filter(|name| wanted(&asked.domains, name)) {
            let from = taken.issuer_of(&bundle);
            shown.take(output, bring(client, &bundle, name, from).await)?;
        }
    }
    shown.end(output)
}

fn source(program: &str) -> Result<CertSource, Failed> {
    CertSource::from_str(program, false)
        .map_err(|_| Failed::usage("--from: allowed: certbot, caddy, traefik, auto-ssl"))
}

fn wanted(domains: &[String], name: &str) -> bool {
    domains.is_empty() || domains.iter().any(|domain| domain.eq_ignore_ascii_case(name))
}

async fn bring(
    client: &AdminClient,
    bundle: &Bundle,
    name: &str,
    ordered_from: Option<&str>,
) -> Result<DomainView, Failed> {
    let body = Brought { chain_pem: &bundle.chain, key_pem: &bundle.key, ordered_from };
    let path = ["v1", "domains", name, "certificate"];
    let brought = client.ask(Method::PUT, &path, &[], Some(&body)).await;
    brought.map_err(|failed| Failed { message: format!("{name}: {}", failed.message), ..failed })
}

/// What came out of it, in order; one failure does not keep the others from being tried.
#[derive(Default)]
struct Shown {
    rows: Vec<[String; 5]>,
    code: u8,
}

impl Shown {
    fn take(&mut self, output: &mut Output, done: Result<DomainView, Failed>) -> Outcome {
        match done {
            Ok(view) if output.json => output.value(&view)?,
            Ok(view) => self.rows.push(row(&view)),
            Err(failed) => {
                remark(&failed.message);
                self.code = worst(self.code, failed.code);
            }
        }
        Ok(())
    }

    fn end(self, output: &mut Output) -> Outcome {
        if !self.rows.is_empty() {
            output.people(&table(HEADING, &self.rows))?;
        }
        if self.code == DONE { Ok(()) } else { Err(Failed::said(self.code)) }
    }
}

fn row(view: &DomainView) -> [String; 5] {
    let of = |part: fn(&CertificateView) -> Option<String>| {
        view.certificate.as_ref().and_then(part).unwrap_or_else(|| "-".to_owned())
    };
    let source = |held: &CertificateView| {
        serde_json::to_value(held.source).ok()?.as_str().map(str::to_owned)
    };
    [
        view.domain.clone(),
        of(|held| Some(held.not_after.clone())),
        of(|held| held.renew_at.clone()),
        of(source),
        of(|held| Some(held.serial.clone())),
    ]
}

/// A file's text; cleared when it is dropped, because it may be a key.
fn read(path: &Path) -> Result<Zeroizing<String>, Failed> {
    let odd = |said: String| Failed::new(format!("{}: {said}", path.display()));
    let size = std::fs::metadata(path).map_err(|error| odd(error.to_string()))?.len();
    if size > FILE_BYTES_MAX {
        return Err(odd("larger than 1 MiB".to_owned()));
    }
    std::fs::read_to_string(path).map(Zeroizing::new).map_err(|error| odd(error.to_string()))
}
