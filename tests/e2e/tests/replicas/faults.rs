//! A store that refuses a replica: credentials that ended, a clock that is wrong, a role without a
//! right, credentials that cannot be had. All of them pass, and none of them ends a replica that
//! has something to serve.

use sealwax_testkit::{PATIENCE, http, wait_until};

use crate::site::{Replica, Site};

const KNOWN: &str = "known.example.com";

/// As DynamoDB says them.
const REFUSALS: [(&str, &str); 4] = [
    ("ExpiredTokenException", "The security token included in the request is expired"),
    (
        "InvalidSignatureException",
        "Signature expired: 20261130T200000Z is now earlier than 20261130T205500Z",
    ),
    ("AccessDeniedException", "User is not authorized to perform: dynamodb:GetItem"),
    ("UnrecognizedClientException", "The security token included in the request is invalid."),
];

/// B has served the name, and keeps it on its disk.
async fn with_a_copy() -> Site {
    let site = Site::start().await;
    site.a.control_plane.admin().register(KNOWN).await.unwrap();
    site.served_by_b(KNOWN).await;
    let copy = site.b.control_plane.folder().join("sealwax-last-good").join(KNOWN);
    let copied = wait_until("the copy", PATIENCE, async || copy.exists().then_some(()));
    copied.await.unwrap();
    site
}

async fn until_ready(replica: &Replica) {
    let admin = replica.control_plane.admin_address();
    let ready = wait_until("the replica to be ready", PATIENCE, async || {
        let answer = http::get(admin, "localhost", "/readyz").await.ok()?;
        (answer.status == 200).then_some(())
    });
    ready.await.unwrap();
}

#[tokio::test]
async fn whatever_the_store_refuses_a_replica_with_a_copy_starts_serves_and_recovers() {
    let mut site = with_a_copy().await;
    let before = site.visitor().visit(site.b.envoy.https(), KNOWN).await.unwrap();
    for (code, message) in REFUSALS {
        site.store.refuse(code, message).await.unwrap();
        let answer = site.b.control_plane.restart_unready().await.unwrap();
        assert_eq!(answer.status, 503, "{code}: {}", answer.text());
        assert!(answer.text().contains(code), "{}", answer.text());
        assert!(answer.text().contains("last-good copy"), "{}", answer.text());
        let doctor = site.b.control_plane.run(&["doctor", "--config", "sealwax.toml"]);
        let doctor = doctor.await.unwrap();
        let said = String::from_utf8_lossy(&doctor.stdout).into_owned();
        assert!(said.contains(code), "doctor says why: {said}");
    }
    // An Envoy that has nothing of its own.
    let fresh = site.another_envoy_of_b().await;
    assert_eq!(site.visitor().visit(fresh.https(), KNOWN).await.unwrap(), before);
    assert_eq!(site.issued(), (1, 1), "never an order without the store");

    site.store.accept().await.unwrap();
    until_ready(&site.b).await;
    site.b.control_plane.admin().register("new.example.com").await.unwrap();
    site.visitor().visit(fresh.https(), "new.example.com").await.unwrap();
    assert_eq!(site.issued(), (2, 2));

    // One that runs goes on as well, and says it once.
    let (code, message) = REFUSALS[0];
    let told = site.b.control_plane.log().matches(code).count();
    site.store.refuse(code, message).await.unwrap();
    let said = wait_until("the log to say it", PATIENCE, async || {
        (site.b.control_plane.log().matches(code).count() > told).then_some(())
    });
    said.await.unwrap();
    let fresh = site.another_envoy_of_b().await;
    assert_eq!(site.visitor().visit(fresh.https(), KNOWN).await.unwrap(), before);
    let lines = site.b.control_plane.log().matches(code).count() - told;
    assert!(lines <= 3, "not once for each question: {}", site.b.control_plane.log());
    site.store.accept().await.unwrap();
    until_ready(&site.b).await;
}

#[tokio::test]
async fn credentials_that_cannot_be_had_are_waited_for() {
    let mut site = with_a_copy().await;
    let before = site.visitor().visit(site.b.envoy.https(), KNOWN).await.unwrap();
    let answer = site.b.control_plane.restart_without_credentials().await.unwrap();
    assert_eq!(answer.status, 503, "{}", answer.text());
    assert!(answer.text().contains("credentials"), "{}", answer.text());
    let fresh = site.another_envoy_of_b().await;
    assert_eq!(site.visitor().visit(fresh.https(), KNOWN).await.unwrap(), before);

    let credentials = "[default]\naws_access_key_id = test\naws_secret_access_key = test\n";
    std::fs::write(site.b.control_plane.folder().join("credentials"), credentials).unwrap();
    until_ready(&site.b).await;
}
