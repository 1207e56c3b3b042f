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
    /// May not be served, and there is evidence of it: a removed domain, a record without a
    /// certificate, a domain of another edge. Answered with a removal at once; an edge that holds
    /// it loses it, as fast as the brake allows.
    Absent,
    /// The store has nothing of it. A name that no edge holds is answered with a removal at once;
    /// one that an edge holds stays with it unless [`CertificateSource::removed`] knows of a
    /// removal: a store that is empty, older or another one is silent in the same way.
    Missing,
    /// The store cannot be reached and nothing is cached: held and asked again. A certificate an
    /// edge already holds is never withdrawn for this.
    Unavailable,
}

/// Whether a name was removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Removed {
    /// There is evidence of it.
    Yes,
    /// There is none.
    No,
    /// It cannot be found out now: the edge keeps the name, and it is asked again.
    NotKnown,
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

    /// Whether there is evidence that a [`Lookup::Missing`] name was removed. Asked only about
    /// names that an edge holds, with the version it holds.
    async fn removed(&self, name: &DomainName, version: &str) -> Removed {
        let _: (&DomainName, &str) = (name, version);
        Removed::No
    }

    /// An edge refused a version; it is not sent to that edge again. `detail` is the edge's own
    /// text, cut to [`DETAIL_BYTES_MAX`](crate::DETAIL_BYTES_MAX) bytes.
    fn rejected(&self, name: &DomainName, version: &str, node_id: &str, detail: &str);

    /// An edge acknowledged a version.
    fn delivered(&self, name: &DomainName, version: &str, node_id: &str) {
        let _: (&DomainName, &str, &str) = (name, version, node_id);
    }
}
