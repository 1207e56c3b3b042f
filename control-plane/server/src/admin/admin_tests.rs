use axum::body::Body;
use axum::http::{Method, Request, Response};
use http_body_util::BodyExt as _;
use sealwax_core::Clock;
use sealwax_core::store::Store;
use sealwax_store::memory::{Fault, MemoryStore};
use serde_json::{Value, json};
use tower::ServiceExt as _;

use super::*;
use crate::metrics::{MeteredStore, Metrics};
use crate::registry::tests::{Hand, Heard};
use crate::registry::{Announcer, Rules};

struct Well(Result<(), Troubles>);

#[async_trait::async_trait]
impl Health for Well {
    async fn ready(&self) -> Result<(), Troubles> {
        self.0.clone()
    }

    fn metrics(&self) -> String {
        "sealwax_up 1\n".to_owned()
    }
}

struct NoParts;

impl Fleet for NoParts {
    fn glance(&self) -> FleetView {
        no_fleet()
    }

    fn edges(&self) -> EdgesView {
        let edge = EdgeView { node_id: "edge-1".to_owned(), nacks: 2, ..EdgeView::default() };
        EdgesView { edges: vec![edge] }
    }
}

/// Nothing is going on.
pub(crate) fn no_fleet() -> FleetView {
    FleetView {
        version: "0.0.0".to_owned(),
        now: "2026-01-01T00:00:00Z".to_owned(),
        census: None,
        queue: Vec::new(),
        runs_in_flight: 0,
        handshakes_held: 0,
        names_in_memory: 0,
        edges: 1,
        issuers: Vec::new(),
        budgets: Vec::new(),
        hours: Vec::new(),
    }
}

struct World {
    api: AdminApi,
    store: Arc<MemoryStore>,
}

fn world() -> World {
    let clock = Hand::at(1_767_225_600) as Arc<dyn Clock>;
    let store = Arc::new(MemoryStore::new(Arc::clone(&clock)));
    let feed = Feed::new(clock.now());
    let metered = MeteredStore::new(
        Arc::clone(&store) as Arc<dyn Store>,
        Arc::clone(&clock),
        Metrics::new(),
        Arc::default(),
        feed.clone(),
        Trail::default(),
    );
    let registry = Registry::new(
        Arc::new(metered) as Arc<dyn Store>,
        Arc::clone(&clock),
        Arc::new(Heard::default()) as Arc<dyn Announcer>,
        Rules { issuers: vec!["main".to_owned()], on_register: false },
    );
    let certificates = crate::certificates::tests::over(&store, &clock);
    World { api: api(registry, certificates, feed), store }
}

