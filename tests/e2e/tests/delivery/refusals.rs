//! Certificates that Envoy refuses.

use std::time::Duration;

use sealwax_testkit::{PATIENCE, wait_until};

use crate::support::{Delivery, Pair, is_refused};

/// A certificate with another one's key.
fn unfit(delivery: &Delivery, name: &str) -> Pair {
    let (one, other) = (delivery.authority.pair(name), delivery.authority.pair(name));
    Pair { chain: one.chain, key: other.key }
}

#[tokio::test]
async fn a_refused_first_certificate_ends_its_handshakes_and_blocks_no_other_name() {
    let delivery = Delivery::start(|_| {}).await;
    let (bad, good) = ("bad.example.com", "good.example.com");
    delivery.serve(bad, &unfit(&delivery, bad));
    delivery.issue(good);
    let envoy = delivery.envoy("edge-1", &[]).await;
    let visitor = delivery.visitor();

    for _ in 0..3 {
        let attempt = visitor.handshake(envoy.https(), bad).await;
        assert!(is_refused(&attempt.outcome), "{:?}", attempt.outcome);
        assert!(attempt.took < Duration::from_secs(5), "{:?}", attempt.took);
    }
    visitor.visit(envoy.https(), good).await.unwrap();

    let refusals = delivery.refusals();
    assert_eq!(refusals.len(), 1, "sent once, whoever asks: {refusals:?}");
    assert_eq!(refusals[0].0, bad);
    let view = delivery.view("edge-1");
    assert_eq!((view.nacks, view.last_nack.unwrap().name.as_str()), (1, bad));

    delivery.issue(bad);
    visitor.visit(envoy.https(), bad).await.unwrap();
}

#[tokio::test]
async fn a_refused_renewal_leaves_the_good_certificate_in_use() {
    let delivery = Delivery::start(|_| {}).await;
    let name = "blog.example.com";
    delivery.issue(name);
    let envoy = delivery.envoy("edge-1", &[]).await;
    let visitor = delivery.visitor();
    let before = visitor.visit(envoy.https(), name).await.unwrap();

    delivery.serve(name, &unfit(&delivery, name));
    let refused = wait_until("the renewal to be refused", PATIENCE, async || {
        (!delivery.refusals().is_empty()).then_some(())
    });
    refused.await.unwrap();
    assert_eq!(visitor.visit(envoy.https(), name).await.unwrap(), before);

    delivery.issue(name);
    let renewed = wait_until("the next renewal to be served", PATIENCE, async || {
        let served = visitor.visit(envoy.https(), name).await.unwrap();
        (served != before).then_some(())
    });
    renewed.await.unwrap();
    assert_eq!(delivery.refusals().len(), 1);
}
