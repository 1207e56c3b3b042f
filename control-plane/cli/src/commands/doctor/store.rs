//! Which store it is, and what edges hold of it.

use super::Check;
use sealwax_admin::{StoreView, TRUSTED};

/// One line for the store's identity, and one for what edges hold.
pub(super) fn checks(view: &StoreView) -> Vec<Check> {
    let name = "store identity";
    let identity = match (view.standing.as_str(), &view.why, &view.id) {
        ("trusted", _, Some(id)) => Check::ok(name, id.as_str()),
        ("trusted", _, None) => Check::ok(name, ""),
        ("unchecked", ..) => Check::failed(
            name,
            "not known while the store is away; nothing is withdrawn from edges meanwhile",
        ),
        (_, why, _) => Check::failed(name, why.as_deref().unwrap_or("not the known one")),
    };
    let mut checks = vec![identity];
    if let Some(places) = &view.forgotten_at {
        checks.push(Check::failed(
            "store memory",
            format!(
                "which store is used cannot be remembered at {places}: after a restart another or an \
                 older store would not be noticed. Make one of them writable for the control plane"
            ),
        ));
    }
    checks.push(held(view));
    checks
}

fn held(view: &StoreView) -> Check {
    let name = "withdrawals";
    if view.held_back > 0 {
        let said = format!(
            "the brake holds {} back: edges keep these names. If the domains are really gone, run \
             `sealwax envoy release`; if not, register them again; [xds] withdrawal_percent and \
             withdrawal_window say how many may go at once",
            view.held_back
        );
        return Check::failed(name, said);
    }
    if view.without_record == 0 {
        return Check::ok(name, "");
    }
    let said = format!(
        "edges hold {} of {} names without a record or a removal in the store, and keep them. Is it \
         the right store, and whole?{}",
        view.without_record,
        view.held,
        // On the word of another store nothing is let go.
        if view.standing == TRUSTED {
            " If these domains are really gone, run `sealwax envoy release --unknown`"
        } else {
            ""
        },
    );
    if view.many_without_record { Check::failed(name, said) } else { Check::warning(name, said) }
}

#[cfg(test)]
mod tests {
    use super::super::Verdict;
    use super::*;

    #[test]
    fn another_store_and_names_without_a_record_are_told_with_what_to_do() {
        let well = StoreView { standing: "trusted".to_owned(), ..StoreView::default() };
        assert!(checks(&well).iter().all(|check| check.verdict == Verdict::Ok));
        let other = StoreView {
            standing: "other".to_owned(),
            why: Some("run `sealwax store accept`".to_owned()),
            ..well.clone()
        };
        let [identity, _] = checks(&other).try_into().unwrap();
        assert_eq!(identity.verdict, Verdict::Failed);
        assert!(identity.detail.contains("store accept"), "{}", identity.detail);
        let forgetful = StoreView { forgotten_at: Some("/x.identity".to_owned()), ..well.clone() };
        let told = checks(&forgetful);
        assert!(told.iter().any(|check| {
            check.verdict == Verdict::Failed && check.detail.contains("/x.identity")
        }));
        let both = StoreView { without_record: 30, many_without_record: true, ..other };
        assert!(!held(&both).detail.contains("release"), "not on another store's word");
        for (without_record, held_back, many, verdict, command) in [
            (3, 0, false, Verdict::Warning, "envoy release --unknown"),
            (30, 0, true, Verdict::Failed, "envoy release --unknown"),
            (0, 9, false, Verdict::Failed, "envoy release`"),
        ] {
            let view =
                StoreView { without_record, held_back, many_without_record: many, ..well.clone() };
            let check = held(&view);
            assert_eq!(check.verdict, verdict);
            assert!(check.detail.contains(command), "{}", check.detail);
        }
    }
}
