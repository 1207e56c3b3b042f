//! A certificate source whose every answer is set by the test.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use sealwax_protocol::DomainName;
use sealwax_xds::{CertificateSource, Lookup, Removed, ServedCertificate};
use tokio::sync::Notify;

use super::{certificate, domain};

#[derive(Default)]
pub struct TestSource {
    state: Mutex<State>,
    something: Notify,
}

#[derive(Default)]
struct State {
    answers: HashMap<DomainName, Answer>,
    /// Names that are not in memory: only a lookup finds them.
    cold: bool,
    /// So many questions after removals cannot be answered.
    unclear: usize,
    lookups: Vec<String>,
    rejected: Vec<(String, String, String, String)>,
    delivered: Vec<(String, String, String)>,
    forbidden: Option<(String, DomainName)>,
}

enum Answer {
    Ready(Arc<ServedCertificate>),
    Pending,
    Unavailable,
    /// Nothing is known of it; whether it was removed.
    Missing {
        removed: bool,
    },
    /// The lookup never comes back.
    Stuck,
}

impl TestSource {
    pub fn issue(&self, name: &str, content: &str) -> String {
        let certificate = certificate(name, content);
        let version = certificate.version().to_owned();
        self.set(name, Some(Lookup::Ready(certificate)));
        version
    }

    /// `None` and `Absent` are the same.
    pub fn set(&self, name: &str, lookup: Option<Lookup>) {
        let answer = match lookup {
            Some(Lookup::Ready(certificate)) => Answer::Ready(certificate),
            Some(Lookup::Pending) => Answer::Pending,
            Some(Lookup::Unavailable) => Answer::Unavailable,
            Some(Lookup::Missing) => Answer::Missing { removed: false },
            Some(Lookup::Absent) | None => {
                self.state.lock().unwrap().answers.remove(&domain(name));
                return;
            }
        };
        self.state.lock().unwrap().answers.insert(domain(name), answer);
    }

    /// The name is gone, and there is a trace of its removal.
    pub fn remove(&self, name: &str) {
        let gone = Answer::Missing { removed: true };
        self.state.lock().unwrap().answers.insert(domain(name), gone);
    }

    pub fn stick(&self, name: &str) {
        self.state.lock().unwrap().answers.insert(domain(name), Answer::Stuck);
    }

    pub fn set_cold(&self, cold: bool) {
        self.state.lock().unwrap().cold = cold;
    }

    /// The next questions after removals, so many, cannot be answered.
    pub fn cannot_tell(&self, times: usize) {
        self.state.lock().unwrap().unclear = times;
    }

    pub fn forbid(&self, node_id: &str, name: &str) {
        self.state.lock().unwrap().forbidden = Some((node_id.to_owned(), domain(name)));
    }

    pub fn lookups(&self) -> Vec<String> {
        self.state.lock().unwrap().lookups.clone()
    }

    /// Waits until a name has been looked up so many times.
    pub async fn looked_up(&self, name: &str, times: usize) {
        self.until(|state| state.lookups.iter().filter(|known| *known == name).count() >= times)
            .await;
    }

    /// Waits for a refusal: name, version, node, detail.
    pub async fn rejection(&self) -> (String, String, String, String) {
        self.until(|state| !state.rejected.is_empty()).await;
        self.state.lock().unwrap().rejected.remove(0)
    }

    pub fn rejections(&self) -> usize {
        self.state.lock().unwrap().rejected.len()
    }

    /// Waits until so many deliveries have been reported.
    pub async fn deliveries(&self, count: usize) -> Vec<(String, String, String)> {
        self.until(|state| state.delivered.len() >= count).await;
        self.state.lock().unwrap().delivered.clone()
    }

    async fn until(&self, reached: impl Fn(&State) -> bool) {
        loop {
            let something = self.something.notified();
            if reached(&self.state.lock().unwrap()) {
                return;
            }
            something.await;
        }
    }

    fn permitted(&self, node_id: &str, name: &DomainName) -> bool {
        let state = self.state.lock().unwrap();
        state
            .forbidden
            .as_ref()
            .is_none_or(|(node, forbidden)| node != node_id || forbidden != name)
    }

    fn answer(&self, name: &DomainName) -> Lookup {
        match self.state.lock().unwrap().answers.get(name) {
            Some(Answer::Ready(certificate)) => Lookup::Ready(Arc::clone(certificate)),
            Some(Answer::Pending) => Lookup::Pending,
            Some(Answer::Unavailable | Answer::Stuck) => Lookup::Unavailable,
            Some(Answer::Missing { .. }) => Lookup::Missing,
            None => Lookup::Absent,
        }
    }
}

#[async_trait]
impl CertificateSource for TestSource {
    async fn lookup(&self, node_id: &str, name: &DomainName) -> Lookup {
        if !self.permitted(node_id, name) {
            return Lookup::Absent;
        }
        self.state.lock().unwrap().lookups.push(name.to_string());
        self.something.notify_waiters();
        let stuck = matches!(self.state.lock().unwrap().answers.get(name), Some(Answer::Stuck));
        if stuck {
            std::future::pending::<()>().await;
        }
        self.answer(name)
    }

    fn peek(&self, node_id: &str, name: &DomainName) -> Option<Lookup> {
        if !self.permitted(node_id, name) {
            return Some(Lookup::Absent);
        }
        if self.state.lock().unwrap().cold {
            return None;
        }
        match self.answer(name) {
            Lookup::Unavailable => None,
            known @ (Lookup::Ready(_) | Lookup::Pending | Lookup::Absent | Lookup::Missing) => {
                Some(known)
            }
        }
    }

    async fn removed(&self, name: &DomainName, _: &str) -> Removed {
        let mut state = self.state.lock().unwrap();
        if state.unclear > 0 {
            state.unclear -= 1;
            return Removed::NotKnown;
        }
        match state.answers.get(name) {
            Some(Answer::Missing { removed: true }) => Removed::Yes,
            _ => Removed::No,
        }
    }

    fn rejected(&self, name: &DomainName, version: &str, node_id: &str, detail: &str) {
        let rejection =
            (name.to_string(), version.to_owned(), node_id.to_owned(), detail.to_owned());
        self.state.lock().unwrap().rejected.push(rejection);
        self.something.notify_waiters();
    }

    fn delivered(&self, name: &DomainName, version: &str, node_id: &str) {
        let delivery = (name.to_string(), version.to_owned(), node_id.to_owned());
        self.state.lock().unwrap().delivered.push(delivery);
        self.something.notify_waiters();
    }
}
