//! What a seed means.

use sealwax_core::Span;
use sealwax_simulation::Dice;

use crate::effects::{Effect, Strike};

pub(crate) const MINUTE: Span = Span::from_secs(60);
pub(crate) const HOUR: Span = Span::from_secs(3_600);
pub(crate) const DAY: Span = Span::from_secs(86_400);
/// What certificates live: `shortlived`, `tlsserver`, `classic`.
const LIVES: [Span; 4] =
    [HOUR.scale(160, 1), HOUR.scale(160, 1), DAY.scale(45, 1), DAY.scale(90, 1)];
/// Sweeps in a certificate's life.
const SWEEPS: u64 = 100;

/// One thing that goes wrong for a while.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// The CA does not answer.
    CaDown,
    /// The CA's staging does not answer.
    StagingDown,
    /// The CA answers new orders with 429 and Retry-After.
    CaLimits,
    /// Orders stay in `processing`.
    CaSlow,
    /// The store does not answer.
    StoreDown,
    /// The platform does not answer.
    PlatformDown,
    /// Each effect may be struck.
    Storm,
    /// A replica's wall clock is wrong.
    ClockOff,
}

/// From when to when.
#[derive(Clone, Copy, Debug)]
pub struct Window {
    /// What goes wrong.
    pub trouble: Trouble,
    /// Since when, from the begin of the run.
    pub from: Span,
    /// Until when.
    pub to: Span,
    /// How much the clock is off.
    pub off_millis: i64,
}

/// A strike at one effect, counted from the first one.
#[derive(Clone, Copy, Debug)]
pub struct Blow {
    /// Which effect.
    pub nth: u64,
    /// What happens to it.
    pub strike: Strike,
}

/// A campaign.
#[derive(Clone, Copy, Debug)]
pub struct Recall {
    /// When it begins, from the begin of the run.
    pub at: Span,
    /// How long it may take.
    pub within: Span,
    /// Most names asked for in a second.
    pub rate: u32,
    /// It is paused at once, and resumed at the next sweep.
    pub paused: bool,
}

impl Recall {
    /// Drawn apart, so that the rest of a seed's world is what it is without. In short lives only:
    /// whoever works on a campaign looks at it each second until a sweep has found what is left.
    fn of(seed: u64, life: Span, troubled: Span) -> Option<Self> {
        let dice = Dice::of(seed, "recall");
        if life > DAY.scale(10, 1) || dice.chance(600) {
            return None;
        }
        Some(Self {
            at: Span::from_millis(dice.below(troubled.millis())),
            within: life.scale(8, SWEEPS),
            rate: if dice.chance(500) { 1 } else { 2 },
            paused: dice.chance(300),
        })
    }
}

/// Everything that is fixed before a run begins.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Where its randomness comes from.
    pub seed: u64,
    /// Processes.
    pub replicas: usize,
    /// The store belongs to one process.
    pub exclusive: bool,
    /// Names in order.
    pub domains: usize,
    /// Names whose validation fails: for ever, or until they are mended.
    pub broken: usize,
    /// When they are mended, from the begin of the run.
    pub mended: Option<Span>,
    /// The CA has a staging, where what failed is tried first.
    pub staging: bool,
    /// The platform lets one name go on the way.
    pub one_leaves: bool,
    /// A campaign replaces every certificate.
    pub recall: Option<Recall>,
    /// What certificates live.
    pub life: Span,
    /// How long the run takes.
    pub length: Span,
    /// The CA answers a new order with a pending one for the same name.
    pub reuses_orders: bool,
    /// The CA says when to renew (RFC 9773).
    pub says_when: bool,
    /// Everything is done twice.
    pub twice: bool,
    /// One effect is struck.
    pub blow: Option<Blow>,
    /// Each effect is noted.
    pub traced: bool,
    /// What goes wrong for a while.
    pub windows: Vec<Window>,
    /// Strikes in a storm, of a thousand effects.
    pub strikes_permille: u64,
    /// A replica is killed or a lease stolen by the driver, of a thousand sweeps in a storm.
    pub harm_permille: u64,
}

impl Plan {
    /// Nothing goes wrong.
    #[must_use]
    pub fn calm(seed: u64, replicas: usize) -> Self {
        let life = HOUR.scale(160, 1);
        Self {
            seed,
            replicas,
            exclusive: replicas == 1,
            domains: 1,
            broken: 0,
            mended: None,
            staging: false,
            recall: None,
            one_leaves: false,
            life,
            length: life.scale(6, 5),
            reuses_orders: false,
            says_when: false,
            twice: false,
            blow: None,
            traced: false,
            windows: Vec::new(),
            strikes_permille: 0,
            harm_permille: 0,
        }
    }

