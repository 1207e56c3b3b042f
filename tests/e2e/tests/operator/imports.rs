//! Certificates of other programs, brought along from the places and in the forms they are kept.

use std::path::Path;
use std::process::{Command, Stdio};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use sealwax_testkit::{PATIENCE, sealwax_binary, wait_until};
use serde_json::{Value, json};

use crate::plain::Plain;

/// A self-signed certificate for `names` in `chain`, its key in the form `form` makes in `key`.
pub(crate) fn make(folder: &Path, names: &[&str], chain: &str, key: &str, form: Form) {
    let path = |name: &str| folder.join(name).display().to_string();
    let (kind, convert): (&[&str], &[&str]) = match form {
        Form::Pkcs8 => {
            (&["ec", "-pkeyopt", "ec_paramgen_curve:P-256"], &["pkcs8", "-topk8", "-nocrypt"])
        }
        Form::Sec1 => (&["ec", "-pkeyopt", "ec_paramgen_curve:P-384"], &["ec"]),
        Form::Pkcs1 => (&["rsa:2048"], &["rsa", "-traditional"]),
    };
    let alternative: Vec<_> = names.iter().map(|name| format!("DNS:{name}")).collect();
    openssl(
        &[&["req", "-x509", "-nodes", "-days", "30", "-subj", "/CN=test", "-newkey"], kind]
            .concat(),
        &[
            "-addext",
            &format!("subjectAltName={}", alternative.join(",")),
            "-out",
            &path(chain),
            "-keyout",
            &path("made.key"),
        ],
    );
    openssl(convert, &["-in", &path("made.key"), "-out", &path(key)]);
}

#[derive(Clone, Copy)]
pub(crate) enum Form {
    Pkcs8,
    Sec1,
    Pkcs1,
}

fn openssl(first: &[&str], rest: &[&str]) {
    let output = Command::new("openssl").args(first).args(rest).output().unwrap();
    assert!(output.status.success(), "{first:?}: {}", String::from_utf8_lossy(&output.stderr));
}

fn text(folder: &Path, name: &str) -> String {
    std::fs::read_to_string(folder.join(name)).unwrap()
}

#[tokio::test]
async fn certificates_are_brought_along_from_each_program_and_in_each_form_of_key() {
    let plain = Plain::start("").await.unwrap();
    let folder = plain.folder.path();
    let live = folder.join("letsencrypt/live/one.example.com");
    std::fs::create_dir_all(&live).unwrap();
    make(
        &live,
        &["one.example.com", "www.one.example.com", "*.one.example.com"],
        "fullchain.pem",
        "privkey.pem",
        Form::Pkcs8,
    );
    let caddy =
        folder.join("caddy/certificates/acme-v02.api.letsencrypt.org-directory/two.example.com");
    std::fs::create_dir_all(&caddy).unwrap();
    make(&caddy, &["two.example.com"], "two.example.com.crt", "two.example.com.key", Form::Sec1);
    make(folder, &["three.example.com"], "three.pem", "three.key", Form::Pkcs1);
    let encoded = |name| BASE64_STANDARD.encode(text(folder, name));
    let acme = json!({"le": {"Account": null, "Certificates": [{
        "domain": {"main": "three.example.com"}, "Store": "default",
        "certificate": encoded("three.pem"), "key": encoded("three.key"),
    }]}, "unused": {"Account": null, "Certificates": null}});
    std::fs::write(folder.join("acme.json"), acme.to_string()).unwrap();
    make(folder, &["four.example.com"], "four.pem", "four.key", Form::Pkcs8);
    std::fs::create_dir(folder.join("auto-ssl")).unwrap();
    let latest = json!({"fullchain_pem": text(folder, "four.pem"), "privkey_pem": text(folder, "four.key"),
        "cert_pem": "", "expiry": 1_800_000_000});
    std::fs::write(folder.join("auto-ssl/four.example.com%3Alatest"), latest.to_string()).unwrap();
    std::fs::write(folder.join("auto-ssl/broken.example.com%3Alatest"), "{}").unwrap();

    for (program, path, status) in [
        ("certbot", "letsencrypt", 0),
        ("caddy", "caddy", 0),
        ("traefik", "acme.json", 0),
        ("auto-ssl", "auto-ssl", 1),
    ] {
        let output = plain.run(&["cert", "import", "--from", program, path]).await.unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(status), "{program}: {said}");
        assert!(!said.contains("PRIVATE KEY"), "{said}");
    }
    for name in ["one", "www.one", "two", "three", "four"] {
        let record = plain.admin().show(&format!("{name}.example.com")).await.unwrap();
        assert_eq!(record["certificate"]["source"], "imported", "{name}: {record}");
    }

    make(folder, &["five.example.com"], "five.pem", "five.key", Form::Sec1);
    let from_files =
        ["cert", "import", "five.example.com", "--chain", "five.pem", "--key", "five.key"];
    assert!(plain.run(&from_files).await.unwrap().status.success());
    let mixed = ["cert", "import", "--chain", "five.pem", "--key", "four.key"];
    assert_eq!(plain.run(&mixed).await.unwrap().status.code(), Some(1), "they do not fit");
    assert_eq!(
        plain.run(&["cert", "import", "--chain", "five.pem"]).await.unwrap().status.code(),
        Some(2)
    );

    let shown = plain.run(&["--json", "cert", "show", "five.example.com"]).await.unwrap();
    let shown: Value = serde_json::from_slice(&shown.stdout).unwrap();
    assert_eq!(shown["certificate"]["sans"], json!(["five.example.com"]));
    let none = plain.run(&["cert", "show", "nobody.example.com"]).await.unwrap();
    assert_eq!(none.status.code(), Some(3));
    assert!(!plain.log().contains("PRIVATE KEY"));
}

#[tokio::test]
async fn an_import_that_is_stopped_says_where_to_go_on() {
    use std::io::Write as _;
    let plain = Plain::start("").await.unwrap();
    let mut import = Command::new(sealwax_binary().unwrap())
        .args(["domain", "import", "-"])
        .env("SEALWAX_SERVER", format!("http://{}", plain.address()))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // The file has no end: someone presses Ctrl-C.
    let mut lines = import.stdin.take().unwrap();
    lines.write_all(b"one.example.com\ntwo.example.com\n").unwrap();
    let admin = plain.admin();
    let registered = async || admin.show("two.example.com").await.ok();
    wait_until("two domains", PATIENCE, registered).await.unwrap();
    let process = rustix::process::Pid::from_child(&import);
    rustix::process::kill_process(process, rustix::process::Signal::INT).unwrap();
    let output = import.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("--from-line"), "{said}");
    drop(lines);
}
