//! A key-encryption key in KMS, as an independent project implements it.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "helpers of tests fail as tests do"
)]

use std::sync::Arc;

use crate::backends::Moto;
use aws_sdk_kms::Client;
use aws_sdk_kms::config::{BehaviorVersion, Credentials, Region};
use aws_smithy_http_client::Builder;
use aws_smithy_http_client::tls::Provider;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use sealwax_core::PrivateKey;
use sealwax_core::arn::KmsKeyArn;
use sealwax_core::secret::{SealError, SealPlace, Sealer as _};
use sealwax_store::conformance::{ManualClock, START};
use sealwax_store::memory::MemoryStore;
use sealwax_store::seal::{KeyCheckError, KeyEncryptionKey as _, KmsKek, LocalKek};
use sealwax_store::{AwsEndpoint, KeySealer};
use zeroize::Zeroizing;

const PLACE: SealPlace<'_> = SealPlace::Certificate("shop.example.com");

struct Kms {
    moto: Moto,
    client: Client,
}

impl Kms {
    fn start() -> Self {
        let moto = Moto::start();
        let config = aws_sdk_kms::Config::builder()
            .behavior_version(BehaviorVersion::v2026_01_12())
            .endpoint_url(&moto.url)
            .http_client(
                Builder::new().tls_provider(Provider::Rustls(CryptoMode::AwsLc)).build_https(),
            )
            .region(Region::new("eu-central-1"))
            .credentials_provider(Credentials::new("id", "secret", None, None, "test"))
            .build();
        Self { client: Client::from_conf(config), moto }
    }

    async fn create(&self) -> KmsKeyArn {
        let made = self.client.create_key().send().await.unwrap();
        KmsKeyArn::parse(made.key_metadata.unwrap().arn().unwrap()).unwrap()
    }

    async fn open(&self, arn: &KmsKeyArn) -> KmsKek {
        let credentials = self.moto.settings("").credentials;
        KmsKek::open(arn, &AwsEndpoint { url: Some(self.moto.url.clone()), credentials }).await
    }

    async fn sealer(&self, arn: &KmsKeyArn) -> KeySealer {
        KeySealer::new(Arc::new(self.open(arn).await))
    }
}

fn secret() -> PrivateKey {
    PrivateKey::new(Zeroizing::new(b"a private key".to_vec()))
}

#[tokio::test]
async fn what_one_process_seals_under_a_key_in_kms_another_opens() {
    let kms = Kms::start();
    let arn = kms.create().await;
    let sealed = kms.sealer(&arn).await.seal(PLACE, &secret()).await.unwrap();
    let another = kms.sealer(&arn).await;
    assert_eq!(another.open(PLACE, &sealed).await.unwrap().expose(), secret().expose());
    let elsewhere = SealPlace::Certificate("other.example.com");
    assert!(matches!(another.open(elsewhere, &sealed).await, Err(SealError::DoesNotOpen)));
}

#[tokio::test]
async fn a_data_key_is_bound_to_its_key_and_context() {
    let kms = Kms::start();
    let (one, other) = (kms.create().await, kms.create().await);
    let (one, other) = (kms.open(&one).await, kms.open(&other).await);
    let data_key = Zeroizing::new([7; 32]);
    let wrapped = one.wrap(&data_key, b"context").await.unwrap();
    assert_eq!(one.unwrap(&wrapped, b"context").await.unwrap(), data_key);
    assert!(one.unwrap(&wrapped, b"another").await.is_err());
    assert!(other.unwrap(&wrapped, b"context").await.is_err());
    assert!(one.unwrap(b"damaged", b"context").await.is_err());
    assert_ne!(one.id(), other.id());
}

#[tokio::test]
async fn a_wrong_or_missing_key_is_found_at_start() {
    let kms = Kms::start();
    let store = MemoryStore::new(ManualClock::at(START));
    let arn = kms.create().await;
    kms.sealer(&arn).await.check(&store).await.unwrap();

    let missing = KmsKeyArn::parse("arn:aws:kms:eu-central-1:123456789012:key/none").unwrap();
    let fresh = MemoryStore::new(ManualClock::at(START));
    let refused = kms.sealer(&missing).await.check(&fresh).await.unwrap_err();
    assert!(matches!(&refused, KeyCheckError::Key(SealError::KeyRefused(_))), "{refused}");
    assert!(refused.to_string().contains("kms:Decrypt"), "{refused}");

    let stranger = kms.sealer(&kms.create().await).await.check(&store).await.unwrap_err();
    assert!(matches!(stranger, KeyCheckError::WrongKey { .. }), "{stranger}");
}

#[tokio::test]
async fn a_kms_out_of_reach_is_waited_for_and_known_data_keys_go_on() {
    let kms = Kms::start();
    let arn = kms.create().await;
    let sealer = kms.sealer(&arn).await;
    let sealed = sealer.seal(PLACE, &secret()).await.unwrap();
    let Kms { moto, .. } = kms;
    let at =
        AwsEndpoint { url: Some(moto.url.clone()), credentials: moto.settings("").credentials };
    drop(moto);
    assert_eq!(sealer.open(PLACE, &sealed).await.unwrap().expose(), secret().expose());
    let cold = KeySealer::new(Arc::new(KmsKek::open(&arn, &at).await));
    let refused = cold.open(PLACE, &sealed).await.unwrap_err();
    assert!(matches!(refused, SealError::KeyUnavailable(_)), "{refused}");
}

#[tokio::test]
async fn keys_move_from_a_file_into_kms() {
    let kms = Kms::start();
    let file = Arc::new(LocalKek::new(&Zeroizing::new([1; 32])).unwrap());
    let sealed = KeySealer::new(file.clone()).seal(PLACE, &secret()).await.unwrap();
    let arn = kms.create().await;
    let moved = kms.sealer(&arn).await.with_retired(file).rewrap(&sealed).await.unwrap().unwrap();
    let after = kms.sealer(&arn).await;
    assert_eq!(after.open(PLACE, &moved).await.unwrap().expose(), secret().expose());
}
