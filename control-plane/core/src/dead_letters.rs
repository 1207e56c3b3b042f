//! What could not be told: the list of notices that were given up, pure.

use sealwax_protocol::DomainName;
use serde::{Deserialize, Serialize};

use crate::failure::bounded_detail;
use crate::notice::Notice;
use crate::timestamp::Timestamp;

/// Most letters kept: with the longest texts there are, they fit a document of the store.
pub const LETTERS_MAX: usize = 100;

/// A notice that was given up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeadLetter {
    /// The notice's id, as its receiver would have got it.
    pub id: String,
    /// When it was given up.
    pub at: Timestamp,
    /// Whose it was.
    pub domain: DomainName,
    /// Whom it was for.
    pub to: String,
    /// What happened.
    pub kind: String,
    /// When that was.
    pub happened_at: Timestamp,
    /// Why it was given up, bounded.
    pub detail: String,
}

impl DeadLetter {
    /// Of a notice given up now.
    #[must_use]
    pub fn of(notice: Notice, domain: DomainName, detail: &str, now: Timestamp) -> Self {
        Self {
            id: notice.id,
            at: now,
            domain,
            to: notice.to,
            kind: notice.kind,
            happened_at: notice.at,
            detail: bounded_detail(detail),
        }
    }
}

/// All of them, or the newest.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeadLetters {
    letters: Vec<DeadLetter>,
    older: u64,
}

impl DeadLetters {
    /// Puts a letter on top, once. What no longer fits is only counted.
    pub fn add(&mut self, letter: DeadLetter) {
        if self.letters.iter().any(|known| known.id == letter.id) {
            return;
        }
        self.letters.insert(0, letter);
        let excess = self.letters.len().saturating_sub(LETTERS_MAX);
        self.letters.truncate(LETTERS_MAX);
        self.older = self.older.saturating_add(u64::try_from(excess).unwrap_or(u64::MAX));
    }

    /// The letters, newest first.
    #[must_use]
    pub fn newest_first(&self) -> &[DeadLetter] {
        &self.letters
    }

    /// How many there were before the oldest of them.
    #[must_use]
    pub const fn older(&self) -> u64 {
        self.older
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::failure::DETAIL_BYTES_MAX;
    use crate::store::DOCUMENT_BYTES_MAX;

    fn letter(number: usize) -> DeadLetter {
        let domain = [&"a".repeat(63), &"b".repeat(63), &"c".repeat(63), &"d".repeat(61)];
        DeadLetter {
            id: format!("msg_{number:032}"),
            at: Timestamp::from_millis(u64::MAX),
            domain: DomainName::parse(&domain.map(String::as_str).join(".")).unwrap(),
            // The longest ARN of a topic.
            to: "n".repeat(340),
            kind: "certificate.expiring".to_owned(),
            happened_at: Timestamp::from_millis(u64::MAX),
            // Escaped in JSON, each.
            detail: "\"".repeat(DETAIL_BYTES_MAX),
        }
    }

    #[test]
    fn the_newest_are_kept_each_once_and_fit_a_document_whatever_they_say() {
        let mut letters = DeadLetters::default();
        for number in 0..LETTERS_MAX + 5 {
            letters.add(letter(number));
            letters.add(letter(number));
        }
        assert_eq!((letters.newest_first().len(), letters.older()), (LETTERS_MAX, 5));
        assert_eq!(letters.newest_first()[0], letter(LETTERS_MAX + 4));
        let text = serde_json::to_string(&letters).unwrap();
        assert!(text.len() <= DOCUMENT_BYTES_MAX, "{}", text.len());
        assert_eq!(serde_json::from_str::<DeadLetters>(&text).unwrap(), letters);
    }
}