    /// The plan of a seed.
    #[must_use]
    pub fn of(seed: u64) -> Self {
        let dice = Dice::of(seed, "plan");
        let replicas = usize_of(dice.between(1, 3));
        let life = LIVES[usize_of(dice.below(4))];
        let troubled = life.scale(3, 2);
        let length = troubled + calm_at_the_end(life);
        let mut windows = Vec::new();
        for trouble in [
            Trouble::CaDown,
            Trouble::CaLimits,
            Trouble::CaSlow,
            Trouble::StoreDown,
            Trouble::PlatformDown,
            Trouble::Storm,
            Trouble::Storm,
            Trouble::ClockOff,
        ] {
            if dice.chance(500) {
                windows.push(window(&dice, trouble, life, troubled));
            }
        }
        let exclusive = replicas == 1 && dice.chance(500);
        let domains = usize_of(dice.between(2, 5));
        let broken = usize_of(dice.below(2));
        let trials = Trials::of(seed, broken, life, troubled);
        windows.extend(trials.down);
        Self {
            seed,
            replicas,
            exclusive,
            domains,
            broken,
            mended: trials.mended,
            staging: trials.staging,
            recall: Recall::of(seed, life, troubled),
            one_leaves: dice.chance(200),
            life,
            length,
            reuses_orders: dice.chance(500),
            says_when: dice.chance(500),
            twice: dice.chance(100),
            blow: None,
            traced: false,
            windows,
            strikes_permille: dice.between(20, 250),
            harm_permille: dice.between(0, 200),
        }
    }

    /// Between two sweeps of a replica.
    pub(crate) fn sweep_interval(&self) -> Span {
        self.life.scale(1, SWEEPS)
    }

    pub(crate) fn is(&self, trouble: Trouble, at: Span) -> bool {
        self.windows
            .iter()
            .any(|window| window.trouble == trouble && window.from <= at && at < window.to)
    }

    /// There was a storm in this time before `at`.
    pub(crate) fn storm_within(&self, time: Span, at: Span) -> bool {
        let mut storms = self.windows.iter().filter(|one| one.trouble == Trouble::Storm);
        storms.any(|storm| storm.from <= at && at < storm.to + time)
    }

    /// Something went wrong between the two moments: what expires there is not judged. A staging
    /// that is away is no excuse.
    pub(crate) fn troubled(&self, from: Span, to: Span) -> bool {
        let mut wrong = self.windows.iter().filter(|one| one.trouble != Trouble::StagingDown);
        wrong.any(|window| window.from < to && from < window.to)
    }
}

/// What a seed means for trials, in worlds where something fails. Drawn apart, so that the rest of
/// a seed's world is what it is without.
#[derive(Default)]
struct Trials {
    staging: bool,
    mended: Option<Span>,
    down: Option<Window>,
}

impl Trials {
    fn of(seed: u64, broken: usize, life: Span, troubled: Span) -> Self {
        let dice = Dice::of(seed, "staging");
        if broken == 0 || dice.chance(400) {
            return Self::default();
        }
        let mended = dice.chance(600).then(|| Span::from_millis(dice.below(troubled.millis())));
        let down = dice.chance(400).then(|| window(&dice, Trouble::StagingDown, life, troubled));
        Self { staging: true, mended, down }
    }
}

fn window(dice: &Dice, trouble: Trouble, life: Span, troubled: Span) -> Window {
    // From minutes to a third of a life; a clock is wrong by up to a day.
    let shortest = 5 * MINUTE.millis();
    let longest = life.scale(1, 3).millis();
    let part = dice.between(1, 1000);
    let length = Span::from_millis(shortest + longest.saturating_mul(part * part) / 1_000_000);
    let from = Span::from_millis(dice.below(troubled.millis()));
    let off = i64::try_from(dice.between(1, DAY.millis())).unwrap();
    let off_millis = if dice.chance(500) { off } else { -off };
    Window { trouble, from, to: from + length, off_millis }
}

/// Long enough for what was deferred to come back, be taken over, and be issued.
fn calm_at_the_end(life: Span) -> Span {
    life.scale(1, 3) + life.scale(8, SWEEPS) + DAY.scale(4, 1)
}

pub(crate) fn usize_of(number: u64) -> usize {
    usize::try_from(number).unwrap()
}

/// What an effect of this kind can be struck with.
pub(crate) fn strikes(effect: Effect) -> &'static [Strike] {
    match effect {
        Effect::Write | Effect::Reserve => &[
            Strike::DieBefore,
            Strike::DieAfter,
            Strike::Refuse,
            Strike::LoseAnswer,
            Strike::Twice,
            Strike::Hold,
        ],
        Effect::Ask => &[Strike::DieBefore, Strike::DieAfter, Strike::Refuse, Strike::Hold],
        Effect::PlaceOrder
        | Effect::Observe
        | Effect::Answer
        | Effect::Finalize
        | Effect::Download
        | Effect::Relinquish => &[
            Strike::DieBefore,
            Strike::DieAfter,
            Strike::Refuse,
            Strike::LoseAnswer,
            Strike::Twice,
            Strike::Hold,
            Strike::Limit,
        ],
    }
}
