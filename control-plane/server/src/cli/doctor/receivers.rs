//! Receivers of events: whether what happens gets through to them.

use super::Check;
use crate::admin::FleetView;

/// One line for each, as the control plane found it.
pub(super) fn standing(fleet: &FleetView) -> Vec<Check> {
    let one = |receiver: &crate::notify::ReceiverStanding| {
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

#[cfg(test)]
mod tests {
    use super::super::Verdict;
    use super::*;
    use crate::notify::ReceiverStanding;

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
        let fleet = FleetView { receivers, ..crate::admin::tests::no_fleet() };
        let checks = standing(&fleet);
        let verdicts: Vec<_> = checks.iter().map(|check| check.verdict).collect();
        assert_eq!(verdicts, [Verdict::Ok, Verdict::Warning, Verdict::Failed, Verdict::Ok]);
        assert!(checks[1].check.contains("sns arn:t") && checks[1].detail.contains("Throttling"));
    }
}
