//! What is planned for a moment of a run.

use std::collections::VecDeque;

use sealwax_core::Span;

use crate::plan::{MINUTE, Plan, Trouble, Window};

/// How long the sweeps hurry after the begin of a trouble, and after its end.
const HURRY: Span = MINUTE.scale(13, 1);

/// What happens.
#[derive(Clone, Debug)]
pub(super) enum Entry {
    /// A trouble begins or ends.
    Changes,
    /// A backup of the store is made.
    CopyStore,
    /// Another store is in its place.
    LoseStore,
    /// It is back.
    FindStore,
    /// An outage must be over for every name.
    Recovered(Window),
    /// Sweeps pass as often as in production.
    Hurry,
    /// And do not any more.
    Calm,
}

/// All of it, in order.
pub(super) struct Agenda {
    entries: VecDeque<(Span, Entry)>,
    hurrying: u32,
}

impl Agenda {
    pub(super) fn of(plan: &Plan) -> Self {
        let mut entries = Vec::new();
        for window in &plan.windows {
            let (from, to) = (window.from, window.to);
            entries.extend([from, to].map(|at| (at, Entry::Changes)));
            if window.trouble == Trouble::StoreLost {
                if let Some(age) = plan.copy_age {
                    entries.push((from.less(age), Entry::CopyStore));
                }
                entries.extend([(from, Entry::LoseStore), (to, Entry::FindStore)]);
            }
            for (from, to) in hurried(window) {
                entries.extend([(from, Entry::Hurry), (to, Entry::Calm)]);
            }
        }
        let recovered = plan.outages().map(|(window, at)| (at, Entry::Recovered(window)));
        entries.extend(recovered);
        entries.sort_by_key(|(at, _)| *at);
        Self { entries: entries.into(), hurrying: 0 }
    }

    /// What its time came for.
    pub(super) fn due(&mut self, now: Span) -> std::vec::IntoIter<Entry> {
        let mut due = Vec::new();
        while let Some((_, entry)) = self.entries.pop_front_if(|(at, _)| *at <= now) {
            match entry {
                Entry::Hurry => self.hurrying += 1,
                Entry::Calm => self.hurrying -= 1,
                Entry::Changes
                | Entry::CopyStore
                | Entry::LoseStore
                | Entry::FindStore
                | Entry::Recovered(_) => {}
            }
            due.push(entry);
        }
        due.into_iter()
    }

    pub(super) fn next(&self) -> Option<Span> {
        self.entries.front().map(|(at, _)| *at)
    }

    pub(super) const fn hurries(&self) -> bool {
        self.hurrying > 0
    }
}

/// When sweeps pass as often as in production: a run could not pay for it all the time.
fn hurried(window: &Window) -> Vec<(Span, Span)> {
    let begin = (window.from, window.to.min(window.from + HURRY));
    let end = (window.to, window.to + HURRY);
    match window.trouble {
        Trouble::CaBusy | Trouble::PlatformGone => vec![(window.from, window.to + HURRY)],
        Trouble::CaDown
        | Trouble::PlatformDown
        | Trouble::StoreDown
        | Trouble::StoreLost
        | Trouble::CaHangs => vec![begin, end],
        Trouble::Puts | Trouble::Rollout => vec![begin],
        Trouble::StagingDown
        | Trouble::CaLimits
        | Trouble::CaSlow
        | Trouble::Storm
        | Trouble::ClockOff
        | Trouble::NotifierDown
        | Trouble::NotifierRests => Vec::new(),
    }
}
