//! What is remembered of the store on this machine, beside what would outlive it.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use sealwax_core::identity::KnownStore;

use crate::config::{Config, Kek, Store};

/// What a file's name ends with.
const SUFFIX: &str = ".identity";
/// No domain starts with a dot.
const IN_FOLDER: &str = ".identity";
/// Largest file read.
const BYTES_MAX: u64 = 4_096;

/// Where it is kept: a folder that is gone takes its own file along, so there are several.
#[derive(Debug)]
pub struct Places {
    paths: Vec<PathBuf>,
    complained: AtomicBool,
}

impl Places {
    /// Beside the embedded store's folder, in the folder of the last-good copy, and beside the file
    /// of the key-encryption key.
    #[must_use]
    pub fn of(config: &Config) -> Self {
        let mut paths = Vec::new();
        let mut within = None;
        match &config.store {
            Store::Embedded { path } => {
                paths.extend(beside(path));
                within = Some(path);
            }
            Store::Dynamodb { last_good, .. } => {
                paths.extend(last_good.iter().map(|copy| copy.path.join(IN_FOLDER)));
            }
        }
        if let Kek::File(path) = &config.kek
            && within.is_none_or(|folder| !path.starts_with(folder))
        {
            paths.extend(beside(path));
        }
        Self { paths, complained: AtomicBool::new(false) }
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
        if failed.len() == self.paths.len() && !self.complained.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                places = failed.join("; "),
                "which store is used cannot be remembered on this machine: another or an older \
                 store is not noticed after a restart, unless edges hold names that it lacks"
            );
        }
    }

    /// The files, for people.
    #[must_use]
    pub fn shown(&self) -> String {
        let shown: Vec<_> = self.paths.iter().map(|path| path.display().to_string()).collect();
        shown.join(", ")
    }
}

fn beside(path: &Path) -> Option<PathBuf> {
    let mut name = path.file_name()?.to_owned();
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
fn write(path: &Path, known: &KnownStore) -> std::io::Result<()> {
    let mut unfinished = path.as_os_str().to_owned();
    unfinished.push(format!(".{}", std::process::id()));
    let mut file = std::fs::File::create(&unfinished)?;
    let written = file.write_all(&serde_json::to_vec(known)?).and_then(|()| file.sync_all());
    drop(file);
    let written = written.and_then(|()| std::fs::rename(&unfinished, path));
    if written.is_err() {
        // What is left over is only litter.
        drop(std::fs::remove_file(&unfinished));
    }
    written
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places(folder: &Path) -> Places {
        let store = folder.join("store");
        let settings = [
            ("SEALWAX__STORE__PATH", store.display().to_string()),
            ("SEALWAX__KEYS__KEK", format!("file:{}", folder.join("kek").display())),
        ];
        let settings = settings.map(|(name, value)| (name.to_owned(), value));
        Places::of(&Config::load(None, settings.into_iter()).unwrap())
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
}
