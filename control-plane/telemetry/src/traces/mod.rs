//! Traces over OTLP, where configured: one for each handshake that waits for its certificate,
//! from its ask to the push that an edge took.
//!
//! ```text
//!  handshake ── ask ── confirm ── place_order, observe, answer, … ── write ── push
//! ```
//!
//! The work goes through a queue, a store and other tasks that do not know of traces, so what
//! belongs together is found by the domain: the values that measure the parts tell their steps
//! here, as they tell the [trail](crate::trail). Attributes are names and outcomes, never what a
//! CA or a customer wrote, and no token or key.

mod export;

use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use moka::sync::Cache;
use opentelemetry::trace::{
    Span as _, SpanKind, Status, TraceContextExt as _, Tracer as _, TracerProvider as _,
};
use opentelemetry::{Context, KeyValue};
use opentelemetry_sdk::trace::{SdkTracer, SdkTracerProvider, Span};
use sealwax_core::Timestamp;
use sealwax_protocol::DomainName;

pub use export::ExportError;

/// Most handshakes traced at a time; beyond it the oldest traces end early.
const OPEN_MAX: u64 = 10_000;
/// Longest trace: an issuance that takes longer waits for its schedule and not for a handshake.
const LIFE: Duration = Duration::from_secs(600);
/// How long the last spans may take to be delivered when the process stops.
const FLUSH_WITHIN: Duration = Duration::from_secs(2);

/// The open traces; none are made where none are wanted. Cheap to clone.
#[derive(Clone, Default)]
pub struct Traces(Option<Arc<Inner>>);

struct Inner {
    provider: SdkTracerProvider,
    tracer: SdkTracer,
    open: Cache<DomainName, Arc<Handshake>>,
}

/// A handshake that may have to wait.
struct Handshake {
    begun: Timestamp,
    edge: String,
    /// Made with the first step: names that are in the catalog leave no trace.
    root: OnceLock<Context>,
    /// When its certificate was found.
    found: Mutex<Option<SystemTime>>,
}

impl Traces {
    /// Over a provider.
    #[must_use]
    pub fn over(provider: SdkTracerProvider) -> Self {
        let tracer = provider.tracer("sealwax");
        let open = Cache::builder().max_capacity(OPEN_MAX).time_to_live(LIFE).build();
        Self(Some(Arc::new(Inner { provider, tracer, open })))
    }

    /// An edge asks for a name; called before anybody else hears of it.
    pub(crate) fn asking(&self, domain: &DomainName, edge: &str, now: Timestamp) {
        let Some(inner) = &self.0 else { return };
        inner.open.entry_by_ref(domain).or_insert_with(|| {
            Arc::new(Handshake {
                begun: now,
                edge: edge.to_owned(),
                root: OnceLock::new(),
                found: Mutex::default(),
            })
        });
    }

    /// It has to wait.
    pub(crate) fn held(&self, domain: &DomainName, asked: Timestamp, answer: &'static str) {
        let Some((inner, handshake)) = self.open(domain) else { return };
        let ask = inner.tracer.span_builder("ask").with_start_time(moment(asked));
        let mut span = inner.tracer.build_with_context(ask, handshake.root(inner, domain));
        span.set_attribute(KeyValue::new("sealwax.answer", answer));
        span.end();
    }

    /// The certificate is there, and on its way to the edge.
    pub(crate) fn found(&self, domain: &DomainName) {
        let Some((inner, handshake)) = self.open(domain) else { return };
        if handshake.root.get().is_none() {
            // It was there all the time.
            inner.open.invalidate(domain);
            return;
        }
        let mut found = handshake.found.lock().unwrap_or_else(PoisonError::into_inner);
        found.get_or_insert_with(opentelemetry::time::now);
    }

    /// An edge took it: the handshake's wait is over.
    pub(crate) fn delivered(&self, domain: &DomainName, edge: &str) {
        self.pushed(domain, edge, Status::Ok);
    }

    /// An edge refused it.
    pub(crate) fn rejected(&self, domain: &DomainName, edge: &str) {
        self.pushed(domain, edge, Status::error("the edge refused the certificate"));
    }

    /// Nothing will come for the name.
    pub(crate) fn absent(&self, domain: &DomainName) {
        let Some((inner, handshake)) = self.open(domain) else { return };
        inner.open.invalidate(domain);
        handshake.end(Status::error("no certificate for this name"));
    }

    /// A step of the work on a domain; without a handshake that waits for it there is none.
    pub(crate) fn step(&self, domain: &DomainName, name: &'static str) -> Step {
        let Some((inner, handshake)) = self.open(domain) else { return Step(None) };
        let builder = inner.tracer.span_builder(name).with_kind(SpanKind::Internal);
        Step(Some(inner.tracer.build_with_context(builder, handshake.root(inner, domain))))
    }

    /// Delivers what is left; blocks for at most two seconds.
    pub fn stop(&self) {
        if let Some(inner) = &self.0
            && let Err(error) = inner.provider.shutdown_with_timeout(FLUSH_WITHIN)
        {
            tracing::debug!(%error, "the last traces are lost");
        }
    }

