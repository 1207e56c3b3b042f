//! One process to a folder.

use std::fs::{File, OpenOptions, TryLockError};
use std::path::Path;

use sealwax_core::store::StoreError;

/// Held for as long as the store is open. The system drops it when the process ends, however
/// that happens, so nothing stale is ever left behind.
#[derive(Debug)]
pub(super) struct FolderLock {
    _file: File,
}

impl FolderLock {
    /// Takes the folder, and creates it readable by this user alone if it is missing.
    pub(super) fn take(folder: &Path) -> Result<Self, StoreError> {
        create(folder).map_err(|error| unusable(folder, &error))?;
        let path = folder.join("lock");
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path)
            .map_err(|error| unusable(&path, &error))?;
        match file.try_lock() {
            Ok(()) => Ok(Self { _file: file }),
            Err(TryLockError::WouldBlock) => Err(StoreError::Misconfigured {
                detail: format!(
                    "another process has the store in {} open: stop it, or give this one another \
                     [store] path; several control planes need kind = \"dynamodb\"",
                    folder.display()
                ),
            }),
            Err(TryLockError::Error(error)) => Err(unusable(&path, &error)),
        }
    }
}

/// A folder or file that the store cannot live in.
pub(super) fn unusable(path: &Path, error: &std::io::Error) -> StoreError {
    StoreError::Misconfigured { detail: format!("{}: {error}; check [store] path", path.display()) }
}

#[cfg(unix)]
fn create(folder: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::DirBuilderExt as _;
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)
}

#[cfg(not(unix))]
fn create(folder: &Path) -> std::io::Result<()> {
    std::fs::create_dir_all(folder)
}
