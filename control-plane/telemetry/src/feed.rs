//! Every lifecycle event of this process, as it happens, to whoever listens.
//!
//! Bounded all round: so many listeners, so many events remembered for those who come back, and
//! a listener that does not keep up is told that it missed some instead of being waited for.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use moka::sync::Cache;
use sealwax_core::store::LifecycleEvent;
use sealwax_core::{DomainState, Timestamp};
use sealwax_protocol::DomainName;
use tokio::sync::broadcast::{self, error::RecvError};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Events kept for listeners that are slow or come back.
const RECENT_MAX: usize = 1024;
/// Most listeners at a time.
const LISTENERS_MAX: usize = 64;
/// For how long a change of one's own is remembered: the change log repeats it well within that.
const OWN_LIFE: Duration = Duration::from_secs(10);
/// Most of them; beyond it a listener hears of a change twice.
const OWN_MAX: u64 = 10_000;

/// Something happened to a domain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Happening {
    /// The domain.
    pub domain: DomainName,
    /// Whose it is.
    pub tenant: Option<String>,
    /// Where it stands after it; `None`: it is gone, or another process knows.
    pub state: Option<DomainState>,
    /// What happened.
    pub event: LifecycleEvent,
}

/// A happening with its place in the process's sequence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Numbered {
    /// 1 for the process's first.
    pub number: u64,
    /// What happened.
    pub happening: Happening,
}

/// What a listener hears.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Heard {
    /// Something happened.
    Happened(Arc<Numbered>),
    /// Things happened that are not told any more: look at the domains themselves.
    Missed,
}

/// Where happenings are published and heard. Cheap to clone.
#[derive(Clone)]
pub struct Feed {
    shared: Arc<Shared>,
}

struct Shared {
    /// Tells the numbers of this process's events from those of the process before it.
    run: u64,
    recent: Mutex<Recent>,
    sender: broadcast::Sender<Arc<Numbered>>,
    places: Arc<Semaphore>,
    own: Cache<DomainName, ()>,
}

#[derive(Default)]
struct Recent {
    last: u64,
    events: VecDeque<Arc<Numbered>>,
}

/// All places are taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{LISTENERS_MAX} listeners are connected already")]
pub struct Full;

impl Feed {
    /// A feed of the process that started at `started_at`.
    #[must_use]
    pub fn new(started_at: Timestamp) -> Self {
        let (sender, _) = broadcast::channel(RECENT_MAX);
        Self {
            shared: Arc::new(Shared {
                run: started_at.millis(),
                recent: Mutex::default(),
                sender,
                places: Arc::new(Semaphore::new(LISTENERS_MAX)),
                own: Cache::builder().max_capacity(OWN_MAX).time_to_live(OWN_LIFE).build(),
            }),
        }
    }

    /// Tells everybody.
    pub fn publish(&self, happening: Happening) {
        self.shared.own.insert(happening.domain.clone(), ());
        self.number_and_send(happening);
    }

    /// Another control plane changed the domain. Changes of this one come this way too, and are
    /// left out: they were told in full.
    pub fn changed_elsewhere(&self, domain: &DomainName, at: Timestamp) {
        if self.shared.own.contains_key(domain) {
            return;
        }
        let detail = "by another control plane".to_owned();
        let event = LifecycleEvent { at, kind: "domain.changed".to_owned(), detail };
        let domain = domain.clone();
        self.number_and_send(Happening { domain, tenant: None, state: None, event });
    }

    fn number_and_send(&self, happening: Happening) {
        // Sent under the lock, so that everybody hears in the order of the numbers.
        let mut recent = self.shared.recent.lock().unwrap_or_else(PoisonError::into_inner);
        recent.last += 1;
        let numbered = Arc::new(Numbered { number: recent.last, happening });
        recent.events.push_back(Arc::clone(&numbered));
        if recent.events.len() > RECENT_MAX {
            recent.events.pop_front();
        }
        if self.shared.sender.send(numbered).is_err() {
            tracing::trace!("nobody listens");
        }
    }

    /// The identifier of an event, by which a listener that comes back says where it was.
    #[must_use]
    pub fn id(&self, number: u64) -> String {
        format!("{}-{number}", self.shared.run)
    }

