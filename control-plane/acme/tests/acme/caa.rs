//! Who the CA is in CAA records.

use sealwax_core::issuer::Issuer;

use crate::stage::Stage;

#[tokio::test]
async fn a_ca_is_known_by_its_directory_and_by_the_account_there_is_with_it() {
    let stage = Stage::set().await;
    let issuer = stage.issuer();
    let as_the_workflow_sees_it: &dyn Issuer = &issuer;
    let identity = as_the_workflow_sees_it.caa_identity().await;
    assert_eq!(identity.names, ["fake.example"]);
    assert_eq!(identity.account, Some(issuer.account_url().await.unwrap()));
    assert_eq!(stage.ca.accounts(), 1);
}
