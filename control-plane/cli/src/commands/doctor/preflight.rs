//! The look at domains before their orders: whether anything can be seen from here.

use sealwax_core::preflight::Looked;
use sealwax_preflight::{Outlook, OutlookSettings};
use sealwax_protocol::DomainName;

use super::Check;
use sealwax_config::{Config, Issuer, loopback};

const NAME: &str = "look before orders";
/// A name nobody can have (RFC 2606 section 2): name servers that answer say so. Resolvers would
/// answer for `.invalid` themselves.
const NOBODYS: &str = "sealwax-doctor.example";

/// One line for the name servers, and one for each host of the edges that needs attention. It is
/// advice that is missing where they fail, and no reason to issue nothing.
pub(super) async fn checks(config: &Config, settings: OutlookSettings) -> Vec<Check> {
    if !config.preflight.enabled {
        let said = "off: a CA sees each domain first. See [preflight] enabled";
        return vec![Check::ok(NAME, said)];
    }
    let hosts = settings.edge_hosts.clone();
    let outlook = match Outlook::new(settings) {
        Ok(outlook) => outlook,
        Err(error) => return vec![Check::warning(NAME, error.to_string())],
    };
    let mut checks = vec![servers(&outlook, config).await];
    checks.extend(untold(config));
    for host in hosts {
        if let Looked::Nothing { said } = outlook.addresses(&host).await {
            let said = format!(
                "{host} has no address ({said}), so no domain seems to lead to an edge: see \
                 [edge] public"
            );
            checks.push(Check::warning(NAME, said));
        }
    }
    checks
}

/// Nobody said where the edges are.
fn untold(config: &Config) -> Option<Check> {
    config.edge.public.is_empty().then(|| {
        let said = "[edge] public is not set, so customers cannot be told which records their \
                    domains need: set it to the addresses or the host of the edges";
        Check::warning(NAME, said)
    })
}

/// The host of a CA has to be there; where no CA has a name, an answer is all that is wanted.
async fn servers(outlook: &Outlook, config: &Config) -> Check {
    let host = |issuer: &Issuer| DomainName::parse(issuer.directory.domain()?).ok();
    let real = |issuer: &&Issuer| !loopback(&issuer.directory);
    let known = config.issuers.iter().filter(real).find_map(host);
    let asked = known.clone().or_else(|| DomainName::parse(NOBODYS).ok());
    let Some(asked) = asked else { return Check::ok(NAME, "") };
    let wrong = match outlook.addresses(&asked).await {
        Looked::Nothing { said } if known.is_some() => format!("they say of {asked}: {said}"),
        Looked::Found(_) | Looked::Nothing { .. } => return Check::ok(NAME, ""),
        Looked::Unknown { detail } => format!("asked for {asked}: {detail}"),
    };
    Check::warning(
        NAME,
        format!(
            "the name servers are of no use: {wrong}. Orders are placed without a look: set \
             [preflight] resolvers to name servers that this machine reaches"
        ),
    )
}