/// The API over a registry, without a process around it.
pub(crate) fn api(registry: Registry, certificates: Certificates, feed: Feed) -> AdminApi {
    let campaigns =
        Campaigns::new(Arc::clone(&certificates.store), Arc::clone(&certificates.clock));
    AdminApi {
        registry,
        certificates,
        accounts: Accounts::default(),
        campaigns,
        health: Arc::new(Well(Ok(()))),
        fleet: Arc::new(NoParts),
        feed,
        trail: Trail::default(),
        advice: Arc::default(),
        stop: CancellationToken::new(),
        tokens: None,
        rate: 1_000,
        access_log: Arc::default(),
    }
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

#[tokio::test]
async fn with_a_token_everything_but_liveness_wants_it() {
    let mut world = world();
    world.api.tokens = Some(Arc::new(Tokens::one(Token::new("0123456789abcdef").unwrap())));
    let get = async |path: &str, shown: &str| {
        let headers = [("host", "control.example"), ("authorization", shown)];
        world.request(Method::GET, path, &headers, "").await
    };
    for shown in ["", "Bearer", "Bearer ", "Bearer 0123456789abcdeX", "Basic 0123456789abcdef"] {
        let response = get("/v1/domains", shown).await;
        assert_eq!(response.status(), 401, "{shown}");
        assert_eq!(response.headers()["www-authenticate"], "Bearer");
    }
    assert_eq!(get("/metrics", "").await.status(), 401);
    assert_eq!(get("/v1/domains", "Bearer 0123456789abcdef").await.status(), 200);
    assert_eq!(get("/v1/domains", "bearer 0123456789abcdef").await.status(), 200);
    assert_eq!(get("/healthz", "").await.status(), 200);
    assert_eq!(get("/readyz", "").await.status(), 200);
}

#[tokio::test]
async fn without_a_token_web_pages_are_kept_out() {
    let world = world();
    let get = async |headers: &[(&str, &str)]| {
        world.request(Method::GET, "/v1/domains", headers, "").await.status().as_u16()
    };
    assert_eq!(get(&[("host", "localhost:18002")]).await, 200);
    assert_eq!(get(&[("host", "[::1]:18002")]).await, 200);
    assert_eq!(
        get(&[("host", "127.0.0.1:18002"), ("origin", "http://127.0.0.1:18002")]).await,
        200
    );
    assert_eq!(get(&[("host", "127.0.0.1:18002"), ("origin", "https://evil.example")]).await, 403);
    assert_eq!(get(&[("host", "127.0.0.1:18002"), ("origin", "null")]).await, 403);
    assert_eq!(get(&[("host", "rebound.evil.example:18002")]).await, 403);
    assert_eq!(get(&[]).await, 403);
}

#[tokio::test]
async fn readiness_and_metrics_come_from_the_process() {
    let mut world = world();
    assert_eq!(text(world.send(Method::GET, "/metrics", "").await).await, "sealwax_up 1\n");
    world.api.health = Arc::new(Well(Err(Troubles(vec!["the store is away".to_owned()]))));
    let (status, problem) = world.json(Method::GET, "/readyz", "").await;
    assert_eq!((status, &problem["detail"]), (503, &json!("the store is away")));
    assert_eq!(world.send(Method::GET, "/healthz", "").await.status(), 200);
}

#[tokio::test]
async fn the_openapi_document_names_every_path_and_no_other() {
    let world = world();
    let (status, document) = world.json(Method::GET, "/openapi.json", "").await;
    assert_eq!((status, &document["openapi"]), (200, &json!("3.1.0")));
    let source = include_str!("mod.rs");
    let routes: Vec<&str> = source
        .split(['"', '\n'])
        .filter(|part| part.starts_with('/') && !part.starts_with("//"))
        .collect();
    assert_eq!(routes.len(), 24, "{routes:?}");
    let paths = document["paths"].as_object().unwrap();
    for path in &routes {
        assert!(paths.contains_key(*path), "{path}");
    }
    assert_eq!(paths.len(), routes.len());
    for (path, methods) in paths {
        for method in methods.as_object().unwrap().keys() {
            let method = Method::from_bytes(method.to_uppercase().as_bytes()).unwrap();
            let path = path.replace("{domain}", "a.example.com");
            let status = world.send(method, &path, "").await.status();
            assert_ne!(status, 405, "{path}");
        }
    }
}

#[tokio::test]
async fn the_openapi_documents_references_all_lead_somewhere() {
    let (_, document) = world().json(Method::GET, "/openapi.json", "").await;
    let text = document.to_string();
    let schemas = &document["components"]["schemas"];
    let mut references = 0;
    for part in text.split("#/components/schemas/").skip(1) {
        let name = part.split('"').next().unwrap();
        assert!(schemas.get(name).is_some(), "{name}");
        references += 1;
    }
    assert!(references > 10);
}

/// The stream's text until `wanted` is in it.
async fn heard_until(
    response: Response<Body>,
    wanted: &str,
) -> (String, axum::body::BodyDataStream) {
    use futures::StreamExt as _;
    let mut body = response.into_body().into_data_stream();
    let mut text = String::new();
    while !text.contains(wanted) {
        text.push_str(std::str::from_utf8(&body.next().await.unwrap().unwrap()).unwrap());
    }
    (text, body)
}

#[tokio::test]
async fn lifecycle_events_are_streamed_as_they_happen_and_resumed() {
    let world = world();
    let response = world.send(Method::GET, "/v1/events?tenant=t1", "").await;
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers()["content-type"], "text/event-stream");
    world.send(Method::PUT, "/v1/domains/other.example.com", "").await;
    world.send(Method::PUT, "/v1/domains/a.example.com", r#"{"tenant":"t1"}"#).await;
    let (text, _) = heard_until(response, "a.example.com").await;
    assert!(!text.contains("other.example.com"), "{text}");
    assert!(text.contains("event: lifecycle\n"), "{text}");
    let data = text.lines().find_map(|line| line.strip_prefix("data: ")).unwrap();
    let told: HappeningView = serde_json::from_str(data).unwrap();
    assert_eq!((told.kind.as_str(), told.tenant.as_deref()), ("domain.registered", Some("t1")));
    let id = text.lines().find_map(|line| line.strip_prefix("id: ")).unwrap();

    world.send(Method::DELETE, "/v1/domains/a.example.com", "").await;
    let headers = [("host", "127.0.0.1:18002"), ("last-event-id", id)];
    let back = world.request(Method::GET, "/v1/events", &headers, "").await;
    let (text, _) = heard_until(back, "domain.removed").await;
    assert!(!text.contains("domain.registered"), "only what came later: {text}");
    let headers = [("host", "127.0.0.1:18002"), ("last-event-id", "1-1")];
    let lost = world.request(Method::GET, "/v1/events", &headers, "").await;
    drop(heard_until(lost, "event: missed").await);
}

#[tokio::test(start_paused = true)]
async fn a_silent_stream_beats_and_ends_with_the_process() {
    use futures::StreamExt as _;
    let world = world();
    let response = world.send(Method::GET, "/v1/events", "").await;
    let (_, mut body) = heard_until(response, ": alive").await;
    world.api.stop.cancel();
    assert!(body.next().await.is_none(), "it ends");
}

#[tokio::test]
async fn fleet_and_edges_are_shown() {
    let world = world();
    let (status, fleet) = world.json(Method::GET, "/v1/fleet", "").await;
    assert_eq!((status, &fleet["edges"]), (200, &json!(1)));
    let (status, edges) = world.json(Method::GET, "/v1/edges", "").await;
    assert_eq!((status, &edges["edges"][0]["nacks"]), (200, &json!(2)));
}

#[tokio::test]
async fn the_dashboard_is_served_under_a_strict_policy_and_without_a_token() {
    let mut world = world();
    world.api.tokens = Some(Arc::new(Tokens::one(Token::new("0123456789abcdef").unwrap())));
    for path in ["/", "/dashboard/app.js", "/dashboard/style.css", "/dashboard/icon.svg"] {
        let response = world.send(Method::GET, path, "").await;
        assert_eq!(response.status(), 200, "{path}");
        let policy = response.headers()["content-security-policy"].to_str().unwrap();
        assert!(policy.starts_with("default-src 'none'") && !policy.contains("unsafe"), "{policy}");
        assert_eq!(response.headers()["x-content-type-options"], "nosniff");
    }
    assert_eq!(world.send(Method::GET, "/v1/fleet", "").await.status(), 401);
}

#[tokio::test]
async fn each_scope_opens_its_own_doors() {
    let mut world = world();
    let token = |text: &str| Token::new(text).unwrap();
    let tokens = Tokens::one(token("0123456789abcdef-keys"))
        .and(Scope::Read, token("0123456789abcdef-read"))
        .and(Scope::Write, token("0123456789abcdef-write"));
    world.api.tokens = Some(Arc::new(tokens));
    let ask = async |method: Method, path: &str, who: &str| {
        let shown = format!("Bearer 0123456789abcdef-{who}");
        let headers = [("host", "control.example"), ("authorization", shown.as_str())];
        world.request(method, path, &headers, "").await.status().as_u16()
    };
    let domain = "/v1/domains/a.example.com";
    assert_eq!(ask(Method::PUT, domain, "read").await, 403);
    assert_eq!(ask(Method::PUT, domain, "write").await, 201);
    assert_eq!(ask(Method::GET, domain, "read").await, 200);
    assert_eq!(ask(Method::DELETE, domain, "read").await, 403);
    assert_eq!(ask(Method::DELETE, domain, "keys").await, 204);
}

#[tokio::test(start_paused = true)]
async fn who_asks_too_often_is_told_when_to_come_back() {
    let mut world = world();
    world.api.tokens = Some(Arc::new(Tokens::one(Token::new("0123456789abcdef").unwrap())));
    world.api.rate = 5;
    let router = world.api.clone().router();
    let ask = async |shown: &str| {
        let request = Request::get("/v1/domains").header("authorization", shown);
        router.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap()
    };
    for _ in 0..10 {
        assert_eq!(ask("Bearer guess").await.status(), 401);
    }
    let refused = ask("Bearer guess").await;
    assert_eq!(
        (refused.status().as_u16(), refused.headers()["retry-after"].as_bytes()),
        (429, &b"1"[..])
    );
    assert_eq!(refused.headers()["content-type"], "application/problem+json");
    assert_eq!(ask("Bearer 0123456789abcdef").await.status(), 200, "guessing hurts nobody else");
    tokio::time::advance(Duration::from_secs(1)).await;
    assert_eq!(ask("Bearer guess").await.status(), 401);
}

#[tokio::test]
async fn every_answer_names_its_request() {
    let world = world();
    let made = world.send(Method::GET, "/healthz", "").await;
    assert_eq!(made.headers()["x-request-id"].len(), 16);
    let headers = [("host", "127.0.0.1:18002"), ("x-request-id", "from-the-proxy-7")];
    let kept = world.request(Method::GET, "/nowhere", &headers, "").await;
    assert_eq!(
        (kept.status().as_u16(), kept.headers()["x-request-id"].as_bytes()),
        (404, &b"from-the-proxy-7"[..])
    );
    let long = "x".repeat(65);
    let headers = [("host", "127.0.0.1:18002"), ("x-request-id", long.as_str())];
    let replaced = world.request(Method::GET, "/healthz", &headers, "").await;
    assert_eq!(replaced.headers()["x-request-id"].len(), 16);
}

#[tokio::test]
async fn a_certificate_brought_along_must_fit_and_is_not_repeated_when_it_does_not() {
    let world = world();
    let (chain, key) = crate::certificates::tests::made("a.example.com");
    let body = serde_json::json!({"chain_pem": chain, "key_pem": key}).to_string();
    let path = "/v1/domains/a.example.com/certificate";
    let (status, told) = world.json(Method::PUT, path, body.clone()).await;
    assert_eq!((status, &told["state"]), (200, &Value::from("issued")), "{told}");
    assert_eq!(told["certificate"]["source"], "imported");
    let wrong = "/v1/domains/b.example.com/certificate";
    let (status, told) = world.json(Method::PUT, wrong, body.clone()).await;
    assert_eq!(status, 422);
    assert!(!told.to_string().contains("PRIVATE"), "{told}");
    let cut = body.get(..body.len() - 3).unwrap().to_owned();
    let (status, told) = world.json(Method::PUT, path, cut).await;
    assert_eq!(status, 400);
    assert!(!told.to_string().contains("PRIVATE"), "{told}");
    let (status, _) = world.json(Method::POST, &format!("{path}/revoke"), "").await;
    assert_eq!(status, 409);
}

#[tokio::test]
async fn an_export_has_chain_and_key_and_is_kept_by_nobody() {
    let world = world();
    let (chain_pem, key_pem) = crate::certificates::tests::made("a.example.com");
    let body = json!({"chain_pem": chain_pem, "key_pem": key_pem}).to_string();
    let path = "/v1/domains/a.example.com/certificate";
    assert_eq!(world.json(Method::PUT, path, body).await.0, 200);
    let (status, _) = world.json(Method::GET, &format!("{path}/export"), "").await;
    assert_eq!(status, 405, "nothing that fetches links takes a key out");
    let export = format!("{path}/export");
    let response = world.send(Method::POST, &export, "").await;
    assert_eq!(response.headers()["cache-control"], "no-store");
    let told: Value = serde_json::from_str(&text(response).await).unwrap();
    assert_eq!((&told["chain_pem"], &told["key_pem"]), (&json!(chain_pem), &json!(key_pem)));
    let (status, problem) =
        world.json(Method::POST, "/v1/domains/b.example.com/certificate/export", "").await;
    assert_eq!(
        (status, &problem["type"]),
        (404, &json!("urn:sealwax:problem:certificate-not-found"))
    );
}

#[tokio::test]
async fn an_account_is_taken_over_for_an_issuer_there_is() {
    let world = world();
    let (status, told) = world.json(Method::GET, "/v1/issuers", "").await;
    assert_eq!((status, told), (200, json!({"issuers": []})));
    let (_, key_pem) = crate::certificates::tests::made("a.example.com");
    let path = "/v1/issuers/nobody/account";
    let body = json!({"key_pem": key_pem}).to_string();
    assert_eq!(world.json(Method::PUT, path, body).await.0, 404);
    for body in ["", "{}", "{\"key_pem\": \"secret\", \"more\": 1}"] {
        let (status, problem) = world.json(Method::PUT, path, body).await;
        assert_eq!(status, 400);
        assert!(!problem["detail"].as_str().unwrap().contains("secret"), "{problem}");
    }
    let (status, _) = world.json(Method::PUT, path, "{\"key_pem\": \"no key\"}").await;
    assert_eq!(status, 422);
    for word in ["rollover", "contact"] {
        let path = format!("/v1/issuers/nobody/account/{word}");
        assert_eq!(world.json(Method::POST, &path, "").await.0, 404);
    }
}

#[tokio::test]
async fn a_campaign_is_started_steered_and_shown() {
    let world = world();
    let send = async |method, path: &str, body: &str| {
        let (status, view) = world.json(method, path, body.to_owned()).await;
        (status, view["state"].as_str().unwrap_or_default().to_owned())
    };
    let (start, path) = (r#"{"before":"24h","rate":5,"reason":"revoked"}"#, "/v1/campaign");
    assert_eq!(send(Method::GET, path, "").await.0, 404);
    assert_eq!(send(Method::POST, path, start).await, (201, "running".to_owned()));
    let (_, view) = world.json(Method::GET, path, "").await;
    assert_eq!((&view["before"], &view["rate"]), (&json!("2026-01-02T00:00:00Z"), &json!(5)));
    assert_eq!((&view["issued_before"], &view["total"]), (&view["started_at"], &Value::Null));
    assert_eq!(send(Method::POST, path, start).await.0, 409, "one at a time");
    let steered = |word: &str| format!("{path}/{word}");
    assert_eq!(send(Method::POST, &steered("pause"), "").await, (200, "paused".to_owned()));
    assert_eq!(send(Method::POST, &steered("resume"), "").await, (200, "running".to_owned()));
    assert_eq!(send(Method::POST, &steered("cancel"), "").await, (200, "cancelled".to_owned()));
    assert_eq!(send(Method::POST, &steered("resume"), "").await.0, 409);
    assert_eq!(send(Method::GET, path, "").await, (200, "cancelled".to_owned()));
}

#[tokio::test]
async fn a_campaign_that_makes_no_sense_is_refused_with_what_is_wrong() {
    let world = world();
    for (body, part) in [
        (r#"{"before":"soon","rate":5}"#, "before"),
        (r#"{"before":"2025-01-01T00:00:00Z","rate":5}"#, "before"),
        (r#"{"before":"1h","rate":0}"#, "rate"),
        (r#"{"before":"1h","rate":5,"issued_after":"yesterday"}"#, "issued_after"),
        (r#"{"before":"1h","rate":5,"issuer":"other"}"#, "other"),
        (r#"{"before":"1h","rate":5,"tenant":""}"#, "tenant"),
        (r#"{"before":"1h","rate":5,"states":[]}"#, "states"),
    ] {
        let (status, problem) = world.json(Method::POST, "/v1/campaign", body).await;
        let said = problem["detail"].as_str().unwrap().to_owned();
        assert!(status == 400 && said.contains(part), "{body}: {status} {said}");
    }
}
