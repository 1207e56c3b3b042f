use aws_lc_rs::encoding::{AsDer as _, EcPrivateKeyRfc5915Der};
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P384_SHA384_ASN1_SIGNING, ECDSA_P521_SHA512_ASN1_SIGNING,
    EcdsaKeyPair,
};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair,
    PKCS_ECDSA_P256_SHA256, PKCS_ECDSA_P384_SHA384, PKCS_ED25519, PKCS_RSA_SHA256, RsaKeySize,
};
use sealwax_protocol::DomainName;

use super::super::{CertificateSource, read_key, verify};
use super::*;
use crate::pem::private_key_pem;
use crate::timestamp::Timestamp;

/// A leaf below an intermediate below a root.
struct World {
    root: CertifiedIssuer<'static, KeyPair>,
    middle: CertifiedIssuer<'static, KeyPair>,
    leaf: String,
    key: KeyPair,
}

fn ca(name: &str) -> CertificateParams {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.distinguished_name.push(DnType::CommonName, name);
    params
}

fn world_of(key: KeyPair) -> World {
    let generate = || KeyPair::generate().unwrap();
    let root = CertifiedIssuer::self_signed(ca("Test Root"), generate()).unwrap();
    let middle = CertifiedIssuer::signed_by(ca("Test Issuing"), generate(), &root).unwrap();
    let params = CertificateParams::new(vec!["a.example.com".to_owned()]).unwrap();
    let leaf = params.signed_by(&key, &middle).unwrap().pem();
    World { root, middle, leaf, key }
}

fn world() -> World {
    world_of(KeyPair::generate().unwrap())
}

impl World {
    fn good(&self) -> String {
        format!("{}{}", self.leaf, self.middle.pem())
    }

    fn key_pem(&self) -> String {
        self.key.serialize_pem()
    }
}

/// In the one form: what this program writes of the same certificates.
fn normal(pem: &str) -> String {
    Chain::from_pem(pem.to_owned()).unwrap().normal().unwrap().pem().to_owned()
}

/// Reads the chain, with the key and without: both come to the same.
fn taken(world: &World, text: &[u8]) -> Read {
    let alone = read_chain(text).unwrap();
    let (read, key) = read_pair(text, world.key_pem().as_bytes()).unwrap();
    assert_eq!(alone, read, "the same with a key as without");
    assert_eq!(key.expose(), read_key(world.key_pem().as_bytes()).unwrap().expose());
    let domain = DomainName::parse("a.example.com").unwrap();
    let now = Timestamp::from_secs(1_800_000_000);
    verify(&read.chain, &key, &domain, now, CertificateSource::Imported).unwrap();
    assert!(!read.chain.pem().contains("PRIVATE"));
    read
}

#[test]
fn whatever_the_text_around_it_a_chain_comes_out_in_one_form() {
    let world = world();
    let good = world.good();
    let glued = good.replace("-----\n-----BEGIN", "----------BEGIN");
    assert_ne!(glued, good);
    let one_line = good.replace('\n', " ");
    let latin: Vec<u8> = [b"# f\xfcr K\xf6ln\r\n", good.as_bytes(), b"\xe9nd\n"].concat();
    let texts: Vec<(&str, Vec<u8>)> = vec![
        ("as it is", good.clone().into()),
        ("glued", glued.into()),
        ("on one line", one_line.into()),
        ("blank lines", good.replace('\n', "\n\n").into()),
        ("CRLF", good.replace('\n', "\r\n").into()),
        ("CR", good.replace('\n', "\r").into()),
        ("byte order mark", format!("\u{feff}{good}").into()),
        ("Latin-1 around it", latin),
        ("indented", good.replace('\n', "\n    ").into()),
        ("no line end", good.trim_end().into()),
        ("escaped", good.replace('\n', "\\n").into()),
        ("X509", good.replace(" CERTIFICATE", " X509 CERTIFICATE").into()),
        ("OpenSSL's text", format!("subject=/CN=a\n{}issuer=b\n", good).into()),
        ("no line ends within", {
            let body = |pem: &str| pem.replace('\n', "");
            format!("{}\n{}", body(&world.leaf), body(&world.middle.pem())).into()
        }),
    ];
    for (name, text) in texts {
        let read = taken(&world, &text);
        assert_eq!(read.chain.pem(), normal(&good), "{name}");
        assert_eq!(read.notes, [], "{name}");
    }
    let lines = normal(&good).lines().map(str::len).max();
    assert_eq!(lines, Some(64), "lines as RFC 7468 has them");
}

