//! Measures the telling of events.

use std::sync::Arc;

use async_trait::async_trait;
use sealwax_core::{Delivery, DomainRecord, Notice, Notifier, Receiver};

use super::Metrics;
use super::names::NOTIFICATIONS;

/// A notifier, measured.
pub struct MeteredNotifier {
    inner: Arc<dyn Notifier>,
    metrics: Metrics,
}

impl MeteredNotifier {
    /// In front of `inner`.
    #[must_use]
    pub fn new(inner: Arc<dyn Notifier>, metrics: Metrics) -> Self {
        Self { inner, metrics }
    }
}

#[async_trait]
impl Notifier for MeteredNotifier {
    fn receivers(&self, kind: &str) -> Vec<Receiver> {
        self.inner.receivers(kind)
    }

    async fn deliver(&self, notice: &Notice, record: &DomainRecord) -> Delivery {
        let delivery = self.inner.deliver(notice, record).await;
        let outcome = match delivery {
            Delivery::Done => "delivered",
            Delivery::Failed { .. } => "failed",
            Delivery::Busy { .. } => "waiting",
            Delivery::NoReceiver => "no_receiver",
        };
        self.metrics.count(&NOTIFICATIONS, &[outcome], 1);
        delivery
    }
}
