//! Names of things in AWS (Amazon Resource Names), as configuration has them.

use std::fmt;

/// What an ARN names: `arn:PARTITION:SERVICE:REGION:ACCOUNT:RESOURCE`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Arn {
    text: String,
    region: String,
    resource: String,
}

impl Arn {
    /// `None`: not the ARN of something of this service, in a region and an account.
    #[must_use]
    pub fn parse(text: &str, service: &str) -> Option<Self> {
        let parts: Vec<&str> = text.splitn(6, ':').collect();
        let ["arn", partition, named, region, account, resource] = parts.as_slice() else {
            return None;
        };
        let plain = [*partition, *region, *account].iter().all(|part| {
            let known = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
            !part.is_empty() && part.bytes().all(known)
        });
        (plain && *named == service).then(|| Self {
            text: text.to_owned(),
            region: (*region).to_owned(),
            resource: (*resource).to_owned(),
        })
    }

    /// As it is written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Where it is.
    #[must_use]
    pub fn region(&self) -> &str {
        &self.region
    }

    /// What it is, in the service's own words. Nothing about them is checked.
    #[must_use]
    pub fn resource(&self) -> &str {
        &self.resource
    }
}

impl fmt::Display for Arn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// Names a key in KMS: `arn:PARTITION:kms:REGION:ACCOUNT:key/ID`. No alias: it may move to another
/// key, and what is sealed under the one before would not open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KmsKeyArn(Arn);

impl KmsKeyArn {
    /// `None`: not the ARN of a key in KMS.
    #[must_use]
    pub fn parse(arn: &str) -> Option<Self> {
        let arn = Arn::parse(arn, "kms")?;
        let id = arn.resource().strip_prefix("key/")?;
        let known = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
        let whole = !id.is_empty() && id.bytes().all(known);
        whole.then_some(Self(arn))
    }

    /// As it is written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// Where it is.
    #[must_use]
    pub fn region(&self) -> &str {
        self.0.region()
    }
}

impl fmt::Display for KmsKeyArn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_arn_names_something_of_one_service_in_a_region_and_an_account() {
        let text = "arn:aws-cn:kinesis:cn-north-1:111122223333:stream/events:1";
        let arn = Arn::parse(text, "kinesis").unwrap();
        assert_eq!((arn.region(), arn.resource()), ("cn-north-1", "stream/events:1"));
        assert_eq!(arn.to_string(), text);
        for wrong in [
            "",
            "arn:aws:kinesis:eu-central-1:111122223333",
            "arn:aws:sns:eu-central-1:111122223333:stream/events",
            "arn:aws:kinesis::111122223333:stream/events",
            "arn:aws:kinesis:eu.example/x:111122223333:stream/events",
            "ARN:aws:kinesis:eu-central-1:111122223333:stream/events",
        ] {
            assert_eq!(Arn::parse(wrong, "kinesis"), None, "{wrong}");
        }
    }

    #[test]
    fn only_the_arn_of_a_key_names_a_key() {
        let named = "arn:aws:kms:eu-central-1:111122223333:key/1234abcd-12ab";
        let arn = KmsKeyArn::parse(named).unwrap();
        assert_eq!((arn.to_string().as_str(), arn.region()), (named, "eu-central-1"));
        for wrong in [
            "",
            "1234abcd-12ab",
            "arn:aws:kms:eu-central-1:111122223333:alias/sealwax",
            "arn:aws:kms::111122223333:key/1",
            "arn:aws:sns:eu-central-1:111122223333:key/1",
            "arn:aws:kms:eu-central-1:111122223333:key/",
            "arn:aws:kms:eu-central-1:111122223333:key/1:2",
            "arn:aws:kms:eu.example/x:111122223333:key/1",
        ] {
            assert_eq!(KmsKeyArn::parse(wrong), None, "{wrong}");
        }
    }
}
