//! Several Envoys on one control plane.

use sealwax_testkit::{Line, LineSettings, PATIENCE, http, wait_until};

#[tokio::test]
async fn a_second_envoy_gets_the_same_certificate_from_the_store() {
    let line = Line::start(LineSettings::default()).await.unwrap();
    line.control_plane.admin().register("blog.example.com").await.unwrap();
    let visitor = line.visitor().unwrap();
    let first = visitor.visit(line.https(), "blog.example.com").await.unwrap();

    let other = line.another_envoy("edge-2").await.unwrap();
    let second = visitor.visit(other.https(), "blog.example.com").await.unwrap();
    assert_eq!(first, second);
    assert_eq!((line.pebble.orders(), line.pebble.certificates()), (1, 1));
}

#[tokio::test]
async fn a_challenge_is_answered_by_any_of_two_envoys() {
    let line = Line::start(LineSettings::default()).await.unwrap();
    let other = line.another_envoy("edge-2").await.unwrap();
    line.control_plane.admin().register("blog.example.com").await.unwrap();

    // The validation is held, so that the challenge stays open for as long as it is looked at.
    line.validations.hold();
    let (visitor, https) = (line.visitor().unwrap(), line.https());
    let visit = tokio::spawn(async move { visitor.visit(https, "blog.example.com").await });
    let asked = wait_until("Pebble to validate", PATIENCE, async || {
        line.pebble.challenge_path("blog.example.com")
    });
    let path = asked.await.unwrap();
    let token = path.rsplit('/').next().unwrap();

    let mut answers = Vec::new();
    for envoy in [line.envoy.http(), other.http()] {
        let answer = http::get(envoy, "blog.example.com", &path).await.unwrap();
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert!(answer.header("content-type").starts_with("text/plain"));
        answers.push(answer.text());
    }
    assert_eq!(answers[0], answers[1]);
    assert!(answers[0].starts_with(&format!("{token}.")), "{}", answers[0]);

    line.validations.pass();
    visit.await.unwrap().unwrap();
}
