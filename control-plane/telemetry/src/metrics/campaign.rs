//! How far the newest campaign is, read from the store: whichever replica works on it.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use sealwax_core::Timestamp;
use sealwax_core::campaign::{Campaign, CampaignState};
use sealwax_workflow::campaign::{CampaignError, Campaigns};
use tokio_util::sync::CancellationToken;

use super::Metrics;
use super::names::{CAMPAIGN, CAMPAIGN_DOMAINS, CAMPAIGN_LATE};

/// How often it is read: one document, for people who watch it.
const EVERY: Duration = Duration::from_secs(5);

/// The newest campaign, as it was when it was last read; empty where there never was one.
#[derive(Debug, Default)]
pub struct CampaignBoard(RwLock<Option<Campaign>>);

impl CampaignBoard {
    /// What was read last.
    #[must_use]
    pub fn last(&self) -> Option<Campaign> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Reads until told to stop.
pub async fn watch(
    campaigns: Campaigns,
    board: Arc<CampaignBoard>,
    metrics: Metrics,
    stop: CancellationToken,
) {
    let forever = async {
        loop {
            match campaigns.show().await {
                Ok(campaign) => show(campaign, campaigns.now(), &board, &metrics),
                Err(CampaignError::None) => {}
                Err(error) => tracing::debug!(%error, "the campaign cannot be read now"),
            }
            tokio::time::sleep(EVERY).await;
        }
    };
    tokio::select! {
        () = stop.cancelled() => {}
        () = forever => {}
    }
}

fn show(campaign: Campaign, now: Timestamp, board: &CampaignBoard, metrics: &Metrics) {
    metrics.clear(&CAMPAIGN);
    metrics.set(&CAMPAIGN, &[state(campaign.state)], 1.0);
    let open = u64::try_from(campaign.open.len()).unwrap_or(u64::MAX);
    let standings = [
        ("replaced", campaign.replaced),
        ("failed", campaign.failed),
        ("gone", campaign.gone),
        ("open", open),
    ];
    let asked = standings.iter().fold(0_u64, |sum, (_, count)| sum.saturating_add(*count));
    let waiting = ("waiting", campaign.count.found.saturating_sub(asked));
    for (standing, count) in standings.into_iter().chain([waiting]) {
        let count = usize::try_from(count).unwrap_or(usize::MAX);
        metrics.set_count(&CAMPAIGN_DOMAINS, &[standing], count);
    }
    let end = campaign.ends_about(now).unwrap_or(now);
    let late = campaign.lives() && end > campaign.deadline;
    metrics.set(&CAMPAIGN_LATE, &[], f64::from(u8::from(late)));
    *board.0.write().unwrap_or_else(PoisonError::into_inner) = Some(campaign);
}

const fn state(state: CampaignState) -> &'static str {
    match state {
        CampaignState::Running => "running",
        CampaignState::Paused => "paused",
        CampaignState::Finished => "finished",
        CampaignState::Cancelled => "cancelled",
    }
}

#[cfg(test)]
mod tests {
    use sealwax_core::Span;
    use sealwax_core::campaign::Selector;

    use super::*;

    #[test]
    fn a_campaign_is_shown_by_state_and_standing_and_when_it_is_late() {
        let (board, metrics) = (CampaignBoard::default(), Metrics::new());
        assert!(board.last().is_none() && !metrics.text().contains("sealwax_campaign"));
        let now = Timestamp::from_secs(1_767_225_600);
        let selector = Selector { issued_before: now, ..Selector::default() };
        let deadline = now + Span::from_secs(60);
        let mut campaign = Campaign::begin(selector, 1, deadline, "a test", now);
        campaign.count.found = 100;
        campaign.count.complete = true;
        (campaign.replaced, campaign.failed, campaign.gone) = (5, 2, 1);
        campaign.open = vec!["a.example.com".to_owned(), "b.example.com".to_owned()];
        show(campaign.clone(), now, &board, &metrics);
        let text = metrics.text();
        for line in [
            "sealwax_campaign{state=\"running\"} 1",
            "sealwax_campaign_domains{standing=\"replaced\"} 5",
            "sealwax_campaign_domains{standing=\"failed\"} 2",
            "sealwax_campaign_domains{standing=\"gone\"} 1",
            "sealwax_campaign_domains{standing=\"open\"} 2",
            "sealwax_campaign_domains{standing=\"waiting\"} 90",
            "sealwax_campaign_late 1",
        ] {
            assert!(text.contains(line), "{line} is not in:\n{text}");
        }
        assert_eq!(board.last(), Some(campaign.clone()));

        campaign.state = CampaignState::Cancelled;
        campaign.ended_at = Some(now);
        show(campaign, now, &board, &metrics);
        let text = metrics.text();
        assert!(text.contains("sealwax_campaign{state=\"cancelled\"} 1"), "{text}");
        assert!(!text.contains("state=\"running\"") && text.contains("sealwax_campaign_late 0"));
    }
}
