//! `sealwax campaign start|status|pause|resume|cancel`

use std::time::Duration;

use http::Method;
use sealwax_core::campaign::CampaignState;

use super::arguments::{CampaignCommand, CampaignStart};
use super::client::AdminClient;
use super::domains::NO_BODY;
use super::exit::{Failed, Outcome};
use super::output::Output;
use super::progress::Progress;
use super::table::{clean, table};
use sealwax_admin::{CampaignBody, CampaignView};

/// How often a campaign that is watched is looked at.
const LOOK: Duration = Duration::from_secs(1);
/// Domains that failed, in the text for people; `--json` has more.
const FAILED_SHOWN: usize = 10;

const PATH: [&str; 2] = ["v1", "campaign"];

pub(super) async fn run(
    client: &AdminClient,
    output: &mut Output,
    command: CampaignCommand,
) -> Outcome {
    let steered = |word| async move {
        client.ask(Method::POST, &[PATH[0], PATH[1], word], &[], NO_BODY).await
    };
    let (view, watched) = match command {
        CampaignCommand::Start(start) => {
            let watched = start.watch;
            let body = CampaignBody::from(start);
            (client.ask(Method::POST, &PATH, &[], Some(&body)).await?, watched)
        }
        CampaignCommand::Status(status) => (look(client).await?, status.watch),
        CampaignCommand::Pause => (steered("pause").await?, false),
        CampaignCommand::Resume => (steered("resume").await?, false),
        CampaignCommand::Cancel => (steered("cancel").await?, false),
    };
    let view = if watched { watch(client, view).await? } else { view };
    if output.json {
        return output.value(&view);
    }
    output.people(&told(&view))
}

async fn look(client: &AdminClient) -> Result<CampaignView, Failed> {
    client.ask(Method::GET, &PATH, &[], NO_BODY).await
}

/// Shows the progress until it ends or is paused.
async fn watch(client: &AdminClient, mut view: CampaignView) -> Result<CampaignView, Failed> {
    let mut progress = Progress::from(done(&view), view.total);
    while view.state == CampaignState::Running {
        progress.of(view.total);
        progress.at(done(&view), view.failed);
        tokio::time::sleep(LOOK).await;
        view = look(client).await?;
    }
    progress.end();
    Ok(view)
}

const fn done(view: &CampaignView) -> u64 {
    view.replaced.saturating_add(view.failed).saturating_add(view.gone)
}

fn told(view: &CampaignView) -> String {
    let state = match view.state {
        CampaignState::Running => "running",
        CampaignState::Paused => "paused",
        CampaignState::Finished => "finished",
        CampaignState::Cancelled => "cancelled",
    };
    let total = view.total.map_or_else(|| format!("{}+", view.counted), |total| total.to_string());
    let dash = || "-".to_owned();
    let ends = view.ended_at.clone().or_else(|| view.ends_about.clone()).unwrap_or_else(dash);
    let late = if view.late { " (late)" } else { "" };
    let row = [
        view.id.clone(),
        state.to_owned(),
        format!("{} of {total}", view.replaced),
        view.open.to_string(),
        view.failed.to_string(),
        view.gone.to_string(),
        view.before.clone(),
        format!("{ends}{late}"),
    ];
    let heading = ["CAMPAIGN", "STATE", "REPLACED", "OPEN", "FAILED", "GONE", "BEFORE", "ENDS"];
    let mut text = table(heading, &[row]);
    for domain in view.failed_domains.iter().take(FAILED_SHOWN) {
        text.push_str(&format!("failed: {}\n", clean(domain)));
    }
    text
}

impl From<CampaignStart> for CampaignBody {
    fn from(said: CampaignStart) -> Self {
        Self {
            tenant: said.tenant,
            issuer: said.issuer,
            issued_after: said.issued_after,
            issued_before: said.issued_before,
            imported: said.imported,
            before: said.before,
            rate: said.rate,
            reason: said.reason,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn people_are_told_how_far_it_is_and_whether_it_is_late() {
        let view = CampaignView {
            id: "7".to_owned(),
            state: CampaignState::Running,
            reason: String::new(),
            tenant: None,
            issuer: None,
            issued_after: None,
            issued_before: "2026-01-01T00:00:00Z".to_owned(),
            imported: false,
            rate: 5,
            before: "2026-01-02T00:00:00Z".to_owned(),
            total: None,
            counted: 200,
            replaced: 12,
            failed: 1,
            failed_domains: vec!["a.example.com".to_owned()],
            gone: 2,
            open: 3,
            ends_about: Some("2026-01-03T00:00:00Z".to_owned()),
            late: true,
            started_at: "2026-01-01T00:00:00Z".to_owned(),
            ended_at: None,
        };
        let text = told(&view);
        for part in
            ["running", "12 of 200+", "2026-01-03T00:00:00Z (late)", "failed: a.example.com"]
        {
            assert!(text.contains(part), "{part}: {text}");
        }
        assert!(told(&CampaignView { total: Some(900), ..view }).contains("12 of 900"));
    }
}
