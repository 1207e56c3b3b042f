//! The loop: sweep what is due into the lanes, work the lanes off, let the time pass.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use sealwax_core::apply::IllegalTransition;
use sealwax_core::budget::{Budget, Headroom};
use sealwax_core::{Span, Timestamp};
use sealwax_protocol::{ChallengeToken, DomainName};
use sealwax_workflow::Lane;

use crate::calendar::Calendar;
use crate::dice::Dice;
use crate::fleet::{self, Half, Name, Rests};
use crate::moment::{Moment, START};
use crate::outcome::Outcome;
use crate::scenario::{Scenario, ScenarioError};
use crate::tally::Tally;
use crate::walk::{Ended, Ground, walk};
use crate::world::Ca;

/// Names a lane has room for, as those of a control plane.
const LANE_MAX: usize = 20_000;
/// Between two looks at a certificate's renewal information: Let's Encrypt says six hours. A
/// revocation is seen within it.
const LOOKS_APART: Span = Span::from_secs(6 * 3_600);

/// Why there is no outcome.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RunError {
    /// The scenario cannot be run.
    #[error(transparent)]
    Scenario(#[from] ScenarioError),
    /// A decision contradicts its record: a fault of this program.
    #[error("a bug: {0}")]
    Bug(#[from] IllegalTransition),
}

/// Runs a scenario. `progress` is told each day that passed.
///
/// # Errors
/// See [`RunError`].
pub fn run(scenario: &Scenario, progress: impl FnMut(u32)) -> Result<Outcome, RunError> {
    scenario.check()?;
    let half = scenario.half();
    let (even, odd) = std::thread::scope(|scope| {
        let odd = scope.spawn(|| run_half(&half, Half::Odd, |_| ()));
        let even = run_half(&half, Half::Even, progress);
        (even, odd.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
    });
    Ok(even?.with(&odd?))
}

fn run_half(
    scenario: &Scenario,
    half: Half,
    mut progress: impl FnMut(u32),
) -> Result<Outcome, RunError> {
    let mut engine = Engine::new(scenario, half);
    let mut now = START;
    for day in 1..=scenario.days {
        let until = START + Span::from_secs(u64::from(day) * 86_400);
        while now < until {
            now = engine.round(now)?;
        }
        progress(day);
    }
    Ok(engine.tally.outcome(scenario, &engine.names, &engine.ground.ca))
}

struct Engine<'a> {
    scenario: &'a Scenario,
    half: Half,
    names: Vec<Name>,
    /// Stands in where only the state of a name counts.
    anyone: DomainName,
    calendar: Calendar,
    lanes: [VecDeque<u32>; Lane::ALL.len()],
    /// Who waits for room in what the account may order, in the order they were registered.
    lines: BTreeMap<Headroom, BTreeSet<u32>>,
    ground: Ground<'a>,
    tally: Tally,
    /// When the next order may begin.
    free_at: Timestamp,
    dice: Dice,
    imported: bool,
    revoked: bool,
}

impl<'a> Engine<'a> {
    fn new(scenario: &'a Scenario, half: Half) -> Self {
        let names = fleet::at_start(scenario, half);
        let hours = usize::try_from(u64::from(scenario.days) * 24 + 1).unwrap_or(usize::MAX);
        let mut calendar = Calendar::new(hours);
        for (number, name) in half.numbers(scenario.names()).zip(&names) {
            calendar.enter(name.wake_at, number);
        }
        let ground = Ground {
            ca: Ca::new(scenario),
            budget: Budget::new(scenario.limits.clone()),
            dice: Dice::of(scenario.seed, &format!("jitter {half:?}")),
            token: token(),
        };
        Self {
            scenario,
            half,
            names,
            anyone: anyone(),
            calendar,
            lanes: Default::default(),
            lines: BTreeMap::new(),
            ground,
            tally: Tally::new(hours),
            free_at: START,
            dice: Dice::of(scenario.seed, &format!("events {half:?}")),
            imported: false,
            revoked: false,
        }
    }

    /// One round of the sweep and what the lanes do until the next one, whose time it returns.
    fn round(&mut self, now: Timestamp) -> Result<Timestamp, RunError> {
        self.happenings(now);
        self.sweep(now);
        self.attend(now);
        let until = now + self.scenario.sweep_interval;
        self.work_off(now, until)?;
        self.tally.passed(until, &self.ground.ca);
        Ok(until)
    }

    /// What the scenario has in store for this moment.
    fn happenings(&mut self, now: Timestamp) {
        let passed = now.since(START);
        let comes = self.scenario.import.is_some_and(|import| import.at <= passed);
        if comes && !self.imported {
            self.imported = true;
            self.import(now);
        }
        if let Some(revocation) = self.scenario.revocation.filter(|all| all.at <= passed)
            && !self.revoked
        {
            self.revoked = true;
            self.revoke(revocation.permille, now);
        }
    }

    fn import(&mut self, now: Timestamp) {
        let wake_at = Moment::not_before(now);
        let held = self.scenario.domains;
        for number in self.half.numbers(self.scenario.names()).filter(|number| *number >= held) {
            self.change(number, |name| Name { wake_at, rests: Rests::Wanted, ..name });
        }
    }

    /// Each name is woken when it looks at its renewal information next.
    fn revoke(&mut self, permille: u64, now: Timestamp) {
        for number in self.half.numbers(self.scenario.domains) {
            if self.dice.chance(permille) {
                let look = now + Span::from_millis(self.dice.below(LOOKS_APART.millis()));
                let look = Moment::not_before(look);
                self.change(number, |name| Name {
                    wake_at: name.wake_at.min(look),
                    revoked: name.has_certificate(),
                    ..name
                });
            }
        }
        self.tally.revoked(&self.names, now);
    }

    fn change(&mut self, number: u32, change: impl FnOnce(Name) -> Name) {
        if let Some(name) = at(&mut self.names, number) {
            *name = change(*name);
            self.calendar.enter(name.wake_at, number);
        }
    }

    /// As a pass of `sweep::serve`: what is due longest first, as far as the lane of what did not
    /// fail before has room. What another lane has no room for is found again by the next pass.
    fn sweep(&mut self, now: Timestamp) {
        let mut dropped = Vec::new();
        while self.lanes.get(Lane::Due as usize).is_some_and(|due| due.len() < LANE_MAX)
            && let Some((due_at, number)) = self.calendar.due(now)
        {
            // Not an entry from before the name was woken for something else.
            let due = at(&mut self.names, number).filter(|name| name.wake_at == due_at).copied();
            let lane = due.map(|name| Lane::of_due(&name.record(self.anyone.clone()), now));
            match lane.and_then(|lane| self.lanes.get_mut(lane as usize)) {
                Some(lane) if lane.len() < LANE_MAX => lane.push_back(number),
                Some(_) => dropped.push((due_at, number)),
                None => {}
            }
        }
        for (due_at, number) in dropped {
            self.calendar.enter(due_at, number);
        }
        self.tally.backlog(self.lanes.iter().map(VecDeque::len).sum());
    }

    /// As the queue does: as many go as there is room for, those that failed before last.
    fn attend(&mut self, now: Timestamp) {
        for (headroom, line) in &mut self.lines {
            let room = self.ground.budget.room(*headroom, now);
            for _ in 0..room {
                let Some(number) = line.pop_first() else { break };
                let lane = if *headroom == Headroom::Half { Lane::Retry } else { Lane::Due };
                if let Some(lane) = self.lanes.get_mut(lane as usize) {
                    lane.push_back(number);
                }
            }
        }
    }

    fn work_off(&mut self, now: Timestamp, until: Timestamp) -> Result<(), RunError> {
        let apart = Span::from_millis(1_000 / self.scenario.orders_per_second.clamp(1, 1_000));
        self.free_at = self.free_at.max(now);
        while self.free_at < until {
            let Some(number) = self.lanes.iter_mut().find_map(VecDeque::pop_front) else { break };
            let at = self.free_at;
            self.free_at = self.free_at + apart;
            self.walk(number, at)?;
        }
        Ok(())
    }

    fn walk(&mut self, number: u32, now: Timestamp) -> Result<(), RunError> {
        let Some(name) = at(&mut self.names, number).copied() else { return Ok(()) };
        let Some(domain) = fleet::domain(number) else { return Ok(()) };
        let walked = walk(&mut self.ground, number, name, domain, now)?;
        self.tally.walked(&name, &walked, now, number >= self.scenario.domains);
        let revoked = name.revoked && walked.ended != Ended::Issued;
        let next = Name { revoked, ..walked.name };
        if let Some(name) = at(&mut self.names, number) {
            *name = next;
        }
        match walked.ended {
            Ended::Waits(headroom) => {
                self.lines.entry(headroom).or_default().insert(number);
            }
            Ended::Issued | Ended::Failed | Ended::Idle => {
                self.calendar.enter(next.wake_at, number);
            }
        }
        Ok(())
    }
}

fn at(names: &mut [Name], number: u32) -> Option<&mut Name> {
    names.get_mut(Half::index(number))
}

#[expect(clippy::expect_used, reason = "a constant name")]
fn anyone() -> DomainName {
    DomainName::parse("any.example").expect("a name")
}

#[expect(clippy::expect_used, reason = "a constant of the token alphabet")]
fn token() -> ChallengeToken {
    ChallengeToken::parse("token").expect("base64url")
}
