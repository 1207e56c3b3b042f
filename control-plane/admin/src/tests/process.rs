//! Who is let in, and what the process says of itself.

use super::*;

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

/// A token that may do less is told what is needed; the others get in.
#[tokio::test]
async fn only_keys_scope_takes_keys_and_only_looking_is_read() {
    let mut world = world();
    let token = |scope: &str| format!("0123456789abcdef-{scope}");
    let tokens = [Scope::Read, Scope::Write]
        .into_iter()
        .fold(Tokens::one(Token::new(&token("keys")).unwrap()), |all, scope| {
            all.and(scope, Token::new(&token(scope.as_str())).unwrap())
        });
    world.api.tokens = Some(Arc::new(tokens));
    let domain = "/v1/domains/a.example.com";
    for (method, path, needed) in [
        (Method::GET, domain.to_owned(), Scope::Read),
        (Method::HEAD, domain.to_owned(), Scope::Read),
        (Method::GET, "/v1/issuers".to_owned(), Scope::Read),
        (Method::GET, "/metrics".to_owned(), Scope::Read),
        (Method::PUT, domain.to_owned(), Scope::Write),
        (Method::DELETE, domain.to_owned(), Scope::Write),
        (Method::PUT, format!("{domain}/certificate"), Scope::Write),
        (Method::POST, format!("{domain}/renew"), Scope::Write),
        (Method::POST, "/v1/issuers/ca/account/rollover".to_owned(), Scope::Write),
        (Method::POST, format!("{domain}/certificate/export"), Scope::Keys),
        (Method::PUT, "/v1/issuers/ca/account".to_owned(), Scope::Keys),
        (Method::POST, "/v1/issuers/ca/account/reset".to_owned(), Scope::Keys),
    ] {
        for scope in [Scope::Read, Scope::Write, Scope::Keys] {
            let shown = format!("Bearer {}", token(scope.as_str()));
            let headers = [("host", "control.example"), ("authorization", shown.as_str())];
            let status = world.request(method.clone(), &path, &headers, "").await.status();
            assert_eq!(status != 403, scope >= needed, "{method} {path} with {scope}: {status}");
        }
    }
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
async fn every_path_of_the_openapi_document_is_served() {
    let world = world();
    let (status, document) = world.json(Method::GET, "/openapi.json", "").await;
    assert_eq!((status, &document["openapi"]), (200, &json!("3.1.0")));
    let paths = document["paths"].as_object().unwrap();
    assert!(paths.len() > 30, "{}", paths.len());
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
async fn every_operation_that_wants_a_token_says_how_it_refuses() {
    let (_, document) = world().json(Method::GET, "/openapi.json", "").await;
    let paths = document["paths"].as_object().unwrap();
    let guarded = |path: &str| !["/healthz", "/readyz", "/openapi.json"].contains(&path);
    for (path, methods) in paths.iter().filter(|(path, _)| guarded(path)) {
        for (method, operation) in methods.as_object().unwrap() {
            let content = &operation["responses"]["4XX"]["content"]["application/problem+json"];
            let schema = &content["schema"]["$ref"];
            assert_eq!(schema, "#/components/schemas/Problem", "{method} {path}");
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
