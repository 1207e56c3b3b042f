//! Challenges, by whichever worker a connection lands on.

use sealwax_testkit::{Line, LineSettings, PATIENCE, wait_until};

use crate::support::{callouts, counted, envoy_with, get_from_both_workers};

#[tokio::test]
async fn a_challenge_through_both_workers_costs_one_callout() {
    let line = Line::start(LineSettings::default()).await.unwrap();
    let envoy = envoy_with(&line, 2, |yaml| yaml).await;
    line.control_plane.admin().register("blog.example.com").await.unwrap();
    // The validation is held, so that the challenge stays open for as long as it is looked at.
    line.validations.hold();
    line.control_plane.edge().ask("blog.example.com").await.unwrap();
    let asked = wait_until("Pebble to validate", PATIENCE, async || {
        line.pebble.challenge_path("blog.example.com")
    });
    let path = asked.await.unwrap();
    let token = path.rsplit('/').next().unwrap();

    let answers = get_from_both_workers(&envoy, "blog.example.com", &path).await;
    for answer in &answers {
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert!(answer.text().starts_with(&format!("{token}.")), "{}", answer.text());
        assert_eq!(answer.text(), answers[0].text());
        assert_eq!(answer.header("cache-control"), "no-store");
    }
    assert_eq!(callouts(&envoy).await, 1, "the second worker found the answer in shared data");
    counted(&envoy, "cache.shared", 1).await;
    let challenges = u64::try_from(answers.len()).unwrap();
    assert_eq!(counted(&envoy, "challenges.answered", challenges).await, challenges);

    line.validations.pass();
    let admin = line.control_plane.admin();
    admin.await_state("blog.example.com", "issued", PATIENCE).await.unwrap();
}
