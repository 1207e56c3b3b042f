//! What the SDK reports, in the words of the store's contract.

use std::error::Error;

use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use sealwax_core::store::StoreError;
use sealwax_core::text::error_chain;

use crate::credentials;

/// What a failed call means for the caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Meaning {
    /// Later, perhaps.
    Busy,
    /// Someone must act.
    SetUp(&'static str),
    /// Other credentials, or the right time, may be let in.
    Refused(&'static str),
    /// We asked for something that cannot be.
    Impossible,
}

/// Translates a failed call. Conditions are looked at before this.
pub(crate) fn translate<E>(call: &str, error: &SdkError<E, HttpResponse>) -> StoreError
where
    E: ProvideErrorMetadata + Error + 'static,
{
    let (meaning, seen) = match error {
        SdkError::ServiceError(service) => {
            let code = service.err().code().unwrap_or("no error code");
            let status = service.raw().status().as_u16();
            let said = service.err().message().unwrap_or_default();
            (of_code(code, status), format!("{code}: {said}"))
        }
        SdkError::TimeoutError(_) => (Meaning::Busy, "no answer in time".to_owned()),
        SdkError::ResponseError(_) => (Meaning::Busy, "an answer that is not one".to_owned()),
        SdkError::DispatchFailure(failure) => {
            let seen =
                failure.as_connector_error().map_or_else(String::new, |error| error_chain(error));
            (of_dispatch(&seen), seen)
        }
        SdkError::ConstructionFailure(_) => (Meaning::Impossible, error_chain(error)),
        _ => (Meaning::Busy, error_chain(error)),
    };
    match meaning {
        Meaning::Busy => StoreError::Unavailable { detail: format!("{call}: {seen}") },
        Meaning::SetUp(advice) | Meaning::Refused(advice) => {
            if meaning == Meaning::Refused(advice) {
                credentials::refused();
            }
            StoreError::Misconfigured { detail: format!("{call}: {seen}; {advice}") }
        }
        Meaning::Impossible => StoreError::Bug { detail: format!("{call}: {seen}") },
    }
}

/// Codes a transaction is cancelled with that go away by themselves.
pub(crate) fn passing(code: &str) -> bool {
    matches!(code, "TransactionConflict" | "ThrottlingError" | "ProvisionedThroughputExceeded")
}

fn of_code(code: &str, status: u16) -> Meaning {
    match code {
        "ResourceNotFoundException" => Meaning::SetUp(
            "the table is missing: run `sealwax store init`, and check [store] table_prefix, \
             region and endpoint_url",
        ),
        "AccessDeniedException" => Meaning::Refused(
            "the credentials lack a permission: the source has a policy in control-plane/store/docs/iam-policy.json",
        ),
        "UnrecognizedClientException"
        | "InvalidSignatureException"
        | "IncompleteSignatureException"
        | "MissingAuthenticationTokenException"
        | "InvalidClientTokenId"
        | "ExpiredTokenException" => {
            Meaning::Refused("the credentials are not accepted: check them, and the clock")
        }
        "ProvisionedThroughputExceededException"
        | "ThrottlingException"
        | "RequestLimitExceeded"
        | "LimitExceededException"
        | "InternalServerError"
        | "InternalServerErrorException"
        | "ServiceUnavailable"
        | "ReplicatedWriteConflictException"
        | "ResourceInUseException"
        | "TransactionInProgressException"
        | "TransactionConflictException" => Meaning::Busy,
        _ if status >= 500 => Meaning::Busy,
        _ => Meaning::Impossible,
    }
}

fn of_dispatch(seen: &str) -> Meaning {
    // The SDK reports missing credentials as a failure to dispatch, without a type of its own.
    if seen.contains("credentials") || seen.contains("identity") {
        Meaning::SetUp("no credentials were found: set AWS_PROFILE, AWS_ACCESS_KEY_ID or a role")
    } else {
        Meaning::Busy
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_refusal_has_its_meaning() {
        for (code, status, busy) in [
            ("ThrottlingException", 400, true),
            ("ProvisionedThroughputExceededException", 400, true),
            ("InternalServerError", 500, true),
            ("SomethingNew", 503, true),
            ("SomethingNew", 400, false),
            ("ValidationException", 400, false),
        ] {
            assert_eq!(of_code(code, status) == Meaning::Busy, busy, "{code} {status}");
        }
        assert!(matches!(of_code("ResourceNotFoundException", 400), Meaning::SetUp(_)));
        for code in ["AccessDeniedException", "ExpiredTokenException", "InvalidSignatureException"]
        {
            assert!(matches!(of_code(code, 400), Meaning::Refused(_)), "{code}");
        }
        assert!(matches!(
            of_dispatch("the credentials provider was not enabled"),
            Meaning::SetUp(_)
        ));
        assert_eq!(of_dispatch("connection refused"), Meaning::Busy);
    }
}
