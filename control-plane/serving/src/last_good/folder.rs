//! The files: one a domain, named after it, readable by this user alone.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::path::{Path, PathBuf};

use sealwax_core::record::DomainRecord;
use sealwax_core::store::{Entry, RecordVersion, Stored, StoredCertificate};
use sealwax_protocol::DomainName;
use serde::{Deserialize, Serialize};

/// This layout. A file of another is as good as none: it is written again at the next read.
const FORMAT: u32 = 1;
/// Largest file read: more than a record and a certificate can take in the store.
const FILE_BYTES_MAX: u64 = 1024 * 1024;
/// No domain starts with a dot.
const LOCK: &str = ".lock";
const UNFINISHED: &str = ".unfinished";

/// Why the copy cannot be kept.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FolderError {
    /// The folder cannot be made or used.
    #[error(
        "[store] last_good_path {path}: {source}; give this user a folder to write to, or set \
         [store] last_good_mb = 0 to go without"
    )]
    Unusable {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Two processes would overwrite each other's files.
    #[error(
        "[store] last_good_path {0}: another control plane uses it; give each a folder of its own"
    )]
    InUse(PathBuf),
}

/// What is copied of a domain.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Copied {
    format: u32,
    version: u64,
    record: DomainRecord,
    certificate: StoredCertificate,
}

impl Copied {
    /// `None`: without a certificate, and of a removed domain, there is nothing to keep.
    pub(super) fn of(entry: &Entry) -> Option<Self> {
        let certificate = entry.certificate.clone().filter(|_| !entry.stored.record.removed)?;
        let Stored { record, version } = entry.stored.clone();
        Some(Self { format: FORMAT, version: version.0, record, certificate })
    }

    pub(super) const fn version(&self) -> u64 {
        self.version
    }

    pub(super) const fn domain(&self) -> &DomainName {
        &self.record.domain
    }

    pub(super) fn into_entry(self) -> Entry {
        let stored = Stored { record: self.record, version: RecordVersion(self.version) };
        Entry { stored, certificate: Some(self.certificate) }
    }
}

/// The folder, and the right to it.
pub(super) struct Folder {
    path: PathBuf,
    _lock: File,
}

impl Folder {
    pub(super) fn open(path: &Path) -> Result<Self, FolderError> {
        let unusable = |source| FolderError::Unusable { path: path.to_owned(), source };
        create_private(path).map_err(unusable)?;
        let lock = private().create(true).truncate(false).write(true).open(path.join(LOCK));
        let lock = lock.map_err(unusable)?;
        match lock.try_lock() {
            Ok(()) => Ok(Self { path: path.to_owned(), _lock: lock }),
            Err(TryLockError::WouldBlock) => Err(FolderError::InUse(path.to_owned())),
            Err(TryLockError::Error(error)) => Err(unusable(error)),
        }
    }

    /// A file that is torn, of another layout or of another domain is as good as none.
    pub(super) fn read(&self, domain: &DomainName) -> io::Result<Option<Copied>> {
        let file = match File::open(self.file(domain)) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let mut bytes = Vec::new();
        file.take(FILE_BYTES_MAX).read_to_end(&mut bytes)?;
        let copied = serde_json::from_slice::<Copied>(&bytes).ok();
        Ok(copied.filter(|copied| copied.format == FORMAT && copied.domain() == domain))
    }

    /// Writes beside and renames, so that a process that is killed leaves the old file or the new
    /// one. Not synced: after a loss of power a torn file is noticed and not used.
    pub(super) fn write(&self, copied: &Copied) -> io::Result<u64> {
        let bytes = serde_json::to_vec(copied)?;
        let unfinished = self.path.join(UNFINISHED);
        let mut file = private().create(true).truncate(true).write(true).open(&unfinished)?;
        file.write_all(&bytes)?;
        drop(file);
        std::fs::rename(&unfinished, self.file(copied.domain()))?;
        Ok(u64::try_from(bytes.len()).unwrap_or(u64::MAX))
    }

    pub(super) fn remove(&self, domain: &DomainName) -> io::Result<()> {
        match std::fs::remove_file(self.file(domain)) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    /// What an earlier run left, the oldest first, with the bytes of each.
    pub(super) fn scan(&self) -> io::Result<Vec<(DomainName, u64)>> {
        let mut found = Vec::new();
        for entry in std::fs::read_dir(&self.path)? {
            let entry = entry?;
            let name = entry.file_name();
            let domain = name.to_str().and_then(|name| DomainName::parse(name).ok());
            if let Some(domain) = domain
                && let Ok(facts) = entry.metadata()
            {
                found.push((facts.modified().ok(), domain, facts.len()));
            }
        }
        found.sort_by_key(|(modified, ..)| *modified);
        Ok(found.into_iter().map(|(_, domain, bytes)| (domain, bytes)).collect())
    }

    /// Whether there is a file of any domain.
    pub(super) fn has_some(&self) -> bool {
        let of_a_domain = |entry: io::Result<std::fs::DirEntry>| {
            let name = entry.map(|entry| entry.file_name());
            name.is_ok_and(|name| name.to_str().is_some_and(|name| DomainName::parse(name).is_ok()))
        };
        std::fs::read_dir(&self.path).is_ok_and(|mut entries| entries.any(of_a_domain))
    }

    /// A domain name has no separator and fits a file's name.
    fn file(&self, domain: &DomainName) -> PathBuf {
        self.path.join(domain.as_str())
    }
}

#[cfg(unix)]
fn create_private(path: &Path) -> io::Result<()> {
    use std::os::unix::fs::DirBuilderExt as _;
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(path)
}

#[cfg(not(unix))]
fn create_private(path: &Path) -> io::Result<()> {
    std::fs::create_dir_all(path)
}

fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}
