//! Signed requests (RFC 8555 section 6.2): for what is read here and not by instant-acme, and with
//! keys that it does not sign with, another program's RSA key among them.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _, RSA_PKCS1_SHA256,
};
use aws_lc_rs::{hmac, rsa};
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde_json::{Value, json};

/// An account's key.
pub(crate) enum AccountKey {
    /// What instant-acme signs with.
    P256(EcdsaKeyPair),
    /// What most others make.
    Rsa(rsa::KeyPair),
}

/// What a signed request says of itself beside its key's algorithm.
pub(crate) struct Protected<'a> {
    /// The account's URL; the key itself stands in where there is none yet.
    pub(crate) account: Option<&'a str>,
    /// Not in the inner part of a key change.
    pub(crate) nonce: Option<&'a str>,
    /// Where it goes.
    pub(crate) url: &'a str,
}

impl AccountKey {
    /// Reads PKCS#8; `None` if the key is of no kind that is known here.
    pub(crate) fn from_pkcs8(der: &[u8]) -> Option<Self> {
        if let Ok(pair) = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, der) {
            return Some(Self::P256(pair));
        }
        rsa::KeyPair::from_pkcs8(der).ok().map(Self::Rsa)
    }

    /// The public key (RFC 7517).
    pub(crate) fn jwk(&self) -> Option<Value> {
        match self {
            Self::P256(pair) => {
                // SEC 1 section 2.3.3: 4, then both coordinates.
                let (form, point) = pair.public_key().as_ref().split_first()?;
                let (x, y) = point.split_at_checked(32)?;
                (*form == 4)
                    .then(|| json!({"kty": "EC", "crv": "P-256", "x": encoded(x), "y": encoded(y)}))
            }
            Self::Rsa(pair) => {
                // RFC 8017 appendix A.1.1.
                let (sequence, _) = element(pair.public_key().as_ref(), 0x30)?;
                let (modulus, rest) = element(sequence, 2)?;
                let (exponent, _) = element(rest, 2)?;
                Some(json!({"kty": "RSA", "n": encoded(unsigned(modulus)),
                    "e": encoded(unsigned(exponent))}))
            }
        }
    }

    /// The signed form of a payload, as JSON; `None` if the key cannot sign. Without a payload it
    /// is a request to read (RFC 8555 section 6.3).
    pub(crate) fn sign(&self, protected: &Protected<'_>, payload: Option<&Value>) -> Option<Value> {
        let mut header = json!({ "url": protected.url });
        let fields = header.as_object_mut()?;
        fields.insert("alg".to_owned(), self.algorithm().into());
        if let Some(nonce) = protected.nonce {
            fields.insert("nonce".to_owned(), nonce.into());
        }
        match protected.account {
            Some(account) => fields.insert("kid".to_owned(), account.into()),
            None => fields.insert("jwk".to_owned(), self.jwk()?),
        };
        let header = encoded(header.to_string().as_bytes());
        let payload = payload.map(Value::to_string).unwrap_or_default();
        let payload = encoded(payload.as_bytes());
        let signature = self.signature(format!("{header}.{payload}").as_bytes())?;
        Some(json!({"protected": header, "payload": payload, "signature": encoded(&signature)}))
    }

    /// This key signed with the key of an external account (RFC 8555 section 7.3.4).
    pub(crate) fn bound_to(&self, kid: &str, hmac_key: &[u8], url: &str) -> Option<Value> {
        let header = json!({ "alg": "HS256", "kid": kid, "url": url });
        let header = encoded(header.to_string().as_bytes());
        let payload = encoded(self.jwk()?.to_string().as_bytes());
        let tag = hmac::sign(
            &hmac::Key::new(hmac::HMAC_SHA256, hmac_key),
            format!("{header}.{payload}").as_bytes(),
        );
        Some(json!({"protected": header, "payload": payload, "signature": encoded(tag.as_ref())}))
    }

    const fn algorithm(&self) -> &'static str {
        match self {
            Self::P256(_) => "ES256",
            Self::Rsa(_) => "RS256",
        }
    }

    fn signature(&self, message: &[u8]) -> Option<Vec<u8>> {
        let random = SystemRandom::new();
        match self {
            Self::P256(pair) => {
                pair.sign(&random, message).ok().map(|signature| signature.as_ref().to_vec())
            }
            Self::Rsa(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(&RSA_PKCS1_SHA256, &random, message, &mut signature).ok()?;
                Some(signature)
            }
        }
    }
}

fn encoded(bytes: &[u8]) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(bytes)
}

/// One element of DER with this tag, and what follows it.
fn element(der: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (found, rest) = der.split_first()?;
    let (first, rest) = rest.split_first()?;
    let (length, rest) = match first {
        0..=0x7f => (usize::from(*first), rest),
        0x81..=0x84 => {
            let (digits, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
            (digits.iter().fold(0, |length, digit| length << 8 | usize::from(*digit)), rest)
        }
        _ => return None,
    };
    (*found == tag).then(|| rest.split_at_checked(length))?
}

/// Without the zero that keeps DER's integers positive.
fn unsigned(integer: &[u8]) -> &[u8] {
    integer.strip_prefix(&[0]).unwrap_or(integer)
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::signature::{RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};
    use sealwax_core::record::KeyType;

    use super::*;
    use crate::key::generate;

    fn key(kind: KeyType) -> AccountKey {
        AccountKey::from_pkcs8(generate(kind).unwrap().expose()).unwrap()
    }

    #[test]
    fn a_request_signed_with_an_rsa_key_verifies_and_names_the_key() {
        let key = key(KeyType::Rsa2048);
        let protected = Protected { account: None, nonce: Some("n"), url: "https://ca/new" };
        let signed = key.sign(&protected, Some(&json!({"a": 1}))).unwrap();
        let part = |name: &str| signed[name].as_str().unwrap().to_owned();
        let decode = |text: &str| BASE64_URL_SAFE_NO_PAD.decode(text).unwrap();
        let header: Value = serde_json::from_slice(&decode(&part("protected"))).unwrap();
        assert_eq!((&header["alg"], &header["nonce"]), (&json!("RS256"), &json!("n")));
        assert_eq!(decode(header["jwk"]["n"].as_str().unwrap()).len(), 256);
        assert_eq!(header["jwk"]["e"], "AQAB");
        let AccountKey::Rsa(pair) = &key else { panic!("another kind of key") };
        let message = format!("{}.{}", part("protected"), part("payload"));
        UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, pair.public_key().as_ref())
            .verify(message.as_bytes(), &decode(&part("signature")))
            .unwrap();
    }

    #[test]
    fn keys_of_other_kinds_are_not_taken() {
        let p384 = generate(KeyType::EcdsaP384).unwrap();
        assert!(AccountKey::from_pkcs8(p384.expose()).is_none());
        assert!(AccountKey::from_pkcs8(b"\x30\x00").is_none());
        let jwk = key(KeyType::EcdsaP256).jwk().unwrap();
        assert_eq!((&jwk["kty"], &jwk["crv"]), (&json!("EC"), &json!("P-256")));
    }
}
