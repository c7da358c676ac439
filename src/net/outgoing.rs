//! What a connection still has to write: rendered bytes, and where in them each stanza of the session ends.

use std::collections::VecDeque;
use std::io;
use std::task::{Context, Poll, ready};

use hearth_core::outbox::Item;

use crate::socket::Socket;

/// Bytes rendered from a session's queue at a time: what a slow reader makes us hold beyond its queue.
pub const RENDER_BYTES_MAX: usize = 64 * 1024;

/// Bytes written before they are flushed: what fits into one TLS record, which a client has wholly or not at all.
const RECORD_BYTES_MAX: usize = 16 * 1024;

/// Rendered but unwritten bytes. Holds no memory once everything is written.
#[derive(Debug, Default)]
pub struct Outgoing {
    bytes: String,
    written: usize,
    /// Where in `bytes` each stanza of the session ends.
    ends: VecDeque<usize>,
    /// TLS holds something back.
    unflushed: bool,
    /// How many of those have left since that was last asked for.
    left: usize,
}

impl Outgoing {
    /// Where to render.
    pub fn sink(&mut self) -> &mut String {
        &mut self.bytes
    }

    /// Renders an item of the session's queue.
    pub fn push(&mut self, item: &Item) {
        item.stanza.write(&mut self.bytes, item.to.as_ref(), None);
        self.ends.push_back(self.bytes.len());
    }

    /// Whether everything has left.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty() && !self.unflushed
    }

    /// Bytes rendered and not written.
    pub fn len(&self) -> usize {
        self.bytes.len() - self.written
    }

    /// Takes the rendered bytes away, to be written elsewhere.
    pub fn take(&mut self) -> String {
        self.ends.clear();
        self.written = 0;
        std::mem::take(&mut self.bytes)
    }

    /// Writes as much as the socket takes. Ready when nothing is left to write.
    pub fn poll_write(&mut self, cx: &mut Context<'_>, socket: &mut Socket) -> Poll<io::Result<()>> {
        loop {
            if self.unflushed {
                // what TLS has taken but not passed on has not left: a client that is cut now does not have it
                ready!(socket.poll_flush(cx))?;
                self.unflushed = false;
                self.forget_written();
            }
            let unwritten = &self.bytes.as_bytes()[self.written..];
            let piece = match socket {
                Socket::Tls(_) => &unwritten[..unwritten.len().min(RECORD_BYTES_MAX)],
                Socket::Plain(_) | Socket::Gone => unwritten,
            };
            if piece.is_empty() {
                break;
            }
            match ready!(socket.poll_write(cx, piece))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                n => self.written += n,
            }
            self.unflushed = true;
        }
        self.bytes = String::new();
        self.ends = VecDeque::new();
        self.written = 0;
        Poll::Ready(Ok(()))
    }

    /// How many stanzas of the session have left since the last time, whether or not the rest of what was written did.
    pub fn take_left(&mut self) -> usize {
        std::mem::take(&mut self.left)
    }

    fn forget_written(&mut self) {
        while self.ends.pop_front_if(|end| *end <= self.written).is_some() {
            self.left += 1;
        }
    }
}
