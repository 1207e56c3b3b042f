//! Receivers of events: whether what happens gets through to them.

use sealwax_core::{Span, Timestamp};

use super::Check;
use sealwax_admin::{DroppedView, FleetView};

/// What was given up longer ago is history.
const RECENT: Span = Span::from_secs(7 * 86_400);

/// One line for each, as the control plane found it.
pub(super) fn standing(fleet: &FleetView) -> Vec<Check> {
    let one = |receiver: &sealwax_platform::notify::ReceiverStanding| {
        let name = format!("events to {} {}", receiver.kind, receiver.receiver);
        match &receiver.last_error {
            Some(error) if receiver.misconfigured => Check::failed(name, error.clone()),
            Some(error) if receiver.errors_in_a_row > 0 => Check::warning(
                name,
                format!("{} failures in a row, the last: {error}", receiver.errors_in_a_row),
            ),
            Some(_) | None if receiver.last_success_at.is_some() => Check::ok(name, ""),
            Some(_) | None => Check::ok(name, "nothing to tell yet"),
        }
    };
    fleet.receivers.iter().map(one).collect()
}

/// One line for what was given up lately.
pub(super) fn dead_letters(list: &DroppedView, now: Timestamp) -> Check {
    let name = "events given up";
    let recent = |at: &str| Timestamp::parse_rfc3339(at).is_some_and(|at| now.since(at) <= RECENT);
    let count = list.dropped.iter().filter(|one| recent(&one.dropped_at)).count();
    match list.dropped.first().filter(|_| count > 0) {
        None => Check::ok(name, ""),
        Some(last) => Check::warning(
            name,
            format!(
                "{count} in the last week, the last one {} of {} for {}: {}. GET \
                 /v1/notifications/dropped lists them; have the platform read those domains anew",
                last.kind, last.domain, last.receiver, last.detail
            ),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::super::Verdict;
    use super::*;
    use sealwax_admin::DroppedEventView;
    use sealwax_platform::notify::ReceiverStanding;

    #[test]
    fn what_was_given_up_lately_is_told_and_what_is_long_ago_is_not() {
        let event = DroppedEventView {
            id: "msg_1".to_owned(),
            kind: "domain.parked".to_owned(),
            timestamp: "2026-01-01T00:00:00Z".to_owned(),
            domain: "a.example.com".to_owned(),
            receiver: "arn:t".to_owned(),
            dropped_at: "2026-01-03T00:00:00Z".to_owned(),
            detail: "NotFound".to_owned(),
        };
        let list = DroppedView { dropped: vec![event], older: 0 };
        let on = |day: &str| {
            let now = Timestamp::parse_rfc3339(&format!("2026-01-{day}T00:00:00Z")).unwrap();
            dead_letters(&list, now)
        };
        assert_eq!(on("10").verdict, Verdict::Warning);
        assert!(on("10").detail.contains("domain.parked of a.example.com for arn:t: NotFound"));
        assert_eq!(on("11").verdict, Verdict::Ok);
    }

    #[test]
    fn a_receiver_that_fails_is_named_and_one_that_nobody_gets_through_to_fails_the_check() {
        let failing = ReceiverStanding {
            kind: "sns".to_owned(),
            receiver: "arn:t".to_owned(),
            last_success_at: Some("2026-01-01T00:00:00Z".to_owned()),
            last_error: Some("Throttling: Rate exceeded".to_owned()),
            errors_in_a_row: 2,
            ..ReceiverStanding::default()
        };
        let misconfigured = ReceiverStanding { misconfigured: true, ..failing.clone() };
        let well = ReceiverStanding { errors_in_a_row: 0, ..failing.clone() };
        let receivers = vec![well, failing, misconfigured, ReceiverStanding::default()];
        let fleet = FleetView { receivers, ..sealwax_admin::testing::no_fleet() };
        let checks = standing(&fleet);
        let verdicts: Vec<_> = checks.iter().map(|check| check.verdict).collect();
        assert_eq!(verdicts, [Verdict::Ok, Verdict::Warning, Verdict::Failed, Verdict::Ok]);
        assert!(checks[1].check.contains("sns arn:t") && checks[1].detail.contains("Throttling"));
    }
}
