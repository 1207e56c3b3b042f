//! What the filter does for requests in clear text.

use sealwax_testkit::{Line, LineSettings, PATIENCE, http, wait_until};

#[tokio::test]
async fn plain_http_is_redirected_once_the_certificate_is_there() {
    let line = Line::start(LineSettings::default()).await.unwrap();
    let admin = line.control_plane.admin();
    admin.register("blog.example.com").await.unwrap();

    // The first request is not held up by the issuance it sets off.
    let first = http::get(line.envoy.http(), "blog.example.com", "/a?b=c").await.unwrap();
    assert_eq!(first.text(), "origin: blog.example.com/a?b=c\n");
    admin.await_state("blog.example.com", "issued", PATIENCE).await.unwrap();

    let redirect = wait_until("a redirect", PATIENCE, async || {
        let answer = http::get(line.envoy.http(), "blog.example.com", "/a?b=c%20d").await.ok()?;
        (answer.status == 308).then_some(answer)
    });
    let location = format!("https://blog.example.com:{}/a?b=c%20d", line.https().port());
    assert_eq!(redirect.await.unwrap().header("location"), location);
    assert_eq!(line.pebble.orders(), 1);
    line.visitor().unwrap().visit(line.https(), "blog.example.com").await.unwrap();
}

#[tokio::test]
async fn a_challenge_nobody_asked_for_is_never_forwarded_to_the_origin() {
    let line = Line::start(LineSettings::default()).await.unwrap();
    let path = "/.well-known/acme-challenge/Zm9yZ2VkLXRva2VuLW9mLWEtZ29vZC1sZW5ndGg";
    for host in ["blog.example.com", "unregistered.example.net"] {
        let answer = http::get(line.envoy.http(), host, path).await.unwrap();
        assert_eq!(answer.status, 404, "{}", answer.text());
        assert!(!answer.text().contains("origin:"));
    }
}
