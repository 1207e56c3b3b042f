//! The last-good copy: what this process served, kept on local disk for when the store is away.
//!
//! ```text
//! catalog -- read from the store --> loaded() --.
//! change log ------------------> changed() -----|--> keeper (one task) --> one file a domain
//! start, a resync --------------> look_all() --'        ^ asks the store what became of them
//! catalog -- the store is away --> find() <------ the file
//! ```
//!
//! A file holds what the store holds: the record and the certificate with its key sealed, so it
//! opens with the key-encryption key alone and is worth nothing without it. It is read only while
//! the store is away, and what is read is verified like everything that is served. Written behind:
//! a handshake never waits for the disk, and what is lost with the process is only not copied.

mod folder;
mod index;
mod keeper;

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use sealwax_core::store::Entry;
use sealwax_protocol::DomainName;
use tokio::sync::mpsc;

pub use folder::FolderError;
use folder::{Copied, Folder};
use index::Index;
pub use keeper::Keeper;

/// Notes that wait for the keeper. When a burst fills it, certificates are copied at their next
/// read; what has to go is found by looking at all of them.
const NOTES_MAX: usize = 1_024;

/// The copy, as the serving side sees it. Cheap to clone.
#[derive(Clone)]
pub struct LastGood {
    shared: Arc<Shared>,
    notes: mpsc::Sender<Note>,
}

struct Shared {
    folder: Folder,
    index: Mutex<Index>,
    /// A note was lost that must not be: everything has to be looked at.
    look_owed: AtomicBool,
}

enum Note {
    /// Copy this.
    Keep(Box<Copied>),
    /// There is evidence that there is nothing to serve.
    Drop(DomainName),
    /// Someone changed it.
    Look(DomainName),
}

impl LastGood {
    /// Over a folder that this process alone uses, of at most so many bytes. Nothing is written
    /// before the [`Keeper`] runs.
    ///
    /// # Errors
    /// [`FolderError`], with what to do.
    pub fn open(folder: &Path, bytes_max: u64) -> Result<(Self, Keeper), FolderError> {
        let folder = Folder::open(folder)?;
        let (notes, inbox) = mpsc::channel(NOTES_MAX);
        let index = Mutex::new(Index::new(bytes_max));
        let shared = Arc::new(Shared { folder, index, look_owed: AtomicBool::new(false) });
        let keeper = Keeper::new(Arc::clone(&shared), inbox);
        Ok((Self { shared, notes }, keeper))
    }

    /// The store was read: this is what it has of a domain.
    pub fn loaded(&self, domain: &DomainName, entry: Option<&Entry>) {
        let Some(copied) = entry.and_then(Copied::of) else {
            if self.holds(domain) {
                // A store that has nothing of it says nothing: the keeper looks for a trace.
                let note = if entry.is_some() { Note::Drop } else { Note::Look };
                self.must(note(domain.clone()));
            }
            return;
        };
        if !self.shared.index().touch(domain, copied.version())
            && self.notes.try_send(Note::Keep(Box::new(copied))).is_err()
        {
            tracing::debug!(%domain, "too much to copy at once; copied when it is read again");
        }
    }

    /// Someone changed a domain: what is held of it may be old.
    pub fn changed(&self, domain: &DomainName) {
        if self.holds(domain) {
            self.must(Note::Look(domain.clone()));
        }
    }

    /// Anything may have changed.
    pub fn look_all(&self) {
        self.shared.look_owed.store(true, Ordering::Release);
    }

    /// What was last known of a domain with a certificate, from the disk.
    pub async fn find(&self, domain: &DomainName) -> Option<Entry> {
        let (shared, name) = (Arc::clone(&self.shared), domain.clone());
        let read = tokio::task::spawn_blocking(move || shared.folder.read(&name));
        match read.await {
            Ok(Ok(found)) => found.map(Copied::into_entry),
            Ok(Err(error)) => {
                tracing::warn!(%domain, %error, "the last-good copy cannot be read");
                None
            }
            Err(error) => {
                tracing::warn!(%domain, %error, "the last-good copy was not read");
                None
            }
        }
    }

    /// Whether there is a copy of a domain's certificate, as far as the folder was read.
    #[must_use]
    pub fn holds(&self, domain: &DomainName) -> bool {
        self.shared.index().holds(domain)
    }

    /// Certificates it holds.
    #[must_use]
    pub fn held(&self) -> usize {
        self.shared.index().len()
    }

    /// An earlier run left something.
    #[must_use]
    pub fn found_some(&self) -> bool {
        self.shared.folder.has_some()
    }

    fn must(&self, note: Note) {
        if self.notes.try_send(note).is_err() {
            self.look_all();
        }
    }
}

impl Shared {
    fn index(&self) -> MutexGuard<'_, Index> {
        self.index.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
