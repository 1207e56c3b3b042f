//! `[[issuer]] staging_…`

use std::path::PathBuf;

use url::Url;

use super::read::{BindingKeys, read_binding};
use super::reader::{Position, Reader};
use super::{Binding, LimitsPreset, keys};

/// The staging of an issuer's CA: where what failed is tried first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Staging {
    /// Its ACME directory.
    pub directory: Url,
    /// Roots for the directory's own TLS certificate; the system's if unset.
    pub ca_file: Option<PathBuf>,
    /// The external account binding of the account there.
    pub binding: Option<Binding>,
    /// Whose limits it has; by its directory if unset.
    pub limits: Option<LimitsPreset>,
}

const EAB: BindingKeys = (keys::ISSUER_STAGING_EAB_KID, keys::ISSUER_STAGING_EAB_HMAC_KEY_FILE);

pub(super) fn read(
    reader: &mut Reader,
    production: Option<&Url>,
    at: Position,
) -> Option<Option<Staging>> {
    let directory = reader.optional(&keys::ISSUER_STAGING_DIRECTORY, at);
    let ca_file = reader.optional(&keys::ISSUER_STAGING_CA_FILE, at);
    let binding = read_binding(reader, &EAB, at);
    let limits = reader.optional(&keys::ISSUER_STAGING_LIMITS, at);
    let Some(directory) = directory? else {
        let rest = [
            keys::ISSUER_STAGING_CA_FILE.entry,
            keys::ISSUER_STAGING_EAB_KID.entry,
            keys::ISSUER_STAGING_EAB_HMAC_KEY_FILE.entry,
            keys::ISSUER_STAGING_LIMITS.entry,
        ];
        for entry in rest {
            reader.refuse_if_set(&entry, at, "is only allowed together with staging_directory");
        }
        return Some(None);
    };
    if production == Some(&directory) {
        let said = "is the issuer's directory too: what is tried there counts";
        reader.refuse(&keys::ISSUER_STAGING_DIRECTORY.entry, at, said);
    }
    Some(Some(Staging { directory, ca_file: ca_file?, binding: binding?, limits: limits? }))
}

#[cfg(test)]
mod tests {
    use super::super::{Config, Problems};
    use super::*;

    fn parse(more: &str) -> Result<Config, Problems> {
        let issuer = "[[issuer]]\nname = \"le\"\ndirectory = \"https://ca.example/dir\"\n";
        Config::parse("it".to_owned(), &format!("{issuer}{more}"), std::iter::empty())
    }

    #[test]
    fn a_staging_has_its_own_roots_binding_and_limits() {
        let read = |more: &str| parse(more).unwrap().issuers.remove(0);
        assert_eq!(read("").staging, None);
        let issuer = read(
            "eab_kid = \"a\"\neab_hmac_key_file = \"b\"\n\
             staging_directory = \"https://staging.ca.example/dir\"\n\
             staging_ca_file = \"roots\"\nstaging_eab_kid = \"c\"\n\
             staging_eab_hmac_key_file = \"d\"\nstaging_limits = \"none\"\n",
        );
        let staging = issuer.staging.unwrap();
        assert_eq!(staging.directory.as_str(), "https://staging.ca.example/dir");
        assert_eq!(staging.ca_file, Some("roots".into()));
        let binding = Binding { kid: "c".to_owned(), hmac_key_file: "d".into() };
        assert_eq!(staging.binding, Some(binding));
        assert_eq!(staging.limits, Some(LimitsPreset::None));
        assert_eq!(issuer.binding.unwrap().kid, "a");
    }

    #[test]
    fn what_makes_no_sense_for_a_staging_is_refused() {
        for (more, word) in [
            ("staging_ca_file = \"a\"", "only allowed together with staging_directory"),
            ("staging_limits = \"none\"", "only allowed together with staging_directory"),
            ("staging_directory = \"https://ca.example/dir\"", "what is tried there counts"),
            (
                "staging_directory = \"https://s.example/dir\"\nstaging_eab_kid = \"a\"",
                "only allowed together with staging_eab_hmac_key_file",
            ),
        ] {
            let problems = parse(more).unwrap_err().to_string();
            assert!(problems.contains(word), "{more}: {problems}");
        }
    }
}
