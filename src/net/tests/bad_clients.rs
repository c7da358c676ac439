//! Clients that are slow, rude or silent, on real sockets: what they get, and that nobody else notices.

#![allow(clippy::unwrap_used, reason = "a test ends here")]

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hearth_core::clock::SystemClock;
use hearth_core::ended::Ended;
use hearth_core::host::{HostConfig, Hosts};
use hearth_core::limits::{Limits, SASL_EXCHANGES_MAX, SESSION_QUEUE_BYTES_MAX};
use hearth_core::outbox::End;
use hearth_core::plan::Plan;
use hearth_core::server::{Parts, Server, Settings};
use hearth_core::session::Session;
use hearth_core::stream::policy::StartTls;
use hearth_core::{account_table, im};
use hearth_net::config::{Encryption, ListenConfig};
use hearth_net::tls::{Development, DevelopmentHost, TlsHosts};
use hearth_net::{Net, NetSettings};
use hearth_store::Store;
use hearth_wire::StreamCondition;
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
    /// Where TLS begins with the first byte.
    direct: SocketAddr,
    dir: TempDir,
    net: Net,
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
        let listen = [Encryption::Starttls, Encryption::Direct]
            .map(|encryption| ListenConfig { address, encryption, starttls, plaintext_off_loopback: false })
            .to_vec();
        let net = Net::start(
            server.clone(),
            NetSettings { listen, tls, development: true, descriptors_max: u64::MAX },
        )
        .unwrap();
        let [address, direct] = net.local_addresses()[..] else { panic!("two listeners") };
        Self { server, address, direct, dir, net }
    }

    async fn plain() -> Self {
        Self::new(StartTls::Off, Limits::default()).await
    }

    async fn connect(&self) -> Client<TcpStream> {
        self.connect_to(self.address).await
    }

    async fn connect_to(&self, address: SocketAddr) -> Client<TcpStream> {
        let socket = TcpStream::connect(address).await.unwrap();
        socket.set_nodelay(true).unwrap();
        Client { socket, unread: String::new() }
    }

    /// Waits until so many connections have ended in this way.
    async fn ended(&self, why: Ended, count: u64) {
        let metrics = self.server.metrics();
        let reached = async {
            while metrics.ended(why) < count {
                tokio::task::yield_now().await;
            }
        };
        let patience = tokio::time::timeout(Duration::from_secs(60), reached).await;
        patience.unwrap_or_else(|_| panic!("no more than {} {}", metrics.ended(why), why.name()));
        assert_eq!(metrics.ended(why), count, "{}", why.name());
    }

    /// The one session of an account.
    fn session(&self, jid: &str) -> Arc<Session> {
        let account = self.server.accounts().loaded(jid.split('/').next().unwrap()).unwrap();
        account.with(|state| Arc::clone(&state.resources[0].session))
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
    let session = scene.session(&jid);
    let message = format!("<message to='{jid}' type='chat'><body>{}</body></message>", "x".repeat(60_000));
    let (mut sent, mut sender_heard) = (0, String::new());
    while !session.outbox.is_ending() {
        sender.send(&message).await;
        sent += 1;
        // an answer to this says that the message was dealt with
        sender
            .send("<iq type='set' id='n'><session xmlns='urn:ietf:params:xml:ns:xmpp-session'/></iq>")
            .await;
        sender_heard += &sender.until("id='n'").await;
        assert!(session.outbox.load().1 <= 2 * SESSION_QUEUE_BYTES_MAX);
    }
    assert!(!sender_heard.contains("<error"), "it is not known yet what the other reads");
    let heard = deaf.until("</stream:stream>").await;
    assert!(heard.contains("<resource-constraint"), "{}", &heard[heard.len().saturating_sub(300)..]);
    let received = heard.matches("</message>").count();
    for _ in received..sent {
        sender.until("<service-unavailable").await;
    }
    assert_eq!(scene.server.metrics().slow_readers.value(), 1);
}

