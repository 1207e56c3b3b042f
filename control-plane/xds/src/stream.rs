//! One stream: joins the subscriptions to the requests, the source, time and the connection.
//!
//! It runs only when the connection asks for the next response, so a connection that does not
//! drain stops it, and everything upstream of it, by itself.

use std::collections::VecDeque;
use std::pin::pin;
use std::sync::{Arc, Mutex};

use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
use futures::{FutureExt as _, Stream, StreamExt as _};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, sleep_until, timeout};
use tokio_util::sync::CancellationToken;
use tonic::Status;

use crate::XdsServer;
use crate::backlog::Backlog;
use crate::edge::Edge;
use crate::registration::Registration;
use crate::subscription::{Event, Key, Limits, Question, Response, Sketch, Subscriptions};
use crate::wire::DeltaRequest;
use crate::{Lookup, Removed, request};

/// Questions put to the source before the stream looks at anything else.
const QUESTIONS_AT_A_TIME: usize = 1024;
/// Most background lookups of one stream at a time.
const BACKGROUND_LOOKUPS_PER_STREAM: usize = 32;

/// Whether the protocol variant can say that a name is gone; if not, no budget can be kept.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Removals {
    Sent,
    Unsayable,
}

/// An open stream, after its first request.
pub(crate) struct EdgeStream<S> {
    server: Arc<XdsServer>,
    edge: Arc<Edge>,
    requests: S,
    /// No request has been taken yet.
    fresh: bool,
    /// Left to do of the last request.
    backlog: Option<Backlog>,
    subscriptions: Subscriptions<Registration>,
    lookups: FuturesUnordered<BoxFuture<'static, (Key, bool, Lookup)>>,
    /// Questions the source could not answer from memory, not started yet.
    cold: VecDeque<Question>,
    cold_unhurried: VecDeque<Question>,
    unhurried_running: usize,
    shutdown: CancellationToken,
    ends_at: Instant,
    ending: Option<Status>,
    _slot: OwnedSemaphorePermit,
}

