//! Tests of the module above.

use std::sync::atomic::{AtomicBool, Ordering};

use rustls::client::ClientConnection;
use rustls::pki_types::ServerName;
use rustls::version::{TLS12, TLS13};
use rustls::{AlertDescription, ClientConfig, HandshakeKind, PeerIncompatible, SupportedProtocolVersion};
use sha2::{Digest, Sha256};
use tokio::io::{AsyncReadExt, DuplexStream, duplex};
use tokio_rustls::TlsConnector;

use super::*;
use crate::tls::Change;
use crate::tls::testing::{Authority, NOW, TestFiles};

const BOTH: &[&SupportedProtocolVersion] = &[&TLS12, &TLS13];

type Client = tokio_rustls::client::TlsStream<DuplexStream>;
type Server = (TlsStream<DuplexStream>, Secured);

/// One handshake, both ends. `name` is what the client wants; an address sends no name in the hello.
async fn meet(
    hosts: &TlsHosts,
    usage: Use,
    stream_host: Option<&str>,
    config: &ClientConfig,
    name: &str,
) -> (Result<Client, AcceptError>, Result<Server, AcceptError>) {
    let (near, far) = duplex(4096);
    let connector = TlsConnector::from(Arc::new(config.clone()));
    let name = ServerName::try_from(name.to_owned()).unwrap();
    let (client, server) = tokio::join!(connector.connect(name, near), hosts.accept(far, usage, stream_host));
    (client.map_err(AcceptError::from), server)
}

async fn secured(hosts: &TlsHosts, config: &ClientConfig) -> (Client, Server) {
    let (client, server) = meet(hosts, Use::ClientDirect, None, config, "example.org").await;
    (client.unwrap(), server.unwrap())
}

#[tokio::test]
async fn the_stream_header_decides_then_the_name_in_the_hello_then_the_first_host() {
    let authority = Authority::new();
    let names = ["example.org", "example.net", "xn--mnchen-3ya.example", "*.example.com", "example.com"];
    let files = TestFiles::empty(&["example.org", "example.net", "münchen.example", "chat.example.com"]);
    files.write(&authority.issue(&names));
    let hosts = files.open();
    #[rustfmt::skip]
    let table = [
        // hello                            stream header           host that is served, or who was asked for
        (Some("example.org"),               None,                   Ok("example.org")),
        (Some("example.net"),               None,                   Ok("example.net")),
        (Some("EXAMPLE.NET"),               None,                   Ok("example.net")),
        (Some("xn--mnchen-3ya.example"),    None,                   Ok("münchen.example")),
        (Some("chat.example.com"),          None,                   Ok("chat.example.com")),
        (Some("example.com"),               None,                   Err("example.com")), // certified but not served
        (Some("other.example.com"),         None,                   Err("other.example.com")),
        (Some("other.example.com"),         Some("example.net"),    Ok("example.net")),
        (Some("example.org"),               Some("example.net"),    Ok("example.net")),
        (Some("example.org"),               Some("nowhere.test"),   Ok("example.org")),
        (Some("nowhere.test"),              Some("nowhere.test"),   Err("nowhere.test")),
        (None,                              Some("münchen.example"), Ok("münchen.example")),
        (None,                              Some("Example.NET."),   Ok("example.net")),
        (None,                              Some("nowhere.test"),   Ok("example.org")),
        (None,                              None,                   Ok("example.org")),
    ];
    for usage in [Use::ClientStarttls, Use::ClientDirect] {
        for (hello, stream_host, expected) in table {
            let mut config = authority.client(BOTH, &[]);
            config.enable_sni = hello.is_some();
            let (client, server) =
                meet(&hosts, usage, stream_host, &config, hello.unwrap_or("example.org")).await;
            match expected {
                Ok(host) => assert_eq!(*server.unwrap().1.host, *host, "{hello:?} {stream_host:?}"),
                Err(name) => {
                    let error = server.unwrap_err();
                    assert!(
                        matches!(&error, AcceptError::UnknownHost(asked) if asked == name),
                        "{hello:?}: {error}"
                    );
                    let alert = rustls::Error::AlertReceived(AlertDescription::UnrecognisedName);
                    assert!(matches!(client, Err(AcceptError::Tls(error)) if error == alert), "{hello:?}");
                }
            }
        }
    }
}

/// The protocol that ALPN agreed upon, perhaps none; or the alert.
type Agreed = Result<Option<&'static [u8]>, ()>;

