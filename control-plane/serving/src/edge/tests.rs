use std::sync::Mutex;

use axum::body::Body;
use axum::http::{Method, Request, Response};
use http_body_util::BodyExt as _;
use sealwax_core::preflight::Fetched;
use sealwax_core::store::{Challenge, Change, Expected};
use sealwax_core::{Challenges as _, DomainRecord, Registration};
use sealwax_protocol::ChallengeToken;
use sealwax_protocol::edge::USAGE_NAMES_MAX;
use sealwax_store::memory::{Fault, MemoryStore};
use tower::ServiceExt as _;

use super::*;

struct At(Timestamp);

impl Clock for At {
    fn now(&self) -> Timestamp {
        self.0
    }
}

struct Says(Result<Ready, NotKnown>);

#[async_trait]
impl Readiness for Says {
    async fn ready(&self, _: &Peer, _: &DomainName) -> Result<Ready, NotKnown> {
        self.0.clone()
    }
}

#[derive(Default)]
struct Hears(Mutex<Vec<DomainName>>);

impl Usage for Hears {
    fn used(&self, names: &[DomainName]) {
        self.0.lock().unwrap().extend_from_slice(names);
    }
}

#[derive(Default)]
struct Noted(Mutex<Vec<String>>);

impl Steps for Noted {
    fn asked(&self, domain: &DomainName, _: Timestamp, by: &str) {
        self.0.lock().unwrap().push(format!("{domain} asked: {by}"));
    }

    fn fetched(&self, domain: &DomainName, _: Timestamp, through: &str) {
        self.0.lock().unwrap().push(format!("{domain} fetched: {through}"));
    }
}

fn pending() -> Says {
    let answer = CertificateAnswer::Pending { retry_after: 2 };
    Says(Ok(Ready { answer, max_age: Span::from_secs(1) }))
}

fn api(says: Says, now: i64) -> EdgeApi {
    EdgeApi {
        store: Arc::new(MemoryStore::new(Arc::new(At(Timestamp::from_secs(now))))),
        answers: Answers::default(),
        clock: Arc::new(At(Timestamp::from_secs(now))),
        readiness: Arc::new(says),
        usage: Arc::new(Hears::default()),
        steps: Arc::new(Noted::default()),
    }
}

async fn send(api: &EdgeApi, method: Method, path: &str, body: Body) -> Response<Body> {
    send_as(Peer::Unproved, api, method, path, body).await
}

async fn send_as(
    edge: Peer,
    api: &EdgeApi,
    method: Method,
    path: &str,
    body: Body,
) -> Response<Body> {
    let request = Request::builder().method(method).uri(path).extension(edge);
    let request = request.body(body).unwrap();
    api.clone().router().oneshot(request).await.unwrap()
}

async fn text(response: Response<Body>) -> String {
    let bytes = response.into_body().collect().await.unwrap().to_bytes();
    String::from_utf8(bytes.to_vec()).unwrap()
}

async fn publish(store: &dyn Store, token: &str, expires: i64) {
    let domain = DomainName::parse(&format!("{token}.example.com")).unwrap();
    let now = Timestamp::from_secs(1);
    let record = DomainRecord::registered(domain.clone(), Registration::default(), now);
    let mut change = Change::of(record, Expected::Absent);
    change.publish = Some(Challenge {
        token: ChallengeToken::parse(token).unwrap(),
        domain,
        key_authorization: format!("{token}.thumb"),
        expires_at: Timestamp::from_secs(expires),
    });
    store.write(change).await.unwrap();
}

#[tokio::test]
async fn the_token_of_a_look_is_answered_without_the_store_and_kept_nowhere() {
    let token = sealwax_core::preflight::token(7);
    let response = send(
        &api(pending(), 5),
        Method::GET,
        &format!("/edge/v1/challenges/{token}"),
        Body::empty(),
    )
    .await;
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(response.headers()["cache-control"], "no-store");
    let answer = sealwax_core::preflight::answer(&ChallengeToken::parse(&token).unwrap());
    assert_eq!(Some(text(response).await), answer);
}

