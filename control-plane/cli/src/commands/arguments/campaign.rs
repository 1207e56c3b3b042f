//! `sealwax campaign`

use clap::{Args, Subcommand};

#[derive(Debug, Subcommand)]
pub(in crate::commands) enum CampaignCommand {
    /// Start one; there is one at a time.
    Start(CampaignStart),
    /// Show how far the last one is.
    Status(Watch),
    /// Renew no more until it is resumed; what was begun goes on.
    Pause,
    /// Go on.
    Resume,
    /// End it; what was begun goes on.
    Cancel,
}

#[derive(Clone, Debug, Args)]
pub(in crate::commands) struct Watch {
    /// Show its progress until it ends or is paused.
    #[arg(long)]
    pub(in crate::commands) watch: bool,
}

#[derive(Clone, Debug, Args)]
pub(in crate::commands) struct CampaignStart {
    /// When all should be replaced: RFC 3339, or how long from now, such as 24h.
    #[arg(long, value_name = "MOMENT")]
    pub(in crate::commands) before: String,
    /// Most domains renewed in a second.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=500))]
    pub(in crate::commands) rate: u32,
    /// Only the certificates of this tenant's domains.
    #[arg(long)]
    pub(in crate::commands) tenant: Option<String>,
    /// Only those ordered from this [[issuer]].
    #[arg(long)]
    pub(in crate::commands) issuer: Option<String>,
    /// Only those valid from this moment (RFC 3339) on or later.
    #[arg(long, value_name = "MOMENT")]
    pub(in crate::commands) issued_after: Option<String>,
    /// Only those valid from before this moment (RFC 3339); all there are now otherwise.
    #[arg(long, value_name = "MOMENT")]
    pub(in crate::commands) issued_before: Option<String>,
    /// Those that were brought along too.
    #[arg(long)]
    pub(in crate::commands) imported: bool,
    /// Why; it is in every domain's events.
    #[arg(long, value_name = "TEXT")]
    pub(in crate::commands) reason: Option<String>,
    /// Show its progress until it ends or is paused.
    #[arg(long)]
    pub(in crate::commands) watch: bool,
}
