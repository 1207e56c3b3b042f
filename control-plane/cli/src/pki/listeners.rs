//! Listeners with the files made here: connections over TCP and Unix sockets, with and without mutual TLS.

use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::sync::Arc;

use futures::StreamExt as _;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use sealwax_core::{Clock as _, Timestamp};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::TlsConnector;

use sealwax_config::{Listen, TlsFiles};
use sealwax_system::SystemClock;
use sealwax_web::{Acceptor, SOCKET_MODE, Tls, TlsError};
use sealwax_xds::Peer;

use super::*;
use crate::bootstrap::{EdgeTls, NodeId};

/// A folder that is gone afterwards.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("sealwax-{name}-{}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn pki(&self, name: &str) -> Pki {
        let pki = Pki::at(self.0.join(name));
        pki.make(&edge("edge-1"), Renew::OnlyTheEdge, SystemClock.now()).unwrap();
        pki
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).ok();
    }
}

fn edge(text: &str) -> NodeId {
    text.parse().unwrap()
}

fn files(pki: &Pki) -> TlsFiles {
    TlsFiles {
        cert_file: pki.control_plane_cert_file(),
        key_file: pki.control_plane_key_file(),
        client_ca_file: pki.ca_file(),
    }
}

/// A client that trusts `ca_file` and shows `shown`.
fn client(ca_file: &str, shown: Option<&EdgeTls>) -> TlsConnector {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(ca_file).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots);
    let config = match shown {
        None => config.with_no_client_auth(),
        Some(files) => {
            let chain = vec![CertificateDer::from_pem_file(&files.cert_file).unwrap()];
            let key = PrivateKeyDer::from_pem_file(&files.key_file).unwrap();
            config.with_client_auth_cert(chain, key).unwrap()
        }
    };
    TlsConnector::from(Arc::new(config))
}

/// What a served connection says: who the other end is, then it ends.
async fn serving(tls: &Arc<Tls>) -> SocketAddr {
    let loopback = Listen::from(SocketAddr::from(([127, 0, 0, 1], 0)));
    let acceptor = Acceptor::bind(&loopback, Some(Arc::clone(tls))).await.unwrap();
    let address = acceptor.address().unwrap();
    tokio::spawn(async move {
        let mut connections = acceptor.connections().boxed();
        while let Some(mut connection) = connections.next().await {
            let said = format!("{:?}", connection.peer());
            connection.write_all(said.as_bytes()).await.ok();
            connection.shutdown().await.ok();
        }
    });
    address
}

/// What is said to a client. In TLS 1.3 a refused client finds out when it reads.
async fn said(address: SocketAddr, client: &TlsConnector) -> io::Result<String> {
    let name = ServerName::try_from(CONTROL_PLANE).unwrap();
    let mut stream = client.connect(name, TcpStream::connect(address).await?).await?;
    let mut said = String::new();
    stream.read_to_string(&mut said).await?;
    Ok(said)
}

#[tokio::test]
async fn an_edge_is_known_by_its_certificate_and_others_do_not_get_in() {
    let folder = Folder::new("known");
    let (ours, theirs) = (folder.pki("ours"), folder.pki("theirs"));
    ours.make(&edge("spiffe://example.org/2"), Renew::OnlyTheEdge, SystemClock.now()).unwrap();
    let tls = Tls::load(files(&ours), &[b"h2"]).unwrap();
    let address = serving(&tls).await;
    for id in ["edge-1", "spiffe://example.org/2"] {
        let shown = ours.edge_tls(&edge(id));
        let said = said(address, &client(&shown.ca_file, Some(&shown))).await.unwrap();
        assert_eq!(said, format!("Certified([{id:?}])"));
    }
    let ca_file = ours.edge_tls(&edge("edge-1")).ca_file;
    assert!(said(address, &client(&ca_file, None)).await.is_err(), "without a certificate");
    let foreign = theirs.edge_tls(&edge("edge-1"));
    let other_ca = said(address, &client(&ca_file, Some(&foreign))).await;
    assert!(other_ca.is_err(), "another CA of the same name");
    let server = EdgeTls {
        cert_file: ours.control_plane_cert_file().to_string_lossy().into_owned(),
        key_file: ours.control_plane_key_file().to_string_lossy().into_owned(),
        ca_file: ca_file.clone(),
    };
    assert!(said(address, &client(&ca_file, Some(&server))).await.is_err(), "not an edge's");
    ours.make(&edge("edge-old"), Renew::OnlyTheEdge, Timestamp::from_secs(1_600_000_000)).unwrap();
    let old = ours.edge_tls(&edge("edge-old"));
    assert!(said(address, &client(&ca_file, Some(&old))).await.is_err(), "expired");
    let clear = async {
        let mut stream = TcpStream::connect(address).await?;
        stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await?;
        stream.read_to_end(&mut Vec::new()).await
    };
    assert!(clear.await.is_ok_and(|bytes| bytes < 16), "in clear nothing but an alert comes");
}

