//! The life of a stream.

use super::Proxy;
use crate::observed::{LocalReply, Outcome, StreamId};
use crate::request::Request;
use crate::settings::FailurePolicy;
use crate::vm_state::{Access, Context, Stream};
use crate::wire::Headers;

/// What a callback answers to hold a stream.
const PAUSE: u32 = 1;

impl Proxy {
    /// Sends a request's headers through the guest of a worker.
    pub fn request(&mut self, worker: usize, request: Request) -> StreamId {
        self.request_under(crate::instance::ROOT, worker, request)
    }

    pub(super) fn request_under(&mut self, root: u32, worker: usize, request: Request) -> StreamId {
        let open = self.settings.failure_policy == FailurePolicy::Open;
        let Some(admitted) = self.admit(worker) else {
            return self.bypass(worker, if open { Outcome::Continued } else { Outcome::Refused });
        };
        let generation = admitted.generation;
        let instance = &mut admitted.instance;
        let context = instance.allocate_context();
        let id = StreamId { worker, generation, context };
        let count = u32::try_from(request.headers.len()).unwrap_or(u32::MAX);
        let mut stream = Stream::new(request.properties);
        stream.request.headers = request.headers;
        stream.request.access = Access::Open;
        stream.outcome = Outcome::Paused;
        let stream = Box::new(stream);
        instance.state_mut().contexts.insert(context, Context::Stream { root, stream });
        instance.fuel = 0;
        instance.callback("proxy_on_context_create", context, &[context, root]);
        let end = u32::from(!request.has_body);
        let action = instance.callback("proxy_on_request_headers", context, &[context, count, end]);
        let broken = instance.broken.is_some();
        if let Some(stream) = instance.state_mut().stream(context) {
            if broken {
                stream.request.access = Access::Absent;
                stream.outcome = if open { Outcome::Continued } else { Outcome::Refused };
            } else if action != Some(PAUSE) && stream.outcome == Outcome::Paused {
                stream.request.access = Access::Absent;
                stream.outcome = Outcome::Continued;
            }
        }
        self.deliver_queues();
        id
    }

    fn bypass(&mut self, worker: usize, outcome: Outcome) -> StreamId {
        // Context 0 is no stream's, so these ids meet no other.
        self.next_bypassed += 1;
        let id = StreamId { worker, generation: u32::MAX - self.next_bypassed, context: 0 };
        self.bypassed.push((id, outcome));
        id
    }

    /// Where a stream stands. A stream that ended stands nowhere: [`Outcome::Reset`].
    #[must_use]
    pub fn outcome(&mut self, id: StreamId) -> Outcome {
        if let Some((_, outcome)) = self.bypassed.iter().find(|(bypassed, _)| *bypassed == id) {
            return outcome.clone();
        }
        // Paused streams of a replaced instance hang, as they do in Envoy.
        match self.stream(id) {
            Some(stream) => stream.outcome.clone(),
            None => Outcome::Reset,
        }
    }

    /// The reply a stream got, if it got one.
    #[must_use]
    pub fn reply(&mut self, id: StreamId) -> Option<LocalReply> {
        match self.outcome(id) {
            Outcome::Replied(reply) => Some(reply),
            Outcome::Paused | Outcome::Continued | Outcome::Reset | Outcome::Refused => None,
        }
    }

    /// The request's headers as the origin gets them.
    #[must_use]
    pub fn request_headers(&mut self, id: StreamId) -> Headers {
        self.stream(id).map(|stream| stream.request.headers.clone()).unwrap_or_default()
    }

    /// Sends the origin's response headers through the guest; answers what the client gets.
    pub fn respond(&mut self, id: StreamId, headers: Headers) -> Headers {
        let count = u32::try_from(headers.len()).unwrap_or(u32::MAX);
        let Some(stream) = self.stream(id) else { return headers };
        if stream.outcome != Outcome::Continued {
            return Vec::new();
        }
        stream.response.headers = headers;
        stream.response.access = Access::Open;
        let arguments = [id.context, count, 1];
        let Some(worker) = self.workers.get_mut(id.worker) else { return Vec::new() };
        worker.instance.fuel = 0;
        let action = worker.instance.callback("proxy_on_response_headers", id.context, &arguments);
        let Some(stream) = self.stream(id) else { return Vec::new() };
        stream.response_paused = action == Some(PAUSE);
        if !stream.response_paused {
            stream.response.access = Access::Absent;
        }
        stream.response.headers.clone()
    }

    /// Sends a piece of the request's body through the guest; answers the piece as it goes on, or
    /// `None` if the guest holds it.
    pub fn request_body(&mut self, id: StreamId, piece: &[u8], end: bool) -> Option<Vec<u8>> {
        let bytes = u32::try_from(piece.len()).unwrap_or(u32::MAX);
        self.stream(id)?.request_body = Some(piece.to_vec());
        let arguments = [id.context, bytes, u32::from(end)];
        let worker = self.workers.get_mut(id.worker)?;
        worker.instance.fuel = 0;
        let action = worker.instance.callback("proxy_on_request_body", id.context, &arguments);
        let body = self.stream(id)?.request_body.take();
        body.filter(|_| action != Some(PAUSE))
    }

    /// Ends a stream, as when the client goes away or has its answer: done, log, delete.
    pub fn end(&mut self, id: StreamId) {
        self.bypassed.retain(|(bypassed, _)| *bypassed != id);
        if self.stream(id).is_none() {
            return;
        }
        let Some(worker) = self.workers.get_mut(id.worker) else { return };
        let instance = &mut worker.instance;
        if let Some(stream) = instance.state_mut().stream(id.context) {
            stream.request.access = Access::ReadOnly;
            stream.response.access = Access::ReadOnly;
        }
        instance.fuel = 0;
        for callback in ["proxy_on_done", "proxy_on_log", "proxy_on_delete"] {
            instance.callback(callback, id.context, &[id.context]);
        }
        instance.state_mut().contexts.remove(&id.context);
    }

    fn stream(&mut self, id: StreamId) -> Option<&mut Stream> {
        let worker = self.workers.get_mut(id.worker)?;
        if worker.generation != id.generation {
            return None;
        }
        worker.instance.state_mut().stream(id.context)
    }
}