    fn pushed(&self, domain: &DomainName, edge: &str, status: Status) {
        let Some((inner, handshake)) = self.open(domain) else { return };
        let Some(root) = handshake.root.get() else { return };
        inner.open.invalidate(domain);
        let found = *handshake.found.lock().unwrap_or_else(PoisonError::into_inner);
        let mut push = inner.tracer.span_builder("push").with_kind(SpanKind::Producer);
        push.start_time = found;
        let mut span = inner.tracer.build_with_context(push, root);
        span.set_attribute(KeyValue::new("sealwax.edge", edge.to_owned()));
        span.set_status(status.clone());
        span.end();
        handshake.end(status);
    }

    fn open(&self, domain: &DomainName) -> Option<(&Inner, Arc<Handshake>)> {
        let inner = self.0.as_ref()?;
        Some((inner, inner.open.get(domain)?))
    }
}

impl Handshake {
    fn root(&self, inner: &Inner, domain: &DomainName) -> &Context {
        self.root.get_or_init(|| {
            let root = inner.tracer.span_builder("handshake").with_kind(SpanKind::Server);
            let root = root.with_start_time(moment(self.begun)).with_attributes([
                KeyValue::new("sealwax.domain", domain.as_str().to_owned()),
                KeyValue::new("sealwax.edge", self.edge.clone()),
            ]);
            let span = inner.tracer.build_with_context(root, &Context::new());
            Context::new().with_span(span)
        })
    }

    fn end(&self, status: Status) {
        if let Some(root) = self.root.get() {
            root.span().set_status(status);
            root.span().end();
        }
    }
}

/// A step under way.
pub(crate) struct Step(Option<Span>);

impl Step {
    /// Whose part it is.
    pub(crate) fn at(mut self, issuer: &str) -> Self {
        if let Some(span) = &mut self.0 {
            span.set_attribute(KeyValue::new("sealwax.issuer", issuer.to_owned()));
        }
        self
    }

    /// It is over: with an outcome, or an error's kind.
    pub(crate) fn end(self, outcome: Result<&'static str, &'static str>) {
        let Some(mut span) = self.0 else { return };
        match outcome {
            Ok(word) => span.set_attribute(KeyValue::new("sealwax.outcome", word)),
            Err(kind) => span.set_status(Status::error(kind)),
        }
        span.end();
    }
}

fn moment(at: Timestamp) -> SystemTime {
    UNIX_EPOCH + Duration::from_millis(at.millis())
}

#[cfg(test)]
mod tests {
    use opentelemetry_sdk::error::OTelSdkResult;
    use opentelemetry_sdk::trace::{SpanData, SpanExporter};

    use super::*;

    #[derive(Clone, Debug, Default)]
    struct Kept(Arc<Mutex<Vec<SpanData>>>);

    impl SpanExporter for Kept {
        async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
            self.0.lock().unwrap().extend(batch);
            Ok(())
        }
    }

    fn traces() -> (Traces, Kept) {
        let kept = Kept::default();
        let provider = SdkTracerProvider::builder().with_simple_exporter(kept.clone()).build();
        (Traces::over(provider), kept)
    }

    fn name() -> DomainName {
        DomainName::parse("a.example.com").unwrap()
    }

    #[test]
    fn a_handshake_that_waits_is_one_trace_from_its_ask_to_the_push() {
        let (traces, kept) = traces();
        let now = Timestamp::from_secs(1_767_225_600);
        traces.asking(&name(), "edge-1", now);
        // Someone works on it before the ask is answered.
        traces.step(&name(), "confirm").end(Ok("granted"));
        traces.held(&name(), now, "pending");
        traces.asking(&name(), "edge-2", now);
        traces.step(&name(), "place_order").at("ca").end(Err("retry"));
        traces.found(&name());
        traces.delivered(&name(), "edge-1");
        traces.delivered(&name(), "edge-2");
        let spans = kept.0.lock().unwrap().clone();
        let names: Vec<_> = spans.iter().map(|span| span.name.as_ref()).collect();
        assert_eq!(names, ["confirm", "ask", "place_order", "push", "handshake"]);
        let root = spans.last().unwrap();
        assert!(spans.iter().all(|span| {
            span.span_context.trace_id() == root.span_context.trace_id()
                && (span.name == "handshake" || span.parent_span_id == root.span_context.span_id())
        }));
        assert_eq!(root.start_time, moment(now));
        assert_eq!(spans[2].status, Status::error("retry"));
    }

    #[test]
    fn what_is_served_at_once_and_what_nobody_waits_for_leave_no_trace() {
        let (traces, kept) = traces();
        traces.asking(&name(), "edge-1", Timestamp::from_secs(1));
        traces.found(&name());
        traces.delivered(&name(), "edge-1");
        traces.step(&name(), "confirm").end(Ok("granted"));
        traces.absent(&name());
        assert_eq!(kept.0.lock().unwrap().len(), 0);
        let off = Traces::default();
        off.asking(&name(), "edge-1", Timestamp::from_secs(1));
        off.step(&name(), "confirm").end(Ok("granted"));
    }
}
