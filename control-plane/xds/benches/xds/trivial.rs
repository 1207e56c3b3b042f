//! The server everything is compared with: certificates in a map, an answer for every name asked
//! for, no subscriptions, no checks, no memory of what was sent. On the same transport.

use std::collections::HashMap;
use std::convert::Infallible;
use std::marker::PhantomData;
use std::net::SocketAddr;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures::future::BoxFuture;
use futures::stream::{self, BoxStream, StreamExt as _};
use prost::Message;
use tokio::net::TcpListener;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::codegen::Service;
use tonic::server::{Grpc, StreamingService};
use tonic::{Request, Status, Streaming};

use crate::messages::{Any, DataSource, DeltaRequest, Resource, SECRET, Secret, TlsCertificate};

/// As the wire has it, with the resources encoded ahead of time.
#[derive(Clone, PartialEq, Message)]
struct Response {
    #[prost(bytes = "bytes", repeated, tag = "2")]
    resources: Vec<Bytes>,
    #[prost(string, tag = "4")]
    type_url: String,
    #[prost(string, tag = "5")]
    nonce: String,
}

type Resources = Arc<HashMap<String, Bytes>>;

pub(crate) async fn start(names: &[String], chain: usize, key: usize) -> SocketAddr {
    let source = |len: usize| Some(DataSource { inline_bytes: vec![1; len] });
    let certificate = TlsCertificate { certificate_chain: source(chain), private_key: source(key) };
    let encoded = names.iter().map(|name| {
        let secret = Secret { name: name.clone(), tls_certificate: Some(certificate.clone()) };
        let any = Any { type_url: SECRET.to_owned(), value: secret.encode_to_vec() };
        let resource = Resource {
            version: "1".to_owned(),
            resource: Some(any),
            name: name.clone(),
            ttl: None,
        };
        (name.clone(), Bytes::from(resource.encode_to_vec()))
    });
    let resources: Resources = Arc::new(encoded.collect());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let incoming = stream::unfold(listener, |listener| async move {
        let connection = listener.accept().await.map(|(connection, _)| {
            connection.set_nodelay(true).unwrap();
            connection
        });
        Some((connection, listener))
    });
    let transport = tonic::transport::Server::builder()
        .initial_stream_window_size(1024 * 1024)
        .initial_connection_window_size(4 * 1024 * 1024);
    tokio::spawn(transport.serve_with_incoming(Trivial(resources), incoming));
    address
}

#[derive(Clone)]
struct Trivial(Resources);

impl Service<http::Request<tonic::body::Body>> for Trivial {
    type Response = http::Response<tonic::body::Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<tonic::body::Body>) -> Self::Future {
        let this = self.clone();
        Box::pin(async move { Ok(Grpc::new(Protobuf).streaming(this, request).await) })
    }
}

impl StreamingService<DeltaRequest> for Trivial {
    type Response = Response;
    type ResponseStream = BoxStream<'static, Result<Response, Status>>;
    type Future = BoxFuture<'static, Result<tonic::Response<Self::ResponseStream>, Status>>;

    fn call(&mut self, request: Request<Streaming<DeltaRequest>>) -> Self::Future {
        let resources = Arc::clone(&self.0);
        let mut sent = 0_u64;
        let answers = request.into_inner().flat_map(move |request| {
            let asked = request.map(|request| request.subscribe).unwrap_or_default();
            let found: Vec<_> = asked
                .iter()
                .filter_map(|name| resources.get(name))
                .map(|resource| {
                    sent += 1;
                    let resources = vec![resource.clone()];
                    Ok(Response { resources, type_url: SECRET.to_owned(), nonce: sent.to_string() })
                })
                .collect();
            stream::iter(found)
        });
        Box::pin(async move { Ok(tonic::Response::new(answers.boxed())) })
    }
}

struct Protobuf;

impl Codec for Protobuf {
    type Encode = Response;
    type Decode = DeltaRequest;
    type Encoder = Coder<Response>;
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
