//! Where other programs keep their certificates.

mod folders;
pub(super) mod traefik;

use std::path::{Path, PathBuf};

use super::super::arguments::CertSource;
use super::super::exit::Failed;
use super::bundle::Bundle;

/// Deepest folder looked into: certbot names folders after the path of a CA's directory.
const DEPTH_MAX: usize = 8;
/// Most folders looked into, so that links in a circle come to an end.
const FOLDERS_MAX: usize = 200_000;
/// Most certificates of one import.
const FOUND_MAX: usize = 100_000;

/// What there is, in the order of the files' names. One that cannot be read does not hide the
/// others.
pub(super) fn find(from: CertSource, path: &Path) -> Result<Vec<Result<Bundle, Failed>>, Failed> {
    match from {
        CertSource::Certbot => folders::certbot(path),
        CertSource::Caddy => folders::caddy(path),
        CertSource::Traefik => traefik::certificates(path),
        CertSource::AutoSsl => folders::auto_ssl(path),
        CertSource::AcmeSh => folders::acme_sh(path),
        CertSource::Lego => folders::lego(path),
        CertSource::Dehydrated => folders::dehydrated(path),
    }
}

/// The files below a folder whose names fit, sorted.
pub(super) fn files(folder: &Path, fits: impl Fn(&str) -> bool) -> Result<Vec<PathBuf>, Failed> {
    let odd =
        |path: &Path, error: &std::io::Error| Failed::new(format!("{}: {error}", path.display()));
    let mut found = Vec::new();
    let mut folders = vec![(folder.to_owned(), 0_usize)];
    let mut seen = 0_usize;
    while let Some((folder, depth)) = folders.pop() {
        seen = seen.saturating_add(1);
        if seen > FOLDERS_MAX {
            return Err(Failed::new("more than 200,000 folders: import them in parts"));
        }
        for entry in std::fs::read_dir(&folder).map_err(|error| odd(&folder, &error))? {
            let path = entry.map_err(|error| odd(&folder, &error))?.path();
            if path.is_dir() {
                if depth < DEPTH_MAX {
                    folders.push((path, depth + 1));
                }
            } else if path.file_name().and_then(|name| name.to_str()).is_some_and(&fits) {
                found.push(path);
            }
            if found.len() > FOUND_MAX {
                return Err(Failed::new("more than 100,000 certificates: import them in parts"));
            }
        }
    }
    found.sort();
    Ok(found)
}
