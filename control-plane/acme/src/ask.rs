//! One request to the CA, made again only for a refused replay nonce.

use sealwax_core::issuer::IssueError;
use sealwax_core::{Span, Timestamp};

use crate::classify::{Failed, classify};
use crate::exchange::Last;

/// How often a call is made anew because its replay nonce was refused. instant-acme tries three
/// nonces for each; a CA that refuses half of all nonces (Pebble can) gets past all of them once
/// in 2^30 calls.
pub(crate) const NONCE_ROUNDS_MAX: u32 = 10;

/// What came of a call: its result, and the Retry-After of the answer.
pub(crate) type Asked<T> = (T, Option<Span>);

/// Judges a call by its result and by how its last request ended.
pub(crate) fn settle<T>(
    step: crate::exchange::Step,
    result: Result<T, instant_acme::Error>,
    last: Last,
    now: Timestamp,
) -> Result<Asked<T>, Failed> {
    match result {
        Ok(value) => {
            let retry_after =
                if let Last::Answered(seen) = &last { seen.retry_after } else { None };
            Ok((value, retry_after))
        }
        Err(error) => Err(classify(step, &error.to_string(), last, now)),
    }
}

impl From<IssueError> for Failed {
    fn from(error: IssueError) -> Self {
        Self::With(error)
    }
}

impl From<Failed> for IssueError {
    fn from(failed: Failed) -> Self {
        match failed {
            Failed::With(error) | Failed::Doubt(error) => error,
            Failed::NoAccount(detail) => Self::Misconfigured { detail },
            Failed::BadNonce => {
                Self::Retry { after: None, detail: "the CA refused every replay nonce".to_owned() }
            }
            Failed::AlreadyRevoked => {
                Self::Protocol { detail: "the certificate is revoked already".to_owned() }
            }
        }
    }
}

/// `ask!(clock, step, future)` evaluates the future expression anew for each attempt and yields
/// `Result<Asked<T>, Failed>`.
macro_rules! ask {
    ($clock:expr, $step:expr, $call:expr) => {{
        let mut round = 0;
        loop {
            let (result, last) = $crate::exchange::recorded($call).await;
            match $crate::ask::settle($step, result, last, $clock.now()) {
                Err($crate::classify::Failed::BadNonce)
                    if round < $crate::ask::NONCE_ROUNDS_MAX =>
                {
                    round += 1;
                }
                settled => break settled,
            }
        }
    }};
}
pub(crate) use ask;