impl<S> EdgeStream<S>
where
    S: Stream<Item = Result<DeltaRequest, Status>> + Send + Unpin,
{
    pub(crate) fn new(
        server: Arc<XdsServer>,
        node_id: String,
        requests: S,
        removals: Removals,
        shutdown: CancellationToken,
        slot: OwnedSemaphorePermit,
    ) -> Self {
        let now = Instant::now();
        let budget = match removals {
            Removals::Sent => server.config.budget_of(&node_id),
            Removals::Unsayable => usize::MAX,
        };
        let (edge, sketch) = server.connect(node_id, budget);
        let ends_at = now + server.jitter.around(server.config.max_stream_age);
        let subscriptions = subscriptions(&server, &edge, sketch, now);
        Self {
            server,
            edge,
            requests,
            fresh: true,
            backlog: None,
            subscriptions,
            lookups: FuturesUnordered::new(),
            cold: VecDeque::new(),
            cold_unhurried: VecDeque::new(),
            unhurried_running: 0,
            shutdown,
            ends_at,
            ending: None,
            _slot: slot,
        }
    }

    /// The next response. `None`: the stream is over.
    pub(crate) async fn next(&mut self) -> Option<Result<Response, Status>> {
        loop {
            if let Some(over) = self.read_ready() {
                return over.map(Err);
            }
            let now = Instant::now();
            if now >= self.ends_at {
                return self.ending.take().map(Err);
            }
            let more = self.work(now);
            if let Some(response) = self.subscriptions.next_response(now) {
                self.subscriptions.publish_figures();
                return Some(Ok(response));
            }
            self.subscriptions.publish_figures();
            if more {
                // Long work is done in pieces, so that other streams get their turn.
                tokio::task::yield_now().await;
                continue;
            }
            if let Some(over) = self.wait().await {
                return over.map(Err);
            }
        }
    }

    /// Takes a request and finished lookups, without waiting. `Some`: the stream is over.
    fn read_ready(&mut self) -> Option<Option<Status>> {
        while let Some(Some(done)) = self.lookups.next().now_or_never() {
            self.looked_up(done);
        }
        if self.reads_requests()
            && let Some(request) = self.requests.next().now_or_never()
        {
            return self.request(request);
        }
        None
    }

    /// Waits until there may be something to do. `Some`: the stream is over.
    async fn wait(&mut self) -> Option<Option<Status>> {
        let reads = self.reads_requests();
        let next_tick = self.subscriptions.next_tick();
        let tick_or_end = next_tick.map_or(self.ends_at, |tick| tick.min(self.ends_at));
        let sleep = pin!(sleep_until(tick_or_end));
        tokio::select! {
            request = self.requests.next(), if reads => self.request(request),
            Some(done) = self.lookups.next(), if !self.lookups.is_empty() => {
                self.looked_up(done);
                None
            }
            () = self.edge.word() => None,
            () = self.shutdown.cancelled(), if self.ending.is_none() => {
                let spread = self.server.jitter.up_to(self.server.config.drain_spread);
                self.ends_at = self.ends_at.min(Instant::now() + spread);
                self.ending = Some(Status::unavailable("shutting down"));
                None
            }
            () = sleep => None,
        }
    }

    fn reads_requests(&self) -> bool {
        self.backlog.is_none()
            && self.subscriptions.accepts_requests()
            && self.cold.len() < self.server.config.max_subscriptions
    }

    fn request(&mut self, request: Option<Result<DeltaRequest, Status>>) -> Option<Option<Status>> {
        match request {
            None => Some(None),
            Some(Err(status)) => {
                tracing::debug!(node_id = self.edge.node_id, %status, "xDS stream ended");
                Some(Some(status))
            }
            Some(Ok(request)) => {
                self.take_request(request);
                None
            }
        }
    }

    fn take_request(&mut self, request: DeltaRequest) {
        // Only the first may say what the client holds.
        let first = std::mem::take(&mut self.fresh);
        let now = Instant::now();
        self.backlog = request::take(&mut self.subscriptions, request, first, now);
        self.tell_source();
    }

    /// Does what can be done without waiting, up to a bound. True: there is more.
    fn work(&mut self, now: Instant) -> bool {
        let inbox = self.edge.take();
        for name in &inbox.used {
            self.subscriptions.used(name);
        }
        for name in &inbox.changed {
            self.subscriptions.changed(name);
        }
        if inbox.changed_all {
            self.subscriptions.changed_all();
        }
        if self.backlog.as_mut().is_some_and(|backlog| !backlog.work(&mut self.subscriptions)) {
            self.backlog = None;
        }
        self.subscriptions.tick(now);
        let more = self.ask(now) || self.subscriptions.compare_more() || self.backlog.is_some();
        self.start_lookups();
        more
    }

    /// Puts questions to the source's memory. True: there may be more of them.
    fn ask(&mut self, now: Instant) -> bool {
        for _ in 0..QUESTIONS_AT_A_TIME {
            let Some(mut question) = self.subscriptions.next_question() else { return false };
            match self.server.source.peek(&self.edge.node_id, &question.name) {
                Some(answer @ (Lookup::Ready(_) | Lookup::Absent)) => {
                    self.subscriptions.answer(question.key, answer, now);
                }
                Some(Lookup::Missing) if self.subscriptions.is_held(question.key) => {
                    // Whether it was removed has to be looked up.
                    question.unhurried = true;
                    self.cold_unhurried.push_back(question);
                }
                Some(Lookup::Missing) => {
                    self.subscriptions.answer(question.key, Lookup::Missing, now);
                }
                Some(answer) if !question.owed => {
                    self.subscriptions.answer(question.key, answer, now);
                }
                Some(Lookup::Pending | Lookup::Unavailable) | None => {
                    self.subscriptions.hold(question.key, now);
                    if question.unhurried {
                        self.cold_unhurried.push_back(question);
                    } else {
                        self.cold.push_back(question);
                    }
                }
            }
        }
        true
    }

    fn start_lookups(&mut self) {
        while self.lookups.len() - self.unhurried_running < self.server.config.lookups_per_stream
            && let Some(question) = self.cold.pop_front()
        {
            self.start(question);
        }
        while self.unhurried_running < BACKGROUND_LOOKUPS_PER_STREAM
            && let Some(question) = self.cold_unhurried.pop_front()
        {
            self.unhurried_running += usize::from(self.start(question));
        }
    }

    fn start(&mut self, question: Question) -> bool {
        let Question { key, name, unhurried, .. } = question;
        if !self.subscriptions.is_live(key) {
            return false;
        }
        let (server, edge) = (Arc::clone(&self.server), Arc::clone(&self.edge));
        let held = self.subscriptions.held_version(key);
        self.lookups.push(Box::pin(async move {
            // Closing the semaphore is nowhere done; without a permit the lookup is merely early.
            let _permit = match unhurried {
                true => server.background_lookups.acquire().await.ok(),
                false => None,
            };
            let lookup = async {
                let answer = server.source.lookup(&edge.node_id, &name).await;
                let (Lookup::Missing, Some(version)) = (&answer, held) else { return answer };
                match server.source.removed(&name, &version).await {
                    Removed::Yes => Lookup::Absent,
                    Removed::No => answer,
                    Removed::NotKnown => Lookup::Unavailable,
                }
            };
            let lookup = timeout(server.config.max_wait, lookup).await;
            (key, unhurried, lookup.unwrap_or(Lookup::Unavailable))
        }));
        true
    }

    fn looked_up(&mut self, (key, unhurried, lookup): (Key, bool, Lookup)) {
        self.unhurried_running -= usize::from(unhurried);
        self.subscriptions.answer(key, lookup, Instant::now());
    }

    fn tell_source(&mut self) {
        let (source, node_id) = (&self.server.source, &self.edge.node_id);
        for event in self.subscriptions.take_events() {
            match event {
                Event::Delivered(name, version) => {
                    source.delivered(&name, &version.to_string(), node_id);
                }
                Event::Rejected(name, version, detail) => {
                    let version = version.to_string();
                    tracing::warn!(%name, version, node_id, detail, "an edge refused a certificate");
                    source.rejected(&name, &version, node_id, &detail);
                }
            }
        }
    }
}

fn subscriptions(
    server: &Arc<XdsServer>,
    edge: &Arc<Edge>,
    sketch: Arc<Mutex<Sketch>>,
    now: Instant,
) -> Subscriptions<Registration> {
    let config = &server.config;
    let limits = Limits {
        budget: edge.budget,
        max_subscriptions: config.max_subscriptions,
        max_wait: config.max_wait,
        retry_after: config.retry_after,
        eviction_grace: config.eviction_grace,
        removal_gap: config.removal_gap,
    };
    let registration = Registration::new(Arc::clone(server), Arc::clone(edge));
    let figures = Arc::clone(&edge.figures);
    Subscriptions::new(edge.stream_id, limits, registration, sketch, figures, now)
}
