//! A replica's way to the CA.

use async_trait::async_trait;
use sealwax_core::issuer::{IssueError, Issuer, OrderRequest, OrderView, RenewalInfo};
use sealwax_core::{Chain, Span};

use super::{FAILS, ISSUER};
use crate::effects::{Effect, Gate};
use crate::plan::HOUR;
use crate::time::COMMON;

#[async_trait]
impl Issuer for Gate {
    fn name(&self) -> &str {
        ISSUER
    }

    async fn place_order(&self, request: &OrderRequest) -> Result<String, IssueError> {
        let act = || self.take_order(request);
        let placed = self.pass(Effect::PlaceOrder, &request.domain, FAILS, act).await;
        if placed.is_err() {
            self.world.ca.excuse(self.life.instance, Some(&request.domain));
        }
        placed
    }

    async fn observe(&self, order_url: &str) -> Result<OrderView, IssueError> {
        let domain = self.world.ca.domain(order_url);
        self.pass(Effect::Observe, &domain, FAILS, || self.see_order(order_url)).await
    }

    async fn answer(&self, order_url: &str) -> Result<(), IssueError> {
        let domain = self.world.ca.domain(order_url);
        self.pass(Effect::Answer, &domain, FAILS, || self.hear_answer(order_url)).await
    }

    async fn finalize(&self, order_url: &str, csr_der: &[u8]) -> Result<(), IssueError> {
        let domain = self.world.ca.domain(order_url);
        let act = || self.take_request(order_url, csr_der);
        self.pass(Effect::Finalize, &domain, FAILS, act).await
    }

    async fn download(&self, order_url: &str) -> Result<Chain, IssueError> {
        let domain = self.world.ca.domain(order_url);
        self.pass(Effect::Download, &domain, FAILS, || self.hand_out(order_url)).await
    }

    async fn renewal_info(&self, ari_id: &str) -> Result<Option<RenewalInfo>, IssueError> {
        self.wait(Span::from_millis(20), COMMON).await;
        self.reach_ca()?;
        let window = self.world.window(ari_id).filter(|_| self.world.plan.says_when);
        let retry_after = HOUR.scale(6, 1);
        Ok(window.map(|(start, end)| RenewalInfo {
            start,
            end,
            retry_after,
            explanation_url: None,
        }))
    }

    async fn revoke(&self, _leaf_der: &[u8]) -> Result<(), IssueError> {
        Ok(())
    }

    async fn relinquish(&self, _order_url: &str) -> Result<(), IssueError> {
        Ok(())
    }
}