#[tokio::test]
async fn a_challenge_is_answered_by_its_token() {
    let api = api(pending(), 10);
    publish(&*api.store, "tok-en", 100).await;
    let answer = send(&api, Method::GET, "/edge/v1/challenges/tok-en", Body::empty()).await;
    assert_eq!(answer.status(), 200);
    assert!(answer.headers()["content-type"].to_str().unwrap().starts_with("text/plain"));
    assert_eq!(text(answer).await, "tok-en.thumb");
}

#[tokio::test]
async fn who_asked_and_through_whom_a_challenge_was_fetched_is_told_by_the_edges_certificate() {
    let noted = Arc::new(Noted::default());
    let api = EdgeApi { steps: Arc::clone(&noted) as _, ..api(pending(), 10) };
    publish(&*api.store, "tok-en", 100).await;
    let domain = DomainName::parse("tok-en.example.com").unwrap();
    let ask = format!("/edge/v1/certificates/{domain}");
    for edge in [Peer::Unproved, Peer::Certified(["edge-7".into()].into())] {
        let fetch = "/edge/v1/challenges/tok-en";
        for (method, path) in [(Method::POST, ask.as_str()), (Method::GET, fetch)] {
            send_as(edge.clone(), &api, method, path, Body::empty()).await;
        }
    }
    // Nobody has published this one.
    send(&api, Method::GET, "/edge/v1/challenges/unknown", Body::empty()).await;
    let wanted = [
        "tok-en.example.com asked: a request at one of the edges",
        "tok-en.example.com fetched: through one of the edges",
        "tok-en.example.com asked: a request at edge-7",
        "tok-en.example.com fetched: through edge-7",
    ];
    assert_eq!(*noted.0.lock().unwrap(), wanted);
}

#[tokio::test]
async fn an_edge_may_keep_a_challenge_for_a_minute_but_not_beyond_its_end() {
    let api = api(pending(), 10);
    for (token, expires, age) in [("long", 1_000, "max-age=60"), ("short", 40, "max-age=30")] {
        publish(&*api.store, token, expires).await;
        let path = format!("/edge/v1/challenges/{token}");
        let answer = send(&api, Method::GET, &path, Body::empty()).await;
        assert_eq!(answer.headers()["cache-control"], age);
    }
}

#[tokio::test]
async fn an_expired_or_unknown_token_is_not_found_and_a_bad_one_is_malformed() {
    let api = api(pending(), 100);
    publish(&*api.store, "old", 100).await;
    for (path, status) in [
        ("/edge/v1/challenges/old", 404),
        ("/edge/v1/challenges/unknown", 404),
        ("/edge/v1/challenges/a.b", 400),
        ("/edge/v1/challenges/a%2fb", 400),
        ("/edge/v1/challenges/%ff", 400),
        ("/edge/v1/challenges/", 404),
    ] {
        let answer = send(&api, Method::GET, path, Body::empty()).await;
        assert_eq!(answer.status(), status, "{path}");
    }
    let long = format!("/edge/v1/challenges/{}", "a".repeat(129));
    assert_eq!(send(&api, Method::GET, &long, Body::empty()).await.status(), 400);
}

