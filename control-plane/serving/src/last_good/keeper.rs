//! The one task that writes: copies, removals, and looking at the store again.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use sealwax_core::store::{LOAD_MAX, Store, StoreError};
use sealwax_protocol::DomainName;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::folder::Copied;
use super::{Note, Shared};
use crate::identity::Trust;

/// Notes taken at a time: bounds how long one visit to the disk takes.
const BATCH: usize = 64;
/// Between two batches of looking at everything: 250 domains a second, so that a start costs the
/// store little beside the handshakes it brings.
const LOOK_PAUSE: Duration = Duration::from_millis(200);
/// Before the store is asked again after it did not answer.
const AWAY_PAUSE: Duration = Duration::from_secs(5);

/// Keeps the copy. To be run once.
pub struct Keeper {
    shared: Arc<Shared>,
    inbox: mpsc::Receiver<Note>,
    /// Domains to ask the store about; none twice, so never more than are held.
    looks: VecDeque<DomainName>,
    next_look: Instant,
    trust: Trust,
}

impl Keeper {
    pub(super) fn new(shared: Arc<Shared>, inbox: mpsc::Receiver<Note>) -> Self {
        let trust = Trust::default();
        Self { shared, inbox, looks: VecDeque::new(), next_look: Instant::now(), trust }
    }

    /// Comparing only with a store that is trusted.
    #[must_use]
    pub fn trusting(self, trust: Trust) -> Self {
        Self { trust, ..self }
    }

    /// Runs until told to stop; what is noted by then is written.
    pub async fn serve(mut self, store: Arc<dyn Store>, stop: CancellationToken) {
        self.on_disk(|shared, _| scan(shared), Vec::new()).await;
        // What changed while no process was there, nobody told.
        self.shared.look_owed.store(true, Ordering::Release);
        loop {
            if self.shared.look_owed.swap(false, Ordering::AcqRel) {
                self.looks = self.shared.index().domains().into();
            }
            let mut notes = Vec::new();
            tokio::select! {
                biased;
                () = stop.cancelled() => break,
                count = self.inbox.recv_many(&mut notes, BATCH) => {
                    if count == 0 {
                        return;
                    }
                    self.take(notes).await;
                }
                () = tokio::time::sleep_until(self.next_look), if !self.looks.is_empty() => {
                    self.look(&*store).await;
                }
                // A look that is owed must not wait for the next note.
                () = tokio::time::sleep(AWAY_PAUSE) => {}
            }
        }
        self.inbox.close();
        let mut rest = Vec::new();
        while let Ok(note) = self.inbox.try_recv() {
            rest.push(note);
        }
        self.take(rest).await;
    }

    async fn take(&mut self, notes: Vec<Note>) {
        let (looks, writes): (Vec<_>, Vec<_>) =
            notes.into_iter().partition(|note| matches!(note, Note::Look(_)));
        for note in looks {
            if let Note::Look(domain) = note
                && !self.looks.contains(&domain)
            {
                // Before those nobody spoke of.
                self.looks.push_front(domain);
            }
        }
        if !writes.is_empty() {
            self.on_disk(write, writes).await;
        }
    }

    /// Asks the store about the next domains.
    async fn look(&mut self, store: &dyn Store) {
        if !self.trust.acts() {
            self.next_look = Instant::now() + AWAY_PAUSE;
            return;
        }
        let count = self.looks.len().min(LOAD_MAX);
        let domains: Vec<DomainName> = self.looks.drain(..count).collect();
        match compared(store, &domains).await {
            Ok(notes) => {
                self.on_disk(write, notes).await;
                self.next_look = Instant::now() + LOOK_PAUSE;
            }
            Err(error) => {
                tracing::debug!(%error, "the last-good copy is compared later");
                self.looks.extend(domains);
                self.next_look = Instant::now() + AWAY_PAUSE;
            }
        }
    }

    async fn on_disk(
        &self,
        work: impl FnOnce(&Shared, Vec<Note>) -> std::io::Result<()> + Send + 'static,
        notes: Vec<Note>,
    ) {
        let shared = Arc::clone(&self.shared);
        match tokio::task::spawn_blocking(move || work(&shared, notes)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(%error, "the last-good copy was not written"),
            Err(error) => tracing::warn!(%error, "the last-good copy was not written"),
        }
    }
}

/// What the store says of each. One it has nothing of is kept unless there is a trace of its
/// removal.
async fn compared(store: &dyn Store, domains: &[DomainName]) -> Result<Vec<Note>, StoreError> {
    let (mut notes, mut silent) = (Vec::new(), Vec::new());
    for (domain, entry) in domains.iter().zip(store.load(domains).await?) {
        match (entry.as_ref().and_then(Copied::of), entry) {
            (Some(copied), _) => notes.push(Note::Keep(Box::new(copied))),
            (None, Some(_)) => notes.push(Note::Drop(domain.clone())),
            (None, None) => silent.push(domain.clone()),
        }
    }
    let traces = store.was_removed(&silent).await?;
    let gone = silent.into_iter().zip(traces).filter(|(_, removed)| *removed);
    notes.extend(gone.map(|(domain, _)| Note::Drop(domain)));
    Ok(notes)
}

fn scan(shared: &Shared) -> std::io::Result<()> {
    for (domain, bytes) in shared.folder.scan()? {
        let evicted = shared.index().add(domain, None, bytes);
        evict(shared, &evicted)?;
    }
    Ok(())
}

fn write(shared: &Shared, notes: Vec<Note>) -> std::io::Result<()> {
    for note in notes {
        match note {
            Note::Keep(copied) => {
                let domain = copied.domain();
                if shared.index().touch(domain, copied.version()) {
                    continue;
                }
                let bytes = shared.folder.write(&copied)?;
                let evicted = shared.index().add(domain.clone(), Some(copied.version()), bytes);
                evict(shared, &evicted)?;
            }
            Note::Drop(domain) => {
                shared.index().remove(&domain);
                shared.folder.remove(&domain)?;
            }
            Note::Look(_) => {}
        }
    }
    Ok(())
}

fn evict(shared: &Shared, domains: &[DomainName]) -> std::io::Result<()> {
    domains.iter().try_for_each(|domain| shared.folder.remove(domain))
}
