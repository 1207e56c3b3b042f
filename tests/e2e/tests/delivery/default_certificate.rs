//! Clients that name no host.

use std::net::SocketAddr;
use std::process::Stdio;

use sealwax_testkit::PATIENCE;

use crate::support::Delivery;

#[tokio::test]
async fn a_client_without_a_name_gets_the_default_domains_certificate_if_there_is_one() {
    let delivery = Delivery::start(|_| {}).await;
    delivery.issue("main.example.com");
    let with = delivery.envoy("with", &["--default-domain", "main.example.com"]).await;
    let shown = nameless(with.https()).await.expect("a certificate");
    assert!(shown.contains("DNS:main.example.com"), "{shown}");

    let without = delivery.envoy("without", &[]).await;
    assert_eq!(nameless(without.https()).await, None);
    delivery.visitor().visit(without.https(), "main.example.com").await.unwrap();
}

/// The names in the certificate shown to a client without SNI, as openssl prints them.
async fn nameless(address: SocketAddr) -> Option<String> {
    let script = format!(
        "openssl s_client -noservername -connect {address} </dev/null 2>/dev/null | \
         openssl x509 -noout -ext subjectAltName"
    );
    let output = tokio::process::Command::new("sh")
        .args(["-c", &script])
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let output = tokio::time::timeout(PATIENCE, output).await.unwrap().unwrap();
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}
