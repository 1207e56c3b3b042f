//! Orders as last seen, for the next step of the same order.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use sealwax_core::issuer::OrderStatus;

use crate::order::Order;

/// Most orders kept: more than a process works on at a time.
const ORDERS_MAX: usize = 512;

/// Saves the look at an order (and its authorization) before each thing done with it. Only URLs
/// are taken from what is kept, so age does no harm; what is missing is fetched.
#[derive(Default)]
pub(crate) struct OrderShelf(Mutex<VecDeque<Order>>);

impl OrderShelf {
    /// Keeps an order as it was just seen, in place of how it was seen before.
    pub(crate) fn put(&self, order: Order) {
        let mut orders = self.lock();
        orders.retain(|kept| kept.url != order.url);
        if orders.len() >= ORDERS_MAX {
            orders.pop_front();
        }
        orders.push_back(order);
    }

    /// Forgets them all.
    pub(crate) fn clear(&self) {
        self.lock().clear();
    }

    /// How an order was seen before.
    pub(crate) fn seen(&self, url: &str) -> Option<Order> {
        self.lock().iter().find(|order| order.url == url).cloned()
    }

    /// Takes an order out; one last seen in another status is forgotten.
    pub(crate) fn take_in(&self, url: &str, status: OrderStatus) -> Option<Order> {
        let mut orders = self.lock();
        let found = orders.iter().position(|order| order.url == url)?;
        let order = orders.remove(found)?;
        (order.body.status == status).then_some(order)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, VecDeque<Order>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
