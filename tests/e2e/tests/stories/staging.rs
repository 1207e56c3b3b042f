//! What failed is tried in the CA's staging until it is mended; production hears of it then.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on says so by a panic")]

use sealwax_testkit::{Bend, Line, LineSettings, PATIENCE, Pebble};
use serde_json::Value;

#[tokio::test]
async fn a_broken_domains_retries_hit_only_staging_until_it_is_mended() {
    let settings = LineSettings { bent: true, ..LineSettings::default() };
    let (line, staging) = Line::start_with_staging(settings).await.unwrap();
    let admin = line.control_plane.admin();
    let domain = "shop.example.com";
    let dns = [line.pebble.dns(), staging.dns()];
    for server in dns {
        server.forget(domain).await.unwrap();
    }
    admin.register(domain).await.unwrap();
    assert!(line.visitor().unwrap().visit(line.https(), domain).await.is_err());
    let attempts = |count: u64| move |record: &Value| record["failure"]["attempts"] == count;
    admin.show_until(domain, PATIENCE, attempts(1)).await.unwrap();
    let asked = |line: &Line, staging: &Pebble| (line.pebble.orders(), staging.orders());
    assert_eq!(asked(&line, &staging), (1, 0), "nothing had failed before the first order");

    let run = |arguments: &'static [&'static str]| line.control_plane.run(arguments);
    for attempt in 2..=4_u64 {
        let again = run(&["domain", "renew", "shop.example.com"]).await.unwrap();
        assert!(again.status.success(), "{again:?}");
        admin.show_until(domain, PATIENCE, attempts(attempt)).await.unwrap();
        let trials = usize::try_from(attempt).unwrap() - 1;
        assert_eq!(asked(&line, &staging), (1, trials));
    }
    let told = run(&["explain", "shop.example.com"]).await.unwrap();
    let told = String::from_utf8_lossy(&told.stdout).into_owned();
    assert!(told.contains("staging: 3 production attempts saved"), "{told}");
    assert!(told.contains("seen by pebble.staging: production was not asked"), "{told}");

    for server in dns {
        server.remember(domain).await.unwrap();
    }
    let mended = run(&["domain", "renew", "shop.example.com"]).await.unwrap();
    assert!(mended.status.success(), "{mended:?}");
    admin.await_state(domain, "issued", PATIENCE).await.unwrap();
    // The visitor trusts production's root only.
    line.visitor().unwrap().visit(line.https(), domain).await.unwrap();
    assert_eq!(asked(&line, &staging), (2, 4));
    assert_eq!((line.pebble.certificates(), staging.certificates()), (1, 0));
    assert_eq!((line.pebble.accounts(), staging.accounts()), (1, 1));

    // CAA records that name the account in production forbid the staging only.
    let domain = "caa.example.com";
    for server in dns {
        server.forget(domain).await.unwrap();
    }
    admin.register(domain).await.unwrap();
    line.control_plane.edge().ask(domain).await.unwrap();
    admin.show_until(domain, PATIENCE, attempts(1)).await.unwrap();
    for server in dns {
        server.remember(domain).await.unwrap();
    }
    line.bent.as_ref().unwrap().bend(&[Bend::Caa]);
    let mended = run(&["domain", "renew", "caa.example.com"]).await.unwrap();
    assert!(mended.status.success(), "{mended:?}");
    admin.await_state(domain, "issued", PATIENCE).await.unwrap();
    assert_eq!(asked(&line, &staging), (4, 5), "it was tried");
}
