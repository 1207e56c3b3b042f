//! What is due, by the hour: the store's due index in eight bytes a name.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use sealwax_core::Timestamp;

use crate::moment::Moment;

type Entry = (Moment, u32);

/// A calendar queue. An hour's entries are put in order when it begins, so that entering costs
/// the same however full the calendar is.
#[derive(Debug)]
pub(crate) struct Calendar {
    hours: Vec<Vec<Entry>>,
    /// Hours that have begun.
    begun: usize,
    now: BinaryHeap<Reverse<Entry>>,
}

impl Calendar {
    /// For so many hours. What is due later than that is forgotten.
    pub(crate) fn new(hours: usize) -> Self {
        Self { hours: vec![Vec::new(); hours], begun: 0, now: BinaryHeap::new() }
    }

    pub(crate) fn enter(&mut self, at: Moment, name: u32) {
        let hour = at.hour();
        if hour < self.begun {
            self.now.push(Reverse((at, name)));
        } else if let Some(entries) = self.hours.get_mut(hour) {
            entries.push((at, name));
        }
    }

    /// The entry that is due longest.
    pub(crate) fn due(&mut self, now: Timestamp) -> Option<Entry> {
        while let Some(hour) = self.hours.get_mut(self.begun)
            && self.begun <= crate::moment::hour(now)
        {
            self.now.extend(std::mem::take(hour).into_iter().map(Reverse));
            self.begun += 1;
        }
        let Reverse((at, _)) = self.now.peek()?;
        if at.timestamp() > now {
            return None;
        }
        self.now.pop().map(|Reverse(entry)| entry)
    }
}

#[cfg(test)]
mod tests {
    use sealwax_core::Span;

    use super::*;
    use crate::moment::START;

    fn at(secs: u64) -> Moment {
        Moment::not_before(START + Span::from_secs(secs))
    }

    #[test]
    fn entries_come_out_in_order_when_their_time_has_come() {
        let mut calendar = Calendar::new(48);
        for (secs, name) in [(9_000, 1), (100, 2), (50, 3), (90_000, 4), (9_000_000, 5)] {
            calendar.enter(at(secs), name);
        }
        let mut due = |secs| {
            let now = START + Span::from_secs(secs);
            std::iter::from_fn(|| calendar.due(now)).map(|(_, name)| name).collect::<Vec<_>>()
        };
        assert_eq!(due(49), [0_u32; 0]);
        assert_eq!(due(100), [3, 2]);
        assert_eq!(due(8_999), [0_u32; 0]);
        assert_eq!(due(200_000), [1, 4]);
    }

    #[test]
    fn what_is_entered_for_an_hour_that_has_begun_is_not_lost() {
        let mut calendar = Calendar::new(2);
        assert_eq!(calendar.due(START + Span::from_secs(10)), None);
        calendar.enter(at(20), 1);
        assert_eq!(calendar.due(START + Span::from_secs(20)), Some((at(20), 1)));
    }
}
