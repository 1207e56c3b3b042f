//! `sealwax explain`

use http::Method;

use super::client::AdminClient;
use super::domains::NO_BODY;
use super::exit::Outcome;
use super::output::Output;
use super::table::{clean, table};
use sealwax_admin::Explanation;

pub(super) async fn run(client: &AdminClient, output: &mut Output, domain: &str) -> Outcome {
    let path = ["v1", "domains", domain, "explain"];
    let told: Explanation = client.ask(Method::GET, &path, &[], NO_BODY).await?;
    if output.json {
        return output.value(&told);
    }
    output.text(&told_to_people(&told))
}

pub(super) fn told_to_people(told: &Explanation) -> String {
    let mut text = format!("{}\n", clean(&told.summary));
    let cause = told.record.failure.as_ref().map(|failure| failure.cause_word());
    for (heading, line) in [
        ("What is wrong", told.wrong.as_ref()),
        ("Cause", cause.as_ref()),
        ("Who must act", told.act.as_ref()),
        ("What to change", told.change.as_ref()),
        ("What was tried", told.trials.as_ref()),
        ("What happens next", Some(&told.next)),
    ] {
        if let Some(line) = line {
            text.push_str(&format!("\n{heading}\n"));
            for line in line.lines() {
                text.push_str(&format!("  {}\n", clean(line)));
            }
        }
    }
    if let Some(preflight) = &told.preflight {
        let rows: Vec<_> = preflight
            .seen
            .iter()
            .map(|one| [format!("  {}", one.what), one.seen.clone()])
            .collect();
        let at = clean(&preflight.at);
        text.push_str(&format!(
            "\nWhat was seen of it at {at}\n{}",
            table(["  LOOKED AT", "SEEN"], &rows)
        ));
    }
    if !told.timeline.is_empty() {
        let rows: Vec<_> = told
            .timeline
            .iter()
            .map(|moment| [moment.at.clone(), moment.what.clone(), moment.detail.clone()])
            .collect();
        text.push_str(&format!("\nWhat happened\n{}", table(["  AT", "WHAT", "DETAIL"], &rows)));
    }
    text
}
