//! Private keys stay where they belong.

use base64::Engine as _;
use sealwax_testkit::http;

use crate::support::Delivery;

#[tokio::test]
async fn no_private_key_is_in_envoys_dump_statistics_or_log() {
    let delivery = Delivery::start(|_| {}).await;
    let name = "blog.example.com";
    let pair = delivery.authority.pair(name);
    delivery.serve(name, &pair);
    let envoy = delivery.envoy("edge-1", &[]).await;
    delivery.visitor().visit(envoy.https(), name).await.unwrap();

    // A line of the PEM in clear, and as the dump spells bytes.
    let line = pair.key.lines().nth(1).unwrap();
    let encoded = base64::prelude::BASE64_STANDARD.encode(&pair.key);
    let encoded = encoded.get(40..120).unwrap();
    let mut said = vec![envoy.log(), format!("{:?}", delivery.server)];
    for path in ["/config_dump?include_eds", "/stats", "/clusters", "/certs"] {
        said.push(http::get(envoy.admin(), "localhost", path).await.unwrap().text());
    }
    assert!(said[2].contains(name), "the dump has the secret's name");
    for text in said {
        assert!(!text.contains(line) && !text.contains(encoded), "a key is in {text:.200}");
    }
}
