//! INV-24: the tokens taken of an account's orders are the orders the CA saw, but for the crash
//! window: what a process that died, or was not answered, had taken and not used.
//!
//! Read from the budget's documents as they are written: a token is a step of the limit's interval.
//! Judged for each process after each order and whenever nothing is in flight in it.

use std::collections::HashMap;
use std::sync::Mutex;

use futures::FutureExt as _;
use sealwax_core::Timestamp;
use sealwax_core::budget::{Bucket, BucketKey, Limits};
use sealwax_core::store::{Document, Store as _};

use crate::ca::ISSUER;
use crate::plan::Trouble;
use crate::staging::STAGING;
use crate::world::World;

/// What each process took of each account's orders and did not use.
#[derive(Debug, Default)]
pub(crate) struct Tokens(Mutex<Seen>);

#[derive(Debug, Default)]
struct Seen {
    /// The store, a limit or a clock says something else than what was counted.
    unknown: bool,
    of: HashMap<(u32, &'static str), Account>,
}

#[derive(Debug, Default)]
struct Account {
    /// Taken, and no order for it yet.
    open: i64,
    /// How many may stay open: the crash window.
    window: i64,
}

impl Seen {
    fn account(&mut self, instance: u32, issuer: &'static str) -> &mut Account {
        self.of.entry((instance, issuer)).or_default()
    }
}

impl Tokens {
    /// What is in the documents is not what was counted.
    pub(crate) fn lose_count(&self) {
        self.0.lock().unwrap().unknown = true;
    }

    /// A process wrote a document.
    pub(crate) fn wrote(
        &self,
        world: &World,
        instance: u32,
        name: &str,
        (before, after): (Option<&Document>, &Document),
    ) {
        let Some((issuer, limits)) = account(name) else { return };
        let now = world.time.now();
        let each = i64::try_from(limits.orders_per_account.interval.millis()).unwrap();
        let before = before.and_then(orders_full_at);
        let after = orders_full_at(after);
        let taken = steps(before, after, now, each);
        self.0.lock().unwrap().account(instance, issuer).open += taken;
    }

    /// The CA got an order that counts, or may have got it.
    pub(crate) fn ordered(&self, world: &World, instance: u32, issuer: &'static str) {
        let mut seen = self.0.lock().unwrap();
        let account = seen.account(instance, issuer);
        account.open -= 1;
        let free = account.open < 0;
        if free && !seen.unknown && !world.plan.has(Trouble::ClockOff) {
            drop(seen);
            let now = world.time.now();
            let how = format!("process {instance} ordered from {issuer} at {now} without a token");
            world.watch.broken("INV-24", &how);
        }
    }

    /// A process was told that the store did not do it: whatever it had taken may be lost.
    pub(crate) fn unanswered(&self, instance: u32, names: usize) {
        let mut seen = self.0.lock().unwrap();
        for issuer in [ISSUER, STAGING] {
            let account = seen.account(instance, issuer);
            let at_hand = account.open.min(i64::try_from(names).unwrap());
            account.window = account.window.max(at_hand);
        }
    }

    /// What it had taken is lost.
    pub(crate) fn died(&self, instance: u32, names: usize) {
        let mut seen = self.0.lock().unwrap();
        for issuer in [ISSUER, STAGING] {
            let account = seen.account(instance, issuer);
            account.window += i64::try_from(names).unwrap();
        }
    }

    /// Nothing is in flight in this process.
    pub(crate) fn check_at_rest(&self, world: &World, instance: u32) {
        let mut seen = self.0.lock().unwrap();
        // A token is a span of time: of a clock that is off nobody can count it.
        seen.unknown |= world.plan.has(Trouble::ClockOff);
        if seen.unknown {
            return;
        }
        let mut wrong = Vec::new();
        for issuer in [ISSUER, STAGING] {
            let account = seen.account(instance, issuer);
            // What was taken so long ago that it came back with time cannot be given back.
            if account.open > account.window && is_full(world, issuer) {
                account.open = account.open.min(0);
            }
            if account.open > account.window {
                wrong.push(format!(
                    "process {instance} took {} tokens of {issuer} at {} and ordered nothing",
                    account.open,
                    world.time.now()
                ));
            }
            // Told once.
            account.window = account.window.max(account.open);
        }
        drop(seen);
        wrong.iter().for_each(|how| world.watch.broken("INV-24", how));
    }
}

/// Nothing is missing of the account's orders.
fn is_full(world: &World, issuer: &str) -> bool {
    let document = world.store().document(&format!("budget#{issuer}")).now_or_never();
    let full_at = document.and_then(Result::ok).flatten().as_ref().and_then(orders_full_at);
    full_at.is_none_or(|at| at <= world.time.now())
}

/// Whose account's document it is.
fn account(name: &str) -> Option<(&'static str, Limits)> {
    match name.strip_prefix("budget#")? {
        of if of == ISSUER => Some((ISSUER, Limits::default())),
        of if of == STAGING => Some((STAGING, Limits::staging())),
        _ => None,
    }
}

fn orders_full_at(document: &Document) -> Option<Timestamp> {
    let buckets: Vec<(BucketKey, Bucket)> = serde_json::from_str(&document.text).unwrap();
    let orders = buckets.into_iter().find(|(key, _)| *key == BucketKey::Orders);
    orders.map(|(_, bucket)| bucket.full_at())
}

/// How many tokens were taken, or given back. A bucket that was full is counted from the moment of
/// the write, which is seconds after the one it was taken at: whole intervals all the same.
fn steps(before: Option<Timestamp>, after: Option<Timestamp>, now: Timestamp, each: i64) -> i64 {
    let millis = |at: Timestamp| i64::try_from(at.millis()).unwrap();
    let now = millis(now);
    let known = before.map(millis).filter(|at| *at > now - each);
    match (known, after.map(millis)) {
        (Some(before), Some(after)) if (after - before) % each == 0 => (after - before) / each,
        (_, Some(after)) if after > now => ((after - now + each / 2) / each).max(1),
        // Written so late that it is full again; what is full when it is taken from is not kept.
        (None, Some(after)) if before.map(millis) != Some(after) => 1,
        (Some(before), _) if before > now => -((before - now + each - 1) / each),
        (_, _) => 0,
    }
}
