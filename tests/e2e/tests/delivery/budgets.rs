//! How many certificates an Envoy is left with.

use std::time::Duration;

use sealwax_testkit::{Envoy, PATIENCE, http, wait_until};

use crate::support::Delivery;

#[tokio::test]
async fn two_envoys_keep_their_own_budgets_and_ask_again_for_what_left() {
    const NAMES: usize = 40;
    let delivery = Delivery::start(|config| {
        config.max_names_per_edge = 1000;
        config.edge_budgets.insert("small".to_owned(), 10);
        config.eviction_grace = Duration::from_millis(200);
    })
    .await;
    let names: Vec<_> = (0..NAMES).map(|n| format!("shop-{n}.example.com")).collect();
    names.iter().for_each(|name| delivery.issue(name));
    let small = delivery.envoy("small", &[]).await;
    let large = delivery.envoy("large", &[]).await;
    let visitor = delivery.visitor();
    let mut served = Vec::new();
    for name in &names {
        let one = visitor.visit(small.https(), name).await.unwrap();
        assert_eq!(visitor.visit(large.https(), name).await.unwrap(), one);
        served.push(one);
    }
    let (few, all) = (delivery.settled("small").await, delivery.settled("large").await);
    assert_eq!((few.budget, all.budget, all.resident, all.evictions), (10, 1000, NAMES, 0));
    assert!(few.evictions >= 30, "{few:?}");
    // What the server believes is what the Envoys hold.
    holds(&small, few.resident).await;
    holds(&large, NAMES).await;

    for (name, before) in names.iter().zip(&served) {
        assert_eq!(visitor.visit(small.https(), name).await.unwrap(), *before, "{name}");
    }
    let pushes = delivery.view("small").pushes;
    assert!(pushes > few.pushes, "it asked again for names that had left");
    assert_eq!(delivery.view("large").pushes, all.pushes);
}

/// Waits until Envoy has so many certificates.
async fn holds(envoy: &Envoy, count: usize) {
    let mut last = String::new();
    let what = format!("Envoy to hold {count} certificates");
    let wanted = format!("cert_active: {count}");
    let held = wait_until(&what, PATIENCE, async || {
        let path = "/stats?filter=cert_active";
        last = http::get(envoy.admin(), "localhost", path).await.ok()?.text();
        last.lines().any(|line| line.ends_with(&wanted)).then_some(())
    });
    let held = held.await;
    held.unwrap_or_else(|error| panic!("{error:#}; it says {last}"));
}
