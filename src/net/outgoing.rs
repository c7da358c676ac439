//! What a connection still has to write: rendered bytes, and which stanzas of the session they are.

use std::collections::VecDeque;
use std::io;
use std::task::{Context, Poll, ready};

use hearth_core::outbox::Item;

use crate::socket::Socket;

/// Bytes rendered from a session's queue at a time: what a slow reader makes us hold beyond its queue.
pub const RENDER_BYTES_MAX: usize = 64 * 1024;

/// Rendered but unwritten bytes. Holds no memory once everything is written.
#[derive(Debug, Default)]
pub struct Outgoing {
    bytes: String,
    written: usize,
    /// Items in `bytes`, each with where it ends.
    items: VecDeque<(usize, Item)>,
    /// TLS holds something back.
    unflushed: bool,
    /// The rows among what was written but, for all we know, not yet flushed.
    rows: Vec<i64>,
}

impl Outgoing {
    /// Where to render.
    pub fn sink(&mut self) -> &mut String {
        &mut self.bytes
    }

    /// Renders an item of the session's queue.
    pub fn push(&mut self, item: Item) {
        item.stanza.write(&mut self.bytes, item.to.as_ref(), None);
        self.items.push_back((self.bytes.len(), item));
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
        self.items.clear();
        self.written = 0;
        std::mem::take(&mut self.bytes)
    }

    /// Writes as much as the socket takes. Ready when nothing is left to write; answers the rows that have left since
    /// the last time.
    pub fn poll_write(&mut self, cx: &mut Context<'_>, socket: &mut Socket) -> Poll<io::Result<Vec<i64>>> {
        while self.written < self.bytes.len() {
            match ready!(socket.poll_write(cx, &self.bytes.as_bytes()[self.written..]))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                n => self.written += n,
            }
            self.unflushed = true;
            self.forget_written();
        }
        self.bytes = String::new();
        self.items = VecDeque::new();
        self.written = 0;
        if self.unflushed {
            ready!(socket.poll_flush(cx))?;
            self.unflushed = false;
        }
        Poll::Ready(Ok(std::mem::take(&mut self.rows)))
    }

    fn forget_written(&mut self) {
        while let Some((_, item)) = self.items.pop_front_if(|(end, _)| *end <= self.written) {
            item.written();
            if item.row != 0 {
                self.rows.push(item.row);
            }
        }
    }

    /// The items that were not (wholly) written.
    pub fn unwritten(&mut self) -> VecDeque<Item> {
        self.items.drain(..).map(|(_, item)| item).collect()
    }
}
