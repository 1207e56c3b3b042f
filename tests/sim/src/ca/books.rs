//! How orders go on by themselves: validations, certificates, ends.

use sealwax_core::issuer::{OrderStatus, Refusal};
use sealwax_core::{Cause, Timestamp};
use sealwax_protocol::{ChallengeToken, DomainName};
use sealwax_simulation::published::Ordered;

use super::Books;
use crate::world::World;

impl Books {
    pub(super) fn pending_order(&self, domain: &DomainName) -> Option<String> {
        let pending = self
            .orders
            .iter()
            .filter(|(_, order)| order.domain == *domain && order.status == OrderStatus::Pending);
        // The oldest one, whatever the order of the map.
        pending.min_by_key(|(_, order)| order.placed_at).map(|(url, _)| url.clone())
    }

    /// Lets the orders go on as far as time went on.
    pub(super) fn settle_all(&mut self, world: &World, now: Timestamp) {
        for order in self.orders.values_mut().filter(|order| order.is_live()) {
            if order.status == OrderStatus::Pending
                && order.validated_at.is_some_and(|at| at <= now)
            {
                order.refusal = validate(world, &order.domain, &order.token);
                world.watch.validated(&order.domain, order.refusal.is_none());
                if order.refusal.is_some() {
                    order.status = OrderStatus::Invalid;
                    let number = u32::try_from(world.number(&order.domain)).unwrap();
                    self.count.failed(number, now);
                } else {
                    order.status = OrderStatus::Ready;
                    let number = u32::try_from(world.number(&order.domain)).unwrap();
                    self.count.succeeded(number);
                }
            }
            if order.status == OrderStatus::Processing && order.valid_at.is_some_and(|at| at <= now)
            {
                order.status = OrderStatus::Valid;
                let number = u32::try_from(world.number(&order.domain)).unwrap();
                let standing = order.standing;
                self.count.issued(Ordered { name: number, registered: number, standing }, now);
                self.certificates += 1;
                self.issued.insert(order.domain.clone());
            }
            if order.is_live() && now.since(order.placed_at) > world.plan.order_life {
                order.status = OrderStatus::Invalid;
            }
        }
    }
}

/// Fetches the answer, as any edge would give it.
pub(crate) fn validate(
    world: &World,
    domain: &DomainName,
    token: &ChallengeToken,
) -> Option<Refusal> {
    let refusal = |cause, detail: &str| Some(Refusal { cause, detail: detail.to_owned() });
    if world.is_broken(domain) {
        return refusal(Cause::DnsNoRecord, "NXDOMAIN");
    }
    match world.challenge(token) {
        Some(found) if found == format!("{token}.thumb") => None,
        _ => refusal(Cause::ChallengeWrong, "404"),
    }
}
