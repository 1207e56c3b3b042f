//! What tests of whoever stands on the registry share.

#![expect(clippy::unwrap_used, reason = "built only for tests")]

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use rcgen::{CertificateParams, KeyPair};
use sealwax_core::issuer::{IssueError, Issuer, OrderRequest, OrderView, RenewalInfo};
use sealwax_core::notice::Nobody;
use sealwax_core::secret::{SealError, SealPlace, Sealer};
use sealwax_core::store::Store;
use sealwax_core::testing::FixedJitter;
use sealwax_core::{Chain, Clock, Lane, PrivateKey, SealedKey};
use sealwax_protocol::DomainName;
use zeroize::Zeroizing;

use crate::Announcer;
use crate::certificates::Certificates;

/// 2026-01-01, in seconds of the epoch: certificates of [`made`] are valid then.
pub const NOW: i64 = 1_767_225_600;

/// Remembers what it was told.
#[derive(Debug, Default)]
pub struct Heard(pub Mutex<Vec<String>>);

impl Announcer for Heard {
    fn changed(&self, domain: &DomainName) {
        self.0.lock().unwrap().push(format!("changed {domain}"));
    }

    fn wanted(&self, domain: &DomainName, lane: Lane) {
        self.0.lock().unwrap().push(format!("wanted {domain} {}", lane.as_str()));
    }
}

/// A sealer that seals nothing.
#[derive(Debug)]
pub struct Open;

#[async_trait]
impl Sealer for Open {
    async fn seal(&self, _: SealPlace<'_>, key: &PrivateKey) -> Result<SealedKey, SealError> {
        Ok(SealedKey::new(key.expose().to_vec()))
    }

    async fn open(&self, _: SealPlace<'_>, sealed: &SealedKey) -> Result<PrivateKey, SealError> {
        Ok(PrivateKey::new(Zeroizing::new(sealed.as_bytes().to_vec())))
    }
}

/// A CA that only revokes.
#[derive(Default)]
pub struct Revoker {
    /// What it was asked to revoke, in DER.
    pub revoked: Mutex<Vec<Vec<u8>>>,
}

#[async_trait]
impl Issuer for Revoker {
    fn name(&self) -> &str {
        "ca"
    }
    async fn place_order(&self, _: &OrderRequest) -> Result<String, IssueError> {
        unreachable!()
    }
    async fn observe(&self, _: &str) -> Result<OrderView, IssueError> {
        unreachable!()
    }
    async fn answer(&self, _: &str) -> Result<(), IssueError> {
        unreachable!()
    }
    async fn finalize(&self, _: &str, _: &[u8]) -> Result<(), IssueError> {
        unreachable!()
    }
    async fn download(&self, _: &str) -> Result<Chain, IssueError> {
        unreachable!()
    }
    async fn renewal_info(&self, _: &str) -> Result<Option<RenewalInfo>, IssueError> {
        unreachable!()
    }
    async fn relinquish(&self, _: &str) -> Result<(), IssueError> {
        unreachable!()
    }
    async fn revoke(&self, leaf_der: &[u8]) -> Result<(), IssueError> {
        self.revoked.lock().unwrap().push(leaf_der.to_vec());
        Ok(())
    }
}

/// Over a store, with a CA that only revokes.
#[must_use]
pub fn over(store: Arc<dyn Store>, clock: &Arc<dyn Clock>) -> Certificates {
    Certificates {
        store,
        sealer: Arc::new(Open),
        issuers: vec![Arc::new(Revoker::default()) as Arc<dyn Issuer>],
        clock: Arc::clone(clock),
        jitter: Arc::new(FixedJitter(500)),
        announcer: Arc::new(Heard::default()),
        notifier: Arc::new(Nobody),
    }
}

/// A certificate for a name and its key; both valid at the tests' moments.
///
/// # Panics
/// When the library cannot make one.
#[must_use]
pub fn made(name: &str) -> (String, String) {
    made_for(name, 90)
}

/// The same, valid for some days.
///
/// # Panics
/// When the library cannot make one.
#[must_use]
pub fn made_for(name: &str, days: i64) -> (String, String) {
    let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
    let moment = |secs| time::OffsetDateTime::from_unix_timestamp(secs).unwrap();
    let now = NOW;
    (params.not_before, params.not_after) = (moment(now), moment(now + days * 86_400));
    let key = KeyPair::generate().unwrap();
    (params.self_signed(&key).unwrap().pem(), key.serialize_pem())
}