#[tokio::test]
async fn a_certificate_answer_carries_its_status_and_age() {
    let api = api(pending(), 1);
    let path = "/edge/v1/certificates/Blog.example.com";
    let answer = send(&api, Method::POST, path, Body::empty()).await;
    assert_eq!(answer.status(), 202);
    assert_eq!(answer.headers()["cache-control"], "max-age=1");
    assert_eq!(text(answer).await, r#"{"state":"pending","retry_after":2}"#);
    let answer = send(&api, Method::POST, "/edge/v1/certificates/1.2.3.4", Body::empty()).await;
    assert_eq!(answer.status(), 400);
    assert_eq!(answer.headers()["content-type"], "application/problem+json");
    assert_eq!(send(&api, Method::GET, path, Body::empty()).await.status(), 405);
}

#[tokio::test]
async fn what_cannot_be_known_is_503_with_a_time_to_come_back() {
    let api = api(Says(Err(NotKnown { retry_after: Span::from_secs(3) })), 1);
    let path = "/edge/v1/certificates/a.example.com";
    let answer = send(&api, Method::POST, path, Body::empty()).await;
    assert_eq!(answer.status(), 503);
    assert_eq!(answer.headers()["retry-after"], "3");
}

#[tokio::test]
async fn usage_is_heard_and_bad_reports_are_refused() {
    let hears = Arc::new(Hears::default());
    let api = EdgeApi { usage: Arc::clone(&hears) as Arc<dyn Usage>, ..api(pending(), 1) };
    let report = r#"{"names":["a.example.com"]}"#;
    let answer = send(&api, Method::POST, USAGE_PATH, Body::from(report)).await;
    assert_eq!(answer.status(), 204);
    assert_eq!(*hears.0.lock().unwrap(), [DomainName::parse("a.example.com").unwrap()]);
    for bad in ["", "{}", r#"{"names":["1.2.3.4"]}"#] {
        let answer = send(&api, Method::POST, USAGE_PATH, Body::from(bad)).await;
        assert_eq!(answer.status(), 400, "{bad}");
    }
    let names = vec!["a.example.com"; USAGE_NAMES_MAX + 1];
    let report = serde_json::json!({ "names": names }).to_string();
    assert_eq!(send(&api, Method::POST, USAGE_PATH, Body::from(report)).await.status(), 400);
    let huge = vec![b' '; BOUNDS.body_bytes + 1];
    assert_eq!(send(&api, Method::POST, USAGE_PATH, Body::from(huge)).await.status(), 413);
}

#[tokio::test]
async fn the_largest_report_allowed_fits() {
    let api = api(pending(), 1);
    let label = "a".repeat(63);
    let name = format!("{label}.{label}.{label}.{}", "b".repeat(61));
    let report = serde_json::json!({ "names": vec![name; USAGE_NAMES_MAX] }).to_string();
    assert_eq!(send(&api, Method::POST, USAGE_PATH, Body::from(report)).await.status(), 204);
}

const TOKEN: &str = "/edge/v1/challenges/tok";

/// The store refuses this many calls.
fn failing(times: usize) -> EdgeApi {
    let store = MemoryStore::new(Arc::new(At(Timestamp::from_secs(1))));
    let left = Mutex::new(times);
    store.set_faults(Some(Arc::new(move |_| {
        let mut left = left.lock().unwrap();
        let fails = *left > 0;
        *left = left.saturating_sub(1);
        fails.then_some(Fault::Refused)
    })));
    EdgeApi { store: Arc::new(store), ..api(pending(), 1) }
}

#[tokio::test(start_paused = true)]
async fn a_store_that_is_away_is_503_and_not_an_unknown_token() {
    let api = failing(usize::MAX);
    let answer = send(&api, Method::GET, TOKEN, Body::empty()).await;
    assert_eq!(answer.status(), 503);
    assert_eq!(answer.headers()["retry-after"], "1");
    let token = ChallengeToken::parse("tok").unwrap();
    assert_eq!(api.answers.fetched(&token), Fetched { answered: 0, unanswered: 1 });
}

#[tokio::test(start_paused = true)]
async fn a_store_that_is_throttled_for_a_moment_is_asked_again_while_the_edge_waits() {
    let api = failing(3);
    let started = tokio::time::Instant::now();
    let answer = send(&api, Method::GET, TOKEN, Body::empty()).await;
    assert_eq!(answer.status(), 404, "by the store's word");
    // The filter's callout has a second by default.
    assert!(started.elapsed() < Duration::from_millis(900), "{:?}", started.elapsed());
}

#[tokio::test(start_paused = true)]
async fn what_this_process_published_is_answered_without_the_store_until_it_is_withdrawn() {
    let api = failing(usize::MAX);
    let token = ChallengeToken::parse("tok").unwrap();
    api.answers.published(&Challenge {
        token: token.clone(),
        domain: DomainName::parse("a.example.com").unwrap(),
        key_authorization: "tok.thumb".to_owned(),
        expires_at: Timestamp::from_secs(60),
    });
    let answer = send(&api, Method::GET, TOKEN, Body::empty()).await;
    assert_eq!(answer.status(), 200);
    assert_eq!(text(answer).await, "tok.thumb");
    assert_eq!(api.answers.fetched(&token), Fetched { answered: 1, unanswered: 0 });
    api.answers.withdrawn(&token);
    assert_eq!(send(&api, Method::GET, TOKEN, Body::empty()).await.status(), 503);
}
