//! Which names are seen most: what edges that are connected here asked for and reported.

use std::sync::Arc;

use sealwax_protocol::DomainName;
use sealwax_workflow::campaign::Popularity;
use sealwax_xds::XdsServer;

pub(super) struct BusiestAtEdges(pub(super) Arc<XdsServer>);

impl Popularity for BusiestAtEdges {
    fn busiest(&self, most: usize) -> Vec<DomainName> {
        self.0.busiest(most)
    }
}
