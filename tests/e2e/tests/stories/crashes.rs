//! `kill -9` at any moment: nothing issued is lost, nothing ordered is ordered again.

use std::time::Duration;

use sealwax_testkit::{Line, LineSettings, PATIENCE, wait_until};

#[tokio::test]
async fn killed_in_the_middle_of_an_order_it_finishes_that_order() {
    let mut line = Line::start(LineSettings::default()).await.unwrap();
    line.control_plane.admin().register("blog.example.com").await.unwrap();

    // The order stands still where the CA fetches the challenge's answer.
    line.validations.hold();
    let asked = line.control_plane.edge().ask("blog.example.com").await.unwrap();
    assert_eq!(asked.0, 202, "{}", asked.1);
    let validating = wait_until("Pebble to validate", PATIENCE, async || {
        line.pebble.challenge_path("blog.example.com")
    });
    validating.await.unwrap();
    line.control_plane.kill();
    line.control_plane.restart().await.unwrap();
    line.validations.pass();

    let admin = line.control_plane.admin();
    admin.await_state("blog.example.com", "issued", PATIENCE).await.unwrap();
    line.visitor().unwrap().visit(line.https(), "blog.example.com").await.unwrap();
    assert_eq!((line.pebble.orders(), line.pebble.certificates()), (1, 1));
}

#[tokio::test]
async fn killed_at_every_stage_of_an_order_each_domain_ends_with_one_certificate() {
    const STEP_BYTES: u64 = 2_500;
    let mut line = Line::start(LineSettings::default()).await.unwrap();
    let mut kills = 0;
    for stage in 1..=6 {
        let domain = format!("stage-{stage}.example.com");
        line.control_plane.admin().register(&domain).await.unwrap();
        // How much was said with the CA tells how far an order is. If it is done before that much
        // was said, the kill hits a domain that was just issued, which is a stage as well.
        let until = line.to_ca.bytes() + stage * STEP_BYTES;
        line.control_plane.edge().ask(&domain).await.unwrap();
        let admin = line.control_plane.admin();
        let reached = wait_until("the stage", PATIENCE, async || {
            let said = line.to_ca.bytes() >= until;
            let issued = admin.show(&domain).await.ok()?["state"] == "issued";
            (said || issued).then_some(())
        });
        reached.await.unwrap();
        line.control_plane.kill();
        kills += 1;
        line.control_plane.restart().await.unwrap();
        let mut mended = serde_json::Value::Null;
        let issued = wait_until("the certificate", PATIENCE, async || {
            let record = admin.show(&domain).await.ok()?;
            // While it was dead the CA may have asked for the challenge and got a 503: that order
            // has failed, and the schedule would place the next one in a minute. Asked for once:
            // a second time may come when the certificate is there, and order another one.
            if record["failure"].is_object() && record["failure"] != mended {
                admin.renew(&domain).await.ok()?;
                mended = record["failure"].clone();
            }
            (record["state"] == "issued").then_some(())
        });
        issued.await.unwrap();
    }
    assert_eq!(line.pebble.certificates(), 6, "no domain got a second certificate");
    // An answer that was on its way when the process died is lost with it: nobody knows that
    // order, and it stays unfinished.
    assert!(line.pebble.orders() <= 6 + kills, "{} orders", line.pebble.orders());
}

#[tokio::test]
async fn after_kill_9_every_issued_certificate_is_served_without_asking_the_ca() {
    let mut line = Line::start(LineSettings::default()).await.unwrap();
    let visitor = line.visitor().unwrap();
    let domains = ["a.example.com", "b.example.com", "c.example.com"];
    let mut before = Vec::new();
    for domain in domains {
        line.control_plane.admin().register(domain).await.unwrap();
        before.push(visitor.visit(line.https(), domain).await.unwrap());
    }
    line.control_plane.kill();
    line.pebble.kill();
    line.control_plane.restart().await.unwrap();

    // An Envoy that has seen none of them.
    let fresh = line.another_envoy("edge-2").await.unwrap();
    for (domain, served) in domains.into_iter().zip(before) {
        let attempt = visitor.handshake(fresh.https(), domain).await;
        assert_eq!(attempt.outcome.unwrap(), served);
        assert!(attempt.took < Duration::from_secs(2), "{:?}", attempt.took);
    }
}

#[tokio::test]
async fn it_ends_when_asked_to_and_comes_back_with_everything() {
    let mut line = Line::start(LineSettings::default()).await.unwrap();
    line.control_plane.admin().register("blog.example.com").await.unwrap();
    let visitor = line.visitor().unwrap();
    let before = visitor.visit(line.https(), "blog.example.com").await.unwrap();
    let status = line.control_plane.terminate().await.unwrap();
    assert!(status.success(), "{status}");
    line.control_plane.restart().await.unwrap();
    let fresh = line.another_envoy("edge-2").await.unwrap();
    assert_eq!(visitor.visit(fresh.https(), "blog.example.com").await.unwrap(), before);
}
