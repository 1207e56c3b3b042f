//! Many certificates are replaced by one command.

use futures::future::join_all;
use sealwax_testkit::{Line, LineSettings, PATIENCE};
use serde_json::Value;

#[tokio::test]
async fn a_campaign_replaces_every_certificate_that_was_there_once() {
    let line = Line::start(LineSettings { max_wait: "60s", ..LineSettings::default() });
    let line = line.await.unwrap();
    let admin = line.control_plane.admin();
    let visitor = line.visitor().unwrap();
    let domains: Vec<_> = (0..6).map(|n| format!("shop-{n}.example.com")).collect();
    for domain in &domains {
        admin.register(domain).await.unwrap();
    }
    let visits = || join_all(domains.iter().map(|domain| visitor.visit(line.https(), domain)));
    let before: Vec<_> = visits().await.into_iter().map(Result::unwrap).collect();
    for domain in &domains {
        admin.await_state(domain, "issued", PATIENCE).await.unwrap();
    }

    let command = "--json campaign start --before 1h --rate 5 --reason revoked --watch";
    let words: Vec<_> = command.split(' ').collect();
    let ran = line.control_plane.run(&words).await.unwrap();
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    let view: Value = serde_json::from_slice(&ran.stdout).unwrap();
    assert_eq!((&view["state"], &view["late"]), (&"finished".into(), &false.into()), "{view}");
    assert_eq!((view["replaced"].as_u64(), view["total"].as_u64()), (Some(6), Some(6)), "{view}");
    assert_eq!((line.pebble.orders(), line.pebble.certificates()), (12, 12));

    for (domain, before) in domains.iter().zip(before) {
        let pushed =
            sealwax_testkit::wait_until("the new one to be served", PATIENCE, async || {
                let served = visitor.visit(line.https(), domain).await.ok()?;
                (served != before).then_some(())
            });
        pushed.await.unwrap();
    }
}
