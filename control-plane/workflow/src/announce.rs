//! Who is told when a domain's served certificate changes.

use sealwax_protocol::DomainName;

/// The caches and streams of this process.
pub trait Announcer: Send + Sync + 'static {
    /// The domain's certificate, or its right to one, may be different now.
    fn changed(&self, domain: &DomainName);

    /// Anything may be different now: what changed in the meantime is not known.
    fn resync(&self);

    /// Every change from now on is told of.
    fn listening(&self) {}
}
