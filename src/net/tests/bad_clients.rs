//! Clients that are slow, rude or silent, on real sockets: what they get, and that nobody else notices.

#![allow(clippy::unwrap_used, reason = "a test ends here")]

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hearth_core::clock::SystemClock;
use hearth_core::ended::Ended;
use hearth_core::host::{HostConfig, Hosts};
use hearth_core::limits::{Limits, SESSION_QUEUE_BYTES_MAX};
use hearth_core::plan::Plan;
use hearth_core::server::{Parts, Server, Settings};
use hearth_core::stream::policy::StartTls;
use hearth_core::{account_table, im};
use hearth_net::config::{Encryption, ListenConfig};
use hearth_net::tls::{Development, DevelopmentHost, TlsHosts};
use hearth_net::{Net, NetSettings};
use hearth_store::Store;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use tempfile::TempDir;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;

const OPEN: &str = "<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' \
                    to='localhost' version='1.0'>";
const ANONYMOUS: &str = "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='ANONYMOUS'/>";
const BIND: &str = "<iq type='set' id='b'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq>";
const STARTTLS: &str = "<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>";

/// A server on a free port of loopback.
struct Scene {
    server: Arc<Server>,
    address: SocketAddr,
    dir: TempDir,
    _net: Net,
}

impl Scene {
    async fn new(starttls: StartTls, limits: Limits) -> Self {
        let plan = Plan::build(&[im::MODULE], &Default::default()).unwrap();
        let host = HostConfig { domain: "localhost".into(), anonymous: true, see_other_host: None };
        let hosts = Hosts::new(&[host]).unwrap();
        let store = Store::in_memory(&[account_table::MIGRATIONS]).unwrap();
        let settings = Settings { limits, ..Settings::default() };
        let parts = Parts { plan, hosts, store, clock: Arc::new(SystemClock), settings };
        let server = Server::new(parts).await.unwrap();
        let dir = tempfile::tempdir().unwrap();
        let hosts = vec![DevelopmentHost { domain: "localhost".into(), also: Vec::new() }];
        let now = time::OffsetDateTime::now_utc();
        let made = Development { directory: dir.path().join("certs"), hosts }.ensure(now).unwrap();
        let tls = TlsHosts::open(made.files, now).unwrap();
        let address = "127.0.0.1:0".parse().unwrap();
        let encryption = Encryption::Starttls;
        let listen = vec![ListenConfig { address, encryption, starttls, plaintext_off_loopback: false }];
        let net = Net::start(server.clone(), NetSettings { listen, tls, development: true }).unwrap();
        Self { server, address: net.local_addresses()[0], dir, _net: net }
    }

    async fn plain() -> Self {
        Self::new(StartTls::Off, Limits::default()).await
    }

    async fn connect(&self) -> Client<TcpStream> {
        let socket = TcpStream::connect(self.address).await.unwrap();
        socket.set_nodelay(true).unwrap();
        Client { socket, unread: String::new() }
    }

    /// A guest with a bound resource, and its address.
    async fn guest(&self) -> (Client<TcpStream>, String) {
        let mut client = self.connect().await;
        client.send(&[OPEN, ANONYMOUS, OPEN, BIND].concat()).await;
        let bound = client.until("</iq>").await;
        let jid = bound.split("<jid>").nth(1).unwrap().split('<').next().unwrap();
        (client, jid.to_owned())
    }
}