    /// Listens from now on, or from after the event with this identifier.
    ///
    /// # Errors
    /// [`Full`].
    pub fn listen(&self, after: Option<&str>) -> Result<Listener, Full> {
        let place = Arc::clone(&self.shared.places).try_acquire_owned().map_err(|_| Full)?;
        let recent = self.shared.recent.lock().unwrap_or_else(PoisonError::into_inner);
        let receiver = self.shared.sender.subscribe();
        let mut due = VecDeque::new();
        if let Some(id) = after {
            match self.number_of(id).filter(|number| recent.reaches_back_to(*number)) {
                Some(number) => {
                    let later = recent.events.iter().filter(|event| event.number > number);
                    due.extend(later.map(|event| Heard::Happened(Arc::clone(event))));
                }
                None => due.push_back(Heard::Missed),
            }
        }
        Ok(Listener { due, receiver, _place: place })
    }

    fn number_of(&self, id: &str) -> Option<u64> {
        let (run, number) = id.split_once('-')?;
        if run.parse() != Ok(self.shared.run) {
            return None;
        }
        number.parse().ok()
    }
}

impl Recent {
    fn reaches_back_to(&self, number: u64) -> bool {
        let oldest = self.events.front().map_or(self.last + 1, |event| event.number);
        number <= self.last && number + 1 >= oldest
    }
}

/// Hears what happens.
pub struct Listener {
    due: VecDeque<Heard>,
    receiver: broadcast::Receiver<Arc<Numbered>>,
    _place: OwnedSemaphorePermit,
}

impl Listener {
    /// The next thing; `None` when the feed has ended.
    pub async fn hear(&mut self) -> Option<Heard> {
        if let Some(due) = self.due.pop_front() {
            return Some(due);
        }
        match self.receiver.recv().await {
            Ok(event) => Some(Heard::Happened(event)),
            Err(RecvError::Lagged(_)) => Some(Heard::Missed),
            Err(RecvError::Closed) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn happening(index: usize) -> Happening {
        let at = Timestamp::from_secs(5);
        Happening {
            domain: DomainName::parse(&format!("d{index}.example.com")).unwrap(),
            tenant: None,
            state: None,
            event: LifecycleEvent { at, kind: "domain.updated".to_owned(), detail: String::new() },
        }
    }

    async fn number(listener: &mut Listener) -> Option<u64> {
        match listener.hear().await {
            Some(Heard::Happened(event)) => Some(event.number),
            Some(Heard::Missed) | None => None,
        }
    }

    #[tokio::test]
    async fn a_listener_that_comes_back_hears_what_it_missed() {
        let feed = Feed::new(Timestamp::from_secs(1));
        for index in 0..3 {
            feed.publish(happening(index));
        }
        let mut back = feed.listen(Some(&feed.id(1))).unwrap();
        assert_eq!(number(&mut back).await, Some(2));
        assert_eq!(number(&mut back).await, Some(3));
        feed.publish(happening(3));
        assert_eq!(number(&mut back).await, Some(4));
    }

    #[tokio::test]
    async fn what_cannot_be_told_any_more_is_said_to_be_missed() {
        let feed = Feed::new(Timestamp::from_secs(1));
        for index in 0..RECENT_MAX + 2 {
            feed.publish(happening(index));
        }
        let before_the_restart = Feed::new(Timestamp::from_secs(0)).id(1);
        for id in [feed.id(1).as_str(), &feed.id(u64::MAX - 1), &before_the_restart, "odd", "1-x"] {
            let mut back = feed.listen(Some(id)).unwrap();
            assert_eq!(back.hear().await, Some(Heard::Missed), "{id}");
        }
        let mut slow = feed.listen(None).unwrap();
        for index in 0..=RECENT_MAX {
            feed.publish(happening(index));
        }
        assert_eq!(slow.hear().await, Some(Heard::Missed));
        assert!(number(&mut slow).await.is_some(), "and goes on");
    }

    #[tokio::test]
    async fn listeners_are_counted_and_their_places_free_again() {
        let feed = Feed::new(Timestamp::from_secs(1));
        let all: Vec<_> = (0..LISTENERS_MAX).map(|_| feed.listen(None).unwrap()).collect();
        assert!(feed.listen(None).is_err());
        drop(all);
        assert!(feed.listen(None).is_ok());
    }

    #[tokio::test]
    async fn only_changes_of_other_processes_are_told_a_second_time() {
        let feed = Feed::new(Timestamp::from_secs(1));
        let mut listener = feed.listen(None).unwrap();
        feed.publish(happening(1));
        feed.changed_elsewhere(&happening(1).domain, Timestamp::from_secs(6));
        feed.changed_elsewhere(&happening(2).domain, Timestamp::from_secs(6));
        assert_eq!(number(&mut listener).await, Some(1));
        let Some(Heard::Happened(second)) = listener.hear().await else { panic!("nothing") };
        assert_eq!(second.happening.event.kind, "domain.changed");
        assert_eq!(second.happening.domain.as_str(), "d2.example.com");
    }
}
