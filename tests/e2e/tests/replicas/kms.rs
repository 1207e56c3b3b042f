//! A key-encryption key that is in KMS (moto's) and in no file.

use sealwax_testkit::{Moto, PATIENCE, Port, Process, http, sealwax_binary};
use serde_json::json;
use tempfile::TempDir;

fn config(folder: &TempDir, admin: &Port, arn: &str) -> String {
    let (xds, edge) = (Port::free().unwrap(), Port::free().unwrap());
    format!(
        "[xds]\nlisten = \"{}\"\n[edge]\nlisten = \"{}\"\n[admin]\nlisten = \"{}\"\n\
         [store]\npath = \"{}\"\n[keys]\nkek = \"kms:{arn}\"\n",
        xds.address(),
        edge.address(),
        admin.address(),
        folder.path().join("store").display(),
    )
}

fn serve(folder: &TempDir, moto: &Moto) -> Process {
    let log = folder.path().join("sealwax.log");
    Process::start("sealwax", &sealwax_binary().unwrap(), &log, |command| {
        command.args(["serve", "--config", "sealwax.toml"]).current_dir(folder.path());
        command.env("AWS_ENDPOINT_URL_KMS", format!("http://{}", moto.address()));
        command.envs([("AWS_ACCESS_KEY_ID", "test"), ("AWS_SECRET_ACCESS_KEY", "test")]);
    })
    .unwrap()
}

async fn until_ready(process: &mut Process, admin: &Port) {
    let ready = async |_: &str| {
        let answer = http::get(admin.address(), "localhost", "/readyz").await?;
        anyhow::ensure!(answer.status == 200, "{}", answer.text());
        Ok(())
    };
    process.ready("be ready", PATIENCE, ready).await.unwrap();
}

#[tokio::test]
async fn a_control_plane_starts_and_restarts_with_its_key_in_kms() {
    let moto = Moto::start().await.unwrap();
    let made = moto.call("kms", "TrentService.CreateKey", &json!({})).await.unwrap();
    let arn = made["KeyMetadata"]["Arn"].as_str().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let admin = Port::free().unwrap();
    let file = folder.path().join("sealwax.toml");
    std::fs::write(&file, config(&folder, &admin, arn)).unwrap();

    let mut process = serve(&folder, &moto);
    until_ready(&mut process, &admin).await;
    assert!(!folder.path().join("store/kek").exists(), "no key on disk");
    process.kill();
    let mut process = serve(&folder, &moto);
    until_ready(&mut process, &admin).await;
    process.kill();

    // A key that does not exist, and a store that has no other yet.
    std::fs::remove_dir_all(folder.path().join("store")).unwrap();
    std::fs::remove_file(folder.path().join("store.identity")).unwrap();
    std::fs::write(&file, config(&folder, &admin, &format!("{arn}0"))).unwrap();
    let mut process = serve(&folder, &moto);
    let never = process.ready("be ready", PATIENCE, async |_: &str| -> anyhow::Result<()> {
        anyhow::bail!("it still runs")
    });
    let said = never.await.unwrap_err().to_string();
    assert!(said.contains("may not be used") && said.contains("kms:Decrypt"), "{said}");
}
