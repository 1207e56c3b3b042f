//! The messages on the wire, declared by hand.
//!
//! Not taken from a crate of all of Envoy's messages, for three reasons. A resource is encoded
//! once per certificate and shared, so a response carries encoded resources, not a tree. Every
//! `string` field is declared as `bytes`, which is the same on the wire: a name in a request is
//! whatever a TLS client put into its SNI, and one that is not UTF-8 would otherwise end the
//! whole stream, again after every reconnect. And it is a dozen small messages instead of a
//! thousand.

use bytes::Bytes;
use prost::Message;

/// The only type served.
pub const SECRET_TYPE_URL: &str =
    "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret";

/// `envoy.config.core.v3.Node`; the rest of it, a list of every extension Envoy has, is skipped.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Node {
    /// The edge's identity.
    #[prost(bytes = "bytes", tag = "1")]
    pub(crate) id: Bytes,
}

/// `google.rpc.Status`.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct RpcStatus {
    /// Envoy always writes 13 (internal).
    #[prost(int32, tag = "1")]
    pub(crate) code: i32,
    /// Why a response was refused.
    #[prost(bytes = "bytes", tag = "2")]
    pub(crate) message: Bytes,
}

/// One entry of `map<string, string>`.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct NameVersion {
    /// A resource name.
    #[prost(bytes = "bytes", tag = "1")]
    pub(crate) name: Bytes,
    /// The version the client holds.
    #[prost(bytes = "bytes", tag = "2")]
    pub(crate) version: Bytes,
}

/// `envoy.service.discovery.v3.DeltaDiscoveryRequest`.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct DeltaRequest {
    /// Only in a stream's first request, when Envoy is set up well.
    #[prost(message, optional, tag = "1")]
    pub(crate) node: Option<Node>,
    /// Which type this is about; may be empty on the per-type service.
    #[prost(bytes = "bytes", tag = "2")]
    pub(crate) type_url: Bytes,
    /// Names asked for from now on.
    #[prost(bytes = "bytes", repeated, tag = "3")]
    pub(crate) subscribe: Vec<Bytes>,
    /// Names no longer asked for.
    #[prost(bytes = "bytes", repeated, tag = "4")]
    pub(crate) unsubscribe: Vec<Bytes>,
    /// In a stream's first request: what the client holds.
    #[prost(message, repeated, tag = "5")]
    pub(crate) initial_versions: Vec<NameVersion>,
    /// The response this acknowledges or refuses.
    #[prost(bytes = "bytes", tag = "6")]
    pub(crate) response_nonce: Bytes,
    /// Present in a refusal.
    #[prost(message, optional, tag = "7")]
    pub(crate) error_detail: Option<RpcStatus>,
}

/// `envoy.service.discovery.v3.DeltaDiscoveryResponse`.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct DeltaResponse {
    /// Encoded `envoy.service.discovery.v3.Resource` messages.
    #[prost(bytes = "bytes", repeated, tag = "2")]
    pub(crate) resources: Vec<Bytes>,
    /// [`SECRET_TYPE_URL`].
    #[prost(bytes = "bytes", tag = "4")]
    pub(crate) type_url: Bytes,
    /// Unique in the stream.
    #[prost(bytes = "bytes", tag = "5")]
    pub(crate) nonce: Bytes,
    /// Names that are gone or never were.
    #[prost(bytes = "bytes", repeated, tag = "6")]
    pub(crate) removed: Vec<Bytes>,
}

/// `envoy.service.discovery.v3.DiscoveryRequest`.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct StateRequest {
    /// As in [`DeltaRequest`].
    #[prost(message, optional, tag = "2")]
    pub(crate) node: Option<Node>,
    /// All names asked for.
    #[prost(bytes = "bytes", repeated, tag = "3")]
    pub(crate) names: Vec<Bytes>,
    /// As in [`DeltaRequest`].
    #[prost(bytes = "bytes", tag = "4")]
    pub(crate) type_url: Bytes,
    /// As in [`DeltaRequest`].
    #[prost(bytes = "bytes", tag = "5")]
    pub(crate) response_nonce: Bytes,
    /// As in [`DeltaRequest`].
    #[prost(message, optional, tag = "6")]
    pub(crate) error_detail: Option<RpcStatus>,
}

/// `envoy.service.discovery.v3.DiscoveryResponse`.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct StateResponse {
    /// Of the response as a whole.
    #[prost(bytes = "bytes", tag = "1")]
    pub(crate) version: Bytes,
    /// Encoded `google.protobuf.Any` messages.
    #[prost(bytes = "bytes", repeated, tag = "2")]
    pub(crate) resources: Vec<Bytes>,
    /// [`SECRET_TYPE_URL`].
    #[prost(bytes = "bytes", tag = "4")]
    pub(crate) type_url: Bytes,
    /// Unique in the stream.
    #[prost(bytes = "bytes", tag = "5")]
    pub(crate) nonce: Bytes,
}
