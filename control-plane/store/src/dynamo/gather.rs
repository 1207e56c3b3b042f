//! Changes that come while another one is synced share the next sync.
//!
//! The embedded engine syncs its file once for each transaction, one after the other, which takes
//! milliseconds on many disks: all domains that are worked on would wait for each other. AWS takes
//! them side by side, and charges twice for what is in a transaction, so nothing is gathered there.

use std::sync::{Arc, Weak};

use sealwax_core::store::{Change, StoreError, WRITE_ALL_MAX};
use tokio::sync::{Semaphore, mpsc, oneshot};

use super::DynamoStore;
use super::together::Written;

/// Most changes that wait to be taken; who comes on top waits to be let in. More than a workflow
/// has runs by default.
const WAITING_MAX: usize = 1024;
/// Transactions under way: while one is synced, the next one is put into words.
const AT_A_TIME: usize = 2;

/// Takes single changes and writes together those that wait.
pub(super) struct Gathering {
    waiting: mpsc::Sender<Waiting>,
    /// Kept only here: the file is closed when the store is dropped and no change is under way.
    _writer: Arc<DynamoStore>,
}

struct Waiting {
    change: Change,
    answer: oneshot::Sender<Written>,
}

impl Gathering {
    /// Changes are written through `writer`.
    pub(super) fn start(writer: DynamoStore) -> Self {
        let writer = Arc::new(writer);
        let (waiting, taken) = mpsc::channel(WAITING_MAX);
        tokio::spawn(serve(Arc::downgrade(&writer), taken));
        Self { waiting, _writer: writer }
    }

    /// Makes a change, on its own terms: what is wrong with another one has no part in it.
    pub(super) async fn write(&self, change: Change) -> Written {
        let (answer, answered) = oneshot::channel();
        self.waiting.send(Waiting { change, answer }).await.map_err(|_| ended())?;
        answered.await.map_err(|_| ended())?
    }
}

async fn serve(writer: Weak<DynamoStore>, mut waiting: mpsc::Receiver<Waiting>) {
    let places = Arc::new(Semaphore::new(AT_A_TIME));
    while let Ok(place) = Arc::clone(&places).acquire_owned().await {
        let mut taken = Vec::new();
        if waiting.recv_many(&mut taken, WRITE_ALL_MAX).await == 0 {
            return;
        }
        let Some(writer) = writer.upgrade() else { return };
        tokio::spawn(async move {
            write(writer, taken).await;
            drop(place);
        });
    }
}

async fn write(writer: Arc<DynamoStore>, mut taken: Vec<Waiting>) {
    taken.retain(|waiting| !waiting.answer.is_closed());
    let (changes, answers): (Vec<_>, Vec<_>) =
        taken.into_iter().map(|waiting| (waiting.change, waiting.answer)).unzip();
    let written = writer.change_all(changes).await;
    // Before anyone hears of it, and may want to open the folder again.
    drop(writer);
    for (answer, written) in answers.into_iter().zip(written) {
        // Whoever does not wait any more finds it in the record.
        drop(answer.send(written));
    }
}

/// Its outcome is unknown.
fn ended() -> StoreError {
    StoreError::Unavailable { detail: "no answer from the store's writer".to_owned() }
}
