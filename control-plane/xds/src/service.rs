//! The gRPC methods.

use std::convert::Infallible;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures::future::{self, BoxFuture};
use futures::stream::{self, BoxStream, StreamExt as _};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tonic::body::Body;
use tonic::codegen::Service;
use tonic::server::{Grpc, StreamingService};
use tonic::{Request, Status, Streaming};

use crate::XdsServer;
use crate::codec::Protobuf;
use crate::peer::Peer;
use crate::sotw::{StateNames, state_response};
use crate::stream::{EdgeStream, Removals};
use crate::subscription::Response;
use crate::wire::{DeltaRequest, DeltaResponse, SECRET_TYPE_URL, StateRequest, StateResponse};

const DELTA_ADS: &str =
    "/envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources";
const DELTA_SDS: &str = "/envoy.service.secret.v3.SecretDiscoveryService/DeltaSecrets";
const STATE_ADS: &str =
    "/envoy.service.discovery.v3.AggregatedDiscoveryService/StreamAggregatedResources";
const STATE_SDS: &str = "/envoy.service.secret.v3.SecretDiscoveryService/StreamSecrets";
/// How long a stream may be open before its first request.
const FIRST_REQUEST_WITHIN: Duration = Duration::from_secs(10);
/// Longest node id kept.
const NODE_ID_BYTES_MAX: usize = 256;

/// All methods of one server; cloned per connection.
#[derive(Clone, Debug)]
pub(crate) struct Discovery {
    pub(crate) server: Arc<XdsServer>,
    pub(crate) shutdown: CancellationToken,
}

impl Service<http::Request<Body>> for Discovery {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let limit = self.server.config.max_message_bytes;
        let discovery = self.clone();
        match request.uri().path() {
            DELTA_ADS => Box::pin(delta(Delta(discovery, Untyped::Ignored), limit, request)),
            DELTA_SDS => Box::pin(delta(Delta(discovery, Untyped::Secrets), limit, request)),
            STATE_ADS => Box::pin(state(State(discovery, Untyped::Ignored), limit, request)),
            STATE_SDS => Box::pin(state(State(discovery, Untyped::Secrets), limit, request)),
            _ => {
                let refusal = Status::unimplemented("only secret discovery is served").into_http();
                Box::pin(future::ready(Ok(refusal)))
            }
        }
    }
}

type Answered = Result<http::Response<Body>, Infallible>;

async fn delta(service: Delta, limit: usize, request: http::Request<Body>) -> Answered {
    let codec = Protobuf::<DeltaResponse, DeltaRequest>::new();
    Ok(Grpc::new(codec).max_decoding_message_size(limit).streaming(service, request).await)
}

async fn state(service: State, limit: usize, request: http::Request<Body>) -> Answered {
    let codec = Protobuf::<StateResponse, StateRequest>::new();
    Ok(Grpc::new(codec).max_decoding_message_size(limit).streaming(service, request).await)
}

/// What a request without a type is about: on the per-type service, secrets.
#[derive(Clone, Copy, Debug)]
enum Untyped {
    Ignored,
    Secrets,
}

struct Delta(Discovery, Untyped);

impl StreamingService<DeltaRequest> for Delta {
    type Response = DeltaResponse;
    type ResponseStream = BoxStream<'static, Result<DeltaResponse, Status>>;
    type Future = future::Ready<Result<tonic::Response<Self::ResponseStream>, Status>>;

    fn call(&mut self, request: Request<Streaming<DeltaRequest>>) -> Self::Future {
        let peer = peer_of(&request);
        let requests = request.into_inner().boxed();
        let responses = responses(&self.0, peer, requests, self.1, Removals::Sent);
        future::ready(responses.map(|responses| {
            tonic::Response::new(responses.map(|response| response.map(delta_response)).boxed())
        }))
    }
}

struct State(Discovery, Untyped);

impl StreamingService<StateRequest> for State {
    type Response = StateResponse;
    type ResponseStream = BoxStream<'static, Result<StateResponse, Status>>;
    type Future = future::Ready<Result<tonic::Response<Self::ResponseStream>, Status>>;

