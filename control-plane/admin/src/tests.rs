use axum::body::Body;
use axum::http::{Method, Request, Response};
use http_body_util::BodyExt as _;
use sealwax_core::Clock;
use sealwax_core::store::Store;
use sealwax_core::testing::ManualClock;
use sealwax_store::memory::{Fault, MemoryStore};
use serde_json::{Value, json};
use tower::ServiceExt as _;

use super::*;
use crate::testing::{Well, api};
use sealwax_registry::testing::{Heard, over};
use sealwax_registry::{Announcer, Rules};
use sealwax_telemetry::metrics::{Meter, Metrics};

mod process;
mod work;

struct World {
    api: AdminApi,
    store: Arc<MemoryStore>,
}

fn world() -> World {
    let clock = ManualClock::at_secs(1_767_225_600) as Arc<dyn Clock>;
    let store = Arc::new(MemoryStore::new(Arc::clone(&clock)));
    let feed = Feed::new(clock.now());
    let metered = Meter::new(
        Arc::clone(&store) as Arc<dyn Store>,
        Arc::clone(&clock),
        Metrics::new(),
        Arc::default(),
        feed.clone(),
    );
    let registry = Registry::new(
        Arc::new(metered.store()) as Arc<dyn Store>,
        Arc::clone(&clock),
        Arc::new(Heard::default()) as Arc<dyn Announcer>,
        Rules { issuers: vec!["main".to_owned()], on_register: false },
    );
    let certificates = over(Arc::clone(&store) as Arc<dyn Store>, &clock);
    World { api: api(registry, certificates, feed), store }
}

impl World {
    async fn send(&self, method: Method, path: &str, body: impl Into<Body>) -> Response<Body> {
        self.request(method, path, &[("host", "127.0.0.1:18002")], body).await
    }

