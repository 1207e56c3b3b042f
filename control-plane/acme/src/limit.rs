//! Which limit a CA says is used up, and until when. RFC 8555 section 6.6 gives a type and a
//! Retry-After; which limit it was stands only in the text, so the texts of Boulder are known
//! here and anything else is taken for the widest limit it could be.

use sealwax_core::issuer::{IssueError, LimitScope};
use sealwax_core::{Span, Timestamp};
use time::format_description::well_known::Rfc3339;
use time::macros::format_description;
use time::{OffsetDateTime, PrimitiveDateTime};

use crate::exchange::Step;

/// Longest a CA can make anyone wait: the longest published period is seven days.
pub(crate) const WAIT_MAX: Span = Span::from_secs(8 * 24 * 60 * 60);

/// The texts of Boulder (`ratelimits/limiter.go`, `wfe2/wfe.go`) and what each limit covers, the
/// most specific first.
const SCOPES: [(&str, LimitScope); 11] = [
    ("exact set of", LimitScope::Name),
    ("failed authorizations", LimitScope::Name),
    ("failed validations", LimitScope::Name),
    ("already issued for", LimitScope::RegisteredDomain),
    ("from this account", LimitScope::Account),
    ("pending authorizations", LimitScope::Account),
    ("new orders", LimitScope::Account),
    ("this ip address", LimitScope::Ca),
    ("subnet of ipv6 addresses", LimitScope::Ca),
    ("registrations", LimitScope::Ca),
    ("service busy", LimitScope::Ca),
];

/// What to do about a problem of type `rateLimited`. Without a moment, or with one that has passed,
/// it is worth trying again now, as far as the CA says: whoever asks waits by a schedule of his own.
pub(crate) fn limited(
    step: Step,
    words: &str,
    retry_after: Option<Span>,
    now: Timestamp,
) -> IssueError {
    if let Some(detail) = paused(words) {
        return IssueError::Paused { detail };
    }
    let lower = words.to_ascii_lowercase();
    let scope = SCOPES.iter().find(|(text, _)| lower.contains(text)).map(|(_, scope)| *scope);
    let unknown = if step == Step::NewOrder { LimitScope::Account } else { LimitScope::Ca };
    let said = retry_after.map(|span| now + span).max(retry_moment(words));
    let until = said.unwrap_or(now).clamp(now, now + WAIT_MAX);
    IssueError::RateLimited {
        until,
        scope: scope.unwrap_or(unknown),
        detail: sealwax_core::failure::bounded_detail(words),
    }
}

/// The CA's words, its link first so that a bound never cuts it, when they say that the name is
/// paused: Let's Encrypt's limit on consecutive failures does so, and no waiting ends it.
pub(crate) fn paused(words: &str) -> Option<String> {
    let lower = words.to_ascii_lowercase();
    if !lower.contains("temporarily prevented from requesting") && !lower.contains("/unpause") {
        return None;
    }
    let link = words.split_whitespace().find(|word| word.starts_with("https://"));
    let detail = match link {
        Some(link) => format!("{link} {}", words.replace(link, "(link above)")),
        None => words.to_owned(),
    };
    Some(sealwax_core::failure::bounded_detail(&detail))
}

