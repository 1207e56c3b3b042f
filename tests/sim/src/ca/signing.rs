//! Certificates, signed for real.

use std::sync::OnceLock;

use rcgen::{CertificateParams, CertifiedIssuer, KeyPair};
use sealwax_core::{Chain, Span, Timestamp};

use crate::plan::HOUR;

/// Let's Encrypt dates certificates an hour back.
const BACKDATED: Span = HOUR;

fn root() -> &'static CertifiedIssuer<'static, KeyPair> {
    static ROOT: OnceLock<CertifiedIssuer<'static, KeyPair>> = OnceLock::new();
    ROOT.get_or_init(|| {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        params.distinguished_name.push(rcgen::DnType::CommonName, "Simulated CA");
        CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
    })
}

/// The order's number is the serial number: the key's hash, which is usual here, comes again with
/// the key.
pub(super) fn sign(csr: &[u8], url: &str, now: Timestamp, life: Span) -> Chain {
    let root = root();
    let mut request =
        rcgen::CertificateSigningRequestParams::from_der(&csr.to_vec().into()).unwrap();
    let moment = |at: Timestamp| {
        time::OffsetDateTime::from_unix_timestamp(i64::try_from(at.secs()).unwrap()).unwrap()
    };
    request.params.not_before = moment(now - BACKDATED);
    request.params.not_after = moment((now - BACKDATED) + life);
    request.params.use_authority_key_identifier_extension = true;
    let number = url.rsplit('/').next().and_then(|number| number.parse::<u64>().ok());
    request.params.serial_number = number.map(rcgen::SerialNumber::from);
    let leaf = request.signed_by(root).unwrap();
    Chain::from_pem(format!("{}{}", leaf.pem(), root.pem())).unwrap()
}
