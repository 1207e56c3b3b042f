//! Bad input: a clear error, no panic, nothing lost.

use std::path::Path;
use std::process::{Command, Stdio};

use sealwax_testkit::{Line, LineSettings, PATIENCE, Port, Process, http, sealwax_binary};

#[tokio::test]
async fn malformed_names_and_hosts_are_refused_and_the_line_goes_on() {
    let mut line = Line::start(LineSettings::default()).await.unwrap();
    let admin = line.control_plane.admin();
    admin.register("blog.example.com").await.unwrap();
    let (control_plane, envoy) = (line.control_plane.process().id(), line.envoy.process().id());

    // Names as no DNS has them, sent as they are: a TLS library would refuse to send some.
    for name in ["a b.example.com", "-.example.com", "..", "*.example.com", "127.0.0.1", "%00", "é"]
    {
        assert!(!openssl_succeeds(line.https().port(), name).await, "{name}");
    }
    assert!(!openssl_succeeds(line.https().port(), &"a".repeat(255)).await);

    for host in ["..", "a_b..c", "[::1]:99999", "%2e%2e", "example.com:port", &"x".repeat(300)] {
        let answer = http::get(line.envoy.http(), host, "/").await.unwrap();
        assert!(answer.status < 500, "{host}: {} {}", answer.status, answer.text());
    }
    for token in ["x", "../../etc/passwd", "a%2Fb", "a b", &"t".repeat(5000)] {
        let path = format!("/.well-known/acme-challenge/{}", token.replace(' ', "%20"));
        let answer = http::get(line.envoy.http(), "blog.example.com", &path).await.unwrap();
        assert!((400..500).contains(&answer.status), "{token}: {}", answer.status);
    }

    // Capitals and a trailing dot are the same domain.
    line.visitor().unwrap().visit(line.https(), "blog.example.com").await.unwrap();
    assert!(openssl_succeeds(line.https().port(), "BLOG.Example.COM").await);
    assert_eq!(line.pebble.orders(), 1);
    assert_eq!(line.control_plane.process().id(), control_plane);
    assert!(line.control_plane.process().is_running());
    assert_eq!(line.envoy.process().id(), envoy);
    assert!(!line.control_plane.log().contains("panicked"));
}

#[tokio::test]
async fn malformed_requests_to_the_apis_are_answered_with_a_problem() {
    let line = Line::start(LineSettings::default()).await.unwrap();
    let admin = line.control_plane.admin();
    let refused = [
        ("PUT", "/v1/domains/not%20a%20domain", ""),
        ("PUT", "/v1/domains/localhost..", ""),
        ("PUT", "/v1/domains/10.0.0.1", ""),
        ("PUT", "/v1/domains/blog.example.com", "{\"tenant\": "),
        ("PUT", "/v1/domains/blog.example.com", "{\"tenannt\": \"t1\"}"),
        ("PUT", "/v1/domains/blog.example.com", "{\"priority\": 70000}"),
        ("GET", "/v1/domains?limit=many", ""),
        ("GET", "/v1/domains?state=nonsense", ""),
    ];
    for (method, path, body) in refused {
        let answer = admin.send(method, path, body).await.unwrap();
        assert!((400..500).contains(&answer.status), "{method} {path} {body}: {}", answer.status);
        assert_eq!(answer.header("content-type"), "application/problem+json", "{path}");
    }
    let missing = admin.send("GET", "/v1/domains/blog.example.com", "").await.unwrap();
    assert_eq!(missing.status, 404, "nothing was registered by a refused request");

    let edge = line.control_plane.edge();
    assert_eq!(edge.challenge("!!!", "blog.example.com").await.unwrap().status, 400);
    let token = "Zm9yZ2VkLXRva2VuLW9mLWEtZ29vZC1sZW5ndGg";
    assert_eq!(edge.challenge(token, "blog.example.com").await.unwrap().status, 404);
    assert_eq!(line.pebble.orders(), 0);
}

#[tokio::test]
async fn every_mistake_in_the_configuration_is_named_at_once() {
    let folder = std::env::temp_dir();
    let config = "[xds]\nlisten = \"nowhere\"\n[stoer]\nkind = \"embedded\"\n\
                  [issuance]\nconcurrency = 0\nmax_wait = \"10 parsecs\"\n";
    let said = refused_start(&folder, config).await;
    for mistake in ["xds.listen", "stoer", "issuance.concurrency", "issuance.max_wait"] {
        assert!(said.contains(mistake), "{mistake} is not named in:\n{said}");
    }
    let said = refused_start(&folder, "[xds\nlisten = 1").await;
    assert!(said.contains("line 1") || said.contains(":1"), "{said}");
}

#[tokio::test]
async fn a_taken_port_is_named_in_one_line() {
    let line = Line::start(LineSettings::default()).await.unwrap();
    let taken = line.control_plane.admin_address();
    let (xds, edge) = (Port::free().unwrap(), Port::free().unwrap());
    let store = line.control_plane.folder().join("other");
    let config = format!(
        "[xds]\nlisten = \"{}\"\n[edge]\nlisten = \"{}\"\n[admin]\nlisten = \"{taken}\"\n\
         [store]\npath = \"{}\"\n",
        xds.address(),
        edge.address(),
        store.display()
    );
    let said = refused_start(line.control_plane.folder(), &config).await;
    let naming: Vec<_> = said.lines().filter(|line| line.contains(&taken.to_string())).collect();
    assert_eq!(naming.len(), 1, "{said}");
    assert!(!said.contains("panicked"), "{said}");
}

/// Starts the control plane with a configuration it cannot take, and returns what it says.
async fn refused_start(folder: &Path, config: &str) -> String {
    let port = Port::free().unwrap();
    let file = folder.join(format!("refused-{port}.toml"));
    let log = folder.join(format!("refused-{port}.log"));
    std::fs::write(&file, config).unwrap();
    let arrange = |command: &mut Command| {
        command.arg("serve").arg("--config").arg(&file).current_dir(folder);
    };
    let binary = sealwax_binary().unwrap();
    let mut process = Process::start("sealwax", &binary, &log, arrange).unwrap();
    let status = process.ended(PATIENCE).await.unwrap();
    let said = process.log();
    std::fs::remove_file(file).unwrap();
    std::fs::remove_file(log).unwrap();
    assert!(!status.success(), "{said}");
    said
}

/// Whether a handshake for `name`, sent byte by byte as it is, ends with a certificate.
async fn openssl_succeeds(port: u16, name: &str) -> bool {
    let output = tokio::process::Command::new("openssl")
        .args(["s_client", "-brief", "-connect", &format!("127.0.0.1:{port}")])
        .args(["-servername", name])
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let output = tokio::time::timeout(PATIENCE, output).await.unwrap().unwrap();
    String::from_utf8_lossy(&output.stderr).contains("CONNECTION ESTABLISHED")
}
