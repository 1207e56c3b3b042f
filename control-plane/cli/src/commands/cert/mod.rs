//! `sealwax cert`: certificates that are served, brought along, or taken back.

mod accounts;
mod bundle;
mod export;
mod import;
mod kept;
mod key;
mod plan;
mod sources;

use std::path::Path;

use http::Method;
use zeroize::Zeroizing;

use super::arguments::{CertCommand, Names};
use super::client::AdminClient;
use super::domains::NO_BODY;
use super::exit::{DONE, Failed, Outcome, worst};
use super::output::{Output, remark};
use super::table::table;
use sealwax_admin::{CertificateView, DomainView};

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
        CertCommand::Import(from) => import::run(client, output, &from).await,
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
    let bytes = read_bytes(path)?;
    let text = std::str::from_utf8(&bytes).map_err(|error| {
        let at = error.valid_up_to();
        Failed::new(format!("{}: it is no text (byte {at})", path.display()))
    })?;
    Ok(Zeroizing::new(text.to_owned()))
}

/// A file as it is; cleared when it is dropped.
fn read_bytes(path: &Path) -> Result<Zeroizing<Vec<u8>>, Failed> {
    let odd = |said: String| Failed::new(format!("{}: {said}", path.display()));
    let size = std::fs::metadata(path).map_err(|error| odd(error.to_string()))?.len();
    if size > FILE_BYTES_MAX {
        return Err(odd("larger than 1 MiB".to_owned()));
    }
    std::fs::read(path).map(Zeroizing::new).map_err(|error| odd(error.to_string()))
}
