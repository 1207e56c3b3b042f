//! `sealwax cert import`: what is found in folders and files of every shape, and what is said.

use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use serde_json::{Value, json};
use tempfile::TempDir;
use time::{Duration, OffsetDateTime};

use super::{World, world};
use crate::commands::exit::{DONE, FAILED, NOT_FOUND, USAGE};

/// A CA and what it signs, in a folder.
struct Shop {
    ca: CertifiedIssuer<'static, KeyPair>,
    folder: TempDir,
}

/// The chain and the key, both PEM.
type Pair = (String, String);

/// Valid at the moments of both the test's control plane and this machine.
fn start() -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp(1_767_225_600).unwrap() - Duration::days(1)
}

fn shop(ca: &str) -> Shop {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.distinguished_name.push(DnType::CommonName, ca);
    let ca = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    Shop { ca, folder: tempfile::tempdir().unwrap() }
}

impl Shop {
    /// With more days than others it is the better one.
    fn pair(&self, names: &[&str], days: i64) -> Pair {
        let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
        let mut params = CertificateParams::new(names).unwrap();
        params.not_before = start();
        params.not_after = start() + Duration::days(20_000 + days);
        let key = KeyPair::generate().unwrap();
        let leaf = params.signed_by(&key, &self.ca).unwrap();
        (format!("{}{}", leaf.pem(), self.ca.pem()), key.serialize_pem())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, text: &str) -> String {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    }

    fn lineage(&self, name: &str, pair: &Pair) {
        self.write(&format!("letsencrypt/live/{name}/fullchain.pem"), &pair.0);
        self.write(&format!("letsencrypt/live/{name}/privkey.pem"), &pair.1);
    }
}

/// The lines of `--json`.
async fn import(world: &World, words: &[&str]) -> (u8, Vec<Value>) {
    let words = [&["--json", "cert", "import"], words].concat();
    let (code, printed) = world.run_with(&words).await;
    let lines = printed.lines().map(|line| serde_json::from_str(line).unwrap());
    (code, lines.collect())
}

async fn import_from(world: &World, program: &str, path: &Path) -> (u8, Vec<Value>) {
    import(world, &["--from", program, path.to_str().unwrap()]).await
}

fn results(lines: &[Value]) -> Vec<(&str, &str)> {
    let text = |line: &'_ Value, field: &str| line[field].as_str().map(str::to_owned);
    let mut found: Vec<_> = lines
        .iter()
        .map(|line| {
            assert!(text(line, "result").is_some(), "{line}");
            (line["result"].as_str().unwrap(), line["domain"].as_str().unwrap_or("-"))
        })
        .collect();
    found.sort_unstable();
    found
}