#[test]
fn a_private_key_in_the_chain_is_left_out() {
    let world = world();
    let (good, key) = (world.good(), world.key_pem());
    for combined in [
        format!("{good}{key}"),
        format!("{key}{good}"),
        format!("{}{key}{}", world.leaf, world.middle.pem()),
    ] {
        let read = taken(&world, combined.as_bytes());
        assert_eq!(read.chain.pem(), normal(&good));
        assert_eq!(read.notes, [Note::KeyLeftOut]);
        let (same, _) = read_pair(combined.as_bytes(), combined.as_bytes()).unwrap();
        assert_eq!(same, read, "one file for both");
    }
    let encrypted =
        "-----BEGIN ENCRYPTED PRIVATE KEY-----\nMIIB\n-----END ENCRYPTED PRIVATE KEY-----\n";
    let beside = format!("{encrypted}{good}");
    assert_eq!(taken(&world, beside.as_bytes()).notes, [Note::KeyLeftOut]);
    let old = "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES\n\nMIIB\n-----END RSA PRIVATE KEY-----\n";
    for text in [encrypted, old] {
        let refused = read_pair(good.as_bytes(), text.as_bytes()).unwrap_err();
        assert_eq!(refused, ChainError::Key(KeyError::Encrypted));
    }
}

#[test]
fn certificates_are_put_into_one_path() {
    let world = world();
    let (leaf, middle, root) = (&world.leaf, world.middle.pem(), world.root.pem());
    let good = normal(&world.good());
    let dropped = Note::RootLeftOut("CN=Test Root".to_owned());
    let stranger = CertifiedIssuer::self_signed(ca("Stranger"), KeyPair::generate().unwrap());
    let stranger = stranger.unwrap().pem();
    let unrelated = Note::Unrelated("CN=Stranger".to_owned());
    // The same name, another key: it signed nothing here.
    let twin =
        CertifiedIssuer::signed_by(ca("Test Issuing"), KeyPair::generate().unwrap(), &world.root);
    let twin = twin.unwrap().pem();
    let unsigned = Note::Unrelated("CN=Test Issuing".to_owned());
    for (name, text, notes) in [
        ("root", format!("{leaf}{middle}{root}"), vec![dropped.clone()]),
        ("leaf twice", format!("{leaf}{leaf}{middle}"), vec![Note::Twice]),
        ("issuer first", format!("{middle}{leaf}"), vec![Note::Sorted]),
        ("root first", format!("{root}{middle}{leaf}"), vec![dropped, Note::Sorted]),
        ("a stranger", format!("{leaf}{stranger}{middle}"), vec![unrelated]),
        ("a namesake", format!("{leaf}{twin}{middle}"), vec![unsigned]),
    ] {
        let read = taken(&world, text.as_bytes());
        assert_eq!(read.chain.pem(), good, "{name}");
        assert_eq!(read.notes, notes, "{name}");
    }
    let read = taken(&world, leaf.as_bytes());
    assert_eq!(read.notes, [Note::IssuerMissing("CN=Test Issuing".to_owned())]);
    assert!(read.notes[0].is_warning() && read.notes[0].to_string().contains("Test Issuing"));
}

#[test]
fn of_two_leaves_the_one_with_the_key_is_meant() {
    let (one, other) = (world(), world());
    let both = format!("{}{}", other.good(), one.good());
    let (read, _) = read_pair(both.as_bytes(), one.key_pem().as_bytes()).unwrap();
    assert_eq!(read.chain.pem(), normal(&one.good()));
    let keys = format!("{}{}", other.key_pem(), one.key_pem());
    let (_, key) = read_pair(one.good().as_bytes(), keys.as_bytes()).unwrap();
    assert_eq!(key.expose(), read_key(one.key_pem().as_bytes()).unwrap().expose());
    assert_eq!(read_key(keys.as_bytes()).unwrap_err(), KeyError::Several);
    assert!(read_key(one.key_pem().repeat(2).as_bytes()).is_ok(), "one key twice is one key");
}