#[tokio::test]
async fn new_files_are_used_for_the_next_connection_and_broken_ones_are_not() {
    let folder = Folder::new("reload");
    let (old, new) = (folder.pki("old"), folder.pki("new"));
    let current = Pki::at(folder.0.join("current"));
    let put = |from: &Pki, key_from: &Pki| {
        fs::create_dir_all(folder.0.join("current")).unwrap();
        fs::copy(from.ca_file(), current.ca_file()).unwrap();
        fs::copy(from.control_plane_cert_file(), current.control_plane_cert_file()).unwrap();
        fs::copy(key_from.control_plane_key_file(), current.control_plane_key_file()).unwrap();
    };
    put(&old, &old);
    let tls = Tls::load(files(&current), &[b"h2"]).unwrap();
    let address = serving(&tls).await;
    let [old_edge, new_edge] = [&old, &new].map(|pki| pki.edge_tls(&edge("edge-1")));
    let [old_client, new_client] =
        [&old_edge, &new_edge].map(|shown| client(&shown.ca_file, Some(shown)));
    assert!(said(address, &old_client).await.is_ok());
    assert!(!tls.look().unwrap(), "nothing has changed");

    put(&new, &old);
    assert!(matches!(tls.look(), Err(TlsError::Certificate { .. })), "half written");
    fs::write(current.control_plane_key_file(), "-----BEGIN PRIVATE KEY-----\nc2VjcmV0").unwrap();
    let error = tls.look().unwrap_err();
    assert!(!format!("{error} {error:?}").contains("c2VjcmV0"), "{error}");
    fs::remove_file(current.ca_file()).unwrap();
    assert!(matches!(tls.look(), Err(TlsError::Unreadable { .. })));
    assert!(said(address, &old_client).await.is_ok(), "the old ones stay in use");

    put(&new, &new);
    assert!(tls.look().unwrap());
    assert!(said(address, &new_client).await.is_ok());
    assert!(said(address, &old_client).await.is_err());
}

#[tokio::test]
async fn a_unix_socket_is_its_groups_alone_and_a_dead_ones_place_is_taken() {
    let folder = Folder::new("unix");
    let path = folder.0.join("xds.sock");
    let place = Listen::Unix(path.clone());
    // As a process that was killed leaves it.
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    let acceptor = Acceptor::bind(&place, None).await.unwrap();
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, SOCKET_MODE);
    assert!(Acceptor::bind(&place, None).await.is_err(), "a living one's is not");
    let mut connections = acceptor.connections().boxed();
    let (client, connection) = tokio::join!(UnixStream::connect(&path), connections.next());
    client.unwrap();
    assert_eq!(connection.unwrap().peer(), &Peer::Unproved);
    drop(connections);
    assert!(!path.exists());
    fs::write(&path, "precious").unwrap();
    assert!(Acceptor::bind(&place, None).await.is_err());
    assert_eq!(fs::read_to_string(&path).unwrap(), "precious", "no socket, so not ours to remove");
}
