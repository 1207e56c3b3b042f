//! The proof, step by step.

use anyhow::{Context as _, Result, ensure};
use sealwax_testkit::{Line, PATIENCE, http, wait_until};

use crate::client::run;
use crate::screen::Screen;

/// The test CA's root, for clients to trust.
const ROOT: &str = "target/demo/ca.pem";
/// Seen by nobody before the demo.
const SHOP: &str = "shop.example.com";
const BLOG: &str = "blog.example.com";
const NOBODY: &str = "nobody.example.com";
/// Left to whoever watches.
const YOURS: &str = "yours.example.com";
const BROKEN: &str = "broken.example.com";
/// Where no edge is.
const ELSEWHERE: &str = "127.0.0.9";

/// Shows what Sealwax does, and checks each step.
pub(crate) async fn show(screen: &mut Screen, line: &Line) -> Result<()> {
    std::fs::create_dir_all("target/demo").context("target/demo")?;
    std::fs::write(ROOT, line.pebble.root_pem()).context(ROOT)?;

    screen.heading("Registering two domains");
    for domain in [SHOP, BLOG] {
        let admin = line.control_plane.admin_address();
        let put = format!("curl -sS -f -X PUT http://{admin}/v1/domains/{domain}");
        let said = run(&put).await?;
        ensure!(said.success && said.text.contains("\"pending\""), "{put}\n{}", said.text);
        screen.timed(said.took, &format!("{domain}: pending, no certificate"));
    }
    ensure!(line.pebble.orders() == 0, "registering alone must not order a certificate");

    first_handshake(screen, line).await?;
    plain_http(screen, line).await?;
    unknown_name(screen, line).await?;

    let counts = (line.pebble.orders(), line.pebble.certificates());
    ensure!(counts == (2, 2), "{counts:?} orders and certificates for two domains");
    screen.heading("The CA was asked for 2 orders, one for each domain");
    Ok(())
}

async fn first_handshake(screen: &mut Screen, line: &Line) -> Result<()> {
    screen.heading(&format!("The first TLS handshake {SHOP} ever sees"));
    let https = line.https();
    let handshake = format!(
        "openssl s_client -connect {https} -servername {SHOP} -CAfile {ROOT} \
         -verify_return_error -verify_hostname {SHOP}"
    );
    let first = run(&handshake).await?;
    ensure!(first.success, "{handshake}\n{}", first.text);
    first.line_with("Verify return code: 0 (ok)")?;
    screen.timed(first.took, &format!("openssl s_client: {}", first.line_with("issuer=")?));
    screen
        .line("            issued while the handshake waited: order, challenge, certificate, push");

    let second = run(&handshake).await?;
    ensure!(second.success, "{handshake}\n{}", second.text);
    screen.timed(second.took, "the second handshake: from Envoy's memory");

    let get = curl_https(line, SHOP, "/cart?items=3");
    let said = run(&get).await?;
    let answer = said.line_with(&format!("origin: {SHOP}/cart?items=3"))?;
    screen.timed(said.took, &format!("curl over HTTPS: {answer}"));
    Ok(())
}

async fn plain_http(screen: &mut Screen, line: &Line) -> Result<()> {
    screen.heading(&format!("Plain HTTP for {BLOG}, which has no certificate yet"));
    let get = curl_http(line, BLOG, "/post?id=7");
    let said = run(&get).await?;
    said.line_with("200 OK")?;
    screen.timed(said.took, "the first request goes to the origin, and asks for a certificate");

    let redirected = wait_until("the redirect", PATIENCE, async || {
        let said = run(&get).await.ok()?;
        said.text.contains("308 Permanent Redirect").then_some(said)
    });
    let said = redirected.await?;
    let location = said.line_with("location: ")?.to_owned();
    screen.step("the certificate is there");
    screen.timed(said.took, &format!("308, {location}"));
    let wanted = format!("location: https://{BLOG}:{}/post?id=7", line.https().port());
    ensure!(location == wanted, "redirected to {location:?}, not to {wanted:?}");

    let said = run(&curl_https(line, BLOG, "/post?id=7")).await?;
    let answer = said.line_with(&format!("origin: {BLOG}/post?id=7"))?;
    screen.timed(said.took, &format!("curl over HTTPS: {answer}"));
    Ok(())
}

async fn unknown_name(screen: &mut Screen, line: &Line) -> Result<()> {
    screen.heading(&format!("A name nobody registered: {NOBODY}"));
    let visitor = line.visitor()?;
    let attempt = visitor.handshake(line.https(), NOBODY).await;
    ensure!(attempt.outcome.is_err(), "{NOBODY} has got a certificate");
    screen.timed(attempt.took, "its handshake is refused, and nothing is ordered");
    Ok(())
}

/// Says what there is to try.
pub(crate) async fn invite(screen: &mut Screen, line: &Line) {
    let (admin, https) = (line.control_plane.admin_address(), line.https().port());
    screen.heading("Running until Ctrl-C");
    screen.line(&format!("  HTTP        http://{}", line.envoy.http()));
    screen.line(&format!("  HTTPS       https://{}", line.envoy.https()));
    screen.line(&format!("  Envoy       http://{} (its admin interface)", line.envoy.admin()));
    screen.line(&format!("  admin API   http://{admin} (OpenAPI at /openapi.json)"));
    screen.line(&format!(
        "  DNS         http://{} (of the CA and the control plane: /add-a, /set-servfail)",
        line.pebble.dns().management()
    ));
    let dashboard = http::get(admin, "localhost", "/").await;
    if dashboard.is_ok_and(|page| page.header("content-type").starts_with("text/html")) {
        screen.line(&format!("  dashboard   http://{admin}/"));
    }
    let (dns, sealwax) =
        (line.pebble.dns().management(), format!("target/debug/sealwax --server http://{admin}"));
    let register = |name: &str| format!("  curl -X PUT http://{admin}/v1/domains/{name}");
    let visit = |name: &str| {
        format!("  curl --cacert {ROOT} --resolve {name}:{https}:127.0.0.1 https://{name}:{https}/")
    };
    let zone = |path: &str, more: &str| {
        format!("  curl -d '{{\"host\":\"{BROKEN}.\"{more}}}' http://{dns}/{path}")
    };
    screen.line("\nTo try:");
    screen.line(&register(YOURS));
    screen.line(&visit(YOURS));
    screen.line(&format!("  {sealwax} explain {YOURS}"));
    screen.line("\nTo break a domain's DNS, see why it fails, and mend it:");
    screen.line(&register(BROKEN));
    screen.line(&zone("add-a", &format!(",\"addresses\":[\"{ELSEWHERE}\"]")));
    screen.line(&visit(BROKEN));
    screen.line(&format!("  {sealwax} explain {BROKEN}"));
    screen.line(&format!("  # or on the dashboard: http://{admin}/#/domain/{BROKEN}"));
    screen.line(&zone("clear-a", ""));
    screen.line(&format!("  {sealwax} domain renew {BROKEN}"));
}

fn curl_https(line: &Line, domain: &str, path: &str) -> String {
    let port = line.https().port();
    format!(
        "curl -sS -f --cacert {ROOT} --resolve {domain}:{port}:127.0.0.1 \
         https://{domain}:{port}{path}"
    )
}

fn curl_http(line: &Line, domain: &str, path: &str) -> String {
    let port = line.envoy.http().port();
    format!("curl -sS -i --resolve {domain}:{port}:127.0.0.1 http://{domain}:{port}{path}")
}