#[tokio::test]
async fn direct_tls_wants_xmpp_client_or_no_alpn_and_starttls_does_not_care() {
    let authority = Authority::new();
    let hosts = authority.files(&["example.org"]).open();
    #[rustfmt::skip]
    let table: [(Use, &[&str], Agreed); 7] = [
        (Use::ClientDirect,   &[],                          Ok(None)),
        (Use::ClientDirect,   &["xmpp-client"],             Ok(Some(b"xmpp-client"))),
        (Use::ClientDirect,   &["h2", "xmpp-client"],       Ok(Some(b"xmpp-client"))),
        (Use::ClientDirect,   &["xmpp-server"],             Err(())),
        (Use::ClientDirect,   &["http/1.1"],                Err(())),
        (Use::ClientStarttls, &[],                          Ok(None)),
        (Use::ClientStarttls, &["http/1.1"],                Ok(None)),
    ];
    for version in BOTH {
        for (usage, offered, expected) in table {
            let config = authority.client(&[version], offered);
            let (client, server) = meet(&hosts, usage, None, &config, "example.org").await;
            match expected {
                Ok(protocol) => {
                    let (client, _) = (client.unwrap(), server.unwrap());
                    assert_eq!(client.get_ref().1.alpn_protocol(), protocol, "{usage:?} {offered:?}");
                }
                Err(()) => {
                    let error = server.unwrap_err();
                    assert_eq!(error.reason().name(), "tls-alpn", "{error}");
                    let alert = rustls::Error::AlertReceived(AlertDescription::NoApplicationProtocol);
                    assert!(matches!(client, Err(AcceptError::Tls(error)) if error == alert), "{offered:?}");
                }
            }
        }
    }
}

#[tokio::test]
async fn both_ends_know_the_same_channel_bindings_and_every_connection_its_own() {
    let authority = Authority::new();
    let hosts = authority.files(&["example.org"]).open();
    let mut exporters = Vec::new();
    for (version, name) in [(&TLS12, "TLSv1.2"), (&TLS13, "TLSv1.3"), (&TLS13, "TLSv1.3")] {
        let (client, (_, secured)) = secured(&hosts, &authority.client(&[version], &[])).await;
        let client: &ClientConnection = client.get_ref().1;
        let exporter =
            client.export_keying_material([0; 32], b"EXPORTER-Channel-Binding", Some(b"")).unwrap();
        assert_eq!(secured.exporter, exporter);
        let seen = &client.peer_certificates().unwrap()[0];
        // Our test authority signs by ECDSA with SHA-256.
        assert_eq!(secured.end_point.as_deref().unwrap(), Sha256::digest(seen).as_slice());
        assert_eq!(secured.version.to_string(), name);
        assert_eq!(secured.cipher, client.negotiated_cipher_suite().unwrap().suite().as_str().unwrap());
        assert!(!secured.development);
        exporters.push(exporter);
    }
    exporters.sort_unstable();
    exporters.dedup();
    assert_eq!(exporters.len(), 3);
}

/// Passes single bytes on, each in a write of its own, until one side ends.
async fn drip(mut from: impl AsyncRead + Unpin, mut to: impl AsyncWrite + Unpin) {
    while let Ok(byte) = from.read_u8().await {
        if to.write_all(&[byte]).await.is_err() {
            return;
        }
        tokio::task::yield_now().await; // so that the reader sees it before the next one
    }
}

#[tokio::test]
async fn a_handshake_in_single_bytes_succeeds() {
    let authority = Authority::new();
    let hosts = authority.files(&["example.org"]).open();
    let (near, relay_near) = duplex(4096);
    let (relay_far, far) = duplex(4096);
    let (near_read, near_write) = tokio::io::split(relay_near);
    let (far_read, far_write) = tokio::io::split(relay_far);
    tokio::spawn(drip(near_read, far_write));
    tokio::spawn(drip(far_read, near_write));
    let connector = TlsConnector::from(Arc::new(authority.client(BOTH, &[])));
    let connect = connector.connect(ServerName::try_from("example.org").unwrap(), near);
    let (client, server) = tokio::join!(connect, hosts.accept(far, Use::ClientDirect, None));
    client.unwrap();
    server.unwrap();
}

