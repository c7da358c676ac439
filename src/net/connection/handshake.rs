//! TLS on a connection: by STARTTLS (RFC 6120 §5) or from the first byte (XEP-0368).

use std::sync::Arc;

use hearth_core::ended::Ended;
use hearth_core::sasl::ConnectionFacts;
use hearth_core::stream::Input;
use tokio::net::TcpStream;

use super::{Connection, Ending, Handshake, Resume};
use crate::socket::Socket;
use crate::tls::{AcceptError, Use};

impl Connection {
    /// `<proceed/>` is rendered: nothing else is read in plain text.
    pub(super) fn begin_handshake(&mut self) {
        self.is_handshaking = true;
        self.waiting = Some(Box::pin(std::future::pending()));
        // within a read the socket is in use; `poll_input` calls again behind it
        self.start_handshake();
    }

    pub(super) fn start_handshake(&mut self) {
        if !self.machine.is_securing() {
            return;
        }
        let Socket::Plain(stream) = std::mem::replace(&mut self.socket, Socket::Gone) else { return };
        // what the client sent behind `<starttls/>` came in plain text and is void (RFC 6120 §5.4.3.3)
        let discarded = self.framer.discard();
        self.has_unread = false;
        if discarded > 0 {
            tracing::warn!(bytes = discarded, "plain text behind starttls was dropped");
        }
        let host = self.machine.host().map(|host| host.domain.to_string()).unwrap_or_default();
        self.handshake(stream, Use::ClientStarttls, host);
    }

    fn may_see_development(&self) -> bool {
        self.shared.development || self.peer.ip().to_canonical().is_loopback()
    }

    pub(super) fn handshake(&mut self, mut stream: TcpStream, usage: Use, host: String) {
        self.is_handshaking = true;
        let first = self.outgoing.take();
        let shared = Arc::clone(&self.shared);
        self.wait(async move {
            use tokio::io::AsyncWriteExt as _;
            if let Err(error) = stream.write_all(first.as_bytes()).await {
                return Resume::Secured(Box::new(Err(AcceptError::Io(error))));
            }
            let host = (!host.is_empty()).then_some(host.as_str());
            Resume::Secured(Box::new(shared.tls.accept(stream, usage, host).await))
        });
    }

    pub(super) fn secured(&mut self, result: Handshake) {
        self.is_handshaking = false;
        match result {
            // a reload may have brought one since the start: nobody out there shall get used to it
            Ok((stream, secured)) if secured.development && !self.may_see_development() => {
                self.socket = Socket::Tls(Box::new(stream));
                tracing::error!(host = %secured.host, "only a development certificate is there: refused");
                self.note_end(Ended::TlsDevelopment);
                self.end = Ending::Gone;
            }
            Ok((stream, secured)) => {
                self.socket = Socket::Tls(Box::new(stream));
                self.tls = Some(format!("{} {}", secured.version, secured.cipher).into());
                if secured.named {
                    self.machine.name_host(secured.host);
                }
                let facts = ConnectionFacts {
                    encrypted: true,
                    exporter: Some(secured.exporter),
                    end_point: secured.end_point.map(|hash| hash.to_vec()),
                };
                if self.shared.direct {
                    self.machine.begin_secured(facts);
                } else {
                    self.input(Input::Secured(facts));
                }
            }
            Err(error) => {
                tracing::debug!(reason = error.reason().name(), %error, "TLS failed");
                self.note_end(error.reason());
                self.end = Ending::Gone;
            }
        }
    }
}
