//! One connection to the server: bytes out, items in, everything written down for the transcript.

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use rustls_pki_types::CertificateDer;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::{Instant, timeout_at};
use tokio_rustls::client::TlsStream;

use super::tls::{TlsOptions, handshake};
use crate::xml::{Element, Header, Item, StreamReader};

/// Lines of transcript that are kept.
const TRANSCRIPT_LINES_MAX: usize = 400;
/// Bytes of one line of transcript that are kept.
const TRANSCRIPT_LINE_BYTES_MAX: usize = 3000;

/// What a connection with a small buffer holds unread. The system doubles it.
const SMALL_BUFFER_BYTES: u32 = 4096;

/// What came, or the end of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Received {
    Header(Header),
    Element(Element),
    StreamClose,
    /// The connection ended; in the words of the operating system when it was not regular.
    Closed(String),
    /// The server sent what no server may send.
    Bad(String),
}

enum Transport {
    Tcp(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
    /// We closed it, or a handshake failed.
    Gone,
}

trait Duplex: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Duplex for T {}

impl Transport {
    fn duplex(&mut self) -> Option<&mut dyn Duplex> {
        match self {
            Self::Tcp(tcp) => Some(tcp),
            Self::Tls(tls) => Some(tls.as_mut()),
            Self::Gone => None,
        }
    }
}

/// A connection and what it has seen.
pub(crate) struct Connection {
    transport: Transport,
    reader: StreamReader,
    /// What came and was not asked for yet.
    pub(crate) inbox: VecDeque<Received>,
    /// Nothing more can come.
    ended: bool,
    /// Whether we take what comes. The system holds as much as it has room for; then the server has to wait.
    pub(crate) is_reading: bool,
    /// Every header and element ever received, for the schemas.
    pub(crate) seen: Vec<Received>,
    transcript: VecDeque<String>,
}

impl Connection {
    /// Connects by TCP.
    pub(crate) async fn open(addr: SocketAddr, small_buffer: bool) -> Result<Self, String> {
        let opened = tcp(addr, small_buffer).await;
        let tcp = opened.map_err(|error| format!("cannot connect to {addr}: {error}"))?;
        tcp.set_nodelay(true).map_err(|error| error.to_string())?;
        Ok(Self {
            transport: Transport::Tcp(tcp),
            reader: StreamReader::new(),
            inbox: VecDeque::new(),
            ended: false,
            is_reading: true,
            seen: Vec::new(),
            transcript: VecDeque::from([format!("** connected to {addr}")]),
        })
    }

    /// Turns the TCP connection into a TLS connection.
    pub(crate) async fn secure(&mut self, options: &TlsOptions, deadline: Instant) -> Result<(), String> {
        let Transport::Tcp(tcp) = std::mem::replace(&mut self.transport, Transport::Gone) else {
            return Err("no plain TCP connection".to_owned());
        };
        let shaken = timeout_at(deadline, handshake(tcp, options)).await;
        match shaken.unwrap_or_else(|_| Err("TLS handshake timed out".to_owned())) {
            Ok(tls) => {
                self.note(&format!("** TLS {:?}", tls.get_ref().1.protocol_version()));
                self.transport = Transport::Tls(Box::new(tls));
                self.restart();
                Ok(())
            }
            Err(why) => {
                self.note(&format!("** {why}"));
                self.ended = true;
                Err(why)
            }
        }
    }

    pub(crate) fn is_tls(&self) -> bool {
        matches!(self.transport, Transport::Tls(_))
    }

    /// Nothing more can be sent.
    pub(crate) fn is_gone(&self) -> bool {
        self.ended || matches!(self.transport, Transport::Gone)
    }

    /// Channel binding data by RFC 9266.
    pub(crate) fn tls_exporter(&self) -> Result<Vec<u8>, String> {
        let Transport::Tls(tls) = &self.transport else { return Err("no TLS to bind to".to_owned()) };
        let exported =
            tls.get_ref().1.export_keying_material([0_u8; 32], b"EXPORTER-Channel-Binding", Some(&[]));
        exported.map(|data| data.to_vec()).map_err(|error| error.to_string())
    }

    /// The server's certificate.
    pub(crate) fn peer_certificate(&self) -> Option<CertificateDer<'static>> {
        let Transport::Tls(tls) = &self.transport else { return None };
        Some(tls.get_ref().1.peer_certificates()?.first()?.clone().into_owned())
    }

    /// A new stream begins: what comes is read afresh.
    pub(crate) fn restart(&mut self) {
        self.reader = StreamReader::new();
    }

    /// Sends bytes in one write, reading meanwhile, so that a server that stops reading cannot block us.
    ///
    /// A connection that the server has closed is no error here: what it said before is still to be read.
    pub(crate) async fn send(&mut self, bytes: &[u8], deadline: Instant) -> Result<(), String> {
        self.note(&format!("-> {}", String::from_utf8_lossy(bytes)));
        let is_reading = self.is_reading;
        let Some(duplex) = self.transport.duplex() else { return Err("the connection is closed".to_owned()) };
        let (mut read_half, mut write_half) = tokio::io::split(duplex);
        let mut came = Vec::new();
        let mut end = None;
        {
            let write = async {
                write_half.write_all(bytes).await?;
                write_half.flush().await
            };
            tokio::pin!(write);
            let mut buffer = vec![0_u8; 16 << 10];
            loop {
                tokio::select! {
                    biased;
                    written = &mut write => {
                        if let Err(error) = written {
                            // What the server said before it closed is read by the next step.
                            end = end.or(Some(error.to_string()));
                        }
                        break;
                    }
                    read = read_half.read(&mut buffer), if is_reading && end.is_none() => match read {
                        Ok(0) => end = Some(String::new()),
                        Ok(count) => came.extend_from_slice(&buffer[..count]),
                        Err(error) => end = Some(error.to_string()),
                    },
                    () = tokio::time::sleep_until(deadline) => {
                        return Err("the server does not take what is sent".to_owned());
                    }
                }
            }
        }
        self.take(&came);
        if let Some(why) = end {
            self.note(&format!("** write ended: {why}"));
        }
        Ok(())
    }

