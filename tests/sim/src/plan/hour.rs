//! The worst hours of a seed: what a platform's deploys, a CA's bad day and operators bring.
//! Drawn apart, so that the rest of a seed's world is what it is without.

use sealwax_core::Span;
use sealwax_simulation::Dice;

use super::{DAY, HOUR, MINUTE, Plan, Trouble, Window};

/// How often each happens, of a thousand seeds, and how long it lasts.
const HOURS: [(Trouble, u64, Span, Span); 11] = [
    (Trouble::CaBusy, 250, MINUTE, HOUR),
    (Trouble::CaHangs, 200, MINUTE, HOUR),
    // A deploy: an hour at most.
    (Trouble::PlatformGone, 250, MINUTE, HOUR),
    // Longer than a notice is tried for, at times.
    (Trouble::NotifierDown, 250, MINUTE, DAY.scale(4, 1)),
    (Trouble::NotifierRests, 250, MINUTE, DAY.scale(4, 1)),
    (Trouble::StoreLost, 100, MINUTE, HOUR.scale(3, 1)),
    (Trouble::Puts, 250, MINUTE, HOUR.scale(12, 1)),
    (Trouble::Rollout, 300, MINUTE, HOUR.scale(12, 1)),
    // Outages that last for minutes, in the worst moment.
    (Trouble::CaDown, 250, MINUTE, HOUR.scale(2, 1)),
    (Trouble::PlatformDown, 250, MINUTE, HOUR.scale(2, 1)),
    (Trouble::StoreDown, 150, MINUTE, HOUR.scale(2, 1)),
];

/// The plan, with what comes besides.
pub(super) fn with_worst_hours(mut plan: Plan, troubled: Span) -> Plan {
    let dice = Dice::of(plan.seed, "worst hour");
    for (trouble, permille, shortest, longest) in HOURS {
        if dice.chance(permille) {
            let length = span(&dice, shortest, longest);
            let from = hit(&dice, &plan, troubled, length);
            plan.windows.push(Window { trouble, from, to: from + length, off_millis: 0 });
        }
    }
    let hangs = plan.has(Trouble::CaHangs);
    if hangs {
        // One that hangs until then is over before the run is.
        plan.order_life = HOUR.scale(6, 1);
    }
    if plan.has(Trouble::StoreLost) {
        // An operator sees at once that the campaign is not in that store.
        plan.recall = None;
        plan.copy_age = dice.chance(600).then(|| span(&dice, MINUTE, HOUR.scale(12, 1)));
    }
    let silent = plan.has(Trouble::NotifierDown) || plan.has(Trouble::NotifierRests);
    plan.notified = silent || dice.chance(300);
    if plan.one_leaves && dice.chance(400) {
        plan.returns = Some(plan.life + span(&dice, HOUR.scale(2, 1), plan.life.scale(1, 2)));
    }
    plan
}

/// When it begins, so that something happens in it: at the begin, when nobody has a certificate,
/// or shortly before a pass of the sweep.
fn hit(dice: &Dice, plan: &Plan, troubled: Span, length: Span) -> Span {
    if dice.chance(500) {
        return Span::from_millis(dice.below(10 * MINUTE.millis()));
    }
    let interval = plan.sweep_interval();
    let pass = interval.scale(dice.below(troubled.millis() / interval.millis()), 1);
    pass.less(Span::from_millis(dice.below(length.millis())))
}

/// Short ones more often than long ones.
fn span(dice: &Dice, shortest: Span, longest: Span) -> Span {
    let part = dice.between(1, 1000);
    let more = longest.less(shortest).millis().saturating_mul(part * part) / 1_000_000;
    shortest + Span::from_millis(more)
}
