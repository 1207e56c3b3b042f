//! `sealwax cert import`: everything that was found ends in what it says.

use std::path::Path;

use clap::ValueEnum as _;
use http::Method;
use sealwax_admin::{DomainView, ImportedView, parse_name};
use sealwax_core::Clock as _;
use sealwax_protocol::DomainName;
use sealwax_system::SystemClock;
use serde::Serialize;
use serde_json::json;

use super::super::arguments::{CertImport, CertSource};
use super::super::client::AdminClient;
use super::super::exit::{DONE, FAILED, Failed, NOT_FOUND, Outcome, worst};
use super::super::output::{Output, remark};
use super::super::table::{clean, table};
use super::bundle::Bundle;
use super::plan::{Left, Plan};
use super::{HEADING, accounts, kept, row, sources};

pub(super) async fn run(client: &AdminClient, output: &mut Output, asked: &CertImport) -> Outcome {
    let names = asked
        .domains
        .iter()
        .map(|name| parse_name(name).map_err(|error| Failed::usage(format!("{name}: {error}"))));
    let names: Vec<DomainName> = names.collect::<Result<_, _>>()?;
    let found = find(asked)?;
    if found.is_empty() {
        return Err(Failed::not_found("there is no certificate there"));
    }
    let taken = match asked.from.as_slice() {
        [program, path] if !asked.dry_run => {
            let found = kept::find(source(program)?, Path::new(path));
            accounts::take(client, found, asked.take_account).await
        }
        _ => accounts::Taken::default(),
    };
    let mut told = Told { dry_run: asked.dry_run, code: taken.code, ..Told::default() };
    let mut bundles = Vec::new();
    for one in found {
        match one {
            Ok(bundle) => bundles.push(bundle),
            Err(failed) => told.not_understood(output, &failed)?,
        }
    }
    let plan = Plan::make(&bundles, &names, SystemClock.now());
    let explicit = asked.from.is_empty();
    for (name, &index) in &plan.bring {
        let Some(bundle) = bundles.get(index) else { continue };
        let done = bring(client, asked, bundle, name, taken.issuer_of(bundle)).await;
        told.brought(output, bundle, name, done, explicit)?;
    }
    for left in &plan.left {
        told.left(output, left)?;
    }
    for (name, there) in &plan.missing {
        told.missing(output, name, there)?;
    }
    told.end(output)
}

fn find(asked: &CertImport) -> Result<Vec<Result<Bundle, Failed>>, Failed> {
    match (asked.from.as_slice(), &asked.chain, &asked.key) {
        ([program, path], None, None) => sources::find(source(program)?, Path::new(path)),
        ([], Some(chain), key) => Ok(vec![Bundle::read(chain, key.as_deref())]),
        _ => Err(Failed::usage("give --chain and --key, or --from PROGRAM PATH")),
    }
}

fn source(program: &str) -> Result<CertSource, Failed> {
    CertSource::from_str(program, false).map_err(|_| {
        Failed::usage(
            "--from: allowed: certbot, caddy, traefik, auto-ssl, acme.sh, lego, dehydrated",
        )
    })
}

#[derive(Serialize)]
struct Brought<'a> {
    chain_pem: &'a str,
    key_pem: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    ordered_from: Option<&'a str>,
}

async fn bring(
    client: &AdminClient,
    asked: &CertImport,
    bundle: &Bundle,
    name: &DomainName,
    ordered_from: Option<&str>,
) -> Result<ImportedView, Failed> {
    let key = bundle.key_pem();
    let body = Brought { chain_pem: bundle.chain.pem(), key_pem: &key, ordered_from };
    let path = ["v1", "domains", name.as_str(), "certificate"];
    let said = [("replace", asked.replace), ("dry_run", asked.dry_run)];
    let query: Vec<_> = said
        .into_iter()
        .filter(|(_, said)| *said)
        .map(|(name, said)| (name, said.to_string()))
        .collect();
    client.ask(Method::PUT, &path, &query, Some(&body)).await
}