/// A TLS 1.2 hello of a client that knows the extended master secret or not (RFC 7627 §5.1).
fn hello(ems: bool) -> Vec<u8> {
    let extension = |kind: u16, body: &[u8]| [&kind.to_be_bytes()[..], &sized::<2>(body)].concat();
    let mut extensions = vec![
        extension(0, &sized::<2>(&[&[0][..], &sized::<2>(b"example.org")].concat())), // server_name
        extension(10, &sized::<2>(&[0, 29, 0, 23])), // supported_groups: x25519, P-256
        extension(11, &sized::<1>(&[0])),            // ec_point_formats: uncompressed
        extension(13, &sized::<2>(&[4, 3, 8, 4])),   // signature_algorithms
    ];
    if ems {
        extensions.push(extension(23, &[]));
    }
    let suites = sized::<2>(&[0xc0, 0x2b, 0xc0, 0x2c]); // ECDHE-ECDSA with AES-GCM
    let body = [
        &[3, 3][..],
        &[7; 32],
        &sized::<1>(&[]),
        &suites,
        &sized::<1>(&[0]),
        &sized::<2>(&extensions.concat()),
    ];
    let handshake = [&[1][..], &sized::<3>(&body.concat())].concat();
    [&[22, 3, 1][..], &sized::<2>(&handshake)].concat()
}

/// `body` behind its length in `N` bytes.
fn sized<const N: usize>(body: &[u8]) -> Vec<u8> {
    let length = body.len().to_be_bytes();
    [&length[length.len() - N..], body].concat()
}

/// What the server says to raw `bytes`, and how it ended.
async fn tell(hosts: &TlsHosts, bytes: &[u8]) -> (Vec<u8>, AcceptError) {
    let (mut near, far) = duplex(128 * 1024);
    near.write_all(bytes).await.unwrap();
    let mut answer = Vec::new();
    let client = async {
        let mut first = [0; 5];
        // The other end is dropped at an error; a server that goes on waits for us instead.
        if near.read_exact(&mut first).await.is_ok() {
            answer.extend(first);
            let mut rest = vec![0; usize::from(u16::from_be_bytes([first[3], first[4]]))];
            near.read_exact(&mut rest).await.unwrap();
            answer.extend(rest);
        }
        drop(near);
    };
    let ((), server) = tokio::join!(client, hosts.accept(far, Use::ClientDirect, None));
    (answer, server.unwrap_err())
}

#[tokio::test]
async fn tls_1_2_without_the_extended_master_secret_is_refused() {
    let hosts = Authority::new().files(&["example.org"]).open();
    let (answer, error) = tell(&hosts, &hello(true)).await;
    assert_eq!(answer[0], 22, "a ServerHello, then the test hangs up: {error}");
    let (answer, error) = tell(&hosts, &hello(false)).await;
    assert_eq!(answer, [21, 3, 3, 0, 2, 2, 40], "the alert handshake_failure");
    let expected = PeerIncompatible::ExtendedMasterSecretExtensionRequired;
    assert!(
        matches!(&error, AcceptError::Tls(rustls::Error::PeerIncompatible(reason)) if *reason == expected)
    );
    assert_eq!(error.reason().name(), "tls-incompatible");
}

#[tokio::test]
async fn what_is_not_tls_ends_with_an_alert_or_silence_and_a_reason() {
    let hosts = Authority::new().files(&["example.org"]).open();
    let endless = [&[22, 3, 1, 0x40, 0, 1, 0xff, 0xff, 0xff][..], &[0; 70_000]].concat();
    #[rustfmt::skip]
    let table = [
        ("plain XMPP",      &b"<?xml version='1.0'?><stream:stream to='example.org'>"[..], "tls-protocol"),
        ("nothing",         &b""[..],                       "tls-connection-lost"),
        ("half a hello",    &hello(true)[..20],             "tls-connection-lost"),
        ("SSL 2",           &[0x80, 0x2e, 1, 0, 2, 0, 0x15][..], "tls-protocol"),
        ("an endless hello", &endless[..],                  "tls-protocol"),
    ];
    for (what, bytes, reason) in table {
        let (near, far) = duplex(128 * 1024);
        let mut near = near;
        near.write_all(bytes).await.unwrap();
        near.shutdown().await.unwrap();
        let error = hosts.accept(far, Use::ClientDirect, None).await.unwrap_err();
        assert_eq!(error.reason().name(), reason, "{what}: {error}");
    }
}

#[tokio::test]
async fn without_any_certificate_every_client_is_refused() {
    let hosts = TlsHosts::open(Vec::new(), NOW).unwrap();
    let config = Authority::new().client(BOTH, &[]);
    let (client, server) = meet(&hosts, Use::ClientDirect, None, &config, "192.0.2.1").await;
    assert!(matches!(server, Err(AcceptError::NoHost)));
    assert!(client.is_err());
}