    /// One write for each byte, so that the server gets them in as many pieces as possible.
    pub(crate) async fn send_byte_by_byte(&mut self, bytes: &[u8], deadline: Instant) -> Result<(), String> {
        for byte in bytes {
            self.send(std::slice::from_ref(byte), deadline).await?;
            tokio::task::yield_now().await;
        }
        Ok(())
    }

    /// Ends a stream that is of no more interest, as far as the server goes along.
    pub(crate) async fn say_goodbye(&mut self, deadline: Instant) {
        if self.is_gone() || !self.is_reading || self.send(b"</stream:stream>", deadline).await.is_err() {
            return;
        }
        while let Some(received) = self.next(deadline).await {
            if !matches!(received, Received::Element(_) | Received::Header(_)) {
                break;
            }
        }
        self.close().await;
    }

    /// The next thing that came, waiting for it.
    pub(crate) async fn next(&mut self, deadline: Instant) -> Option<Received> {
        loop {
            if let Some(received) = self.inbox.pop_front() {
                return Some(received);
            }
            if !self.fill(deadline).await {
                return None;
            }
        }
    }

    /// Reads once; false when the time is up or the end was told already.
    pub(crate) async fn fill(&mut self, deadline: Instant) -> bool {
        if self.ended || !self.is_reading {
            return false;
        }
        let Some(duplex) = self.transport.duplex() else { return false };
        let mut buffer = vec![0_u8; 64 << 10];
        match timeout_at(deadline, duplex.read(&mut buffer)).await {
            Err(_) => return false,
            Ok(Ok(0)) => self.end(String::new()),
            Ok(Ok(count)) => self.take(&buffer[..count]),
            Ok(Err(error)) => self.end(describe(&error)),
        }
        true
    }

    fn end(&mut self, why: String) {
        if !self.ended {
            self.ended = true;
            self.note(&format!("** connection closed by the server {why}"));
            self.inbox.push_back(Received::Closed(why));
        }
    }

    fn take(&mut self, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        self.note(&format!("<- {}", String::from_utf8_lossy(bytes)));
        let mut items = VecDeque::new();
        let result = self.reader.push(bytes, &mut items);
        for item in items {
            let received = match item {
                Item::Header(header) => Received::Header(header),
                Item::Element(element) => Received::Element(element),
                Item::Close => Received::StreamClose,
            };
            if !matches!(received, Received::StreamClose) {
                self.seen.push(received.clone());
            }
            self.inbox.push_back(received);
        }
        if let Err(why) = result {
            self.ended = true;
            self.inbox.push_back(Received::Bad(why));
        }
    }

    /// FIN; with TLS, close_notify before it. What the server still says can be read.
    pub(crate) async fn close(&mut self) {
        self.note("** we close the connection");
        if let Some(duplex) = self.transport.duplex() {
            // A server that has closed before us makes this fail, which is what we want to reach anyway.
            duplex.shutdown().await.ok();
        }
    }

    /// FIN, and not a word before it, not even TLS's own. What the server still says can be read.
    pub(crate) async fn hang_up(&mut self) -> Result<(), String> {
        self.note("** we hang up");
        let tcp = match &mut self.transport {
            Transport::Tcp(tcp) => tcp,
            Transport::Tls(tls) => tls.get_mut().0,
            Transport::Gone => return Err("the connection is closed".to_owned()),
        };
        tcp.shutdown().await.map_err(|error| error.to_string())
    }

    /// RST: the connection is gone without a word.
    pub(crate) fn drop_hard(&mut self) -> Result<(), String> {
        self.note("** we reset the connection");
        self.ended = true;
        let tcp = match std::mem::replace(&mut self.transport, Transport::Gone) {
            Transport::Tcp(tcp) => tcp,
            Transport::Tls(tls) => tls.into_inner().0,
            Transport::Gone => return Ok(()),
        };
        tcp.set_zero_linger().map_err(|error| error.to_string())
    }

    /// Writes a line into the transcript.
    pub(crate) fn note(&mut self, line: &str) {
        let mut line = line.to_owned();
        if line.len() > TRANSCRIPT_LINE_BYTES_MAX {
            let bytes = line.len();
            line.truncate(line.floor_char_boundary(TRANSCRIPT_LINE_BYTES_MAX));
            line.push_str(&format!("… ({bytes} bytes)"));
        }
        if self.transcript.len() == TRANSCRIPT_LINES_MAX {
            self.transcript.pop_front();
        }
        self.transcript.push_back(line);
    }

    pub(crate) fn transcript(&self) -> String {
        self.transcript.iter().map(|line| format!("      {line}\n")).collect()
    }
}

async fn tcp(addr: SocketAddr, small_buffer: bool) -> io::Result<TcpStream> {
    let socket = if addr.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    if small_buffer {
        // before the connection is made: what was promised to the other side cannot be taken back
        socket.set_recv_buffer_size(SMALL_BUFFER_BYTES)?;
    }
    socket.connect(addr).await
}

/// How an error that merely says "closed" reads.
fn describe(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::UnexpectedEof => "(without close_notify)".to_owned(),
        _ => format!("({error})"),
    }
}

/// When a step that starts now has to be done.
pub(crate) fn deadline_in(seconds: u64) -> Instant {
    Instant::now() + Duration::from_secs(seconds)
}
