//! `sealwax cert export`: a certificate and its private key, into two new files.

use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use http::Method;
use serde_json::json;

use super::super::arguments::CertExport;
use super::super::client::AdminClient;
use super::super::domains::NO_BODY;
use super::super::exit::{Failed, Outcome};
use super::super::output::Output;
use super::super::table::table;
use sealwax_admin::Exported;

/// For nobody but their owner.
const MODE: u32 = 0o600;

pub(super) async fn run(client: &AdminClient, output: &mut Output, asked: &CertExport) -> Outcome {
    // Made before anything is asked: no key leaves the control plane for want of a place.
    let chain = New::make(&asked.chain)?;
    let key = New::make(&asked.key)?;
    let path = ["v1", "domains", &asked.domain, "certificate", "export"];
    let exported: Exported = client.ask(Method::POST, &path, &[], NO_BODY).await?;
    chain.write(&exported.chain_pem)?;
    key.write(&exported.key_pem)?;
    let [chain, key] = [&asked.chain, &asked.key].map(|path| path.display().to_string());
    if output.json {
        let said = json!({"domain": exported.domain, "chain": chain, "key": key});
        return output.value(&said);
    }
    output.people(&table(["DOMAIN", "CHAIN", "KEY"], &[[exported.domain, chain, key]]))
}

/// A file that was not there before; gone again unless it was written.
struct New<'a> {
    path: &'a Path,
    file: Option<File>,
}

impl<'a> New<'a> {
    fn make(path: &'a Path) -> Result<Self, Failed> {
        let made = OpenOptions::new().write(true).create_new(true).mode(MODE).open(path);
        let file = made.map_err(|error| {
            let said = if error.kind() == std::io::ErrorKind::AlreadyExists {
                "it is there already, and is not written over".to_owned()
            } else {
                error.to_string()
            };
            Failed::new(format!("{}: {said}", path.display()))
        })?;
        Ok(Self { path, file: Some(file) })
    }

    fn write(mut self, text: &str) -> Result<(), Failed> {
        let Some(file) = &mut self.file else { return Ok(()) };
        let written = file.write_all(text.as_bytes()).and_then(|()| file.sync_all());
        written.map_err(|error| Failed::new(format!("{}: {error}", self.path.display())))?;
        self.file = None;
        Ok(())
    }
}

impl Drop for New<'_> {
    fn drop(&mut self) {
        if self.file.is_some()
            && let Err(error) = std::fs::remove_file(self.path)
        {
            tracing::debug!(%error, "an empty file is left");
        }
    }
}
