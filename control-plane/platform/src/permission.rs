//! Asking the platform over HTTP whether a domain is still its customer's.

use std::time::{Duration, Instant};

use async_trait::async_trait;
use moka::Expiry;
use moka::future::Cache;
use reqwest::{Client, StatusCode, Url};
use sealwax_core::departure::VISIT_WAITING;
use sealwax_core::failure::bounded_detail;
use sealwax_core::permission::{Permission, Verdict};
use sealwax_core::text::error_chain;
use sealwax_protocol::DomainName;

use sealwax_config as config;

/// Most answers remembered, of either kind.
const REMEMBERED_MAX: u64 = 100_000;

/// A domain that is gone is asked about several times before anything comes of it: each answer must
/// be a new one, so none is remembered for longer than the shortest time between two questions.
const GONE_AGE_MAX: Duration = VISIT_WAITING.duration();

/// Every registered domain is allowed: the registration is the platform's word.
#[derive(Clone, Copy, Debug)]
pub struct RegistrationIsPermission;

#[async_trait]
impl Permission for RegistrationIsPermission {
    async fn ask(&self, _domain: &DomainName) -> Verdict {
        Verdict::Granted
    }
}

/// The platform's `ask` endpoint: `GET {ask_url}?domain=NAME`. Concurrent questions about one
/// domain are one request; answers are remembered, the lack of one is not.
pub struct AskEndpoint {
    client: Client,
    url: Url,
    answers: Cache<DomainName, Verdict>,
}

impl AskEndpoint {
    /// Prepares the client. Redirects are not followed: whoever answers must be the one that was
    /// configured.
    ///
    /// # Errors
    /// When the TLS roots of the system cannot be used.
    pub fn new(settings: &config::Permission, url: Url) -> Result<Self, reqwest::Error> {
        let client = Client::builder()
            .timeout(settings.timeout.duration())
            .redirect(reqwest::redirect::Policy::none())
            .user_agent(concat!("sealwax/", env!("CARGO_PKG_VERSION")))
            .build()?;
        let life = Life {
            positive: settings.cache_ttl.duration(),
            negative: settings.negative_ttl.duration(),
        };
        let answers = Cache::builder().max_capacity(REMEMBERED_MAX).expire_after(life).build();
        Ok(Self { client, url, answers })
    }

    async fn request(&self, domain: &DomainName) -> Verdict {
        let mut url = self.url.clone();
        url.query_pairs_mut().append_pair("domain", domain.as_str());
        match self.client.get(url).send().await {
            Ok(response) => verdict(response.status()),
            // The URL may carry a credential of the operator's: errors are shown without it.
            Err(error) => unknown(&error_chain(&error.without_url())),
        }
    }
}

#[async_trait]
impl Permission for AskEndpoint {
    async fn ask(&self, domain: &DomainName) -> Verdict {
        self.answers.get_with(domain.clone(), self.request(domain)).await
    }
}

fn verdict(status: StatusCode) -> Verdict {
    match status.as_u16() {
        200..=299 => Verdict::Granted,
        404 | 410 => Verdict::Gone,
        // Says something about the platform's state, not about the domain.
        408 | 425 | 429 => unknown(&format!("it answered {status}")),
        400..=499 => Verdict::Denied,
        _ => unknown(&format!("it answered {status}")),
    }
}

fn unknown(detail: &str) -> Verdict {
    Verdict::Unknown { detail: bounded_detail(&format!("the permission endpoint: {detail}")) }
}

struct Life {
    positive: Duration,
    negative: Duration,
}

