//! The SDK's requests, answered by the engine in the same process.

use std::fmt;
use std::sync::Arc;

use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_runtime_api::http::StatusCode;
use aws_smithy_types::body::SdkBody;
use dynoxide::actions::transact_write_items::TransactWriteItemsRequest;
use dynoxide::{Database, DynoxideError};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::Semaphore;

use super::engine::Opened;

/// Most requests in the engine at a time. It runs one statement at a time; the rest of the work
/// is reading and writing JSON. What comes on top waits here, and not on a thread.
const IN_FLIGHT: usize = 8;

/// Longest request for a few items: one domain's, with its certificate, has half of it.
const QUICK_BYTES_MAX: usize = 1024;

/// A transport without a wire.
#[derive(Clone)]
pub(super) struct InProcess {
    /// A request under way keeps the folder: nobody else may open the file before it ends.
    opened: Arc<Opened>,
    room: Arc<Semaphore>,
}

impl InProcess {
    pub(super) fn new(opened: Arc<Opened>) -> Self {
        Self { opened, room: Arc::new(Semaphore::new(IN_FLIGHT)) }
    }
}

impl fmt::Debug for InProcess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("InProcess")
    }
}

impl HttpClient for InProcess {
    fn http_connector(
        &self,
        _settings: &HttpConnectorSettings,
        _components: &RuntimeComponents,
    ) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}

impl HttpConnector for InProcess {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let this = self.clone();
        HttpConnectorFuture::new(async move {
            let failed = |error: Box<dyn std::error::Error + Send + Sync>| {
                ConnectorError::other(error, None)
            };
            let idle = this.room.available_permits() == IN_FLIGHT;
            let permit = Arc::clone(&this.room).acquire_owned().await;
            let permit = permit.map_err(|closed| failed(closed.into()))?;
            let (status, body) = if idle && is_quick(&request) {
                answer(&this.opened.database, &request)
            } else {
                let answered = tokio::task::spawn_blocking(move || {
                    let answer = answer(&this.opened.database, &request);
                    drop(permit);
                    answer
                });
                answered.await.map_err(|error| failed(error.into()))?
            };
            let status = StatusCode::try_from(status).map_err(|error| failed(error.into()))?;
            Ok(HttpResponse::new(status, SdkBody::from(body)))
        })
    }
}

/// Whether it is done in less time than it takes to wake a thread for it: a few items, by key.
fn is_quick(request: &HttpRequest) -> bool {
    matches!(operation(request), "BatchGetItem" | "GetItem")
        && request.body().bytes().is_some_and(|body| body.len() <= QUICK_BYTES_MAX)
}

fn operation(request: &HttpRequest) -> &str {
    let target = request.headers().get("x-amz-target").unwrap_or_default();
    target.rsplit('.').next().unwrap_or_default()
}

fn answer(database: &Database, request: &HttpRequest) -> (u16, String) {
    let body = request.body().bytes().unwrap_or_default();
    match dispatch(database, operation(request), body) {
        Ok(body) => (200, body),
        Err(error) => (error.status_code(), error.to_json()),
    }
}

fn dispatch(database: &Database, operation: &str, body: &[u8]) -> Result<String, DynoxideError> {
    match operation {
        "BatchGetItem" => run(body, |request| database.batch_get_item(request)),
        "CreateTable" => run(body, |request| database.create_table(request)),
        "DeleteItem" => run(body, |request| database.delete_item(request)),
        "DescribeTable" => run(body, |request| database.describe_table(request)),
        "DescribeTimeToLive" => run(body, |request| database.describe_time_to_live(request)),
        "GetItem" => run(body, |request| database.get_item(request)),
        "PutItem" => run(body, |request| database.put_item(request)),
        "Query" => run(body, |request| database.query(request)),
        // The engine keeps every token and its answer for ten minutes, and looks through all of
        // them at each transaction. Nothing is lost between here and there; and what is sent twice
        // is known by its write id.
        "TransactWriteItems" => run(body, |request: TransactWriteItemsRequest| {
            database.transact_write_items(TransactWriteItemsRequest {
                client_request_token: None,
                ..request
            })
        }),
        "UpdateItem" => run(body, |request| database.update_item(request)),
        "UpdateTimeToLive" => run(body, |request| database.update_time_to_live(request)),
        other => Err(DynoxideError::ValidationException(format!("{other} is not used here"))),
    }
}

fn run<Q: DeserializeOwned, A: Serialize>(
    body: &[u8],
    call: impl FnOnce(Q) -> Result<A, DynoxideError>,
) -> Result<String, DynoxideError> {
    let request = serde_json::from_slice(body)
        .map_err(|error| DynoxideError::SerializationException(error.to_string()))?;
    serde_json::to_string(&call(request)?)
        .map_err(|error| DynoxideError::InternalServerError(error.to_string()))
}
