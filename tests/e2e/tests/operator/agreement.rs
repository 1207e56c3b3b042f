//! What this program takes and what a real Envoy loads: a table of odd certificates, each put to
//! both. Whatever is found later is one line more.

use std::path::Path;
use std::process::Command;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use sealwax_testkit::tool;
use serde_json::json;

use crate::plain::Plain;

/// How a line of the table ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Both {
    /// Taken here and loaded there.
    Take,
    /// Refused here and not loaded there.
    Refuse,
    /// Loaded there and refused here, because clients refuse it.
    Useless,
}

/// A kind of key as `openssl req -newkey` has it, extensions, and what is to come of it.
const CERTIFICATES: [(&str, &str, &[&str], Both); 19] = [
    ("P-256", "ec:P-256", &[NAME], Both::Take),
    ("P-384", "ec:P-384", &[NAME], Both::Take),
    ("P-521", "ec:P-521", &[NAME], Both::Take),
    ("Ed25519", "ed25519", &[NAME], Both::Take),
    ("P-224", "ec:P-224", &[NAME], Both::Refuse),
    ("secp256k1", "ec:secp256k1", &[NAME], Both::Refuse),
    ("RSA 2048", "rsa:2048", &[NAME], Both::Take),
    ("RSA 3072", "rsa:3072", &[NAME], Both::Take),
    ("RSA 1024", "rsa:1024", &[NAME], Both::Refuse),
    ("RSA 2040", "rsa:2040", &[NAME], Both::Refuse),
    ("EC that may only encrypt", "ec:P-256", &[NAME, "keyUsage=keyEncipherment"], Both::Refuse),
    ("EC that may only agree", "ec:P-256", &[NAME, "keyUsage=keyAgreement"], Both::Refuse),
    ("EC that may sign", "ec:P-256", &[NAME, "keyUsage=digitalSignature"], Both::Take),
    ("RSA that may only encrypt", "rsa:2048", &[NAME, "keyUsage=keyEncipherment"], Both::Take),
    ("RSA for data", "rsa:2048", &[NAME, "keyUsage=dataEncipherment"], Both::Useless),
    ("must-staple", "ec:P-256", &[NAME, "tlsfeature=status_request"], Both::Refuse),
    ("for clients", "ec:P-256", &[NAME, "extendedKeyUsage=clientAuth"], Both::Useless),
    ("for servers", "ec:P-256", &[NAME, "extendedKeyUsage=serverAuth"], Both::Take),
    ("no name", "ec:P-256", &["keyUsage=digitalSignature"], Both::Useless),
];
const TOKENS: &str = "token_file = \"token\"\nread_token_file = \"read-token\"";
const NAME: &str = "subjectAltName=DNS:odd.example.com";

/// How the text of a good one is bent, and whether Envoy loads it like that. It is always taken
/// here, and loaded in the form it is kept in.
type Bend = fn(&str, &str) -> String;
const TEXTS: [(&str, Bend, bool); 7] = [
    ("as it is", |chain, _| chain.to_owned(), true),
    ("CR", |chain, _| chain.replace('\n', "\r"), false),
    ("CRLF", |chain, _| chain.replace('\n', "\r\n"), true),
    ("byte order mark", |chain, _| format!("\u{feff}{chain}"), false),
    ("glued", |chain, _| format!("{}{chain}", chain.trim_end()), false),
    ("twice", |chain, _| chain.repeat(2), true),
    ("with its key", |chain, key| format!("{chain}{key}"), true),
];

fn make(folder: &Path, kind: &str, extensions: &[&str]) -> (String, String) {
    let (algorithm, curve) = match kind.split_once(':') {
        Some(("ec", curve)) => ("ec", Some(format!("ec_paramgen_curve:{curve}"))),
        _ => (kind, None),
    };
    let mut command = Command::new("openssl");
    command.current_dir(folder).args([
        "req",
        "-x509",
        "-nodes",
        "-days",
        "30",
        "-subj",
        "/CN=odd.example.com",
        "-newkey",
        algorithm,
        "-out",
        "odd.pem",
        "-keyout",
        "odd.key",
    ]);
    command.args(curve.iter().flat_map(|curve| ["-pkeyopt", curve]));
    command.args(extensions.iter().flat_map(|extension| ["-addext", extension]));
    let made = command.output().unwrap();
    assert!(made.status.success(), "{kind}: {}", String::from_utf8_lossy(&made.stderr));
    let text = |name: &str| std::fs::read_to_string(folder.join(name)).unwrap();
    (text("odd.pem"), text("odd.key"))
}