    async fn request(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<Body>,
    ) -> Response<Body> {
        let mut request = Request::builder().method(method).uri(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(body.into()).unwrap();
        self.api.clone().router().oneshot(request).await.unwrap()
    }

    async fn json(&self, method: Method, path: &str, body: impl Into<Body>) -> (u16, Value) {
        let response = self.send(method, path, body).await;
        (response.status().as_u16(), serde_json::from_str(&text(response).await).unwrap())
    }
}

async fn text(response: Response<Body>) -> String {
    let bytes = response.into_body().collect().await.unwrap().to_bytes();
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[tokio::test]
async fn a_domain_is_created_shown_and_removed_in_the_contracts_words() {
    let world = world();
    let path = "/v1/domains/Blog.example.com";
    let created = world.send(Method::PUT, path, r#"{"tenant":"t1"}"#).await;
    assert_eq!(created.status(), 201);
    assert_eq!(created.headers()["location"], "/v1/domains/blog.example.com");
    let record = json!({
        "domain": "blog.example.com", "tenant": "t1", "state": "pending",
        "certificate": null, "failure": null,
        "created_at": "2026-01-01T00:00:00Z", "updated_at": "2026-01-01T00:00:00Z",
    });
    assert_eq!(serde_json::from_str::<Value>(&text(created).await).unwrap(), record);
    assert_eq!(world.json(Method::PUT, path, r#"{"tenant":"t1"}"#).await, (200, record.clone()));
    assert_eq!(world.json(Method::GET, path, "").await, (200, record));
    assert_eq!(world.send(Method::DELETE, path, "").await.status(), 204);
    let (status, problem) = world.json(Method::GET, path, "").await;
    assert_eq!(status, 404);
    assert_eq!(problem["type"], "urn:sealwax:problem:domain-not-found");
    assert_eq!(problem["detail"], "blog.example.com is not registered");
    assert_eq!(world.send(Method::DELETE, path, "").await.status(), 404);
}

#[tokio::test]
async fn unicode_names_become_a_labels_at_this_border() {
    let world = world();
    let (status, record) = world.json(Method::PUT, "/v1/domains/b%C3%BCcher.example", "").await;
    assert_eq!((status, &record["domain"]), (201, &json!("xn--bcher-kva.example")));
}

#[tokio::test]
async fn bad_names_bodies_and_queries_are_problems() {
    let world = world();
    for (method, path, body, word) in [
        (Method::PUT, "/v1/domains/localhost", "", "malformed-domain"),
        (Method::PUT, "/v1/domains/1.2.3.4", "", "malformed-domain"),
        (Method::PUT, "/v1/domains/*.example.com", "", "malformed-domain"),
        (Method::PUT, "/v1/domains/a.example.com", "{", "malformed-body"),
        (Method::PUT, "/v1/domains/a.example.com", r#"{"tennant":"t"}"#, "malformed-body"),
        (Method::PUT, "/v1/domains/a.example.com", r#"{"tenant":""}"#, "malformed-body"),
        (Method::PUT, "/v1/domains/a.example.com", r#"{"tenant":"a\u0000"}"#, "malformed-body"),
        (Method::PUT, "/v1/domains/a.example.com", r#"{"key_type":"dsa"}"#, "malformed-body"),
        (Method::PUT, "/v1/domains/a.example.com", r#"{"priority":256}"#, "malformed-body"),
        (Method::PUT, "/v1/domains/a.example.com", r#"{"issuer":"nobody"}"#, "unknown-issuer"),
        (Method::GET, "/v1/domains?state=odd", "", "malformed-query"),
        (Method::GET, "/v1/domains?limit=0", "", "malformed-query"),
        (Method::GET, "/v1/domains?limit=1001", "", "malformed-query"),
        (Method::GET, "/v1/domains?due_within=soon", "", "malformed-query"),
        (Method::GET, "/v1/domains?due_within=1d&cursor=x", "", "malformed-query"),
        (Method::GET, "/v1/domains?cursor=x", "", "malformed-query"),
        (Method::GET, "/v1/domains?colour=red", "", "malformed-query"),
        (Method::POST, "/v1/domains/a.example.com/renew?force=maybe", "", "malformed-query"),
    ] {
        let response = world.send(method, path, body).await;
        assert_eq!(response.status(), 400, "{path} {body}");
        assert_eq!(response.headers()["content-type"], "application/problem+json");
        let problem: Value = serde_json::from_str(&text(response).await).unwrap();
        assert_eq!(problem["type"], format!("urn:sealwax:problem:{word}"), "{path} {body}");
        assert_eq!(problem["status"], 400);
    }
    let huge = vec![b' '; BOUNDS.body_bytes + 1];
    let response = world.send(Method::PUT, "/v1/domains/a.example.com", huge).await;
    assert_eq!(response.status(), 413);
    assert_eq!(world.send(Method::GET, "/v2", "").await.status(), 404);
    assert_eq!(world.send(Method::PATCH, "/v1/domains", "").await.status(), 405);
}

#[tokio::test]
async fn pages_follow_their_cursor_to_the_end() {
    let world = world();
    for index in 0..5 {
        let path = format!("/v1/domains/d{index}.example.com");
        world.send(Method::PUT, &path, r#"{"tenant":"t1"}"#).await;
    }
    world.send(Method::PUT, "/v1/domains/other.example.com", "").await;
    let mut seen = Vec::new();
    let mut path = "/v1/domains?tenant=t1&limit=2".to_owned();
    loop {
        let (status, page) = world.json(Method::GET, &path, "").await;
        assert_eq!(status, 200);
        seen.extend(page["domains"].as_array().unwrap().iter().map(|view| view["domain"].clone()));
        match page["next_cursor"].as_str() {
            Some(cursor) => path = format!("/v1/domains?tenant=t1&limit=2&cursor={cursor}"),
            None => break,
        }
    }
    assert_eq!(seen.len(), 5);
    assert!(seen.contains(&json!("d4.example.com")) && !seen.contains(&json!("other.example.com")));
}

#[tokio::test]
async fn pages_of_due_domains_keep_the_first_pages_moment() {
    let world = world();
    for index in 0..3 {
        let path = format!("/v1/domains/d{index}.example.com");
        world.send(Method::PUT, &path, "").await;
        let renewed = world.send(Method::POST, &format!("{path}/renew"), "").await;
        assert_eq!(renewed.status(), 202);
    }
    let (_, page) = world.json(Method::GET, "/v1/domains?due_within=1h&limit=2", "").await;
    let cursor = page["next_cursor"].as_str().unwrap().to_owned();
    let path = format!("/v1/domains?due_within=1h&limit=2&cursor={cursor}");
    let (status, page) = world.json(Method::GET, &path, "").await;
    assert_eq!((status, page["domains"].as_array().unwrap().len()), (200, 1));
}

#[tokio::test]
async fn a_batch_answers_each_line_in_order() {
    let world = world();
    world.send(Method::PUT, "/v1/domains/there.example.com", "").await;
    let lines = concat!(
        "{\"domain\":\"new.example.com\",\"tenant\":\"t1\"}\n",
        "{\"domain\":\"there.example.com\"}\r\n",
        "\n",
        "{\"domain\":\"1.2.3.4\"}\n",
        "not json\n",
        "{\"domain\":\"a.example.com\",\"colour\":1}\n",
        "{\"tenant\":\"t\"}\n",
        "{\"domain\":\"last.example.com\"}",
    );
    let response = world.send(Method::POST, "/v1/domains:batch", lines).await;
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers()["content-type"], "application/x-ndjson");
    let results: Vec<BatchResult> =
        text(response).await.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let told: Vec<_> = results.iter().map(|result| (result.line, result.status)).collect();
    assert_eq!(told, [(1, 201), (2, 200), (4, 400), (5, 400), (6, 400), (7, 400), (8, 201)]);
    assert_eq!(results[2].domain.as_deref(), Some("1.2.3.4"));
    assert!(results[4].problem.as_ref().unwrap().detail.contains("colour"));
    let (_, record) = world.json(Method::GET, "/v1/domains/new.example.com", "").await;
    assert_eq!(record["tenant"], "t1");
}

#[tokio::test]
async fn a_name_that_comes_twice_in_a_batch_ends_as_its_last_line_says() {
    let world = world();
    let lines = concat!(
        "{\"domain\":\"a.example.com\",\"tenant\":\"t1\"}\n",
        "{\"domain\":\"b.example.com\",\"issuer\":\"nobody\"}\n",
        "{\"domain\":\"A.example.com\",\"tenant\":\"t2\"}\n",
        "{\"domain\":\"c.example.com\"}\n",
    );
    let told = text(world.send(Method::POST, "/v1/domains:batch", lines).await).await;
    let results: Vec<BatchResult> =
        told.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let told: Vec<_> = results.iter().map(|result| (result.line, result.status)).collect();
    assert_eq!(told, [(1, 201), (2, 400), (3, 200), (4, 201)]);
    let (_, record) = world.json(Method::GET, "/v1/domains/a.example.com", "").await;
    assert_eq!(record["tenant"], "t2");
}

#[tokio::test]
async fn a_line_without_end_ends_a_batch() {
    let world = world();
    let mut body = b"{\"domain\":\"a.example.com\"}\n".to_vec();
    body.extend(vec![b'x'; LINE_BYTES_MAX + 2]);
    body.extend(b"\n{\"domain\":\"b.example.com\"}\n");
    let told = text(world.send(Method::POST, "/v1/domains:batch", body).await).await;
    let results: Vec<BatchResult> =
        told.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(results.len(), 2, "{told}");
    assert_eq!((results[0].status, results[1].status), (201, 400));
}

#[tokio::test]
async fn a_batch_larger_than_a_single_request_may_be_is_taken() {
    let world = world();
    let lines: String =
        (0..5_000).map(|index| format!("{{\"domain\":\"d{index}.example.com\"}}\n")).collect();
    assert!(lines.len() > BOUNDS.body_bytes);
    let told = text(world.send(Method::POST, "/v1/domains:batch", lines).await).await;
    assert_eq!(told.lines().count(), 5_000);
    assert!(told.lines().all(|line| line.contains("\"status\":201")));
}

#[tokio::test]
async fn events_and_explanation_tell_what_happened() {
    let world = world();
    world.send(Method::PUT, "/v1/domains/a.example.com", "").await;
    let (status, told) = world.json(Method::GET, "/v1/domains/a.example.com/events", "").await;
    assert_eq!(status, 200);
    assert_eq!(told["events"][0]["kind"], "domain.registered");
    assert_eq!(told["events"][0]["at"], "2026-01-01T00:00:00Z");
    let (status, told) = world.json(Method::GET, "/v1/domains/a.example.com/explain", "").await;
    assert_eq!(status, 200);
    assert!(told["next"].as_str().unwrap().contains("first handshake"));
    assert_eq!(told["timeline"][0]["what"], "registered");
    for path in ["/v1/domains/b.example.com/events", "/v1/domains/b.example.com/explain"] {
        assert_eq!(world.send(Method::GET, path, "").await.status(), 404);
    }
}

#[tokio::test]
async fn a_store_that_is_away_is_503_without_its_inner_words() {
    let world = world();
    world.store.set_faults(Some(Arc::new(|_| Some(Fault::Refused))));
    let response = world.send(Method::PUT, "/v1/domains/a.example.com", "").await;
    assert_eq!(response.status(), 503);
    assert_eq!(response.headers()["retry-after"], "2");
    assert!(!text(response).await.contains("injected"));
}
