//! The server everything is compared with: certificates in a map, encoded ahead of time; an answer
//! for every name asked for, a removal for those it does not have; no store, no checks, no
//! subscriptions, no memory of what was sent.

use std::collections::HashMap;
use std::convert::Infallible;
use std::marker::PhantomData;
use std::sync::Arc;
use std::task::{Context, Poll};

use anyhow::Result;
use bytes::Bytes;
use futures::future::BoxFuture;
use futures::stream::{self, BoxStream, StreamExt as _};
use prost::Message;
use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::codegen::Service;
use tonic::server::{Grpc, StreamingService};
use tonic::{Request, Status, Streaming};

const SECRET: &str = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret";

/// A certificate to serve.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Certificate {
    /// The name it is asked for by.
    pub name: String,
    /// Leaf first.
    pub chain_pem: String,
    /// Its key.
    pub key_pem: String,
}

/// Serves on a listener until it fails.
///
/// # Errors
/// The listener is unusable.
pub async fn serve(listener: TcpListener, certificates: Vec<Certificate>) -> Result<()> {
    let encoded = certificates.into_iter().map(|one| (one.name.clone(), resource(one)));
    let resources: Resources = Arc::new(encoded.collect());
    let incoming = stream::unfold(listener, |listener| async move {
        let connection = listener.accept().await.and_then(|(connection, _)| {
            connection.set_nodelay(true)?;
            Ok(connection)
        });
        Some((connection, listener))
    });
    // On every path: Envoy asks on one only.
    let server = tonic::transport::Server::builder();
    Ok(server.serve_with_incoming(Trivial(resources), incoming).await?)
}

type Resources = Arc<HashMap<String, Bytes>>;

#[derive(Clone)]
struct Trivial(Resources);

impl Service<hyper::Request<tonic::body::Body>> for Trivial {
    type Response = hyper::Response<tonic::body::Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: hyper::Request<tonic::body::Body>) -> Self::Future {
        let this = self.clone();
        Box::pin(async move { Ok(Grpc::new(Protobuf).streaming(this, request).await) })
    }
}

impl StreamingService<DeltaRequest> for Trivial {
    type Response = DeltaResponse;
    type ResponseStream = BoxStream<'static, Result<DeltaResponse, Status>>;
    type Future = BoxFuture<'static, Result<tonic::Response<Self::ResponseStream>, Status>>;

    fn call(&mut self, request: Request<Streaming<DeltaRequest>>) -> Self::Future {
        let resources = Arc::clone(&self.0);
        let mut sent = 0_u64;
        let answers = request.into_inner().flat_map(move |request| {
            let asked = request.map(|request| request.subscribe).unwrap_or_default();
            let answers: Vec<_> = asked
                .into_iter()
                .map(|name| {
                    sent += 1;
                    Ok(answer(&resources, name, sent))
                })
                .collect();
            stream::iter(answers)
        });
        Box::pin(async move { Ok(tonic::Response::new(answers.boxed())) })
    }
}

fn answer(resources: &Resources, name: String, nonce: u64) -> DeltaResponse {
    let mut response = DeltaResponse {
        type_url: SECRET.to_owned(),
        nonce: nonce.to_string(),
        ..DeltaResponse::default()
    };
    match resources.get(&name) {
        Some(resource) => response.resources.push(resource.clone()),
        None => response.removed.push(name),
    }
    response
}

fn resource(certificate: Certificate) -> Bytes {
    let source = |pem: String| Some(DataSource { inline_bytes: pem.into_bytes() });
    let tls = TlsCertificate {
        certificate_chain: source(certificate.chain_pem),
        private_key: source(certificate.key_pem),
    };
    let name = certificate.name;
    let secret = Secret { name: name.clone(), tls_certificate: Some(tls) };
    let any = Any { type_url: SECRET.to_owned(), value: secret.encode_to_vec() };
    let resource = Resource { version: "1".to_owned(), resource: Some(any), name };
    Bytes::from(resource.encode_to_vec())
}

// The parts of Envoy's messages that are used here.

#[derive(Clone, PartialEq, Message)]
struct DeltaRequest {
    #[prost(string, repeated, tag = "3")]
    subscribe: Vec<String>,
}

#[derive(Clone, PartialEq, Message)]
struct DeltaResponse {
    #[prost(bytes = "bytes", repeated, tag = "2")]
    resources: Vec<Bytes>,
    #[prost(string, tag = "4")]
    type_url: String,
    #[prost(string, tag = "5")]
    nonce: String,
    #[prost(string, repeated, tag = "6")]
    removed: Vec<String>,
}

#[derive(Clone, PartialEq, Message)]
struct Resource {
    #[prost(string, tag = "1")]
    version: String,
    #[prost(message, optional, tag = "2")]
    resource: Option<Any>,
    #[prost(string, tag = "3")]
    name: String,
}

#[derive(Clone, PartialEq, Message)]
struct Any {
    #[prost(string, tag = "1")]
    type_url: String,
    #[prost(bytes = "vec", tag = "2")]
    value: Vec<u8>,
}

#[derive(Clone, PartialEq, Message)]
struct Secret {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(message, optional, tag = "2")]
    tls_certificate: Option<TlsCertificate>,
}

#[derive(Clone, PartialEq, Message)]
struct TlsCertificate {
    #[prost(message, optional, tag = "1")]
    certificate_chain: Option<DataSource>,
    #[prost(message, optional, tag = "2")]
    private_key: Option<DataSource>,
}

#[derive(Clone, PartialEq, Message)]
struct DataSource {
    #[prost(bytes = "vec", tag = "2")]
    inline_bytes: Vec<u8>,
}

struct Protobuf;

impl Codec for Protobuf {
    type Encode = DeltaResponse;
    type Decode = DeltaRequest;
    type Encoder = Coder<DeltaResponse>;
    type Decoder = Coder<DeltaRequest>;

    fn encoder(&mut self) -> Self::Encoder {
        Coder(PhantomData)
    }

    fn decoder(&mut self) -> Self::Decoder {
        Coder(PhantomData)
    }
}

struct Coder<M>(PhantomData<M>);

impl<M: Message> Encoder for Coder<M> {
    type Item = M;
    type Error = Status;

    fn encode(&mut self, item: M, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        item.encode(buffer).map_err(|error| Status::internal(error.to_string()))
    }
}

impl<M: Message + Default> Decoder for Coder<M> {
    type Item = M;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<M>, Status> {
        M::decode(buffer).map(Some).map_err(|error| Status::internal(error.to_string()))
    }
}
