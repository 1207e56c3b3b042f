//! What topics and streams have in common: how they are reached, and what their errors mean.

use std::error::Error;

use aws_sdk_sns::config::http::HttpResponse;
use aws_sdk_sns::error::{ProvideErrorMetadata, SdkError};
use sealwax_core::text::error_chain;
use sealwax_store::Patience;

use super::ANSWER_WITHIN;
use super::sink::SendError;

/// A call with its retries takes no longer than a webhook may; the store has the longer waits.
pub(super) const PATIENCE: Patience =
    Patience { attempt: std::time::Duration::from_secs(4), call: ANSWER_WITHIN, attempts: 3 };

/// How an error names where it comes from, and what there is to change.
#[derive(Clone, Copy, Debug)]
pub(super) struct Named<'a> {
    /// Such as `SNS topic`.
    pub(super) what: &'static str,
    pub(super) arn: &'a str,
    /// The key in `[[notify]]`.
    pub(super) key: &'static str,
    /// The one action that is asked of IAM.
    pub(super) action: &'static str,
}

impl Named<'_> {
    /// What an error of the service, or on the way to it, means.
    pub(super) fn judge<E>(&self, error: &SdkError<E, HttpResponse>) -> SendError
    where
        E: ProvideErrorMetadata + Error + 'static,
    {
        let seen = match error.code() {
            Some(code) => format!("{code}: {}", error.message().unwrap_or("no more is said")),
            None => error_chain(error),
        };
        let seen = format!("{} {}: {seen}", self.what, self.arn);
        match error.code().and_then(Remedy::of) {
            None => SendError::Retry(seen),
            Some(remedy) => SendError::Misconfigured(format!("{seen}; {}", self.words(remedy))),
        }
    }

    fn words(&self, remedy: Remedy) -> String {
        match remedy {
            Remedy::Create => format!("create it, or set another [[notify]] {}", self.key),
            Remedy::Allow => {
                format!("allow {} on it to the control plane's credentials", self.action)
            }
            Remedy::Credentials => "give the control plane credentials of an AWS account that \
                                    has this region enabled"
                .to_owned(),
            Remedy::Key => "its encryption key must be enabled, and the control plane's \
                            credentials need kms:GenerateDataKey and kms:Decrypt for it"
                .to_owned(),
        }
    }
}

/// What someone has to do before any event gets through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Remedy {
    Create,
    Allow,
    Credentials,
    Key,
}

impl Remedy {
    /// By the code of the error, as Publish and PutRecord document them beside the common ones.
    /// `None`: throttled, an error of the service's own, or one about this event alone.
    fn of(code: &str) -> Option<Self> {
        match code.strip_suffix("Exception").unwrap_or(code) {
            "NotFound" | "ResourceNotFound" => Some(Self::Create),
            "AccessDenied" | "AuthorizationError" | "NotAuthorized" => Some(Self::Allow),
            "IncompleteSignature"
            | "InvalidClientTokenId"
            | "InvalidSecurity"
            | "MissingAuthenticationToken"
            | "OptInRequired"
            | "SignatureDoesNotMatch"
            | "UnrecognizedClient" => Some(Self::Credentials),
            "KMSAccessDenied" | "KMSDisabled" | "KMSInvalidState" | "KMSNotFound"
            | "KMSOptInRequired" => Some(Self::Key),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_someone_must_mend_stops_a_sink() {
        for (code, remedy) in [
            ("NotFound", Some(Remedy::Create)),
            ("ResourceNotFoundException", Some(Remedy::Create)),
            ("AuthorizationError", Some(Remedy::Allow)),
            ("AccessDeniedException", Some(Remedy::Allow)),
            ("InvalidClientTokenId", Some(Remedy::Credentials)),
            ("UnrecognizedClientException", Some(Remedy::Credentials)),
            ("KMSDisabled", Some(Remedy::Key)),
            ("KMSAccessDeniedException", Some(Remedy::Key)),
            ("KMSThrottlingException", None),
            ("Throttled", None),
            ("ProvisionedThroughputExceededException", None),
            ("InternalError", None),
            ("InvalidParameter", None),
            ("ExpiredTokenException", None),
        ] {
            assert_eq!(Remedy::of(code), remedy, "{code}");
        }
    }
}