async fn end_of(world: &World, name: &str) -> String {
    let (code, printed) = world.run(&format!("cert show --json {name}")).await;
    assert_eq!(code, DONE, "{printed}");
    let shown: Value = serde_json::from_str(&printed).unwrap();
    shown["certificate"]["not_after"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn of_a_name_that_is_there_twice_the_better_one_wins_whatever_the_order() {
    for twin_days in [5, 90] {
        let (world, shop) = (world(None).await, shop("Test Issuing"));
        shop.lineage("shop.example.com", &shop.pair(&["shop.example.com"], 60));
        shop.lineage("shop.example.com-0001", &shop.pair(&["shop.example.com"], twin_days));
        let (code, lines) = import_from(&world, "certbot", &shop.path("letsencrypt")).await;
        let expected = [("imported", "shop.example.com"), ("left", "shop.example.com")];
        assert_eq!((code, results(&lines).as_slice()), (DONE, expected.as_slice()));
        let left = lines.iter().find(|line| line["result"] == "left").unwrap();
        assert_eq!(left["file"].as_str().unwrap().contains("-0001"), twin_days == 5, "{left}");
        assert!(left["why"].as_str().unwrap().contains("a better one is in"), "{left}");
    }
}

#[tokio::test]
async fn links_that_were_set_back_hide_no_later_version() {
    let (world, shop) = (world(None).await, shop("Test Issuing"));
    for (number, days) in [(1, 5), (2, 60)] {
        let pair = shop.pair(&["a.example.com"], days);
        shop.write(&format!("letsencrypt/archive/a/fullchain{number}.pem"), &pair.0);
        shop.write(&format!("letsencrypt/archive/a/privkey{number}.pem"), &pair.1);
    }
    let live = shop.path("letsencrypt/live/a");
    std::fs::create_dir_all(&live).unwrap();
    for name in ["fullchain", "privkey"] {
        let link = live.join(format!("{name}.pem"));
        std::os::unix::fs::symlink(format!("../../archive/a/{name}1.pem"), link).unwrap();
    }
    let (code, lines) = import_from(&world, "certbot", &shop.path("letsencrypt")).await;
    assert_eq!(code, DONE);
    assert_eq!(results(&lines), [("imported", "a.example.com"), ("left", "a.example.com")]);
    let imported = lines.iter().find(|line| line["result"] == "imported").unwrap();
    assert!(imported["file"].as_str().unwrap().ends_with("fullchain2.pem"), "{imported}");
}

#[tokio::test]
async fn what_no_visitor_trusts_takes_no_place_of_what_they_may() {
    let (world, shop) = (world(None).await, shop("Test Issuing"));
    let staging = self::shop("(STAGING) Test Issuing");
    let kept = |pair: &Pair| {
        json!({"domain": {"main": "site.example.com"}, "certificate": BASE64_STANDARD.encode(&pair.0),
            "key": BASE64_STANDARD.encode(&pair.1)})
    };
    // The staging one is first in the file, last in the file, and valid longer.
    for (first, last) in [("a", "b"), ("b", "a")] {
        let good = kept(&shop.pair(&["site.example.com"], 60));
        let odd = kept(&staging.pair(&["site.example.com"], 90));
        let acme = json!({first: {"Certificates": [good]}, last: {"Certificates": [odd]}});
        let path = shop.write("acme.json", &acme.to_string());
        let (code, lines) = import_from(&world, "traefik", Path::new(&path)).await;
        assert_eq!(code, DONE, "{lines:?}");
        let imported = lines.iter().find(|line| line["result"] == "imported").unwrap();
        assert_eq!(imported["certificate"]["issuer"], "CN=Test Issuing");
    }
    let (chain, key) = staging.pair(&["site.example.com"], 90);
    let (chain, key) = (shop.write("s.pem", &chain), shop.write("s.key", &key));
    let explicit = ["--chain", &chain, "--key", &key];
    let (code, lines) = import(&world, &explicit).await;
    assert_eq!(
        (code, results(&lines).as_slice()),
        (FAILED, [("kept", "site.example.com")].as_slice())
    );
    assert!(lines[0]["why"].as_str().unwrap().contains("--replace"), "{}", lines[0]);
    let before = end_of(&world, "site.example.com").await;
    let dry = [&explicit[..], &["--replace", "--dry-run"]].concat();
    let (code, lines) = import(&world, &dry).await;
    assert_eq!((code, results(&lines)[0].0), (DONE, "would_be_imported"));
    assert_eq!(end_of(&world, "site.example.com").await, before, "a dry run");
    let (code, _) = import(&world, &[&explicit[..], &["--replace"]].concat()).await;
    assert_eq!(code, DONE);
    assert_ne!(end_of(&world, "site.example.com").await, before);
}

#[tokio::test]
async fn every_shape_of_traefik_is_read_and_an_odd_entry_hides_no_other() {
    let (world, shop) = (world(None).await, shop("Test Issuing"));
    let good = |name: &str, capital: bool| {
        let (chain, key) = shop.pair(&[name], 60);
        let (chain, key) = (BASE64_STANDARD.encode(chain), BASE64_STANDARD.encode(key));
        if capital {
            json!({"Domain": {"Main": name, "SANs": null}, "Certificate": chain, "Key": key})
        } else {
            json!({"domain": {"main": name}, "certificate": chain, "key": key, "Store": "default"})
        }
    };
    let v2 = json!({
        "le": {"Account": null, "Certificates": [
            good("t1.example.com", false), null, 7,
            {"domain": {"main": "t2.example.com"}, "certificate": null, "key": null},
            {"domain": null, "certificate": "%", "key": "%"},
            good("t3.example.com", false)]},
        "none": null, "empty": {"Account": null, "Certificates": null}, "odd": 5,
        "other": {"Certificates": [good("t4.example.com", false)]},
    });
    let v1 = json!({"Account": {"Email": "a@example.com"}, "Certificates": [good("t5.example.com", true)],
        "HTTPChallenges": {}, "TLSChallenges": {}});
    let wrapped = json!({"le": {"Account": null, "Certificates": [good("t6.example.com", true)]}});
    for (shape, code, names) in [
        (v2, FAILED, vec!["t1.example.com", "t3.example.com", "t4.example.com"]),
        (v1, DONE, vec!["t5.example.com"]),
        (wrapped, DONE, vec!["t6.example.com"]),
    ] {
        let path = shop.write("acme.json", &shape.to_string());
        let (ended, lines) = import_from(&world, "traefik", Path::new(&path)).await;
        assert_eq!(ended, code, "{lines:?}");
        let imported: Vec<_> =
            results(&lines).into_iter().filter(|one| one.0 == "imported").collect();
        let expected: Vec<_> = names.iter().map(|&name| ("imported", name)).collect();
        assert_eq!(imported, expected);
        let odd: Vec<_> = lines.iter().filter(|line| line["result"] == "not_understood").collect();
        assert_eq!(odd.len(), if code == DONE { 0 } else { 5 }, "{odd:?}");
    }
    for junk in ["", "{", "[]", "5"] {
        let path = shop.write("acme.json", junk);
        assert_eq!(import_from(&world, "traefik", Path::new(&path)).await.0, FAILED, "{junk}");
    }
}

#[tokio::test]
async fn folders_of_acme_sh_lego_and_dehydrated_are_read() {
    let (world, shop) = (world(None).await, shop("Test Issuing"));
    let (chain, key) = shop.pair(&["one.example.com"], 60);
    shop.write("acme.sh/one.example.com_ecc/fullchain.cer", &chain);
    shop.write("acme.sh/one.example.com_ecc/one.example.com.key", &key);
    let (chain, key) = shop.pair(&["two.example.com"], 60);
    shop.write("lego/certificates/two.example.com.crt", &chain);
    shop.write("lego/certificates/two.example.com.issuer.crt", &shop.ca.pem());
    shop.write("lego/certificates/two.example.com.key", &key);
    let (chain, key) = shop.pair(&["three.example.com"], 60);
    shop.write("dehydrated/certs/three.example.com/fullchain.pem", &chain);
    shop.write("dehydrated/certs/three.example.com/privkey.pem", &key);
    for (program, folder, name) in [
        ("acme.sh", "acme.sh", "one.example.com"),
        ("lego", "lego", "two.example.com"),
        ("dehydrated", "dehydrated", "three.example.com"),
    ] {
        let (code, lines) = import_from(&world, program, &shop.path(folder)).await;
        assert_eq!((code, results(&lines).as_slice()), (DONE, [("imported", name)].as_slice()));
    }
}

#[tokio::test]
async fn an_import_that_does_nothing_says_so() {
    let (world, shop) = (world(None).await, shop("Test Issuing"));
    let (chain, key) = shop.pair(&["both.example.com", "*.both.example.com"], 60);
    let combined = shop.write("both.pem", &format!("{chain}{key}"));
    let (code, lines) = import(&world, &["boht.example.com", "--chain", &combined]).await;
    let expected = [("not_found", "boht.example.com")];
    assert_eq!((code, results(&lines).as_slice()), (NOT_FOUND, expected.as_slice()));
    assert_eq!(lines[0]["why"], "the certificate covers both.example.com, *.both.example.com");
    let (code, lines) = import(&world, &["x.both.example.com", "--chain", &combined]).await;
    let expected = [("imported", "x.both.example.com")];
    assert_eq!((code, results(&lines).as_slice()), (DONE, expected.as_slice()), "by the wildcard");
    let (code, lines) = import(&world, &["--chain", &combined]).await;
    let expected = [("imported", "both.example.com"), ("left", "*.both.example.com")];
    assert_eq!((code, results(&lines).as_slice()), (DONE, expected.as_slice()));
    let pasted = ["https://both.example.com/", "--chain", &combined];
    assert_eq!(import(&world, &pasted).await.0, USAGE);
    let alone = shop.write("alone.pem", &chain);
    assert_eq!(import(&world, &["--chain", &alone]).await.0, USAGE, "without its key");
    let words = ["cert", "import", "--chain", &combined];
    let (code, printed) = world.run_with(&words).await;
    assert_eq!(code, DONE);
    assert!(
        printed.ends_with("1 imported, 1 kept or left, 0 refused, 0 not understood\n"),
        "{printed}"
    );
}
