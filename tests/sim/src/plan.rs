//! What a seed means.

mod hour;

use sealwax_core::Span;
use sealwax_simulation::Dice;

use crate::effects::Strike;

pub(crate) const MINUTE: Span = Span::from_secs(60);
pub(crate) const HOUR: Span = Span::from_secs(3_600);
pub(crate) const DAY: Span = Span::from_secs(86_400);
/// What certificates live: `shortlived`, `tlsserver`, `classic`.
const LIVES: [Span; 4] =
    [HOUR.scale(160, 1), HOUR.scale(160, 1), DAY.scale(45, 1), DAY.scale(90, 1)];
/// Sweeps in a certificate's life.
const SWEEPS: u64 = 100;
/// How long Let's Encrypt keeps an order that is not finished.
const ORDER_LIFE: Span = DAY.scale(7, 1);

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
    /// The CA answers new orders with 429 or 503, with Boulder's words, and says until when at
    /// times.
    CaBusy,
    /// Orders that are finalized stay in `processing`: for minutes, for hours, or until they
    /// expire.
    CaHangs,
    /// The platform answers 404 to everything: a deploy.
    PlatformGone,
    /// The receiver of notifications fails.
    NotifierDown,
    /// The receiver of notifications is left alone for a while.
    NotifierRests,
    /// The store is another one: an empty one, or an older copy.
    StoreLost,
    /// An operator writes between any two effects of a replica.
    Puts,
    /// Replicas are told to stop (SIGTERM), and started again.
    Rollout,
}

/// A fault that is built in, to see that the watch over an invariant can fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mutation {
    /// A record's write is followed by sixty more.
    WritesAgain,
    /// Each token of an account's orders that is taken costs two.
    TokensTwice,
    /// After an outage a name waits for a day.
    LongRest,
    /// The platform's answer that a domain has left is repeated to whoever asks again.
    GoneFromCache,
    /// A notice that was not delivered counts as delivered.
    NoticesVanish,
    /// A process that is told to stop drops what it is at.
    DropsAtOnce,
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
    /// When it takes that one back, from the begin of the run.
    pub returns: Option<Span>,
    /// Somebody wants to hear of what happens.
    pub notified: bool,
    /// When an order that is not finished is gone.
    pub order_life: Span,
    /// What a store that is lost is replaced by: a copy this old, or an empty one.
    pub copy_age: Option<Span>,
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
    /// A fault that is built in.
    pub mutation: Option<Mutation>,
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
            returns: None,
            notified: false,
            order_life: ORDER_LIFE,
            copy_age: None,
            life,
            length: life.scale(6, 5),
            reuses_orders: false,
            says_when: false,
            twice: false,
            blow: None,
            mutation: None,
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
        let plan = Self {
            seed,
            replicas,
            exclusive,
            domains,
            broken,
            mended: trials.mended,
            staging: trials.staging,
            recall: Recall::of(seed, life, troubled),
            one_leaves: dice.chance(200),
            returns: None,
            notified: false,
            order_life: ORDER_LIFE,
            copy_age: None,
            life,
            length,
            reuses_orders: dice.chance(500),
            says_when: dice.chance(500) && says_when(seed, life),
            twice: dice.chance(100),
            blow: None,
            mutation: None,
            traced: false,
            windows,
            strikes_permille: dice.between(20, 250),
            harm_permille: dice.between(0, 200),
        };
        hour::with_worst_hours(plan, troubled)
    }

    /// Between two sweeps of a replica.
    pub(crate) fn sweep_interval(&self) -> Span {
        self.life.scale(1, SWEEPS)
    }

    /// The windows of one kind.
    pub(crate) fn all(&self, trouble: Trouble) -> impl Iterator<Item = &Window> {
        self.windows.iter().filter(move |window| window.trouble == trouble)
    }

    /// It comes at some time.
    pub(crate) fn has(&self, trouble: Trouble) -> bool {
        self.all(trouble).next().is_some()
    }

    pub(crate) fn is(&self, trouble: Trouble, at: Span) -> bool {
        self.windows
            .iter()
            .any(|window| window.trouble == trouble && window.from <= at && at < window.to)
    }

    /// There was such trouble in this time before `at`.
    pub(crate) fn lately(&self, trouble: Trouble, time: Span, at: Span) -> bool {
        self.all(trouble).any(|window| window.from <= at && at < window.to + time)
    }

    /// Something went wrong between the two moments: what expires there is not judged. What must
    /// not hold up a renewal is no excuse.
    pub(crate) fn troubled(&self, from: Span, to: Span) -> bool {
        let mut wrong = self.windows.iter().filter(|one| !one.trouble.is_no_excuse());
        wrong.any(|window| window.from < to && from < window.to + self.outlasts(window))
    }

    /// How long after its end a trouble still shows: an order that hangs does so until it expires.
    fn outlasts(&self, window: &Window) -> Span {
        if window.trouble == Trouble::CaHangs { self.order_life } else { Span::ZERO }
    }
}

impl Trouble {
    /// Renewals go on all the same.
    const fn is_no_excuse(self) -> bool {
        matches!(
            self,
            Self::StagingDown
                | Self::NotifierDown
                | Self::NotifierRests
                | Self::Puts
                | Self::Rollout
        )
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
    // An outage is asked about all the while, which a run has to pay for.
    let third = life.scale(1, 3);
    let down = [Trouble::CaDown, Trouble::PlatformDown, Trouble::CaSlow].contains(&trouble);
    let longest = if down { third.min(DAY) } else { third }.millis();
    let part = dice.between(1, 1000);
    let length = Span::from_millis(shortest + longest.saturating_mul(part * part) / 1_000_000);
    let from = Span::from_millis(dice.below(troubled.millis()));
    let off = i64::try_from(dice.between(1, DAY.millis())).unwrap();
    let off_millis = if dice.chance(500) { off } else { -off };
    Window { trouble, from, to: from + length, off_millis }
}

/// Whether the CA may say when to renew. In long lives that is asked hundreds of times for each
/// renewal, which costs a run more than all that goes wrong in it: one of five such worlds has to
/// do. Drawn apart, so that the rest of a seed's world is what it is without.
fn says_when(seed: u64, life: Span) -> bool {
    life < DAY.scale(10, 1) || Dice::of(seed, "says when").chance(200)
}

/// Long enough for what was deferred to come back, be taken over, and be issued.
fn calm_at_the_end(life: Span) -> Span {
    life.scale(1, 3) + life.scale(8, SWEEPS) + DAY.scale(4, 1)
}

pub(crate) fn usize_of(number: u64) -> usize {
    usize::try_from(number).unwrap()
}
