//! The list of what could not be told: one document of the store, which all replicas write.

use std::sync::Arc;

use sealwax_core::dead_letters::{DeadLetter, DeadLetters};
use sealwax_core::store::{Document, Store, StoreError};
use sealwax_core::{Span, Timestamp};

/// The document's name.
const DOCUMENT: &str = "dead-letters";
/// How long the list outlives its newest letter.
const KEPT: Span = Span::from_secs(30 * 86_400);
/// How often a write starts anew because another replica wrote first.
const RELOADS_MAX: u32 = 8;

/// The dead letter list. Cheap to clone.
#[derive(Clone)]
pub struct DeadLetterList {
    store: Arc<dyn Store>,
}

impl DeadLetterList {
    /// The list in a store.
    #[must_use]
    pub fn new(store: Arc<dyn Store>) -> Self {
        Self { store }
    }

    /// The list as it is.
    ///
    /// # Errors
    /// The store.
    pub async fn read(&self) -> Result<DeadLetters, StoreError> {
        Ok(self.find().await?.0)
    }

    /// Adds letters. One that is there already is not added again, so a crash between this and
    /// the write that gives the notice up does no harm.
    ///
    /// # Errors
    /// The store, or too many others who write the list.
    pub async fn add(&self, letters: &[DeadLetter], now: Timestamp) -> Result<(), StoreError> {
        for _ in 0..RELOADS_MAX {
            let (mut list, version) = self.find().await?;
            letters.iter().for_each(|letter| list.add(letter.clone()));
            let text = serde_json::to_string(&list)
                .map_err(|error| StoreError::Bug { detail: format!("{DOCUMENT}: {error}") })?;
            let document = Document { text, version, expires_at: now + KEPT };
            match self.store.put_document(DOCUMENT, &document).await {
                Err(StoreError::Lost { .. }) => {}
                done => return done,
            }
        }
        Err(StoreError::Unavailable { detail: format!("{DOCUMENT} is written all the time") })
    }

    async fn find(&self) -> Result<(DeadLetters, u64), StoreError> {
        let Some(found) = self.store.document(DOCUMENT).await? else {
            return Ok((DeadLetters::default(), 0));
        };
        let list = serde_json::from_str(&found.text).map_err(|error| StoreError::Unreadable {
            key: DOCUMENT.to_owned(),
            detail: error.to_string(),
        })?;
        Ok((list, found.version))
    }
}
