//! Which store this is, and whether it is the one that was known.
//!
//! A store that is empty, another one or restored from a backup answers like the right one: with
//! silence about what it does not have. So a store has an identity, and everyone who uses it
//! remembers the newest that was seen of it.

use serde::{Deserialize, Serialize};

use crate::timestamp::{Span, Timestamp};

/// The document that holds the identity.
pub const IDENTITY_DOCUMENT: &str = "store-identity";
/// It does not expire: a document needs an end, and this one's is a century away, moved on with
/// every mark.
pub const IDENTITY_LIFE: Span = Span::from_secs(100 * 365 * 86_400);
/// Most stores that one was accepted in place of.
const FORMERLY_MAX: usize = 16;

/// What a store says of itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoreIdentity {
    /// Random; moves along when the store is copied.
    pub id: String,
    /// When it was given.
    pub created_at: Timestamp,
    /// How often someone accepted it as it was.
    #[serde(default)]
    pub epoch: u64,
    /// The newest moment, in milliseconds, at which a control plane is known to have used it. It
    /// only grows, whatever clocks do.
    #[serde(default)]
    pub mark: u64,
    /// The stores it was accepted in place of, newest last.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub formerly: Vec<String>,
    /// Why a control plane that knew it newer does not trust it, until someone accepts it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub doubt: Option<String>,
    /// The stores that control planes knew which take this one for another, newest last. Whoever
    /// accepts it accepts it for them too.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub doubted_for: Vec<String>,
    /// The highest epoch at which a control plane that found it older had known it.
    #[serde(default)]
    pub known_epoch: u64,
}

/// What is remembered of a store outside it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KnownStore {
    /// Its id.
    pub id: String,
    /// Its epoch as seen last.
    pub epoch: u64,
    /// Its mark as seen last.
    pub mark: u64,
}

/// What to make of the store that was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Nobody knew of a store here, and it has no identity yet: give it one.
    New,
    /// It is the one that was known, or one accepted in its place, or the first one seen.
    Trusted,
    /// It was known with a newer mark: it is an older copy.
    Older,
    /// It has another id.
    Other,
    /// It has no identity, although a store was known: it is empty, or of an age before identities.
    Nameless,
    /// Another control plane found it older, and nobody has accepted it since.
    Doubted,
}

impl StoreIdentity {
    /// A new one.
    #[must_use]
    pub fn new(id: String, now: Timestamp) -> Self {
        let (formerly, doubted_for) = (Vec::new(), Vec::new());
        let (epoch, known_epoch, doubt) = (0, 0, None);
        let mark = now.millis();
        Self { id, created_at: now, epoch, mark, formerly, doubt, doubted_for, known_epoch }
    }

    /// What to remember of it.
    #[must_use]
    pub fn known(&self) -> KnownStore {
        KnownStore { id: self.id.clone(), epoch: self.epoch, mark: self.mark }
    }

    /// The same, used now.
    #[must_use]
    pub fn marked(mut self, now: Timestamp) -> Self {
        self.mark = now.millis().max(self.mark.saturating_add(1));
        self
    }

    /// The same, accepted as it is by someone who knew another store, or this one newer.
    #[must_use]
    pub fn accepted(mut self, known: Option<&KnownStore>, now: Timestamp) -> Self {
        let mut epoch = self.epoch.max(self.known_epoch);
        for doubter in std::mem::take(&mut self.doubted_for) {
            add(&mut self.formerly, doubter);
        }
        if let Some(known) = known {
            if known.id == self.id {
                epoch = epoch.max(known.epoch);
            } else {
                add(&mut self.formerly, known.id.clone());
            }
        }
        self.known_epoch = 0;
        self.epoch = epoch.saturating_add(1);
        self.doubt = None;
        self.marked(now)
    }

    /// The same, doubted by someone who knew another store, or this one newer; `None`: it says so
    /// already.
    #[must_use]
    pub fn doubted(&self, known: &KnownStore, why: &str) -> Option<Self> {
        let mut doubted = self.clone();
        if known.id == self.id {
            doubted.doubt.get_or_insert_with(|| why.to_owned());
            doubted.known_epoch = doubted.known_epoch.max(known.epoch);
        } else if doubted.doubted_for.len() < FORMERLY_MAX {
            // A full list stays as it is: two that push each other out would write for ever.
            add(&mut doubted.doubted_for, known.id.clone());
        }
        (doubted != *self).then_some(doubted)
    }
}

/// Adds a store's id to a bounded list, unless it is there.
fn add(stores: &mut Vec<String>, id: String) {
    if !stores.contains(&id) {
        stores.push(id);
        let surplus = stores.len().saturating_sub(FORMERLY_MAX);
        stores.drain(..surplus);
    }
}

