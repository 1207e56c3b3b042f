//! A transport that records every request and lets chosen ones fail, for tests.
//!
//! It sits where the network would be, under the SDK's own retries, so what is tested is what
//! runs in production.

mod answer;

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient,
    SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::body::SdkBody;
use serde_json::{Value, json};

use answer::{cancelled, failure, units, with_left_over};

/// Most answers of index queries kept for [`WireFault::StaleIndex`].
const REMEMBERED_MAX: usize = 256;

/// What goes wrong with one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WireFault {
    /// `ThrottlingException`, HTTP 400; nothing is done.
    Throttled,
    /// `ProvisionedThroughputExceededException`, HTTP 400; nothing is done.
    ThroughputExceeded,
    /// HTTP 500; nothing is done.
    ServerError,
    /// No answer; nothing is done.
    TimeoutBefore,
    /// No answer, although it was done.
    TimeoutAfter,
    /// A transaction collides with another; nothing is done.
    TransactionConflict,
    /// A batch is answered in part; the rest is left over.
    PartialBatch,
    /// A query of an index is answered as the same one was before, if it was.
    StaleIndex,
    /// A query gives one item at a time.
    SmallPages,
}

/// One request as it was sent.
#[derive(Clone, Debug, PartialEq)]
pub struct Call {
    /// `GetItem`, `Query`, …
    pub operation: String,
    /// The index queried.
    pub index: Option<String>,
    /// Capacity units it used, as the endpoint says.
    pub units: f64,
    /// What went wrong with it.
    pub fault: Option<WireFault>,
    /// A transaction's client request token.
    pub token: Option<String>,
}

type Decide = dyn FnMut(&str) -> Option<WireFault> + Send;

/// The tap and the saboteur on the wire.
#[derive(Default)]
pub struct Wire {
    calls: Mutex<Vec<Call>>,
    decide: Mutex<Option<Box<Decide>>>,
    remembered: Mutex<VecDeque<(Value, HttpAnswer)>>,
    one_at_a_time: Option<tokio::sync::Mutex<()>>,
}

#[derive(Clone)]
struct HttpAnswer {
    status: u16,
    body: Vec<u8>,
}

impl Wire {
    /// Records, and lets everything through.
    #[must_use]
    pub fn new() -> Arc<Self> {
        Arc::new(Self::default())
    }

    /// As [`Wire::new`], and sends one request at a time: for an endpoint whose conditional
    /// writes are not atomic.
    #[must_use]
    pub fn one_at_a_time() -> Arc<Self> {
        Arc::new(Self { one_at_a_time: Some(tokio::sync::Mutex::default()), ..Self::default() })
    }

    /// Puts it around a transport.
    #[must_use]
    pub fn around(self: &Arc<Self>, inner: SharedHttpClient) -> SharedHttpClient {
        SharedHttpClient::new(Tapped { wire: Arc::clone(self), inner })
    }

    /// Decides about each request by its operation from now on.
    pub fn sabotage(&self, decide: impl FnMut(&str) -> Option<WireFault> + Send + 'static) {
        *lock(&self.decide) = Some(Box::new(decide));
    }

    /// Lets the first `times` requests of this operation fail (`*`: of any).
    pub fn fail(&self, operation: &'static str, fault: WireFault, times: usize) {
        let mut left = times;
        self.sabotage(move |sent| {
            let hit = left > 0 && (operation == "*" || operation == sent);
            left -= usize::from(hit);
            hit.then_some(fault)
        });
    }

    /// Ends the sabotage.
    pub fn heal(&self) {
        *lock(&self.decide) = None;
    }

    /// What was sent since this was last asked.
    pub fn take_calls(&self) -> Vec<Call> {
        std::mem::take(&mut lock(&self.calls))
    }

