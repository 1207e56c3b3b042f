//! Answers of the control plane: any status and body is a verdict within bounds, or a failure.

use sealwax_filter_core::callout_answer::CalloutAnswer;
use sealwax_filter_core::verdict::{Verdict, read_verdict};
use sealwax_protocol::DomainName;

/// One input.
///
/// # Panics
/// When a rule is broken.
pub fn fuzz(input: (u8, Option<u64>, Vec<u8>)) {
    let (status, max_age_s, body) = input;
    let statuses = [200, 202, 403, 404, 409, 500, 503, 504];
    let status = statuses[usize::from(status) % statuses.len()];
    let Ok(domain) = DomainName::parse("a.example.com") else { return };
    let answer = CalloutAnswer { status, max_age_s, body };
    if let Ok(told) = read_verdict(&answer, &domain, 10, 3_600) {
        assert!(told.ttl_ms <= 3_600_000);
        assert_ne!(told.verdict, Verdict::Unavailable);
        assert_eq!(told.verdict == Verdict::Ready, status == 200);
    }
}
