//! What one tenant may take of an account.

use sealwax_core::budget::Limits;
use sealwax_core::record::Work;
use sealwax_core::store::Store as _;
use sealwax_core::{DomainState, Span};
use sealwax_workflow::Ask;

use crate::budget::orders;
use crate::common::World;

#[tokio::test(start_paused = true)]
async fn a_tenants_share_bounds_one_tenant_and_no_other() {
    let limits = Limits { tenant_share_permille: 200, ..orders(10, Span::from_secs(400 * 86_400)) };
    let world = World::new().limited(limits);
    let process = world.process("one");
    for number in 0..5 {
        let domain = world.register_for("greedy", &format!("a.greedy{number}.com")).await;
        process.run(&domain, Ask::Demand).await.unwrap();
    }
    assert_eq!(world.ca.orders(), 2);
    let modest = world.register_for("modest", "a.modest.com").await;
    process.run(&modest, Ask::Demand).await.unwrap();
    let record = world.entry(&modest).await.stored.record;
    assert_eq!((record.state(), &record.work), (DomainState::Issued, &Work::Idle));
}

/// A document has a largest size, a platform any number of tenants.
#[tokio::test(start_paused = true)]
async fn the_accounts_document_does_not_grow_with_the_tenants() {
    const TENANTS: usize = 20;
    let limits = Limits { tenant_share_permille: 10, ..orders(100, Span::from_secs(400 * 86_400)) };
    let world = World::new().limited(limits);
    let process = world.process("one");
    for tenant in 0..TENANTS {
        // One is its share, the other one waits.
        for number in 0..2 {
            let name = format!("a.t{tenant}-{number}.com");
            let domain = world.register_for(&format!("t{tenant}"), &name).await;
            process.run(&domain, Ask::Demand).await.unwrap();
        }
    }
    assert_eq!(world.ca.orders(), TENANTS);
    let buckets = async |name: &str| {
        let document = world.store.document(name).await.unwrap().unwrap();
        serde_json::from_str::<Vec<serde_json::Value>>(&document.text).unwrap().len()
    };
    assert_eq!(buckets("budget#memory").await, 1);
    assert_eq!(buckets("budget#memory#tenant#t7").await, 1);
}
