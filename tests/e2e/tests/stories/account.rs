//! The account gets a new key while it is used.

use sealwax_testkit::{Line, LineSettings, PATIENCE};

#[tokio::test]
async fn a_domain_is_renewed_after_the_account_got_a_new_key() {
    let line = Line::start(LineSettings::default()).await.unwrap();
    let admin = line.control_plane.admin();
    admin.register("blog.example.com").await.unwrap();
    let visitor = line.visitor().unwrap();
    visitor.visit(line.https(), "blog.example.com").await.unwrap();
    let before = admin.await_state("blog.example.com", "issued", PATIENCE).await.unwrap();
    for command in ["account rollover pebble", "account contact pebble"] {
        let words: Vec<_> = command.split(' ').collect();
        let ran = line.control_plane.run(&words).await.unwrap();
        assert!(ran.status.success(), "{command}: {}", String::from_utf8_lossy(&ran.stderr));
    }
    admin.renew("blog.example.com").await.unwrap();
    let serial = |record: &serde_json::Value| record["certificate"]["serial"].clone();
    let renewed = |record: &serde_json::Value| serial(record) != serial(&before);
    admin.show_until("blog.example.com", PATIENCE, renewed).await.unwrap();
    let unknown = line.control_plane.run(&["account", "rollover", "other"]).await.unwrap();
    assert_eq!(unknown.status.code(), Some(3));
}
