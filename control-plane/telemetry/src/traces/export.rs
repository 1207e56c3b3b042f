//! OTLP over HTTP, with the HTTP client and the runtime that are there already.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use http::{Request, Response};
use opentelemetry_http::{HttpClient, HttpError};
use opentelemetry_otlp::{Protocol, SpanExporter, WithExportConfig as _, WithHttpConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{
    BatchConfigBuilder, BatchSpanProcessor, Sampler, SdkTracerProvider,
};
use tokio::runtime::Handle;

use super::Traces;
use sealwax_config::Exporting;

/// How often finished spans are sent.
const SENT_EVERY: Duration = Duration::from_secs(1);
/// Most finished spans that wait to be sent; what does not fit is dropped.
const WAITING_MAX: usize = 8_192;
/// Most spans in one request.
const BATCH_MAX: usize = 512;
/// How long a collector may take.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);
/// Largest answer of a collector: real ones have some bytes.
const ANSWER_BYTES_MAX: usize = 64 * 1024;

impl Traces {
    /// To a collector. Within a runtime.
    ///
    /// # Errors
    /// The exporter cannot be made.
    pub fn to(exporting: &Exporting) -> Result<Self, ExportError> {
        let refused = |error: &dyn std::fmt::Display| ExportError(error.to_string());
        let client = Collector {
            http: reqwest::Client::builder()
                .timeout(ANSWER_WITHIN)
                .redirect(reqwest::redirect::Policy::none())
                .build()
                .map_err(|error| refused(&error))?,
            runtime: Handle::current(),
            failing: AtomicBool::new(false),
        };
        let exporter = SpanExporter::builder()
            .with_http()
            .with_http_client(client)
            .with_endpoint(exporting.url.as_str())
            .with_protocol(Protocol::HttpBinary)
            .with_timeout(ANSWER_WITHIN)
            .build()
            .map_err(|error| refused(&error))?;
        let bounds = BatchConfigBuilder::default()
            .with_scheduled_delay(SENT_EVERY)
            .with_max_queue_size(WAITING_MAX)
            .with_max_export_batch_size(BATCH_MAX)
            .build();
        let processor = BatchSpanProcessor::builder(exporter).with_batch_config(bounds).build();
        let percent = f64::from(u32::try_from(exporting.percent).unwrap_or(100).min(100));
        let share = Sampler::TraceIdRatioBased(percent / 100.0);
        let provider = SdkTracerProvider::builder()
            .with_span_processor(processor)
            .with_sampler(Sampler::ParentBased(Box::new(share)))
            .with_resource(Resource::builder().with_service_name("sealwax").build())
            .build();
        Ok(Self::over(provider))
    }
}

/// The traces cannot be exported.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct ExportError(String);

#[derive(Debug)]
struct Collector {
    http: reqwest::Client,
    /// Spans are sent from a thread of their own, which is not in the runtime.
    runtime: Handle,
    failing: AtomicBool,
}

#[async_trait]
impl HttpClient for Collector {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let (parts, body) = request.into_parts();
        let asked = self.http.request(parts.method, parts.uri.to_string());
        let asked = asked.headers(parts.headers).body(body);
        let done = self.runtime.spawn(answer(asked)).await;
        let done = done.map_err(HttpError::from).and_then(|done| done);
        let said = match &done {
            Ok(answer) if answer.status().is_success() => None,
            Ok(answer) => Some(answer.status().to_string()),
            Err(error) => Some(error.to_string()),
        };
        let failed_before = self.failing.swap(said.is_some(), Ordering::Relaxed);
        if let Some(error) = said.filter(|_| !failed_before) {
            tracing::warn!(
                error,
                "the collector does not take traces; they are dropped until it does"
            );
        }
        done
    }
}

async fn answer(asked: reqwest::RequestBuilder) -> Result<Response<Bytes>, HttpError> {
    let mut answer = asked.send().await?;
    let mut response = Response::builder().status(answer.status());
    if let Some(headers) = response.headers_mut() {
        headers.extend(answer.headers().clone());
    }
    let mut body = Vec::new();
    while let Some(chunk) = answer.chunk().await? {
        if body.len().saturating_add(chunk.len()) > ANSWER_BYTES_MAX {
            return Err("the collector's answer is larger than 64 KiB".into());
        }
        body.extend_from_slice(&chunk);
    }
    Ok(response.body(Bytes::from(body))?)
}
