//! Documents that processes share.

use std::sync::Arc;

use futures::future::join_all;
use sealwax_core::Span;
use sealwax_core::store::{DOCUMENT_BYTES_MAX, Document, StoreError};

use super::{START, Subject};

fn document(text: &str, version: u64) -> Document {
    Document { text: text.to_owned(), version, expires_at: START + Span::from_secs(3_600) }
}

pub(super) async fn a_document_is_written_by_one_of_those_who_read_it(subject: &Subject) {
    assert_eq!(subject.store.document("shared").await.unwrap(), None);
    for version in 0..3 {
        let replicas = (0..8).map(|n| {
            let store = Arc::clone(&subject.store);
            async move { store.put_document("shared", &document(&format!("{n}"), version)).await }
        });
        let outcomes = join_all(replicas).await;
        assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 1);
        let lost = outcomes.iter().filter_map(|outcome| outcome.as_ref().err());
        for error in lost {
            assert!(matches!(error, StoreError::Lost { .. }), "{error}");
        }
        let winner = outcomes.iter().position(Result::is_ok).unwrap();
        let found = subject.store.document("shared").await.unwrap();
        assert_eq!(found, Some(document(&winner.to_string(), version + 1)));
    }
}

pub(super) async fn an_expired_document_is_as_good_as_none(subject: &Subject) {
    subject.store.put_document("short", &document("old", 0)).await.unwrap();
    subject.clock.set(START + Span::from_secs(3_600));
    assert_eq!(subject.store.document("short").await.unwrap(), None);
    let long = Document { expires_at: START + Span::from_secs(9_000), ..document("new", 0) };
    subject.store.put_document("short", &long).await.unwrap();
    let found = subject.store.document("short").await.unwrap();
    assert_eq!(found.map(|found| (found.text, found.version)), Some(("new".to_owned(), 1)));
    subject.clock.set(START);
}

pub(super) async fn a_document_that_is_too_large_is_refused(subject: &Subject) {
    let large = document(&"x".repeat(DOCUMENT_BYTES_MAX + 1), 0);
    let refused = subject.store.put_document("large", &large).await;
    assert!(matches!(refused, Err(StoreError::Bug { .. })), "{refused:?}");
}
