//! What this crate asks of the rest of the control plane.

use std::sync::Arc;

use async_trait::async_trait;
use sealwax_protocol::DomainName;

use crate::ServedCertificate;

/// What may be served for a name, now.
#[derive(Clone, Debug)]
pub enum Lookup {
    /// Serve this.
    Ready(Arc<ServedCertificate>),
    /// Allowed and being issued: the handshake is held up to
    /// [`XdsConfig::max_wait`](crate::XdsConfig::max_wait), until
    /// [`XdsServer::changed`](crate::XdsServer::changed) is called for the name.
    Pending,
    /// May not be served: answered with a removal at once.
    Absent,
    /// The store cannot be reached and nothing is cached: held and asked again. A certificate an
    /// edge already holds is never withdrawn for this.
    Unavailable,
}

/// Where certificates come from.
#[async_trait]
pub trait CertificateSource: Send + Sync + 'static {
    /// The edge `node_id` needs this name; behind mutual TLS that id has been checked against its
    /// certificate. The source may load the name or start to issue it, and should answer
    /// [`Lookup::Pending`] rather than wait for a CA: a lookup that takes longer than
    /// [`XdsConfig::max_wait`](crate::XdsConfig::max_wait) is answered with a removal. A name
    /// this edge may not have is [`Lookup::Absent`].
    ///
    /// The certificate may be one made for another name that covers this one: it is sent under
    /// the name that was asked for.
    async fn lookup(&self, node_id: &str, name: &DomainName) -> Lookup;

    /// What is known without waiting and without starting anything; `None`: only
    /// [`Self::lookup`] can tell. Called for every name of a reconnecting edge, so it has to be
    /// cheap, and must not call back into the server.
    fn peek(&self, node_id: &str, name: &DomainName) -> Option<Lookup>;

    /// An edge refused a version; it is not sent to that edge again. `detail` is the edge's own
    /// text, cut to [`DETAIL_BYTES_MAX`](crate::DETAIL_BYTES_MAX) bytes.
    fn rejected(&self, name: &DomainName, version: &str, node_id: &str, detail: &str);

    /// An edge acknowledged a version.
    fn delivered(&self, name: &DomainName, version: &str, node_id: &str) {
        let _: (&DomainName, &str, &str) = (name, version, node_id);
    }
}