    async fn pass(
        &self,
        inner: SharedHttpConnector,
        mut request: HttpRequest,
    ) -> Result<HttpResponse, ConnectorError> {
        let turn = match &self.one_at_a_time {
            Some(turns) => Some(turns.lock().await),
            None => None,
        };
        let target = request.headers().get("x-amz-target").unwrap_or_default();
        let operation = target.rsplit('.').next().unwrap_or_default().to_owned();
        let sent = request.body().bytes().unwrap_or_default();
        let mut body: Value = serde_json::from_slice(sent).map_err(other)?;
        // Compared as a value: the SDK writes maps in any order.
        let asked = body.clone();
        let index = body.get("IndexName").and_then(Value::as_str).map(str::to_owned);
        let fault = lock(&self.decide).as_mut().and_then(|decide| decide(&operation));
        let number = {
            let mut calls = lock(&self.calls);
            let token = body.get("ClientRequestToken").and_then(Value::as_str).map(str::to_owned);
            calls.push(Call { operation: operation.clone(), index, units: 0.0, fault, token });
            calls.len() - 1
        };
        if let Some(answer) = self.instead(fault, &body) {
            return answer;
        }
        if !matches!(operation.as_str(), "CreateTable" | "DescribeTable")
            && !operation.contains("TimeToLive")
            && !operation.contains("Backups")
        {
            set(&mut body, "ReturnConsumedCapacity", json!("TOTAL"));
        }
        let mut left_over = None;
        match fault {
            Some(WireFault::PartialBatch) => left_over = answer::hold_back(&mut body),
            Some(WireFault::SmallPages) if operation == "Query" => {
                set(&mut body, "Limit", json!(1))
            }
            _ => {}
        }
        replace_body(&mut request, &body)?;
        let answer = read(inner.call(request).await?).await?;
        drop(turn);
        let (used, answer) = units(answer.body).map(|(used, body)| {
            (used, HttpAnswer { status: answer.status, body: with_left_over(body, left_over) })
        })?;
        if let Some(call) = lock(&self.calls).get_mut(number) {
            call.units = used;
        }
        self.remember(asked, &answer);
        if fault == Some(WireFault::TimeoutAfter) {
            return Err(ConnectorError::timeout("the answer got lost".into()));
        }
        answer.into_response()
    }

    /// The answer that a fault gives without asking the endpoint.
    fn instead(
        &self,
        fault: Option<WireFault>,
        body: &Value,
    ) -> Option<Result<HttpResponse, ConnectorError>> {
        let answer = match fault? {
            WireFault::Throttled => failure(400, "ThrottlingException"),
            WireFault::ThroughputExceeded => failure(400, "ProvisionedThroughputExceededException"),
            WireFault::ServerError => failure(500, "InternalServerError"),
            WireFault::TransactionConflict => cancelled(body, "TransactionConflict"),
            WireFault::TimeoutBefore => {
                return Some(Err(ConnectorError::timeout("no answer".into())));
            }
            WireFault::StaleIndex => {
                let remembered = lock(&self.remembered);
                let found = remembered.iter().rev().find(|(asked, _)| asked == body);
                return found.map(|(_, answer)| answer.clone().into_response());
            }
            WireFault::TimeoutAfter | WireFault::PartialBatch | WireFault::SmallPages => {
                return None;
            }
        };
        Some(answer.into_response())
    }

    fn remember(&self, asked: Value, answer: &HttpAnswer) {
        let mut remembered = lock(&self.remembered);
        remembered.push_back((asked, answer.clone()));
        if remembered.len() > REMEMBERED_MAX {
            remembered.pop_front();
        }
    }
}

impl fmt::Debug for Wire {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Wire")
    }
}

impl HttpAnswer {
    fn into_response(self) -> Result<HttpResponse, ConnectorError> {
        let status = self.status.try_into().map_err(other)?;
        Ok(HttpResponse::new(status, SdkBody::from(self.body)))
    }
}

#[derive(Debug)]
struct Tapped {
    wire: Arc<Wire>,
    inner: SharedHttpClient,
}

impl HttpClient for Tapped {
    fn http_connector(
        &self,
        settings: &HttpConnectorSettings,
        components: &RuntimeComponents,
    ) -> SharedHttpConnector {
        let inner = self.inner.http_connector(settings, components);
        SharedHttpConnector::new(TappedConnector { wire: Arc::clone(&self.wire), inner })
    }
}

#[derive(Debug)]
struct TappedConnector {
    wire: Arc<Wire>,
    inner: SharedHttpConnector,
}

impl HttpConnector for TappedConnector {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let (wire, inner) = (Arc::clone(&self.wire), self.inner.clone());
        HttpConnectorFuture::new(async move { wire.pass(inner, request).await })
    }
}

async fn read(response: HttpResponse) -> Result<HttpAnswer, ConnectorError> {
    let status = response.status().as_u16();
    let body = aws_smithy_types::byte_stream::ByteStream::new(response.into_body());
    let body = body.collect().await.map_err(other)?.to_vec();
    Ok(HttpAnswer { status, body })
}

fn replace_body(request: &mut HttpRequest, body: &Value) -> Result<(), ConnectorError> {
    let bytes = serde_json::to_vec(body).map_err(other)?;
    let length = bytes.len().to_string();
    *request.body_mut() = SdkBody::from(bytes);
    if request.headers().contains_key("content-length") {
        request.headers_mut().insert("content-length", length);
    }
    Ok(())
}

fn set(body: &mut Value, name: &str, value: Value) {
    if let Some(fields) = body.as_object_mut() {
        fields.insert(name.to_owned(), value);
    }
}

fn other(error: impl std::error::Error + Send + Sync + 'static) -> ConnectorError {
    ConnectorError::other(error.into(), None)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
