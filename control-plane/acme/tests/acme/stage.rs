//! A CA that does what it is told, a web server, and issuers that share a store.

use std::sync::Arc;
use std::time::Duration;

use sealwax_acme::{AcmeIssuer, IssuerSettings};
use sealwax_fake_acme::{Endpoint, FakeAcme, FaultKind, Knobs};

use crate::parts::{AccountStore, MarkingSealer, WallClock};
use crate::responder::Responder;

pub(crate) const NAME: &str = "shop.example.com";

pub(crate) struct Stage {
    pub(crate) ca: FakeAcme,
    pub(crate) responder: Responder,
    pub(crate) store: Arc<AccountStore>,
}

impl Stage {
    pub(crate) async fn set() -> Self {
        let responder = Responder::start().await;
        let knobs = Knobs { resolver: responder.address, ..Knobs::default() };
        let ca = FakeAcme::start(knobs, Arc::new(WallClock)).await.unwrap();
        Self { ca, responder, store: AccountStore::shared() }
    }

    pub(crate) fn issuer(&self) -> AcmeIssuer {
        self.issuer_with(IssuerSettings::new("ca-1", self.ca.directory()))
    }

    pub(crate) fn issuer_with(&self, settings: IssuerSettings) -> AcmeIssuer {
        let store = Arc::clone(&self.store);
        let clock = Arc::new(WallClock);
        let vault = Arc::clone(&self.store);
        let issuer = AcmeIssuer::new(settings, store, Arc::new(MarkingSealer), clock).unwrap();
        issuer.with_vault(vault)
    }

    /// An issuer that keeps its account as earlier versions did.
    pub(crate) fn issuer_without_vault(&self) -> AcmeIssuer {
        let settings = IssuerSettings::new("ca-1", self.ca.directory());
        let store = Arc::clone(&self.store);
        AcmeIssuer::new(settings, store, Arc::new(MarkingSealer), Arc::new(WallClock)).unwrap()
    }

    /// An issuer that does not wait long for an answer.
    pub(crate) fn impatient(&self) -> AcmeIssuer {
        let mut settings = IssuerSettings::new("ca-1", self.ca.directory());
        settings.request_timeout = Duration::from_millis(300);
        self.issuer_with(settings)
    }

    pub(crate) fn fail(&self, endpoint: Endpoint, kind: FaultKind) {
        self.ca.adjust(|knobs| knobs.fail(endpoint, 1, kind));
    }
}

pub(crate) fn page(status: u16, retry_after: Option<&str>) -> FaultKind {
    FaultKind::Page { status, retry_after: retry_after.map(ToOwned::to_owned) }
}