/// Connects, lets the client take its tickets, and says whether the session was resumed.
async fn resumed(hosts: &TlsHosts, config: &ClientConfig) -> bool {
    let (mut client, (mut server, secured)) = secured(hosts, config).await;
    server.write_all(b"x").await.unwrap();
    server.flush().await.unwrap();
    assert_eq!(client.read_u8().await.unwrap(), b'x');
    let connection = client.get_ref().1;
    let seen = Sha256::digest(&connection.peer_certificates().unwrap()[0]);
    assert_eq!(secured.end_point.as_deref().unwrap(), seen.as_slice());
    connection.handshake_kind() == Some(HandshakeKind::Resumed)
}

#[tokio::test]
async fn a_ticket_resumes_until_the_certificate_changes() {
    let authority = Authority::new();
    for version in BOTH {
        let files = authority.files(&["example.org"]);
        let hosts = files.open();
        let config = authority.client(&[version], &[]);
        assert!(!resumed(&hosts, &config).await);
        assert!(resumed(&hosts, &config).await);
        hosts.reload(NOW);
        assert!(resumed(&hosts, &config).await, "a reload without change keeps the ticket keys");
        files.write(&authority.issue(&["example.org"]));
        hosts.reload(NOW);
        assert!(!resumed(&hosts, &config).await);
    }
}

#[tokio::test]
async fn a_ticket_of_one_host_does_not_resume_at_another() {
    let authority = Authority::new();
    let hosts = authority.files(&["example.org", "example.net"]).open();
    let config = authority.client(&[&TLS13], &[]);
    assert!(!resumed(&hosts, &config).await);
    // The client believes that it resumes example.org; the stream header says example.net.
    let (client, server) =
        meet(&hosts, Use::ClientStarttls, Some("example.net"), &config, "example.org").await;
    assert_eq!(*server.unwrap().1.host, *"example.net");
    assert_eq!(client.unwrap().get_ref().1.handshake_kind(), Some(HandshakeKind::Full));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn certificates_swapped_under_load_never_mismatch_their_binding() {
    let authority = Authority::new();
    let files = authority.files(&["example.org"]);
    let hosts = files.open();
    let done = Arc::new(AtomicBool::new(false));
    let swapper = tokio::task::spawn_blocking({
        let (hosts, done, new) = (hosts.clone(), Arc::clone(&done), authority.issue(&["example.org"]));
        let old = authority.issue(&["example.org"]);
        move || {
            let mut swaps = 0;
            while !done.load(Ordering::Relaxed) {
                files.write(if swaps % 2 == 0 { &new } else { &old });
                assert_eq!(hosts.reload(NOW)[0].change, Change::Swapped);
                swaps += 1;
            }
            swaps
        }
    });
    let config = authority.client(BOTH, &[]);
    let mut bindings = std::collections::HashSet::new();
    let mut handshakes = 0;
    // Its panic, if it had one, is shown below.
    while (handshakes < 100 || bindings.len() < 2) && !swapper.is_finished() {
        let (client, (_, secured)) = secured(&hosts, &config).await;
        let seen = Sha256::digest(&client.get_ref().1.peer_certificates().unwrap()[0]).to_vec();
        assert_eq!(secured.end_point.as_deref().unwrap(), seen);
        bindings.insert(seen);
        handshakes += 1;
    }
    done.store(true, Ordering::Relaxed);
    assert!(swapper.await.unwrap() > 0);
}

#[tokio::test]
async fn a_peer_that_does_not_read_holds_little_ciphertext() {
    let authority = Authority::new();
    let hosts = authority.files(&["example.org"]).open();
    let (_client, (mut server, _)) = secured(&hosts, &authority.client(&[&TLS13], &[])).await;
    let mut taken = 0;
    let chunk = [b'x'; 8192];
    std::future::poll_fn(|cx| {
        while let std::task::Poll::Ready(bytes) = Pin::new(&mut server).poll_write(cx, &chunk) {
            taken += bytes.unwrap();
            assert!(taken <= 4096 + UNSENT_BYTES_MAX + 2 * chunk.len(), "no limit");
        }
        std::task::Poll::Ready(())
    })
    .await;
    assert!(taken >= UNSENT_BYTES_MAX / 2);
}
