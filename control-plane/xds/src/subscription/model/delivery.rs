//! The two channels: requests and responses, and what either side makes of one that arrives.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;

use super::*;

#[derive(Debug)]
pub(super) enum Request {
    Subscribe(Vec<&'static str>, BTreeMap<&'static str, u64>),
    Unsubscribe(Vec<String>),
    Ack(Bytes),
    Nack(Bytes),
}

/// A response on its way: nonce, names with their content, removals.
pub(super) struct Sent {
    nonce: Bytes,
    pushed: Vec<(String, u64)>,
    removed: Vec<String>,
}

impl History {
    pub(super) fn deliver_request(&mut self) {
        match self.requests.pop_front() {
            None => {}
            Some(Request::Subscribe(names, holds)) => {
                for name in names {
                    let version = holds
                        .get(name)
                        .map(|&content| certificate(name, content).version().to_owned());
                    self.subscriptions
                        .subscribe(name.as_bytes(), version.as_deref().map(str::as_bytes));
                    self.removed_at.remove(name);
                    if version.is_none() {
                        self.owed.insert(name.to_owned());
                    }
                }
            }
            Some(Request::Unsubscribe(names)) => {
                for name in names {
                    self.subscriptions.unsubscribe(name.as_bytes());
                    self.removed_at.remove(&name);
                    self.owed.remove(&name);
                }
            }
            Some(Request::Ack(nonce)) => self.subscriptions.ack(&nonce, self.now),
            Some(Request::Nack(nonce)) => self.subscriptions.nack(&nonce, "refused"),
        }
        for event in self.subscriptions.take_events() {
            if let Event::Rejected(name, version, _) = event {
                let content = (1..=self.contents).find(|&content| {
                    certificate(name.as_str(), content).content_version() == version
                });
                let content = content.unwrap();
                assert!(content.is_multiple_of(REFUSED_EVERY), "{name} {content} was not refused");
                self.refused.insert((name.to_string(), content));
            }
        }
    }

    pub(super) fn make_response(&mut self) -> bool {
        let Some(response) = self.subscriptions.next_response(self.now) else { return false };
        let mut names = BTreeSet::new();
        let mut sent = Sent { nonce: response.nonce, pushed: Vec::new(), removed: Vec::new() };
        for resource in &response.resources {
            let (name, content) = self.decode(resource);
            assert!(names.insert(name.clone()), "{name} twice in one response");
            let known = (canonical(&name), content);
            assert!(!self.refused.contains(&known), "{known:?} was refused and is sent again");
            if let Some(at) = self.removed_at.get(&name) {
                assert!(self.now - *at >= GAP, "{name} follows closely on its removal");
            }
            if !content.is_multiple_of(REFUSED_EVERY) {
                // One that is refused is no answer yet.
                self.owed.remove(&name);
            }
            sent.pushed.push((name, content));
        }
        for name in response.removed {
            let name = String::from_utf8(name.to_vec()).unwrap();
            assert!(names.insert(name.clone()), "{name} twice in one response");
            if !self.owed.remove(&name) {
                self.check_evidence(&name);
            }
            self.removed_at.insert(name.clone(), self.now);
            sent.removed.push(name);
        }
        assert!(!names.is_empty(), "an empty response");
        self.responses.push_back(sent);
        true
    }

    /// INV-23: what the edge holds is withdrawn on evidence only, or to keep the budget.
    fn check_evidence(&self, name: &str) {
        let held = matches!(self.edge.get(name), Some(Holds::Version(_)));
        let kept_by_the_budget = self.budget < NAMES.len();
        let evidence = self.evidence.contains(&canonical(name));
        assert!(
            !held || kept_by_the_budget || evidence,
            "INV-23: {name}, which the edge holds, is withdrawn at {:?}, and nobody said that it \
             may not be served",
            self.now
        );
    }

    /// Name and content, found by encoding what there could be.
    fn decode(&self, resource: &Bytes) -> (String, u64) {
        for name in NAMES.iter().take(7) {
            for content in 1..=self.contents {
                if certificate(name, content).resource_spelled(name) == *resource {
                    return ((*name).to_owned(), content);
                }
            }
        }
        panic!("a resource nobody made");
    }

    pub(super) fn deliver_response(&mut self) -> bool {
        let Some(sent) = self.responses.pop_front() else { return false };
        let refuses = sent.pushed.iter().any(|(name, content)| {
            self.edge.contains_key(name) && content.is_multiple_of(REFUSED_EVERY)
        });
        for (name, content) in sent.pushed {
            // Of a refused response, any of the good part may have been applied.
            let applied =
                !content.is_multiple_of(REFUSED_EVERY) && (!refuses || self.below(2) == 0);
            if let Some(holds) = self.edge.get_mut(&name).filter(|_| applied) {
                *holds = Holds::Version(content);
            }
        }
        let answer = if refuses { Request::Nack(sent.nonce) } else { Request::Ack(sent.nonce) };
        self.requests.push_back(answer);
        let mut unsubscribed = Vec::new();
        for name in sent.removed {
            if name.starts_with("fixed") {
                self.edge.entry(name).and_modify(|holds| *holds = Holds::Nothing);
            } else if self.edge.remove(&name).is_some() {
                unsubscribed.push(name);
            }
        }
        if !unsubscribed.is_empty() {
            self.requests.push_back(Request::Unsubscribe(unsubscribed));
        }
        true
    }
}