/// What came out of it, in order; one failure does not keep the others from being tried.
#[derive(Default)]
struct Told {
    rows: Vec<[String; 5]>,
    imported: usize,
    kept: usize,
    refused: usize,
    not_understood: usize,
    not_found: usize,
    dry_run: bool,
    code: u8,
}

impl Told {
    fn brought(
        &mut self,
        output: &mut Output,
        bundle: &Bundle,
        name: &DomainName,
        done: Result<ImportedView, Failed>,
        explicit: bool,
    ) -> Outcome {
        match done {
            Ok(view) => self.imported(output, bundle, view),
            Err(failed) if failed.conflict => {
                // Of a folder it is what running it twice comes to; of one file it was asked for.
                self.code = worst(self.code, if explicit { FAILED } else { DONE });
                self.kept += 1;
                let why = failed.message.replace("replace=true replaces", "--replace replaces");
                self.say(output, &bundle.place, name.as_str(), "kept", &why)
            }
            Err(failed) => {
                self.code = worst(self.code, failed.code);
                self.refused += 1;
                self.say(output, &bundle.place, name.as_str(), "refused", &failed.message)
            }
        }
    }

    fn imported(&mut self, output: &mut Output, bundle: &Bundle, view: ImportedView) -> Outcome {
        self.imported += 1;
        // What the reader of the file noted; the control plane gets the chain in order.
        for note in bundle.notes.iter().filter(|note| note.is_warning()) {
            remark(&format!("{}: {}: {note}", clean(&bundle.place), view.domain.domain));
        }
        if output.json {
            return output.value(&Line {
                result: self.word(),
                file: &bundle.place,
                view: &view.domain,
            });
        }
        self.rows.push(row(&view.domain));
        Ok(())
    }

    const fn word(&self) -> &'static str {
        if self.dry_run { "would_be_imported" } else { "imported" }
    }

    fn left(&mut self, output: &mut Output, left: &Left) -> Outcome {
        if left.refused {
            self.code = worst(self.code, FAILED);
            self.refused += 1;
            return self.say(output, &left.place, &left.name, "refused", &left.why);
        }
        self.kept += 1;
        self.say(output, &left.place, &left.name, "left", &left.why)
    }

    fn not_understood(&mut self, output: &mut Output, failed: &Failed) -> Outcome {
        self.code = worst(self.code, failed.code);
        self.not_understood += 1;
        if output.json {
            return output.value(&json!({"result": "not_understood", "why": failed.message}));
        }
        remark(&format!("not understood: {}", clean(&failed.message)));
        Ok(())
    }

    fn missing(&mut self, output: &mut Output, name: &str, there: &str) -> Outcome {
        self.code = worst(self.code, NOT_FOUND);
        self.not_found += 1;
        self.say(output, "-", name, "not_found", there)
    }

    fn say(
        &self,
        output: &mut Output,
        place: &str,
        name: &str,
        result: &str,
        why: &str,
    ) -> Outcome {
        if output.json {
            let line = json!({"domain": name, "result": result, "file": place, "why": why});
            return output.value(&line);
        }
        let result = result.replace('_', " ");
        remark(&format!("{result}: {}: {}: {}", clean(place), clean(name), clean(why)));
        Ok(())
    }

    fn end(self, output: &mut Output) -> Outcome {
        if !output.json {
            if !self.rows.is_empty() {
                output.people(&table(HEADING, &self.rows))?;
            }
            let word = if self.dry_run { "would be imported" } else { "imported" };
            let mut said = format!(
                "{} {word}, {} kept or left, {} refused, {} not understood",
                self.imported, self.kept, self.refused, self.not_understood
            );
            if self.not_found > 0 {
                said.push_str(&format!(", {} not found", self.not_found));
            }
            output.text(&format!("{said}\n"))?;
        }
        if self.code == DONE { Ok(()) } else { Err(Failed::said(self.code)) }
    }
}

/// A domain as it is now, with where that came from.
#[derive(Serialize)]
struct Line<'a> {
    #[serde(flatten)]
    view: &'a DomainView,
    result: &'static str,
    file: &'a str,
}