#[tokio::test]
async fn who_does_not_log_in_or_finish_a_stanza_in_time_is_told() {
    let limits = Limits { login_s_max: 1, stanza_s_max: 1, ..Limits::default() };
    let scene = Scene::new(StartTls::Off, limits).await;
    let mut silent = scene.connect().await;
    let (mut slow, _) = scene.guest().await;
    slow.send("<message><body>").await;
    // whoever is logged in, but not bound, is not through either
    let mut unbound = scene.connect().await;
    unbound.send(&[OPEN, ANONYMOUS, OPEN].concat()).await;
    for client in [&mut silent, &mut slow, &mut unbound] {
        let end = client.until("</stream:stream>").await;
        assert!(end.contains("<connection-timeout"), "{end}");
        assert!(end.contains("<stream:stream ") || end.starts_with("<stream:error>"), "{end}");
        client.send("</stream:stream>").await;
        client.until_end().await;
    }
    scene.ended(Ended::LoginTimeout, 2).await;
    scene.ended(Ended::StanzaTimeout, 1).await;
    assert_eq!(scene.server.metrics().stream_errors(StreamCondition::ConnectionTimeout), 3);
    assert_eq!(scene.server.metrics().ends_unanswered.value(), 0);
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

/// RFC 6120 §4.4: TLS tells the end of a connection from one that was cut.
#[tokio::test]
async fn every_end_of_ours_is_one_in_tls_too() {
    let limits = Limits { login_s_max: 1, stanza_s_max: 1, close_s_max: 1, ..Limits::default() };
    let scene = Scene::new(StartTls::Required, limits).await;
    let [logged_in, cut_short] = [
        [OPEN, ANONYMOUS, OPEN, BIND, "<message>"].concat(),
        [OPEN, ANONYMOUS, OPEN, BIND, "</stream:stream>"].concat(),
    ];
    // nothing is said or answered; a stanza is not finished; an error is not answered; both sides close
    let clients = [OPEN, &logged_in, &[OPEN, "<x/>"].concat(), &cut_short].map(str::to_owned);
    for says in clients {
        let socket = scene.connect_to(scene.direct).await.socket;
        let mut client = handshake(&scene, socket).await;
        client.write_all(says.as_bytes()).await.unwrap();
        let mut heard = Vec::new();
        let end = client.read_to_end(&mut heard).await;
        let heard = String::from_utf8_lossy(&heard);
        assert!(heard.ends_with("</stream:stream>"), "{says}: {heard}");
        assert!(end.is_ok(), "{says}: {end:?}");
    }
    assert_eq!(scene.server.metrics().ends_unanswered.value(), 3);
}

/// RFC 6120 §6.3.5.
#[tokio::test]
async fn nothing_stands_between_the_elements_of_sasl() {
    let scene = Scene::plain().await;
    let mut client = scene.connect().await;
    let began = "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='SCRAM-SHA-1'/>";
    let abort = "<abort xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>";
    client.send(OPEN).await;
    client.until("</stream:features>").await;
    client.send(&[began, abort, ANONYMOUS, OPEN].concat()).await;
    let mut exchange = client.until("<?xml").await;
    for element in ["<challenge ", "<failure ", "<success "] {
        assert!(exchange.starts_with(element), "{element}: {exchange}");
        let end = exchange.find(if element == "<failure " { "</failure>" } else { "/>" }).unwrap();
        exchange.drain(..exchange[end..].find('>').unwrap() + end + 1);
    }
    assert_eq!(exchange, "<?xml");
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

/// An iq that the server answers at once, and the end of its answer.
const ASK: &str = "<iq type='set' id='n'><session xmlns='urn:ietf:params:xml:ns:xmpp-session'/></iq>";
const ANSWER: &str = "id='n' type='result'/>";

#[tokio::test]
async fn bytes_that_trickle_in_win_no_time_before_login() {
    let limits = Limits { login_s_max: 1, close_s_max: 1, ..Limits::default() };
    let scene = Scene::new(StartTls::Off, limits).await;
    for begin in ["", OPEN] {
        let mut client = scene.connect().await;
        client.send(begin).await;
        let before = scene.server.metrics().ended(Ended::LoginTimeout);
        while scene.server.metrics().ended(Ended::LoginTimeout) == before {
            // white space is allowed in both places, for ever; at the end nobody takes it
            if client.socket.write_all(b" ").await.is_err() {
                break;
            }
            tokio::task::yield_now().await;
        }
        scene.ended(Ended::LoginTimeout, before + 1).await;
    }
    assert_eq!(scene.server.metrics().ends_unanswered.value(), 2);
    assert_eq!(scene.server.metrics().connections_open(), 0);
}

#[tokio::test]
async fn handshakes_of_tls_that_stop_are_ended() {
    let limits = Limits { login_s_max: 1, ..Limits::default() };
    let scene = Scene::new(StartTls::Required, limits).await;
    let mut asked = scene.connect().await;
    asked.send(&[OPEN, STARTTLS].concat()).await;
    asked.until("<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>").await;
    let mut silent = scene.connect_to(scene.direct).await;
    // a record of a client's hello that is never finished (RFC 8446 §5.1)
    let mut begun = scene.connect_to(scene.direct).await;
    begun.socket.write_all(&[22, 3, 1, 2, 0, 1, 0]).await.unwrap();
    for client in [&mut asked, &mut silent, &mut begun] {
        assert_eq!(client.until_end().await, "");
    }
    scene.ended(Ended::TlsTimeout, 3).await;
    let mut plain = scene.connect_to(scene.direct).await;
    plain.send(OPEN).await;
    scene.ended(Ended::TlsProtocol, 1).await;
    drop(scene.connect_to(scene.direct).await);
    scene.ended(Ended::TlsConnectionLost, 1).await;
    assert_eq!(scene.server.metrics().connections_open(), 0);
}

#[tokio::test]
async fn exchanges_and_streams_are_not_begun_without_end() {
    let scene = Scene::plain().await;
    let mut undecided = scene.connect().await;
    let auth = "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='SCRAM-SHA-1'/>";
    undecided.send(&[OPEN, &auth.repeat(100)].concat()).await;
    let heard = undecided.until("</stream:stream>").await;
    assert_eq!(heard.matches("<challenge").count(), usize::from(SASL_EXCHANGES_MAX));
    assert!(heard.contains("<policy-violation"), "{heard}");
    let mut again = scene.connect().await;
    again.send(&OPEN.repeat(100)).await;
    let heard = again.until("</stream:stream>").await;
    assert_eq!(heard.matches("<stream:features>").count(), 1, "{heard}");
    assert!(heard.contains("<stream:error>"), "{heard}");
    drop((undecided, again));
    scene.ended(Ended::StreamError, 2).await;
}

#[tokio::test]
async fn white_space_costs_nothing_between_stanzas_and_counts_within() {
    let scene = Scene::plain().await;
    let (mut client, _) = scene.guest().await;
    for _ in 0..64 {
        client.send(&" ".repeat(128 * 1024)).await;
    }
    client.send(ASK).await;
    client.until(ANSWER).await;
    client.send(&["<message><body>", &" ".repeat(300_000)].concat()).await;
    let heard = client.until("</stream:stream>").await;
    assert!(heard.contains("<policy-violation"), "{heard}");
}

#[tokio::test]
async fn nobody_is_given_more_room_before_its_resource_is_bound() {
    let scene = Scene::plain().await;
    let mut client = scene.connect().await;
    client.send(&[OPEN, ANONYMOUS, OPEN].concat()).await;
    let big = "x".repeat(12_000);
    client
        .send(&format!("<iq type='set' id='b'><bind xmlns='urn:x'><resource>{big}</resource></bind></iq>"))
        .await;
    let heard = client.until("</stream:stream>").await;
    assert!(heard.contains("<policy-violation"), "{heard}");
    let (mut bound, jid) = scene.guest().await;
    bound.send(&format!("<message to='{jid}' id='m'><body>{big}</body></message>")).await;
    bound.until("</message>").await;
}

#[tokio::test]
async fn a_flood_of_one_client_leaves_the_others_their_turns() {
    // one thread for the server and all clients: whoever did not yield would stop everything
    let scene = Scene::plain().await;
    let (mut flood, _) = scene.guest().await;
    let (mut client, _) = scene.guest().await;
    let flooding = tokio::spawn(async move {
        let answers = "<iq type='result' id='unasked' to='localhost'/>".repeat(10_000);
        loop {
            flood.send(&answers).await;
        }
    });
    let received = &scene.server.metrics().stanzas_received;
    for _ in 0..20 {
        let before = received.value();
        while received.value() < before + 1_000 {
            tokio::task::yield_now().await;
        }
        client.send(ASK).await;
        client.until(ANSWER).await;
    }
    assert!(!flooding.is_finished());
    flooding.abort();
}

#[tokio::test]
async fn who_never_reads_again_is_dropped_all_the_same() {
    let scene = Scene::new(StartTls::Off, Limits { close_s_max: 1, ..Limits::default() }).await;
    let (_deaf, jid) = scene.guest().await;
    let (mut sender, _) = scene.guest().await;
    let message = format!("<message to='{jid}' type='chat'><body>{}</body></message>", "x".repeat(60_000));
    let metrics = scene.server.metrics();
    let mut returned = 0;
    while metrics.slow_readers.value() == 0 {
        sender.send(&[&message, ASK].concat()).await;
        returned += sender.until("id='n'").await.matches("<service-unavailable").count() as u64;
    }
    scene.ended(Ended::SlowReader, 1).await;
    // what it had not written comes back, and less of it than would fill the sender's own queue
    assert!(metrics.stanzas_bounced.value() > returned + 10, "{returned}");
    while returned < metrics.stanzas_bounced.value() {
        sender.until("<service-unavailable").await;
        returned += 1;
    }
    sender.send(ASK).await;
    sender.until(ANSWER).await;
    assert_eq!(scene.server.metrics().ends_unanswered.value(), 1);
    assert_eq!(scene.server.session_count(), 1, "the sender's");
}

#[tokio::test]
async fn an_end_that_is_not_answered_is_one_all_the_same() {
    let scene = Scene::new(StartTls::Off, Limits { close_s_max: 1, ..Limits::default() }).await;
    let (mut stubborn, jid) = scene.guest().await;
    let condition = Some(StreamCondition::PolicyViolation);
    scene.session(&jid).outbox.end(End { condition, text: None, why: Ended::Kicked });
    stubborn.until("</stream:stream>").await;
    assert_eq!(scene.server.session_count(), 0, "the session is over with our end of the stream");
    // what it still says is not listened to
    stubborn.send(&ASK.repeat(100)).await;
    assert_eq!(stubborn.until_end().await, "");
    scene.ended(Ended::Kicked, 1).await;
    assert_eq!(scene.server.metrics().ends_unanswered.value(), 1);
    assert_eq!(scene.server.metrics().stream_errors(StreamCondition::PolicyViolation), 1);
}

#[tokio::test]
async fn each_connection_is_counted_once_when_it_ends() {
    let scene = Scene::plain().await;
    let (mut orderly, _) = scene.guest().await;
    orderly.send("</stream:stream>").await;
    orderly.until_end().await;
    let (vanished, _) = scene.guest().await;
    drop(vanished);
    let (broken, _) = scene.guest().await;
    broken.socket.set_zero_linger().unwrap();
    drop(broken);
    drop(scene.connect().await);
    let mut rude = scene.connect().await;
    rude.send("<!-- -->").await;
    rude.until("</stream:stream>").await;
    // the first cause counts, not the reset behind it
    rude.socket.set_zero_linger().unwrap();
    drop(rude);
    let mut early = scene.connect().await;
    early.send(&[OPEN, STARTTLS].concat()).await;
    early.until("</stream:stream>").await;
    drop(early);
    let (mut last, _) = scene.guest().await;
    let expected = [
        Ended::ClosedByClient,
        Ended::EndOfFile,
        Ended::Reset,
        Ended::NoStream,
        Ended::StreamError,
        Ended::StarttlsRefused,
    ];
    for why in expected {
        scene.ended(why, 1).await;
    }
    let metrics = scene.server.metrics();
    assert_eq!(metrics.connections_open(), 1);
    let (heard, ()) = tokio::join!(
        async {
            let heard = last.until("</stream:stream>").await;
            last.send("</stream:stream>").await;
            heard
        },
        scene.net.shutdown()
    );
    assert!(heard.contains("<system-shutdown"), "{heard}");
    assert_eq!(metrics.ended(Ended::Shutdown), 1);
    let all: u64 = Ended::ALL.iter().map(|why| metrics.ended(*why)).sum();
    assert_eq!((all, metrics.connections_open()), (metrics.connections.value(), 0));
}

#[tokio::test]
async fn many_who_write_at_once_do_not_cost_a_reader_its_session() {
    const SENDERS: usize = 24;
    const MESSAGES: usize = 10;
    let scene = Scene::plain().await;
    let (mut reader, jid) = scene.guest().await;
    let message = format!("<message to='{jid}' type='chat'><body>{}</body></message>", "x".repeat(20_000));
    let mut senders = Vec::new();
    for _ in 0..SENDERS {
        senders.push(scene.guest().await.0);
    }
    for sender in &mut senders {
        // as much as fits into the buffers of the system: all of it is there when the server comes to read
        sender.send(&message.repeat(MESSAGES)).await;
    }
    for _ in 0..SENDERS * MESSAGES {
        reader.until("</message>").await;
    }
    assert_eq!(scene.server.metrics().slow_readers.value(), 0);
}
