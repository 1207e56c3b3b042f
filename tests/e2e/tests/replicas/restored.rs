//! A table that was restored behind the fleet.

use sealwax_testkit::{PATIENCE, http, wait_until};

use crate::site::{Replica, Site};

const PREFIX: &str = "kind = \"dynamodb\"\ntable_prefix = \"restored\"";

async fn get(replica: &Replica, path: &str) -> http::Response {
    http::get(replica.control_plane.admin_address(), "localhost", path).await.unwrap()
}

async fn says(replica: &Replica, status: u16, why: &str) {
    let said = async || {
        let ready = get(replica, "/readyz").await;
        (ready.status == status && ready.text().contains(why)).then_some(())
    };
    wait_until(why, PATIENCE, said).await.unwrap();
    let trusted = get(replica, "/metrics").await.text();
    let line = if status == 200 { "sealwax_store_trusted 1" } else { "sealwax_store_trusted 0" };
    assert!(trusted.lines().any(|told| told == line), "{line}");
}

#[tokio::test]
async fn a_restored_table_is_told_by_every_replica_until_it_is_accepted() {
    let mut site = Site::start().await;
    let (visitor, admin) = (site.visitor(), site.a.control_plane.admin());
    for name in ["known", "removed"] {
        admin.register(&format!("{name}.example.com")).await.unwrap();
        site.served_by_b(&format!("{name}.example.com")).await;
    }
    // The restore point.
    let folder = site.a.control_plane.folder().to_owned();
    let config = std::fs::read_to_string(site.a.control_plane.config_file()).unwrap();
    let restored = config.replace("kind = \"dynamodb\"", PREFIX);
    std::fs::write(folder.join("restored.toml"), restored).unwrap();
    let copy = ["store", "copy", "--config", "sealwax.toml", "--to", "restored.toml"];
    let copied = site.a.control_plane.run(&copy).await.unwrap();
    assert!(copied.status.success(), "{}", String::from_utf8_lossy(&copied.stderr));

    // The store's mark is moved every minute, and by a start.
    site.a.control_plane.restart().await.unwrap();
    let path = "/v1/domains/removed.example.com";
    assert!(admin.send("DELETE", path, "").await.unwrap().status < 300);
    admin.register("later.example.com").await.unwrap();
    let later = site.served_by_b("later.example.com").await;
    let b_envoy = site.b.envoy.https();
    let refused = wait_until("the removal", PATIENCE, async || {
        visitor.visit(b_envoy, "removed.example.com").await.err()
    });
    refused.await.unwrap();

    for replica in [&mut site.a, &mut site.b] {
        replica.control_plane.reconfigure("kind = \"dynamodb\"", PREFIX).unwrap();
        replica.control_plane.restart_unready().await.unwrap();
    }
    for replica in [&site.a, &site.b] {
        says(replica, 503, "it is an older copy").await;
        let doctor = ["doctor", "--config", "sealwax.toml"];
        let doctor = replica.control_plane.run(&doctor).await.unwrap();
        let doctor = String::from_utf8_lossy(&doctor.stdout).into_owned();
        assert!(doctor.contains("sealwax store accept"), "{doctor}");
    }
    assert_eq!(visitor.visit(b_envoy, "later.example.com").await.unwrap(), later);
    visitor.visit(b_envoy, "removed.example.com").await.expect("the copy has it");
    assert!(admin.send("DELETE", path, "").await.unwrap().status < 300);

    let accepted = site.a.control_plane.run(&["store", "accept"]).await.unwrap();
    assert!(accepted.status.success(), "{}", String::from_utf8_lossy(&accepted.stderr));
    for replica in [&site.a, &site.b] {
        says(replica, 200, "").await;
    }
    let refused = wait_until("the removal", PATIENCE, async || {
        visitor.visit(b_envoy, "removed.example.com").await.err()
    });
    refused.await.unwrap();
    assert_eq!(visitor.visit(b_envoy, "later.example.com").await.unwrap(), later);
    assert_eq!(site.issued(), (3, 3), "nothing was ordered again");
}
