//! What is remembered of the store on this machine, beside what would outlive it.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use aws_lc_rs::digest::{SHA256, digest};
use sealwax_core::identity::KnownStore;
use sealwax_core::text::hex;
use tempfile::NamedTempFile;

/// What a file's name ends with. In a folder it is the whole name: no domain starts with a dot.
const SUFFIX: &str = ".identity";
/// Largest file read.
const BYTES_MAX: u64 = 4_096;

/// Where it is kept: a folder that is gone takes its own file along, so there are several.
#[derive(Debug)]
pub struct Places {
    paths: Vec<PathBuf>,
    nowhere: AtomicBool,
}

impl Places {
    /// None yet: nothing is remembered.
    #[must_use]
    pub const fn none() -> Self {
        Self { paths: Vec::new(), nowhere: AtomicBool::new(false) }
    }

    /// In this folder too.
    #[must_use]
    pub fn within(mut self, folder: &Path) -> Self {
        self.paths.push(folder.join(SUFFIX));
        self
    }

    /// Beside this file or folder too.
    #[must_use]
    pub fn beside(mut self, path: &Path) -> Self {
        self.paths.extend(beside(path, ""));
        self
    }

    /// Beside this file too, which other stores may share: `store` tells this one's apart.
    #[must_use]
    pub fn beside_shared(mut self, path: &Path, store: &str) -> Self {
        let hash = digest(&SHA256, store.as_bytes());
        let tag = hash.as_ref().first_chunk::<4>().map(|start| hex(start)).unwrap_or_default();
        self.paths.extend(beside(path, &format!(".{tag}")));
        self
    }

    /// The newest that is remembered. What cannot be read is as good as nothing.
    #[must_use]
    pub fn read(&self) -> Option<KnownStore> {
        let found = self.paths.iter().filter_map(|path| read(path));
        found.max_by_key(|known| known.mark)
    }

    /// Remembers it everywhere it can.
    pub fn write(&self, known: &KnownStore) {
        let failed = self.paths.iter().filter_map(|path| {
            let error = write(path, known).err()?;
            Some(format!("{}: {error}", path.display()))
        });
        let failed: Vec<_> = failed.collect();
        let nowhere = failed.len() == self.paths.len();
        if nowhere && !self.nowhere.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                places = failed.join("; "),
                "which store is used cannot be remembered on this machine: another or an older \
                 store is not noticed after a restart, unless edges hold names that it lacks"
            );
        }
        self.nowhere.store(nowhere, Ordering::Relaxed);
    }

    /// There are places, and what was to be remembered last could be written to none of them.
    #[must_use]
    pub fn forgets(&self) -> bool {
        !self.paths.is_empty() && self.nowhere.load(Ordering::Relaxed)
    }

    /// The files, for people.
    #[must_use]
    pub fn shown(&self) -> String {
        let shown: Vec<_> = self.paths.iter().map(|path| path.display().to_string()).collect();
        shown.join(", ")
    }
}

fn beside(path: &Path, tag: &str) -> Option<PathBuf> {
    let mut name = path.file_name()?.to_owned();
    name.push(tag);
    name.push(SUFFIX);
    Some(path.with_file_name(name))
}

fn read(path: &Path) -> Option<KnownStore> {
    use std::io::Read as _;
    let mut bytes = Vec::new();
    std::fs::File::open(path).ok()?.take(BYTES_MAX).read_to_end(&mut bytes).ok()?;
    serde_json::from_slice(&bytes).ok()
}

/// Beside and renamed, and synced first: after a loss of power there is the old one or the new one.
/// The unfinished file's name is nobody's to guess, and it is never another's: the folder may be
/// one that others write to.
fn write(path: &Path, known: &KnownStore) -> std::io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let mut file = NamedTempFile::new_in(folder.unwrap_or_else(|| Path::new(".")))?;
    file.write_all(&serde_json::to_vec(known)?)?;
    file.as_file().sync_all()?;
    file.persist(path)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places(folder: &Path) -> Places {
        Places::none().beside(&folder.join("store")).beside_shared(&folder.join("kek"), "store")
    }

    #[test]
    fn what_was_known_survives_the_stores_folder_and_one_of_its_files() {
        let folder = tempfile::tempdir().unwrap();
        let places = places(folder.path());
        assert_eq!(places.read(), None);
        let known = |mark| KnownStore { id: "a".to_owned(), epoch: 0, mark };
        places.write(&known(1));
        places.write(&known(2));
        assert_eq!(places.read(), Some(known(2)));
        std::fs::write(folder.path().join("store.identity"), "torn").unwrap();
        assert_eq!(places.read(), Some(known(2)), "the key has one too");
        let files = std::fs::read_dir(folder.path()).unwrap().count();
        assert_eq!(files, 2, "nothing unfinished is left");
    }

    #[test]
    fn a_memory_that_cannot_be_written_is_told_and_one_place_is_enough() {
        let folder = tempfile::tempdir().unwrap();
        let gone = folder.path().join("gone/store");
        let known = KnownStore { id: "a".to_owned(), epoch: 0, mark: 1 };
        let nowhere = Places::none().beside(&gone);
        nowhere.write(&known);
        assert!(nowhere.forgets());
        let one = Places::none().beside(&gone).within(folder.path());
        one.write(&known);
        assert!(!one.forgets());
        assert_eq!(one.read(), Some(known));
    }

    #[test]
    fn stores_that_share_a_key_do_not_share_a_memory() {
        let folder = tempfile::tempdir().unwrap();
        let [one, other] = ["one", "other"]
            .map(|store| Places::none().beside_shared(&folder.path().join("kek"), store));
        one.write(&KnownStore { id: "a".to_owned(), epoch: 0, mark: 1 });
        assert!(one.read().is_some());
        assert_eq!(other.read(), None);
    }
}