/// Whether a real Envoy loads it; only with bytes it has no say about their encoding.
fn loads(folder: &Path, chain: &str, key: &str) -> bool {
    let inline = |text: &str| json!({"inline_bytes": BASE64_STANDARD.encode(text)});
    let tls = json!({
        "@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext",
        "common_tls_context": {"tls_certificates": [
            {"certificate_chain": inline(chain), "private_key": inline(key)}]}});
    let answer = json!({
        "@type": "type.googleapis.com/envoy.extensions.filters.network.direct_response.v3.Config"});
    let listener = json!({"name": "odd",
        "address": {"socket_address": {"address": "127.0.0.1", "port_value": 0}},
        "filter_chains": [{"transport_socket": {"name": "tls", "typed_config": tls},
            "filters": [{"name": "answer", "typed_config": answer}]}]});
    let config = json!({"static_resources": {"listeners": [listener]}});
    std::fs::write(folder.join("envoy.json"), config.to_string()).unwrap();
    let envoy = Command::new(tool("envoy").unwrap())
        .args(["--mode", "validate", "-c", "envoy.json", "-l", "error", "--use-dynamic-base-id"])
        .current_dir(folder)
        .output()
        .unwrap();
    envoy.status.success()
}

/// What is kept of it where it is taken; otherwise why it is not.
async fn taken(plain: &Plain) -> Result<(String, String), String> {
    let import = [
        "--token-file",
        "token",
        "cert",
        "import",
        "odd.example.com",
        "--replace",
        "--chain",
        "odd.pem",
        "--key",
        "odd.key",
    ];
    let output = plain.run(&import).await.unwrap();
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned());
    }
    let folder = plain.folder.path();
    for name in ["out.pem", "out.key"] {
        if folder.join(name).exists() {
            std::fs::remove_file(folder.join(name)).unwrap();
        }
    }
    let export = [
        "--token-file",
        "token",
        "cert",
        "export",
        "odd.example.com",
        "--chain",
        "out.pem",
        "--key",
        "out.key",
    ];
    let output = plain.run(&export).await.unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = |name: &str| std::fs::read_to_string(folder.join(name)).unwrap();
    Ok((text("out.pem"), text("out.key")))
}

#[tokio::test]
async fn what_is_taken_here_is_loaded_by_envoy_and_what_it_refuses_is_refused_here() {
    let plain = Plain::start(TOKENS).await.unwrap();
    let folder = plain.folder.path();
    for (name, kind, extensions, both) in CERTIFICATES {
        let (chain, key) = make(folder, kind, extensions);
        let envoy = loads(folder, &chain, &key);
        match taken(&plain).await {
            Ok((chain, key)) => {
                assert_eq!((both, envoy), (Both::Take, true), "{name}");
                assert!(loads(folder, &chain, &key), "{name}, in the form it is kept in");
            }
            Err(why) => {
                let expected = if envoy { Both::Useless } else { Both::Refuse };
                assert_eq!(both, expected, "{name}: {why}");
                assert!(why.contains("refused: ") || why.contains("not understood: "), "{why}");
            }
        }
    }
    let (good, key) = make(folder, "ec:P-256", &[NAME]);
    for (name, bend, expected) in TEXTS {
        let bent = bend(&good, &key);
        assert_eq!(loads(folder, &bent, &key), expected, "{name}");
        std::fs::write(folder.join("odd.pem"), &bent).unwrap();
        let (chain, kept) = taken(&plain).await.unwrap_or_else(|why| panic!("{name}: {why}"));
        assert_eq!(chain, good, "{name}: one form");
        assert!(loads(folder, &chain, &kept), "{name}, in the form it is kept in");
    }
}
