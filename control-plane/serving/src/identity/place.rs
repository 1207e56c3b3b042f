//! The embedded store's file: still the one that is open?
//!
//! A folder that is moved or deleted under a running process takes its open file along: the process
//! would go on in a file that nobody finds again after its end.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

/// Device and inode of a file.
type Mark = (u64, u64);

/// Compares the file at a place with the one that was there when the store was first read.
#[derive(Debug)]
pub(super) struct Place {
    file: PathBuf,
    opened: Mutex<Option<Mark>>,
}

impl Place {
    pub(super) const fn new(file: PathBuf) -> Self {
        Self { file, opened: Mutex::new(None) }
    }

    /// What is wrong, and what to do. Call it after the store was read: the first call remembers
    /// the file.
    pub(super) fn trouble(&self) -> Option<String> {
        let there = mark(&self.file);
        let mut opened = self.opened.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(known) = *opened else {
            *opened = there;
            return None;
        };
        if there == Some(known) {
            return None;
        }
        let found = if there.is_some() { "is another file now" } else { "is gone" };
        Some(format!(
            "{} {found}: the store was moved, deleted or replaced while it was in use, and what is \
             written now is in the file that was. Put its folder back; if another store is meant, \
             restart",
            self.file.display()
        ))
    }
}

fn mark(file: &Path) -> Option<Mark> {
    std::fs::metadata(file).ok().map(|found| (found.dev(), found.ino()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_was_moved_or_replaced_is_noticed_and_one_that_is_back_is_well() {
        let folder = tempfile::tempdir().unwrap();
        let (file, aside) = (folder.path().join("store"), folder.path().join("aside"));
        let place = Place::new(file.clone());
        assert_eq!(place.trouble(), None, "not opened yet");
        std::fs::write(&file, "1").unwrap();
        assert_eq!(place.trouble(), None);
        std::fs::rename(&file, &aside).unwrap();
        assert!(place.trouble().unwrap().contains("is gone"));
        std::fs::write(&file, "2").unwrap();
        assert!(place.trouble().unwrap().contains("another file"));
        std::fs::rename(&aside, &file).unwrap();
        assert_eq!(place.trouble(), None);
    }
}
