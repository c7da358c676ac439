//! Measures what an idle TLS session costs the server's memory on top of a plaintext one, and its handshake in time.
//!
//! `cargo run --release -p hearth-net --example idle_tls [SESSIONS]`: server and clients are processes of their own,
//! every session has sent and received one message and then rests in a task that waits to read. Linux only, since it
//! reads `/proc`.
#![allow(clippy::print_stdout, clippy::unwrap_used, clippy::expect_used, reason = "a tool for developers")]

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;

use hearth_net::tls::{Development, DevelopmentHost, TlsHosts, Use};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, RootCertStore};
use time::OffsetDateTime;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_rustls::TlsConnector;

const MESSAGE: &[u8] = b"<presence/>";
const HOST: &str = "localhost";
/// Handshakes that overlap.
const AT_ONCE: usize = 100;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments.as_slice() {
        ["serve", kind, sessions, certs] => serve(kind, sessions.parse().unwrap(), Path::new(certs)),
        ["hold", kind, port, certs] => hold(kind, port.parse().unwrap(), Path::new(certs)),
        [] => compare("2000"),
        [sessions] => compare(sessions),
        _ => println!("usage: idle_tls [SESSIONS]"),
    }
}

fn compare(sessions: &str) {
    let home = tempfile::tempdir().unwrap();
    let run = |kind: &str| -> (f64, f64) {
        let mut command = Command::new(std::env::current_exe().unwrap());
        let output = command.args(["serve", kind, sessions]).arg(home.path()).output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        let figures =
            text.trim().split_once(' ').and_then(|(kib, ms)| Some((kib.parse().ok()?, ms.parse().ok()?)));
        figures.unwrap_or_else(|| panic!("{}", String::from_utf8_lossy(&output.stderr)))
    };
    println!("kind      KiB per session   over plaintext   CPU ms per session");
    let mut plain = None;
    for kind in ["plain", "tls12", "tls13", "resumed"] {
        let (kib, ms) = run(kind);
        let over = kib - *plain.get_or_insert(kib);
        println!("{kind:<9} {kib:>15.2} {over:>16.2} {ms:>20.3}");
    }
}

/// Serves sessions until all are idle; prints what one costs in KiB and in milliseconds.
fn serve(kind: &str, sessions: usize, certs: &Path) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let hosts = vec![DevelopmentHost { domain: HOST.to_owned(), also: Vec::new() }];
    let now = OffsetDateTime::now_utc();
    let ensured = Development { directory: certs.to_owned(), hosts }.ensure(now).unwrap();
    let tls = (kind != "plain").then(|| TlsHosts::open(ensured.files, now).unwrap());
    let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
    let port = listener.local_addr().unwrap().port().to_string();
    let (ready, mut readies) = mpsc::channel(64);
    runtime.spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            // Two tasks of their own, so that a plaintext session does not hold room for a TLS stream.
            match &tls {
                None => tokio::spawn(echo(socket, ready.clone())),
                Some(tls) => tokio::spawn(secure(socket, tls.clone(), ready.clone())),
            };
        }
    });

    let mut client = Command::new(std::env::current_exe().unwrap());
    let client = client.args(["hold", kind, &port]).arg(certs).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut client = client.spawn().unwrap();
    let mut orders = client.stdin.take().unwrap();
    let mut answers = BufReader::new(client.stdout.take().unwrap()).lines();
    let mut open = |count: usize| {
        writeln!(orders, "{count}").unwrap();
        runtime.block_on(async {
            for _ in 0..count {
                readies.recv().await.unwrap();
            }
        });
        assert_eq!(answers.next().unwrap().unwrap(), "held");
        (resident_kib(), cpu_ms())
    };
    let (warm_kib, warm_ms) = open(100);
    let (kib, ms) = open(sessions);
    println!("{} {}", (kib - warm_kib) / sessions as f64, (ms - warm_ms) / sessions as f64);
    drop(orders);
    client.wait().unwrap();
}

async fn secure(socket: TcpStream, tls: TlsHosts, ready: mpsc::Sender<()>) {
    let (stream, _) = tls.accept(socket, Use::ClientDirect, None).await.unwrap();
    echo(stream, ready).await;
}

async fn echo<IO: AsyncRead + AsyncWrite + Unpin>(mut stream: IO, ready: mpsc::Sender<()>) {
    let mut buffer = [0; 64];
    loop {
        match stream.read(&mut buffer).await {
            Ok(0) | Err(_) => return,
            Ok(bytes) => stream.write_all(&buffer[..bytes]).await.unwrap(),
        }
        stream.flush().await.unwrap();
        ready.send(()).await.unwrap();
    }
}

/// Opens as many sessions as each line of standard input says and holds all of them until its end.
fn hold(kind: &str, port: u16, certs: &Path) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let connector = (kind != "plain").then(|| connector(kind, certs));
    let mut held: Vec<Box<dyn std::any::Any + Send>> = Vec::new();
    for line in std::io::stdin().lines() {
        let count: usize = line.unwrap().parse().unwrap();
        runtime.block_on(async {
            // Many at once, as after a restart: handshakes overlap and their garbage lies between what stays.
            let mut opening = JoinSet::new();
            for _ in 0..count {
                if opening.len() == AT_ONCE {
                    held.push(opening.join_next().await.unwrap().unwrap());
                }
                opening.spawn(open(port, connector.clone()));
            }
            held.extend(opening.join_all().await);
        });
        println!("held");
    }
}

async fn open(port: u16, connector: Option<TlsConnector>) -> Box<dyn std::any::Any + Send> {
    let socket = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    match connector {
        None => talk(socket).await,
        Some(connector) => {
            let name = ServerName::try_from(HOST).unwrap();
            talk(connector.connect(name, socket).await.unwrap()).await
        }
    }
}

async fn talk<IO: AsyncRead + AsyncWrite + Unpin + Send + 'static>(
    mut stream: IO,
) -> Box<dyn std::any::Any + Send> {
    stream.write_all(MESSAGE).await.unwrap();
    stream.flush().await.unwrap();
    let mut answer = [0; MESSAGE.len()];
    stream.read_exact(&mut answer).await.unwrap();
    Box::new(stream)
}

fn connector(kind: &str, certs: &Path) -> TlsConnector {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(certs.join("development-ca.crt")).unwrap()).unwrap();
    let version = if kind == "tls12" { &TLS12 } else { &TLS13 };
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[version])
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    if kind != "resumed" {
        config.resumption = rustls::client::Resumption::disabled();
    }
    TlsConnector::from(Arc::new(config))
}

fn resident_kib() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

/// User and system time of all threads; nanoseconds on a CPU are the first figure of their `schedstat`.
fn cpu_ms() -> f64 {
    let threads = std::fs::read_dir("/proc/self/task").unwrap();
    let on_cpu = |thread: std::fs::DirEntry| -> f64 {
        let text = std::fs::read_to_string(thread.path().join("schedstat")).unwrap();
        text.split(' ').next().unwrap().parse().unwrap()
    };
    threads.map(|thread| on_cpu(thread.unwrap())).sum::<f64>() / 1e6
}
