//! Whether the store's silence may be acted on.

use std::sync::{Arc, Mutex, PoisonError};

/// Shared by all who would take something away because the store does not have it. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Trust(Arc<Mutex<Standing>>);

/// How the store stands with this process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It has not been compared with what is known: it is away.
    Unchecked,
    /// It is the one that is known.
    Trusted,
    /// It is not; nothing is taken away on its word.
    Doubted {
        /// `older`, `other`, `nameless`, or `moved`.
        kind: &'static str,
        /// What is wrong and what to do.
        why: String,
    },
}

impl Default for Trust {
    /// Where there is nothing to compare.
    fn default() -> Self {
        Self(Arc::new(Mutex::new(Standing::Trusted)))
    }
}

impl Trust {
    /// Before the first comparison.
    #[must_use]
    pub fn unchecked() -> Self {
        Self(Arc::new(Mutex::new(Standing::Unchecked)))
    }

    /// What the store does not have may be taken away, on evidence.
    #[must_use]
    pub fn acts(&self) -> bool {
        matches!(*self.0.lock().unwrap_or_else(PoisonError::into_inner), Standing::Trusted)
    }

    /// How the store stands.
    #[must_use]
    pub fn standing(&self) -> Standing {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Sets it. True: it is another one than before.
    pub fn set(&self, standing: Standing) -> bool {
        let mut current = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let changed = *current != standing;
        *current = standing;
        changed
    }
}
