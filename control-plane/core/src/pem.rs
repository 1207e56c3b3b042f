//! Certificates and private keys in PEM (RFC 7468); keys are wiped when they are dropped.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use zeroize::Zeroizing;

/// Characters of a line (RFC 7468 section 2).
const LINE: usize = 64;

/// PKCS#8 in PEM.
#[must_use]
pub fn private_key_pem(der: &[u8]) -> Zeroizing<String> {
    let body = Zeroizing::new(BASE64_STANDARD.encode(der));
    let mut pem = Zeroizing::new(String::with_capacity(body.len() + body.len() / LINE + LINE));
    write(&mut pem, "PRIVATE KEY", &body);
    pem
}

/// A certificate in PEM.
#[must_use]
pub fn certificate_pem(der: &[u8]) -> String {
    let body = BASE64_STANDARD.encode(der);
    let mut pem = String::with_capacity(body.len() + body.len() / LINE + LINE);
    write(&mut pem, "CERTIFICATE", &body);
    pem
}

fn write(pem: &mut String, label: &str, body: &str) {
    pem.extend(["-----BEGIN ", label, "-----\n"]);
    for (index, one) in body.chars().enumerate() {
        if index > 0 && index % LINE == 0 {
            pem.push('\n');
        }
        pem.push(one);
    }
    pem.extend(["\n-----END ", label, "-----\n"]);
}
