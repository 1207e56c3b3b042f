use std::sync::{Arc, Mutex};

use sealwax_core::issuer::{IssueError, Issuer, OrderRequest, OrderStatus, OrderView, RenewalInfo};
use sealwax_core::testing::ManualClock;
use sealwax_core::{Chain, Clock, Timestamp};

use super::*;
use crate::metrics::tests::{NOW, name, value};
use crate::trail::Trail;

/// A CA that places one order, and answers as told.
struct Ca(Mutex<Result<OrderStatus, IssueError>>);

#[async_trait::async_trait]
impl Issuer for Ca {
    fn name(&self) -> &str {
        "ca"
    }

    async fn place_order(&self, _request: &OrderRequest) -> Result<String, IssueError> {
        self.0.lock().unwrap().clone().map(|_| "https://ca/order/1".to_owned())
    }

    async fn observe(&self, order_url: &str) -> Result<OrderView, IssueError> {
        let status = self.0.lock().unwrap().clone()?;
        let url = order_url.to_owned();
        Ok(OrderView {
            url,
            status,
            challenge: None,
            failure: None,
            retry_after: None,
            expires: None,
        })
    }

    async fn answer(&self, _order_url: &str) -> Result<(), IssueError> {
        Ok(())
    }

    async fn finalize(&self, _order_url: &str, _csr_der: &[u8]) -> Result<(), IssueError> {
        Ok(())
    }

    async fn download(&self, _order_url: &str) -> Result<Chain, IssueError> {
        Ok(Chain::from_pem(String::new()).unwrap())
    }

    async fn renewal_info(&self, _ari_id: &str) -> Result<Option<RenewalInfo>, IssueError> {
        Ok(None)
    }

    async fn relinquish(&self, _order_url: &str) -> Result<(), IssueError> {
        Ok(())
    }

    async fn revoke(&self, _leaf_der: &[u8]) -> Result<(), IssueError> {
        Ok(())
    }
}

#[tokio::test]
async fn an_order_is_timed_to_its_end_and_the_ca_is_judged() {
    let (metrics, board) = (Metrics::new(), Arc::new(IssuerBoard::default()));
    let ca = Arc::new(Ca(Mutex::new(Ok(OrderStatus::Invalid))));
    let clock = ManualClock::at_secs(NOW) as Arc<dyn Clock>;
    let inner = Arc::clone(&ca) as Arc<dyn Issuer>;
    let trail = Trail::default();
    let issuer = MeteredIssuer::new(inner, clock, metrics.clone(), board.clone(), trail.clone());
    assert_eq!(board.all()[0].name, "ca", "it is shown before it was asked");
    let request = OrderRequest { domain: name("a.example.com"), profile: None, replaces: None };
    let orders = |outcome: &str| {
        value(&metrics, &format!("sealwax_orders_total{{issuer=\"ca\",outcome=\"{outcome}\"}}"))
    };
    let url = issuer.place_order(&request).await.unwrap();
    issuer.observe(&url).await.unwrap();
    let url = issuer.place_order(&request).await.unwrap();
    issuer.download(&url).await.unwrap();
    assert_eq!(
        (orders("placed"), orders("failed"), orders("issued")),
        (Some(2.0), Some(1.0), Some(1.0))
    );
    issuer.answer("https://ca/order/of-another-process").await.unwrap();
    let steps = trail.woven_into(&request.domain, Vec::new());
    assert_eq!(steps[0].detail, "ca: https://ca/order/1");
    let timed = "sealwax_issuance_seconds_count{issuer=\"ca\",outcome=\"issued\"}";
    assert_eq!(value(&metrics, timed), Some(1.0));

    let limited = IssueError::RateLimited {
        until: Timestamp::from_secs(5),
        scope: sealwax_core::issuer::LimitScope::Account,
        detail: "300 orders".to_owned(),
    };
    *ca.0.lock().unwrap() = Err(limited);
    assert!(issuer.place_order(&request).await.is_err());
    let errors =
        "sealwax_ca_errors_total{call=\"place_order\",issuer=\"ca\",kind=\"rate_limited\"}";
    assert_eq!(value(&metrics, errors), Some(1.0));
    let standing = &board.all()[0];
    assert_eq!(standing.errors_in_a_row, 1);
    assert!(standing.last_error.as_ref().unwrap().contains("300 orders"));
    *ca.0.lock().unwrap() = Ok(OrderStatus::Pending);
    issuer.observe(&url).await.unwrap();
    assert_eq!(board.all()[0].errors_in_a_row, 0);
}
