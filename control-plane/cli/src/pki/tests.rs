use std::os::unix::fs::PermissionsExt as _;

use super::*;

fn folder(name: &str) -> PathBuf {
    std::env::temp_dir().join(format!("sealwax-pki-{name}-{}", std::process::id()))
}

fn node(text: &str) -> NodeId {
    text.parse().unwrap()
}

#[test]
fn another_edge_and_a_renewal_keep_the_ca_and_every_file_is_its_owners_alone() {
    let folder = folder("renew");
    let pki = Pki::at(folder.clone());
    let now = Timestamp::from_secs(1_700_000_000);
    let read = |path: PathBuf| fs::read_to_string(path).unwrap();
    pki.make(&node("edge-1"), Renew::OnlyTheEdge, now).unwrap();
    let (ca, first) = (read(pki.ca_file()), read(pki.control_plane_cert_file()));
    pki.make(&node("spiffe://example.org/edge/2"), Renew::OnlyTheEdge, now).unwrap();
    assert_eq!(
        (read(pki.ca_file()), read(pki.control_plane_cert_file())),
        (ca.clone(), first.clone())
    );
    pki.make(&node("edge-1"), Renew::ControlPlaneToo, now).unwrap();
    assert_eq!(read(pki.ca_file()), ca);
    assert_ne!(read(pki.control_plane_cert_file()), first);
    let mut names = Vec::new();
    for entry in fs::read_dir(&folder).unwrap() {
        let entry = entry.unwrap();
        assert_eq!(entry.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        names.push(entry.file_name().into_string().unwrap());
    }
    names.sort();
    assert_eq!(
        names,
        [
            "ca.key",
            "ca.pem",
            "control-plane.key",
            "control-plane.pem",
            "edge-edge-1.key",
            "edge-edge-1.pem",
            "edge-spiffe%3A%2F%2Fexample.org%2Fedge%2F2.key",
            "edge-spiffe%3A%2F%2Fexample.org%2Fedge%2F2.pem",
        ]
    );
    fs::remove_file(folder.join("ca.key")).unwrap();
    let half = pki.make(&node("edge-3"), Renew::OnlyTheEdge, now);
    assert!(matches!(half, Err(PkiError::HalfACa(_))));
    fs::remove_dir_all(folder).unwrap();
}

#[test]
fn a_node_id_that_no_certificate_can_name_is_refused_before_anything_is_written() {
    let folder = folder("name");
    let pki = Pki::at(folder.clone());
    for odd in ["edge 1".replace(' ', "/"), "a@b".to_owned(), "ä".replace('ä', "~")] {
        let made = pki.make(&node(&odd), Renew::OnlyTheEdge, Timestamp::from_secs(1));
        assert!(matches!(made, Err(PkiError::NodeId(_))), "{odd}");
    }
    assert!(!folder.exists());
}