    fn call(&mut self, request: Request<Streaming<StateRequest>>) -> Self::Future {
        let (untyped, peer) = (self.1, peer_of(&request));
        let mut names = StateNames::default();
        let changes = request.into_inner().map(move |request| {
            request.map(|request| match is_secret(&request.type_url, untyped) {
                true => names.change(request),
                // Another type's names are no change of ours.
                false => DeltaRequest {
                    node: request.node,
                    type_url: request.type_url,
                    ..DeltaRequest::default()
                },
            })
        });
        let changes = changes.boxed();
        let responses = responses(&self.0, peer, changes, untyped, Removals::Unsayable);
        future::ready(responses.map(|responses| {
            let said = responses
                .filter_map(|response| future::ready(response.map(state_response).transpose()));
            tonic::Response::new(said.boxed())
        }))
    }
}

/// A connection that says nothing of its other end proves nothing.
fn peer_of<T>(request: &Request<T>) -> Peer {
    request.extensions().get().cloned().unwrap_or(Peer::Unproved)
}

type Requests = BoxStream<'static, Result<DeltaRequest, Status>>;

/// The responses of one stream, whatever the variant.
fn responses(
    discovery: &Discovery,
    peer: Peer,
    requests: Requests,
    untyped: Untyped,
    removals: Removals,
) -> Result<BoxStream<'static, Result<Response, Status>>, Status> {
    let Discovery { server, shutdown } = discovery.clone();
    let slot = Arc::clone(&server.stream_slots)
        .try_acquire_owned()
        .map_err(|_| Status::resource_exhausted("too many streams"))?;
    // Opened on the first poll: a client may wait for the response's head before it asks.
    let opening = stream::once(async move {
        match first_request(requests).await {
            Ok((node_id, _)) if !peer.may_be(&node_id) => {
                tracing::warn!(node_id, ?peer, "an edge is not who its certificate says");
                let said = "node.id is not a name in the client certificate";
                stream::once(future::ready(Err(Status::permission_denied(said)))).boxed()
            }
            Ok((node_id, requests)) => {
                let requests = only_secrets(requests, untyped, node_id.clone());
                let edge = EdgeStream::new(server, node_id, requests, removals, shutdown, slot);
                stream::unfold(Box::new(edge), |mut edge| async move {
                    edge.next().await.map(|response| (response, edge))
                })
                .boxed()
            }
            Err(status) => stream::once(future::ready(Err(status))).boxed(),
        }
    });
    Ok(opening.flatten().boxed())
}

/// Waits for the first request, which says who is there; it stays part of the requests.
async fn first_request(mut requests: Requests) -> Result<(String, Requests), Status> {
    let first = timeout(FIRST_REQUEST_WITHIN, requests.next())
        .await
        .map_err(|_| Status::deadline_exceeded("no request"))?
        .ok_or_else(|| Status::cancelled("no request"))??;
    let node_id = node_id(&first);
    Ok((node_id, stream::once(future::ready(Ok(first))).chain(requests).boxed()))
}

fn only_secrets(requests: Requests, untyped: Untyped, node_id: String) -> Requests {
    let mut warned = false;
    let mut ours = move |request: &DeltaRequest| {
        let ours = is_secret(&request.type_url, untyped);
        if !ours && !std::mem::replace(&mut warned, true) {
            // xDS has no way to tell; the edge's set-up has to change.
            let type_url = String::from_utf8_lossy(&request.type_url).into_owned();
            tracing::warn!(node_id, type_url, "an edge asks for a type not served here");
        }
        ours
    };
    requests.filter(move |request| future::ready(request.as_ref().map_or(true, &mut ours))).boxed()
}

fn is_secret(type_url: &[u8], untyped: Untyped) -> bool {
    type_url == SECRET_TYPE_URL.as_bytes()
        || matches!(untyped, Untyped::Secrets) && type_url.is_empty()
}

fn node_id(first: &DeltaRequest) -> String {
    let id: &[u8] = first.node.as_ref().map(|node| node.id.as_ref()).unwrap_or_default();
    String::from_utf8_lossy(id.get(..NODE_ID_BYTES_MAX).unwrap_or(id)).into_owned()
}

fn delta_response(response: Response) -> DeltaResponse {
    DeltaResponse {
        resources: response.resources,
        type_url: Bytes::from_static(SECRET_TYPE_URL.as_bytes()),
        nonce: response.nonce,
        removed: response.removed,
    }
}
