//! `sealwax store rewrap-keys` and `sealwax store copy` on real stores.

use std::process::Output;

use sealwax_testkit::{ControlPlane, DynamoDb, Line, LineSettings, PATIENCE, wait_until};
use serde_json::Value;

use crate::site::Site;

fn told(output: &Output) -> Value {
    let (out, error) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{out}{error}");
    serde_json::from_str(&out).unwrap_or_else(|_| panic!("{out}{error}"))
}

fn edit(control_plane: &ControlPlane, from: &str, to: &str) {
    let text = std::fs::read_to_string(control_plane.config_file()).unwrap();
    assert!(text.contains(from), "{text}");
    std::fs::write(control_plane.config_file(), text.replace(from, to)).unwrap();
}

#[tokio::test]
async fn keys_are_rewrapped_while_replicas_serve_and_the_old_key_is_needed_no_longer() {
    let mut site = Site::start().await;
    site.a.control_plane.admin().register("blog.example.com").await.unwrap();
    let visitor = site.visitor();
    let before = visitor.visit(site.a.envoy.https(), "blog.example.com").await.unwrap();
    // Nothing is sealed before both know the new key; else it would have to be retired first.
    let new_key = "11".repeat(32);
    for replica in [&mut site.a, &mut site.b] {
        let folder = replica.control_plane.folder().to_owned();
        std::fs::write(folder.join("new-kek"), &new_key).unwrap();
        let (old, new) = (folder.join("kek"), folder.join("new-kek"));
        let kek = format!("kek = \"file:{}\"", old.display());
        let both =
            format!("kek = \"file:{}\"\nretired = \"file:{}\"", new.display(), old.display());
        edit(&replica.control_plane, &kek, &both);
        replica.control_plane.restart().await.unwrap();
    }
    let run = ["--json", "store", "rewrap-keys", "--config", "sealwax.toml"];
    let done = told(&site.a.control_plane.run(&run).await.unwrap());
    // The certificate, the account and the canary.
    assert_eq!((&done["seen"], &done["rewrapped"]), (&3.into(), &3.into()), "{done}");
    let again = told(&site.a.control_plane.run(&run).await.unwrap());
    assert_eq!(again["rewrapped"], 0);

    // The old key goes; what was sealed under it opens.
    for replica in [&mut site.a, &mut site.b] {
        let old = replica.control_plane.folder().join("kek");
        edit(&replica.control_plane, &format!("retired = \"file:{}\"", old.display()), "");
        std::fs::remove_file(old).unwrap();
        replica.control_plane.restart().await.unwrap();
    }
    let fresh = site.another_envoy_of_b().await;
    assert_eq!(visitor.visit(fresh.https(), "blog.example.com").await.unwrap(), before);
}

#[tokio::test]
async fn an_embedded_store_rewraps_while_it_serves_and_moves_to_dynamodb() {
    let mut line = Line::start(LineSettings::default()).await.unwrap();
    line.control_plane.admin().register("blog.example.com").await.unwrap();
    let visitor = line.visitor().unwrap();
    let before = visitor.visit(line.https(), "blog.example.com").await.unwrap();
    let folder = line.control_plane.folder().to_owned();
    std::fs::write(folder.join("new-kek"), "22".repeat(32)).unwrap();
    let (old, new) = (folder.join("kek"), folder.join("new-kek"));
    let kek = format!("kek = \"file:{}\"", old.display());
    let retired = format!("retired = \"file:{}\"", old.display());
    edit(&line.control_plane, &kek, &format!("kek = \"file:{}\"\n{retired}", new.display()));
    line.control_plane.restart().await.unwrap();
    let rewrapped = wait_until("the keys to be rewrapped", PATIENCE, async || {
        line.control_plane.log().contains("every key is under [keys] kek").then_some(())
    });
    rewrapped.await.unwrap();

    // To DynamoDB: refused while the control plane runs, then moved and read back.
    let store = DynamoDb::start().await.unwrap();
    edit(&line.control_plane, &retired, "");
    let target = std::fs::read_to_string(line.control_plane.config_file()).unwrap();
    let path = format!("kind = \"embedded\"\npath = \"{}\"", folder.join("store").display());
    let endpoint = format!(
        "kind = \"dynamodb\"\nregion = \"eu-central-1\"\nendpoint_url = \"http://{}\"",
        store.address()
    );
    assert!(target.contains(&path), "{target}");
    std::fs::write(folder.join("target.toml"), target.replace(&path, &endpoint)).unwrap();
    let run = ["--json", "store", "copy", "--config", "sealwax.toml", "--to", "target.toml"];
    let refused = line.control_plane.run(&run).await.unwrap();
    assert!(!refused.status.success());
    let said = String::from_utf8_lossy(&refused.stderr);
    assert!(said.contains("another process has the store"), "{said}");
    line.control_plane.terminate().await.unwrap();
    let done = told(&line.control_plane.run(&run).await.unwrap());
    assert_eq!((&done["written"], &done["verified"]), (&1.into(), &1.into()), "{done}");
    let again = told(&line.control_plane.run(&run).await.unwrap());
    assert_eq!((&again["written"], &again["verified"]), (&0.into(), &1.into()), "{again}");

    std::fs::copy(folder.join("target.toml"), line.control_plane.config_file()).unwrap();
    std::fs::remove_file(old).unwrap();
    line.control_plane.restart().await.unwrap();
    let fresh = line.another_envoy("edge-2").await.unwrap();
    assert_eq!(visitor.visit(fresh.https(), "blog.example.com").await.unwrap(), before);
    assert_eq!((line.pebble.orders(), line.pebble.certificates()), (1, 1));
}
