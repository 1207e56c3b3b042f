//! Signed requests whose answers are read here (RFC 8555 section 6.2).

use bytes::Bytes;
use http::Request;
use http::header::{CONTENT_TYPE, HeaderValue};
use http_body_util::Full;
use sealwax_core::issuer::IssueError;
use serde_json::Value;

use crate::account::AccountSource;
use crate::classify::{Failed, classify};
use crate::exchange::{Last, Step, recorded};
use crate::jws::{AccountKey, Protected};
use crate::transport::Answer;

/// How often a request is signed anew because its replay nonce was refused. A CA that refuses half
/// of all nonces (Pebble can) gets past all of them once in 2^31 requests.
const NONCES_MAX: u32 = 31;

/// Who signs: an account by its URL, or a key that has none yet.
#[derive(Clone, Copy)]
pub(crate) struct Signer<'a> {
    pub(crate) key: &'a AccountKey,
    pub(crate) account: Option<&'a str>,
}

impl<'a> Signer<'a> {
    /// A key without an account, or one that is looked for.
    pub(crate) const fn key(key: &'a AccountKey) -> Self {
        Self { key, account: None }
    }
}

impl AccountSource<'_> {
    /// A signed request; without a payload it is one to read.
    pub(crate) async fn post(
        &self,
        step: Step,
        signer: Signer<'_>,
        url: &str,
        payload: Option<&Value>,
    ) -> Result<Answer, Failed> {
        self.post_noted(step, signer, url, payload).await.0
    }

    /// The same, and how the last request of it ended.
    pub(crate) async fn post_noted(
        &self,
        step: Step,
        signer: Signer<'_>,
        url: &str,
        payload: Option<&Value>,
    ) -> (Result<Answer, Failed>, Last) {
        let mut round = 0;
        loop {
            round += 1;
            let (result, last) = self.post_once(step, signer, url, payload).await;
            if !matches!(result, Err(Failed::BadNonce)) || round >= NONCES_MAX {
                return (result, last);
            }
        }
    }

    async fn post_once(
        &self,
        step: Step,
        signer: Signer<'_>,
        url: &str,
        payload: Option<&Value>,
    ) -> (Result<Answer, Failed>, Last) {
        let request = match self.signed(signer, url, payload).await {
            Ok(request) => request,
            Err(error) => return (Err(error.into()), Last::Nothing),
        };
        let (result, last) = recorded(self.transport.send(request)).await;
        let said = match result {
            Ok(mut answer) => {
                self.transport.keep_nonce(&mut answer.parts.headers);
                if answer.parts.status.is_success() {
                    return (Ok(answer), last);
                }
                "not a success".to_owned()
            }
            Err(text) => text,
        };
        (Err(classify(step, &said, last.clone(), self.clock.now())), last)
    }

    async fn signed(
        &self,
        signer: Signer<'_>,
        url: &str,
        payload: Option<&Value>,
    ) -> Result<Request<Full<Bytes>>, IssueError> {
        let nonce = self.nonce().await?;
        let protected = Protected { account: signer.account, nonce: Some(&nonce), url };
        let signed = signer.key.sign(&protected, payload);
        let signed = signed.ok_or_else(|| protocol("the account's key does not sign"))?;
        let mut request = Request::post(url)
            .body(Full::new(Bytes::from(signed.to_string())))
            .map_err(|error| protocol(&format!("{url:?} is not a URL: {error}")))?;
        let kind = HeaderValue::from_static("application/jose+json");
        request.headers_mut().insert(CONTENT_TYPE, kind);
        Ok(request)
    }

    async fn nonce(&self) -> Result<String, IssueError> {
        if let Some(spare) = self.transport.spare_nonce() {
            return Ok(spare);
        }
        let request = Request::head(&self.directory.new_nonce)
            .body(Full::default())
            .map_err(|error| protocol(&format!("newNonce is not a URL: {error}")))?;
        let (result, last) = recorded(self.transport.send(request)).await;
        let said: (String, Last) = match (result, last) {
            (Ok(answer), last) => {
                let nonce = answer.parts.headers.get("replay-nonce");
                if let Some(nonce) = nonce.and_then(|nonce| nonce.to_str().ok()) {
                    return Ok(nonce.to_owned());
                }
                ("no replay nonce".to_owned(), last)
            }
            (Err(text), last) => (text, last),
        };
        let (said, last) = said;
        Err(classify(Step::NewAccount, &said, last, self.clock.now()).into())
    }
}

pub(crate) fn protocol(detail: &str) -> IssueError {
    IssueError::Protocol { detail: detail.to_owned() }
}
