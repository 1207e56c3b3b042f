//! Campaigns: replacing every certificate that a selector matches, before a moment and at a rate.
//!
//! There is one at a time, in a document of the store. [`Campaigns`] starts and steers it;
//! [`serve`] works on it in one process at a time, under a lease. What it does to a name is to
//! write into its record that a certificate is wanted: the rest is a renewal like any other, with
//! its budget, its place in the lanes and its schedule when it fails.

mod pace;
mod round;

use std::sync::Arc;

use sealwax_core::campaign::{Campaign, CampaignState, RATE_MAX, REASON_BYTES_MAX, Selector};
use sealwax_core::store::{Document, Store, StoreError};
use sealwax_core::{Clock, Span, Timestamp};
use sealwax_protocol::DomainName;
use tokio::sync::Notify;

pub use round::{CampaignSettings, serve};

/// Where the campaign is.
const DOCUMENT: &str = "campaign";
/// How long a campaign that ended can be looked at.
const KEPT: Span = Span::from_secs(90 * 86_400);
/// How often a change starts anew because the process at work wrote first.
const RELOADS_MAX: u32 = 16;

/// Knows which names are seen most.
pub trait Popularity: Send + Sync + 'static {
    /// At most so many names, busiest first, as far as this process knows.
    fn busiest(&self, most: usize) -> Vec<DomainName>;
}

/// A campaign as its operator wants it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// What is replaced; nothing that is issued from now on.
    pub selector: Selector,
    /// Most names asked for in a second.
    pub rate: u32,
    /// When all should be replaced.
    pub deadline: Timestamp,
    /// Why.
    pub reason: String,
}

/// What an operator may do to a campaign that lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Steer {
    /// Ask for no more until it is resumed; what was asked for goes on.
    Pause,
    /// Go on.
    Resume,
    /// End it; what was asked for goes on.
    Cancel,
}

/// Starts campaigns and steers them. Cheap to clone.
#[derive(Clone)]
pub struct Campaigns {
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    steered: Arc<Notify>,
}

/// Why a campaign was not started or steered.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CampaignError {
    /// There is none.
    #[error("there is no campaign")]
    None,
    /// Another one has to end first.
    #[error("campaign {0} has not ended; cancel it first")]
    Lives(String),
    /// It ended.
    #[error("campaign {0} has ended")]
    Ended(String),
    /// It makes no sense.
    #[error("{0}")]
    Wrong(String),
    /// It is written all the time: try again.
    #[error("the campaign is changed all the time; try again")]
    Contended,
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Campaigns {
    /// Over a store.
    #[must_use]
    pub fn new(store: Arc<dyn Store>, clock: Arc<dyn Clock>) -> Self {
        Self { store, clock, steered: Arc::new(Notify::new()) }
    }

    /// The present time, as the store has it.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// The last campaign.
    ///
    /// # Errors
    /// There is none, or the store.
    pub async fn show(&self) -> Result<Campaign, CampaignError> {
        Ok(self.find().await?.ok_or(CampaignError::None)?.0)
    }

    /// Starts one.
    ///
    /// # Errors
    /// It makes no sense, another one lives, or the store.
    pub async fn start(&self, wanted: Wanted) -> Result<Campaign, CampaignError> {
        let now = self.clock.now();
        check(&wanted, now)?;
        for _ in 0..RELOADS_MAX {
            let found = self.find().await?;
            if let Some((campaign, _)) = found.as_ref().filter(|(campaign, _)| campaign.lives()) {
                return Err(CampaignError::Lives(campaign.id.clone()));
            }
            let version = found.map_or(0, |(_, version)| version);
            let Wanted { selector, rate, deadline, reason } = wanted.clone();
            let campaign = Campaign::begin(selector, rate, deadline, &reason, now);
            match self.put(&campaign, version).await {
                Ok(()) => {
                    let Campaign { id, reason, rate, .. } = &campaign;
                    tracing::info!(campaign = %id, %reason, rate, "a campaign begins");
                    self.steered.notify_one();
                    return Ok(campaign);
                }
                Err(StoreError::Lost { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(CampaignError::Contended)
    }

    /// Pauses, resumes or cancels the one that lives.
    ///
    /// # Errors
    /// None lives, or the store.
    pub async fn steer(&self, steer: Steer) -> Result<Campaign, CampaignError> {
        for _ in 0..RELOADS_MAX {
            let (mut campaign, version) = self.find().await?.ok_or(CampaignError::None)?;
            if !campaign.lives() {
                return Err(CampaignError::Ended(campaign.id));
            }
            let before = campaign.state;
            match steer {
                Steer::Pause => campaign.state = CampaignState::Paused,
                Steer::Resume => campaign.state = CampaignState::Running,
                Steer::Cancel => campaign.end(CampaignState::Cancelled, self.clock.now()),
            }
            if campaign.state == before {
                return Ok(campaign);
            }
            match self.put(&campaign, version).await {
                Ok(()) => {
                    tracing::info!(campaign = campaign.id, ?steer, "the campaign is steered");
                    self.steered.notify_one();
                    return Ok(campaign);
                }
                Err(StoreError::Lost { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(CampaignError::Contended)
    }

    async fn find(&self) -> Result<Option<(Campaign, u64)>, StoreError> {
        let Some(found) = self.store.document(DOCUMENT).await? else { return Ok(None) };
        let campaign = serde_json::from_str(&found.text).map_err(|error| {
            StoreError::Unreadable { key: DOCUMENT.to_owned(), detail: error.to_string() }
        })?;
        Ok(Some((campaign, found.version)))
    }

    /// Writes it if nobody else did.
    async fn put(&self, campaign: &Campaign, version: u64) -> Result<(), StoreError> {
        let text = serde_json::to_string(campaign)
            .map_err(|error| StoreError::Bug { detail: format!("a campaign as JSON: {error}") })?;
        let until = campaign.ended_at.unwrap_or_else(|| self.clock.now().max(campaign.deadline));
        let document = Document { text, version, expires_at: until + KEPT };
        self.store.put_document(DOCUMENT, &document).await
    }
}

fn check(wanted: &Wanted, now: Timestamp) -> Result<(), CampaignError> {
    let wrong = |said: String| Err(CampaignError::Wrong(said));
    if !(1..=RATE_MAX).contains(&wanted.rate) {
        return wrong(format!("rate is a number from 1 to {RATE_MAX}"));
    }
    if wanted.deadline <= now {
        return wrong("before is a moment to come".to_owned());
    }
    if wanted.selector.issued_after.is_some_and(|after| wanted.selector.issued_before <= after) {
        return wrong("issued_after comes before issued_before".to_owned());
    }
    if wanted.reason.len() > REASON_BYTES_MAX {
        return wrong(format!("reason has {REASON_BYTES_MAX} bytes at most"));
    }
    Ok(())
}