impl Expiry<DomainName, Verdict> for Life {
    fn expire_after_create(
        &self,
        _domain: &DomainName,
        verdict: &Verdict,
        _now: Instant,
    ) -> Option<Duration> {
        Some(match verdict {
            Verdict::Granted => self.positive,
            Verdict::Gone => self.negative.min(GONE_AGE_MAX),
            Verdict::Denied => self.negative,
            Verdict::Unknown { .. } => Duration::ZERO,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU16, AtomicUsize, Ordering};

    use axum::Router;
    use axum::extract::{Query, State};
    use sealwax_core::Span;

    use super::*;

    #[derive(Clone, Default)]
    struct Platform {
        status: Arc<AtomicU16>,
        asked: Arc<AtomicUsize>,
    }

    #[derive(serde::Deserialize)]
    struct Asked {
        domain: String,
    }

    async fn answer(State(platform): State<Platform>, Query(asked): Query<Asked>) -> StatusCode {
        platform.asked.fetch_add(1, Ordering::SeqCst);
        assert_eq!(asked.domain, "a.example.com");
        StatusCode::from_u16(platform.status.load(Ordering::SeqCst)).unwrap()
    }

    async fn platform(status: u16) -> (Platform, AskEndpoint) {
        let platform = Platform::default();
        platform.status.store(status, Ordering::SeqCst);
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/ask?key=1", listener.local_addr().unwrap());
        let app = Router::new().route("/ask", axum::routing::get(answer));
        let app = app.with_state(platform.clone());
        tokio::spawn(async move { axum::serve(listener, app).await });
        let settings = config::Permission {
            ask_url: None,
            timeout: Span::from_secs(5),
            cache_ttl: Span::from_secs(60),
            negative_ttl: Span::from_secs(60),
        };
        (platform, AskEndpoint::new(&settings, url.parse().unwrap()).unwrap())
    }

    fn domain() -> DomainName {
        DomainName::parse("a.example.com").unwrap()
    }

    #[tokio::test]
    async fn each_answer_means_what_the_contract_says() {
        for (status, expected) in [
            (200, Verdict::Granted),
            (204, Verdict::Granted),
            (404, Verdict::Gone),
            (410, Verdict::Gone),
            (403, Verdict::Denied),
        ] {
            let (_platform, endpoint) = platform(status).await;
            assert_eq!(endpoint.ask(&domain()).await, expected, "{status}");
        }
        for status in [301, 429, 500, 503] {
            let (_platform, endpoint) = platform(status).await;
            assert!(matches!(endpoint.ask(&domain()).await, Verdict::Unknown { .. }), "{status}");
        }
    }

    #[tokio::test]
    async fn answers_are_remembered_and_the_lack_of_one_is_not() {
        let (asked, endpoint) = platform(200).await;
        endpoint.ask(&domain()).await;
        asked.status.store(403, Ordering::SeqCst);
        assert_eq!(endpoint.ask(&domain()).await, Verdict::Granted);
        assert_eq!(asked.asked.load(Ordering::SeqCst), 1);

        let (asked, endpoint) = platform(500).await;
        assert!(matches!(endpoint.ask(&domain()).await, Verdict::Unknown { .. }));
        asked.status.store(200, Ordering::SeqCst);
        assert_eq!(endpoint.ask(&domain()).await, Verdict::Granted);
    }

    #[test]
    #[expect(clippy::disallowed_methods, reason = "the cache counts by the system's clock")]
    fn that_a_domain_is_gone_is_not_remembered_until_it_is_asked_again() {
        let hour = Duration::from_secs(3_600);
        let life = Life { positive: hour, negative: hour };
        let kept = |verdict| life.expire_after_create(&domain(), &verdict, Instant::now()).unwrap();
        assert!(kept(Verdict::Gone) < sealwax_core::departure::APART.duration());
        assert_eq!(kept(Verdict::Denied), hour);
    }

    #[tokio::test]
    async fn an_endpoint_that_is_away_is_no_answer_and_its_url_stays_secret() {
        let settings = config::Permission {
            ask_url: None,
            timeout: Span::from_secs(1),
            cache_ttl: Span::ZERO,
            negative_ttl: Span::ZERO,
        };
        let url = "http://127.0.0.1:1/ask?key=secret".parse().unwrap();
        let endpoint = AskEndpoint::new(&settings, url).unwrap();
        let Verdict::Unknown { detail } = endpoint.ask(&domain()).await else {
            panic!("an answer from nobody")
        };
        assert!(!detail.contains("secret"), "{detail}");
    }
}