/// The moment in a text like `…, retry after 2026-08-15 19:14:33 UTC: see …`; older texts have
/// it in RFC 3339.
fn retry_moment(words: &str) -> Option<Timestamp> {
    let (_, rest) = words.split_once("retry after ")?;
    let word = rest.split([' ', ',', ';', ')']).next()?;
    // A colon after the moment belongs to the sentence.
    if let Ok(moment) = OffsetDateTime::parse(word.trim_end_matches([':', '.']), &Rfc3339) {
        return Some(Timestamp::from_secs(moment.unix_timestamp()));
    }
    let text = rest.get(..19)?;
    let format = format_description!("[year]-[month]-[day] [hour]:[minute]:[second]");
    let moment = PrimitiveDateTime::parse(text, format).ok()?;
    Some(Timestamp::from_secs(moment.assume_utc().unix_timestamp()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2026-08-15T00:00:00Z.
    const NOW: Timestamp = Timestamp::from_millis(1_786_752_000_000);

    fn at(secs: u64) -> Timestamp {
        NOW + Span::from_secs(secs)
    }

    #[test]
    fn each_published_text_has_its_scope_and_moment() {
        let moment = at(19 * 3600 + 14 * 60 + 33);
        for (text, scope) in [
            (
                "too many new registrations (10) from this IP address in the last 3h0m0s",
                LimitScope::Ca,
            ),
            (
                "too many new registrations (500) from this /48 subnet of IPv6 addresses in the last 3h0m0s",
                LimitScope::Ca,
            ),
            ("too many new orders (300) from this account in the last 3h0m0s", LimitScope::Account),
            (
                "too many failed authorizations (5) for \"a.example.com\" in the last 1h0m0s",
                LimitScope::Name,
            ),
            (
                "too many certificates (50) already issued for \"example.com\" in the last 168h0m0s",
                LimitScope::RegisteredDomain,
            ),
            (
                "too many certificates (5) already issued for this exact set of domains in the last 168h0m0s",
                LimitScope::Name,
            ),
            (
                "too many certificates (5) already issued for this exact set of identifiers in the last 168h0m0s",
                LimitScope::Name,
            ),
            ("too many currently pending authorizations", LimitScope::Account),
            ("Service busy; retry later.", LimitScope::Ca),
        ] {
            let words =
                format!("{text}, retry after 2026-08-15 19:14:33 UTC: see https://docs.example/");
            let IssueError::RateLimited { until, scope: found, detail } =
                limited(Step::NewOrder, &words, None, NOW)
            else {
                panic!("{text}: not rate limited");
            };
            assert_eq!((until, found), (moment, scope), "{text}");
            assert!(detail.starts_with(text));
        }
    }

    #[test]
    fn the_later_of_header_and_text_counts_and_both_are_capped() {
        let until = |words: &str, header: Option<u64>| {
            let limit = limited(Step::Order, words, header.map(Span::from_secs), NOW);
            let IssueError::RateLimited { until, .. } = limit else { panic!("{limit}") };
            until
        };
        assert_eq!(until("x, retry after 2026-08-15T01:00:00Z: see", Some(60)), at(3600));
        assert_eq!(until("x, retry after 2026-08-15T01:00:00Z", Some(7200)), at(7200));
        assert_eq!(until("x", Some(5)), at(5));
        assert_eq!(until("x", None), NOW, "it does not say");
        assert_eq!(until("x", Some(u64::MAX)), NOW + WAIT_MAX);
        assert_eq!(until("x, retry after 9999-01-01 00:00:00 UTC", None), NOW + WAIT_MAX);
        assert_eq!(until("x, retry after 1999-01-01 00:00:00 UTC", None), NOW);
        for broken in
            ["retry after", "retry after ", "retry after soon", "retry after 2026-99-99 aa"]
        {
            assert_eq!(until(broken, None), NOW, "{broken}");
        }
        assert_eq!(until("retry after ääääääääääääääääääää", None), NOW);
    }

    #[test]
    fn an_unknown_text_is_taken_for_the_widest_limit_it_could_be() {
        let scope = |step| {
            let limit = limited(step, "slow down", None, NOW);
            let IssueError::RateLimited { scope, .. } = limit else { panic!("{limit}") };
            scope
        };
        assert_eq!(scope(Step::NewOrder), LimitScope::Account);
        assert_eq!(scope(Step::Order), LimitScope::Ca);
    }

    #[test]
    fn a_pause_keeps_its_whole_link() {
        let link = format!("https://portal.letsencrypt.org/sfe/v1/unpause?jwt={}", "a".repeat(400));
        let words = format!(
            "Your account is temporarily prevented from requesting certificates for a.example.com \
             and possibly others. Please visit: {link}"
        );
        let IssueError::Paused { detail } = limited(Step::NewOrder, &words, None, NOW) else {
            panic!("not paused");
        };
        assert!(detail.starts_with(&link), "{detail}");
    }
}