/// Compares what a store says of itself with what was known.
#[must_use]
pub fn judge(known: Option<&KnownStore>, found: Option<&StoreIdentity>) -> Verdict {
    match (known, found) {
        (None, None) => Verdict::New,
        (Some(_), None) => Verdict::Nameless,
        (Some(known), Some(found)) if known.id != found.id => {
            match (found.formerly.contains(&known.id), &found.doubt) {
                (false, _) => Verdict::Other,
                (true, Some(_)) => Verdict::Doubted,
                (true, None) => Verdict::Trusted,
            }
        }
        (Some(known), Some(found)) if (found.epoch, found.mark) < (known.epoch, known.mark) => {
            Verdict::Older
        }
        (_, Some(found)) if found.doubt.is_some() => Verdict::Doubted,
        (_, Some(_)) => Verdict::Trusted,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_000_000);

    fn store(id: &str) -> StoreIdentity {
        StoreIdentity::new(id.to_owned(), NOW)
    }

    #[test]
    fn a_store_is_trusted_while_its_mark_grows_and_not_when_it_is_older() {
        let backup = store("a");
        let later = backup.clone().marked(NOW);
        assert!(later.mark > backup.mark, "it grows although the clock stands");
        let known = later.known();
        assert_eq!(judge(Some(&known), Some(&later)), Verdict::Trusted);
        assert_eq!(judge(Some(&known), Some(&later.clone().marked(NOW))), Verdict::Trusted);
        assert_eq!(judge(Some(&known), Some(&backup)), Verdict::Older);
        assert_eq!(judge(None, Some(&backup)), Verdict::Trusted, "who knows nothing believes");
    }

    #[test]
    fn an_empty_and_another_store_are_told_from_the_first_one() {
        let known = store("a").known();
        assert_eq!(judge(None, None), Verdict::New);
        assert_eq!(judge(Some(&known), None), Verdict::Nameless);
        assert_eq!(judge(Some(&known), Some(&store("b"))), Verdict::Other);
    }

    #[test]
    fn whoever_knew_the_old_one_trusts_what_was_accepted_in_its_place() {
        let (known, other) = (store("a").known(), store("b"));
        let accepted = other.clone().accepted(Some(&known), NOW);
        assert_eq!(judge(Some(&known), Some(&accepted)), Verdict::Trusted);
        assert_eq!(judge(Some(&accepted.known()), Some(&other)), Verdict::Older);

        // The same for an older copy: its mark is behind, its epoch is not.
        let backup = store("a");
        let far = KnownStore { mark: 9_000_000, ..backup.known() };
        let doubted = StoreIdentity { doubt: Some("older".to_owned()), ..backup };
        assert_eq!(judge(Some(&far), Some(&doubted)), Verdict::Older);
        assert_eq!(judge(None, Some(&doubted)), Verdict::Doubted, "others hear of it");
        // Another replica writes on meanwhile; the doubt stays.
        let written = StoreIdentity { mark: 10_000_000, ..doubted.clone() };
        assert_eq!(judge(Some(&far), Some(&written)), Verdict::Doubted);
        let accepted = doubted.accepted(Some(&far), NOW);
        assert_eq!(judge(Some(&far), Some(&accepted)), Verdict::Trusted);
    }

    #[test]
    fn who_accepts_it_accepts_it_for_all_who_doubt_it() {
        let (known, far) = (store("a").known(), KnownStore { epoch: 7, ..store("b").known() });
        let doubted = store("b").doubted(&known, "other").unwrap();
        assert_eq!(doubted.doubted(&known, "other"), None, "said once");
        assert_eq!(judge(None, Some(&doubted)), Verdict::Trusted, "another store is no older one");
        let doubted = doubted.doubted(&far, "older").unwrap();
        let accepted = doubted.accepted(None, NOW);
        assert_eq!(judge(Some(&known), Some(&accepted)), Verdict::Trusted);
        assert_eq!(judge(Some(&far), Some(&accepted)), Verdict::Trusted);
        let mut many = store("z");
        for n in 0..40 {
            many = many.doubted(&store(&n.to_string()).known(), "").unwrap_or(many);
        }
        assert_eq!(many.doubted_for.len(), FORMERLY_MAX);
    }

    #[test]
    fn the_list_of_former_stores_is_bounded() {
        let mut one = store("z");
        for n in 0..40 {
            one = one.accepted(Some(&store(&n.to_string()).known()), NOW);
        }
        assert_eq!(one.formerly.len(), FORMERLY_MAX);
        assert_eq!(one.formerly.last().map(String::as_str), Some("39"));
    }
}
