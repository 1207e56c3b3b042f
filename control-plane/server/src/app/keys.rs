//! Keys for certificates, made by the ACME crate.

use sealwax_core::PrivateKey;
use sealwax_core::record::KeyType;
use sealwax_protocol::DomainName;
use sealwax_workflow::{KeyError, KeyMaker};

/// Makes keys in this process.
#[derive(Clone, Copy, Debug)]
pub(super) struct LocalKeys;

impl KeyMaker for LocalKeys {
    fn generate(&self, kind: KeyType) -> Result<PrivateKey, KeyError> {
        sealwax_acme::key::generate(kind).map_err(|error| KeyError { detail: error.to_string() })
    }

    fn signing_request(&self, key: &PrivateKey, domain: &DomainName) -> Result<Vec<u8>, KeyError> {
        sealwax_acme::key::signing_request(key, domain)
            .map_err(|error| KeyError { detail: error.to_string() })
    }
}