struct Client<S> {
    socket: S,
    unread: String,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Client<S> {
    async fn send(&mut self, text: &str) {
        self.socket.write_all(text.as_bytes()).await.unwrap();
        self.socket.flush().await.unwrap();
    }

    /// Reads on; false at the end.
    async fn read(&mut self) -> bool {
        let mut bytes = vec![0; 65_536];
        let read = tokio::time::timeout(Duration::from_secs(60), self.socket.read(&mut bytes));
        let n = read.await.unwrap_or_else(|_| panic!("nothing comes behind {}", self.unread)).unwrap_or(0);
        self.unread.push_str(std::str::from_utf8(&bytes[..n]).unwrap());
        n > 0
    }

    /// What comes, up to and with these words.
    async fn until(&mut self, words: &str) -> String {
        loop {
            if let Some(at) = self.unread.find(words) {
                let rest = self.unread.split_off(at + words.len());
                return std::mem::replace(&mut self.unread, rest);
            }
            assert!(self.read().await, "the end came before {words}: {}", self.unread);
        }
    }

    /// All that still comes.
    async fn until_end(&mut self) -> String {
        while self.read().await {}
        std::mem::take(&mut self.unread)
    }
}

#[tokio::test]
async fn a_login_in_one_piece_and_one_byte_at_a_time() {
    let scene = Scene::plain().await;
    let (mut whole, _) = scene.guest().await;
    let mut slow = scene.connect().await;
    for piece in [OPEN, ANONYMOUS, OPEN, BIND, "<presence/>", "</stream:stream>"] {
        for byte in piece.bytes() {
            slow.send(std::str::from_utf8(&[byte]).unwrap()).await;
        }
    }
    let all = slow.until_end().await;
    let at = |words: &str| all.find(words).unwrap_or_else(|| panic!("no {words} in {all}"));
    assert!(
        at("<mechanisms") < at("<success") && at("<success") < at("<jid>") && at("<jid>") < at("<presence")
    );
    assert!(all.ends_with("</stream:stream>"), "{all}");
    whole.send("</stream:stream>").await;
    whole.until_end().await;
}

#[tokio::test]
async fn a_client_that_only_closes_its_half_is_gone() {
    let scene = Scene::plain().await;
    let (mut client, _) = scene.guest().await;
    client.socket.shutdown().await.unwrap();
    client.until_end().await;
    assert_eq!((scene.server.session_count(), scene.server.accounts().count()), (0, 0));
}

#[tokio::test]
async fn who_does_not_read_loses_its_session_and_its_senders_are_told() {
    let scene = Scene::plain().await;
    let (mut deaf, jid) = scene.guest().await;
    let (mut sender, _) = scene.guest().await;
    let account = scene.server.accounts().loaded(jid.split('/').next().unwrap()).unwrap();
    let session = account.with(|state| state.resources[0].session.clone());
    let message = format!("<message to='{jid}' type='chat'><body>{}</body></message>", "x".repeat(60_000));
    let (mut sent, mut refused) = (0, 0);
    while refused == 0 {
        sender.send(&message).await;
        sent += 1;
        // an answer to this says that the message was dealt with
        sender
            .send("<iq type='set' id='n'><session xmlns='urn:ietf:params:xml:ns:xmpp-session'/></iq>")
            .await;
        refused += sender.until("id='n'").await.matches("<service-unavailable").count();
        assert!(session.outbox.load().1 <= SESSION_QUEUE_BYTES_MAX);
    }
    let heard = deaf.until("</stream:stream>").await;
    assert!(heard.contains("<resource-constraint"), "{}", &heard[heard.len().saturating_sub(300)..]);
    let received = heard.matches("</message>").count();
    assert_eq!(received + refused, sent, "each arrived or was answered");
    assert_eq!(scene.server.metrics().slow_readers.value(), 1);
}

#[tokio::test]
async fn who_does_not_log_in_or_finish_a_stanza_in_time_is_told() {
    let limits = Limits { login_s_max: 1, stanza_s_max: 1, ..Limits::default() };
    let scene = Scene::new(StartTls::Off, limits).await;
    let mut silent = scene.connect().await;
    let (mut slow, _) = scene.guest().await;
    slow.send("<message><body>").await;
    for client in [&mut silent, &mut slow] {
        let end = client.until("</stream:stream>").await;
        assert!(end.contains("<connection-timeout"), "{end}");
        assert!(end.contains("<stream:stream ") || end.starts_with("<stream:error>"), "{end}");
    }
}

#[tokio::test]
async fn too_many_before_login_from_one_address_are_not_served() {
    let limits = Limits {
        connections_before_login_per_address_max: 2,
        loopback_unlimited: false,
        ..Limits::default()
    };
    let scene = Scene::new(StartTls::Off, limits).await;
    let (mut first, mut second) = (scene.connect().await, scene.connect().await);
    for client in [&mut first, &mut second] {
        client.send(OPEN).await;
        client.until("</stream:features>").await;
    }
    assert_eq!(scene.connect().await.until_end().await, "");
    assert_eq!(scene.server.metrics().ended(Ended::RefusedAddress), 1);
    first.send(&[ANONYMOUS, OPEN, BIND].concat()).await;
    first.until("</iq>").await;
    let mut next = scene.connect().await;
    next.send(OPEN).await;
    next.until("</stream:features>").await;
}

#[tokio::test]
async fn what_comes_in_plain_text_behind_starttls_is_void() {
    let scene = Scene::new(StartTls::Required, Limits::default()).await;
    let mut client = scene.connect().await;
    client.send(OPEN).await;
    client.until("</stream:features>").await;
    // were it read as part of the encrypted stream, a guest would be logged in
    client.send(&[STARTTLS, OPEN, ANONYMOUS].concat()).await;
    client.until("<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>").await;
    assert_eq!(client.unread, "");
    let mut client = Client { socket: handshake(&scene, client.socket).await, unread: String::new() };
    client.send(OPEN).await;
    client.until("</stream:features>").await;
    client.send(BIND).await;
    let end = client.until("</stream:stream>").await;
    assert!(end.starts_with("<stream:error><not-authorized"), "{end}");
}

async fn handshake(scene: &Scene, socket: TcpStream) -> tokio_rustls::client::TlsStream<TcpStream> {
    let mut roots = rustls::RootCertStore::empty();
    for file in std::fs::read_dir(scene.dir.path().join("certs")).unwrap() {
        let certificates = CertificateDer::pem_file_iter(file.unwrap().path()).unwrap();
        // the leaf is no root, and keys are no certificates
        roots.add_parsable_certificates(certificates.filter_map(Result::ok));
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let config = config.unwrap().with_root_certificates(roots).with_no_client_auth();
    let name = ServerName::try_from("localhost").unwrap();
    tokio_rustls::TlsConnector::from(Arc::new(config)).connect(name, socket).await.unwrap()
}
