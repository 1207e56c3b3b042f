//! Nothing that is printed shows a key.

use crate::support::{World, certificate};

#[tokio::test(start_paused = true)]
async fn no_debug_output_shows_a_key() {
    let world = World::new();
    let certificate = certificate("a.example.com", "1");
    let ready = sealwax_xds::Lookup::Ready(std::sync::Arc::clone(&certificate));
    for text in [
        format!("{certificate:?}"),
        format!("{ready:?}"),
        format!("{:?}", world.server),
        format!("{:?}", world.server.edges()),
    ] {
        assert!(!text.contains("key 1"), "{text}");
        assert!(!text.contains("chain 1"), "{text}");
    }
    assert!(format!("{certificate:?}").contains(certificate.version()));
}
