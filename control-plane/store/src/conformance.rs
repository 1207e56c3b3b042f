//! The contract of a store as a suite that every implementation passes, and that anyone who
//! writes another one can run.

#![expect(clippy::unwrap_used, reason = "a suite of assertions, built only for tests")]

mod changes;
mod documents;
mod listing;
mod removal;
mod samples;
mod writes;

use std::sync::Arc;

use sealwax_core::Timestamp;
pub use sealwax_core::testing::ManualClock;

use crate::upkeep::Upkeep;
pub use samples::{certificate, challenge, domain, event, record, sealed, token};

/// Where the suite starts in time: far ahead of real clocks, by which tables collect what expired.
pub const START: Timestamp = Timestamp::from_millis(4_000_000_000_000);

/// The store under test, and the clock it reads.
#[derive(Clone)]
pub struct Subject {
    /// The store, empty at the start.
    pub store: Arc<dyn Upkeep>,
    /// Its clock, at [`START`].
    pub clock: Arc<ManualClock>,
}

/// Runs the whole suite on an empty store.
///
/// # Panics
/// When the store breaks the contract.
pub async fn run(subject: &Subject) {
    writes::a_record_reads_back(subject).await;
    writes::one_of_two_writers_loses(subject).await;
    writes::changes_made_together_win_and_lose_each_for_itself(subject).await;
    writes::certificates_go_with_their_record(subject).await;
    writes::loads_keep_the_order_asked_for(subject).await;
    writes::odd_values_survive(subject).await;
    writes::challenges_are_answered_until_they_end(subject).await;
    writes::events_are_newest_first(subject).await;
    writes::accounts_are_created_once(subject).await;
    documents::a_document_is_written_by_one_of_those_who_read_it(subject).await;
    documents::an_expired_document_is_as_good_as_none(subject).await;
    documents::a_document_that_is_too_large_is_refused(subject).await;
    writes::concurrent_writers_lose_nothing(subject).await;
    writes::what_is_out_of_bounds_is_refused(subject).await;
    removal::a_removed_domain_is_gone(subject).await;
    removal::who_holds_a_version_of_before_a_removal_loses(subject).await;
    changes::the_log_tells_each_change_once(subject).await;
    changes::what_is_not_announced_is_not_told(subject).await;
    changes::readers_do_not_disturb_each_other(subject).await;
    listing::due_domains_come_oldest_first(subject).await;
    listing::a_domain_is_due_at_one_time_only(subject).await;
    listing::small_pages_of_what_is_due_are_fair(subject).await;
    listing::a_walk_over_what_is_due_goes_on_while_it_changes(subject).await;
    listing::pages_add_up_to_everything(subject).await;
    listing::selections_select(subject).await;
    listing::a_cursor_of_another_listing_is_refused(subject).await;
    listing::marks_are_kept_and_forgotten(subject).await;
    subject.store.ping().await.unwrap_or_else(|error| unreachable!("ping: {error}"));
}
