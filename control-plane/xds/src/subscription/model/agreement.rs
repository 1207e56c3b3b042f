//! What must hold when everything has settled.

use super::*;

impl History {
    /// Edge and source agree on every name.
    pub(super) fn compare(&mut self) {
        let mut resident = 0;
        for (name, holds) in &self.edge {
            let truth = self.truth.get(&canonical(name)).copied().unwrap_or(Truth::Missing);
            resident += usize::from(matches!(holds, Holds::Version(_)));
            match (truth, *holds) {
                (_, Holds::Waiting) => panic!("{name} waits for ever, source: {truth:?}"),
                (Truth::Ready(new), Holds::Version(held)) if new == held => {}
                // The new one was refused, and the good one stays.
                (Truth::Ready(new), Holds::Version(held)) => {
                    let refused = self.refused.contains(&(canonical(name), new));
                    assert!(refused, "{name} is at {held}, the source at {new}");
                }
                (Truth::Pending | Truth::Missing, Holds::Version(_))
                | (Truth::Absent | Truth::Missing, Holds::Nothing) => {}
                (Truth::Absent, Holds::Version(held)) => panic!("{name} keeps {held}"),
                (Truth::Pending, Holds::Nothing) => {}
                (Truth::Ready(new), Holds::Nothing) => {
                    let refused = self.refused.contains(&(canonical(name), new));
                    let evicted = self.budget < NAMES.len();
                    assert!(refused || evicted, "{name} is not told of {new}");
                }
            }
        }
        let subscribed: BTreeSet<_> = self.edge.keys().map(|name| canonical(name)).collect();
        assert_eq!(*self.registered.names.lock().unwrap(), subscribed);
        assert_eq!(self.subscriptions.table.len(), self.edge.len());
        assert_eq!(self.subscriptions.residents.len(), resident, "{:?}", self.edge);
        assert!(resident <= self.budget);
        assert!(self.subscriptions.outgoing.is_empty());
        assert!(self.subscriptions.refusals.is_empty());
    }
}
