//! Domains that the platform says are gone: whether that are too many.

use super::Check;
use crate::commands::exit::Failed;
use sealwax_admin::DeparturesView;

const NAME: &str = "domains said to be gone";

/// One line: the brake.
pub(super) fn check(brake: Result<DeparturesView, Failed>) -> Check {
    let view = match brake {
        Ok(view) => view,
        Err(failed) => return Check::failed(NAME, failed.message),
    };
    let counted = format!(
        "{} parked and {} erased in the hour counted last, of {} each",
        view.parked, view.erased, view.limit
    );
    match (&view.held_since, &view.held_until) {
        (Some(since), Some(until)) => Check::failed(
            NAME,
            format!(
                "more than {} within an hour: since {since} none is parked or erased, until \
                 {until}. See whether [permission] ask_url is right to answer 404 or 410; if it \
                 is: sealwax domain release-parking, and raise [renewal] gone_per_hour",
                view.limit
            ),
        ),
        _ => Check::ok(NAME, counted),
    }
}

#[cfg(test)]
mod tests {
    use super::super::Verdict;
    use super::*;

    #[test]
    fn too_many_at_once_fail_the_check_and_say_what_to_do() {
        let well = DeparturesView {
            held: false,
            held_since: None,
            held_until: None,
            released_until: None,
            parked: 3,
            erased: 0,
            limit: 20,
        };
        assert_eq!(check(Ok(well.clone())).verdict, Verdict::Ok);
        let held = DeparturesView {
            held: true,
            held_since: Some("2026-01-01T00:00:00Z".to_owned()),
            held_until: Some("2026-01-02T00:00:00Z".to_owned()),
            ..well
        };
        let told = check(Ok(held));
        assert_eq!(told.verdict, Verdict::Failed);
        assert!(told.detail.contains("release-parking"), "{}", told.detail);
    }
}