#[test]
fn keys_of_each_kind_and_form_come_out_as_pkcs8() {
    let rsa = KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_2048).unwrap();
    let pairs = [
        KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap(),
        KeyPair::generate_for(&PKCS_ECDSA_P384_SHA384).unwrap(),
        KeyPair::generate_for(&PKCS_ED25519).unwrap(),
        rsa,
    ];
    for pair in pairs {
        let world = world_of(pair);
        taken(&world, world.good().as_bytes());
    }
    let parameters =
        "-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n";
    for curve in [
        &ECDSA_P256_SHA256_ASN1_SIGNING,
        &ECDSA_P384_SHA384_ASN1_SIGNING,
        &ECDSA_P521_SHA512_ASN1_SIGNING,
    ] {
        let pair = EcdsaKeyPair::generate(curve).unwrap();
        let document = pair.to_pkcs8v1().unwrap();
        let sec1: EcPrivateKeyRfc5915Der<'_> = pair.private_key().as_der().unwrap();
        for label in ["EC PRIVATE KEY", "PRIVATE KEY"] {
            let pem = private_key_pem(sec1.as_ref()).replace("PRIVATE KEY", label);
            let key = read_key(format!("{parameters}{pem}").as_bytes()).unwrap();
            assert_eq!(key.expose(), document.as_ref(), "{curve:?}");
        }
        let key = read_key(private_key_pem(document.as_ref()).as_bytes()).unwrap();
        assert_eq!(key.expose(), document.as_ref(), "{curve:?}");
    }
}

#[test]
fn what_is_no_chain_or_no_key_is_refused_with_its_own_reason() {
    let made = world();
    let (good, key) = (made.good(), made.key_pem());
    let torn = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n";
    let block = |label: &str| format!("-----BEGIN {label}-----\nMIIB\n-----END {label}-----\n");
    let unread = |why: &str| ChainError::Unreadable(format!("PEM block {why}"));
    for (text, error) in [
        (Vec::new(), ChainError::Empty),
        (b"hello".to_vec(), ChainError::Empty),
        (key.clone().into(), ChainError::Empty),
        (block("PKCS7").into(), ChainError::OtherBlocks("PKCS7".to_owned())),
        (b"\x30\x82\x01\x00".to_vec(), ChainError::Der),
        (b"\xff\xfe-\0".to_vec(), ChainError::Utf16),
        (vec![b'x'; TEXT_MAX + 1], ChainError::TextTooLarge),
        (format!("{good}{torn}").into(), ChainError::NoX509 { number: 3, of: 3 }),
        (good.as_bytes()[..good.len() - 40].to_vec(), unread("2 has no end")),
        (good.replace("MII", "M=I").into(), unread("1 is not base64")),
    ] {
        assert_eq!(read_chain(&text).unwrap_err(), error);
        assert!(!error.to_string().contains("PRIVATE"));
    }
    let refused = |text: &str| read_pair(good.as_bytes(), text.as_bytes()).unwrap_err();
    assert_eq!(refused(""), KeyError::None.into());
    assert_eq!(refused(&good), KeyError::None.into());
    assert_eq!(refused(&block("PRIVATE KEY")), KeyError::Unusable.into());
    assert_eq!(refused("-----BEGIN PRIVATE KEY-----\nMIIB"), KeyError::Broken.into());
    let many: String = (0..=CERTIFICATES_MAX).map(|_| world().leaf).collect();
    assert_eq!(read_chain(many.as_bytes()).unwrap_err(), ChainError::TooLarge);
}

const TEXT_MAX: usize = super::super::TEXT_BYTES_MAX;

proptest::proptest! {
    /// Any bytes: an answer, never a panic, and never a key in it.
    #[test]
    fn any_text_is_read_or_refused(
        cut in 0_usize..2_000, byte: u8, at in 0_usize..2_000, junk: Vec<u8>
    ) {
        let world = FIXED.get_or_init(world);
        let mut text = format!("{}{}", world.good(), world.key_pem()).into_bytes();
        text.truncate(cut.max(1));
        if let Some(found) = text.get_mut(at) {
            *found = byte;
        }
        for text in [text, junk] {
            if let Ok((read, _)) = read_pair(&text, &text) {
                proptest::prop_assert!(!read.chain.pem().contains("PRIVATE"));
                proptest::prop_assert_eq!(read.chain.normal().unwrap(), read.chain);
            }
        }
    }
}

static FIXED: std::sync::OnceLock<World> = std::sync::OnceLock::new();
