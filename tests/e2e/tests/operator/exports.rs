//! Certificates taken out again.

use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

use crate::plain::Plain;

const NAME: &str = "shop.example.com";

#[tokio::test]
async fn a_certificate_leaves_with_its_key_only_for_who_may_and_never_unseen() {
    let plain =
        Plain::start("token_file = \"token\"\nread_token_file = \"read-token\"").await.unwrap();
    let folder = plain.folder.path();
    let made = Command::new("openssl")
        .args(["req", "-x509", "-nodes", "-days", "30", "-subj", "/CN=test", "-newkey", "ec"])
        .args(["-pkeyopt", "ec_paramgen_curve:P-256", "-addext"])
        .arg(format!("subjectAltName=DNS:{NAME}"))
        .args(["-out", "in.pem", "-keyout", "in.key"])
        .current_dir(folder)
        .output()
        .unwrap();
    assert!(made.status.success(), "{made:?}");
    let import = ["cert", "import", "--chain", "in.pem", "--key", "in.key"];
    let token = ["--token-file", "token"];
    assert!(plain.run(&[&token[..], &import].concat()).await.unwrap().status.success());

    let export = ["cert", "export", NAME, "--chain", "out.pem", "--key", "out.key"];
    let reader = ["--token-file", "read-token"];
    let refused = plain.run(&[&reader[..], &export].concat()).await.unwrap();
    let said = String::from_utf8_lossy(&refused.stderr);
    assert_eq!(refused.status.code(), Some(1));
    assert!(said.contains("keys"), "{said}");
    assert!(!folder.join("out.key").exists() && !folder.join("out.pem").exists(), "no trace");

    let exported = plain.run(&[&token[..], &export].concat()).await.unwrap();
    assert!(exported.status.success(), "{exported:?}");
    let read = |name: &str| std::fs::read_to_string(folder.join(name)).unwrap();
    assert_eq!(read("out.pem").trim(), read("in.pem").trim());
    assert_eq!(read("out.key"), read("in.key"), "openssl writes the same form");
    for name in ["out.pem", "out.key"] {
        let mode = std::fs::metadata(folder.join(name)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
    }

    let again = plain.run(&[&token[..], &export].concat()).await.unwrap();
    assert_eq!(again.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&again.stderr).contains("not written over"));
    assert_eq!(read("out.key"), read("in.key"));
    let nobody = ["cert", "export", "nobody.example.com", "--chain", "no.pem", "--key", "no.key"];
    let nobody = plain.run(&[&token[..], &nobody].concat()).await.unwrap();
    assert_eq!(nobody.status.code(), Some(3));
    assert!(!folder.join("no.key").exists());

    let log = plain.log();
    let audited = log.lines().filter(|line| {
        line.contains("sealwax::audit")
            && line.contains("/certificate/export")
            && line.contains("\"keys\"")
    });
    assert_eq!(audited.count(), 2, "the export, and the try for a name that is not there: {log}");
    let key = read("in.key");
    let secret = key.lines().nth(1).unwrap();
    assert!(!log.contains(secret) && !log.contains("PRIVATE KEY"));
    let told = plain.run(&[&token[..], &["explain", NAME]].concat()).await.unwrap();
    let told = String::from_utf8_lossy(&told.stdout).into_owned();
    assert!(told.contains("taken out with its private key"), "{told}");
}
