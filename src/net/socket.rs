//! A client's socket, in plain text or inside TLS, polled without a buffer of its own while it is idle.

use std::cell::RefCell;
use std::future::Future as _;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, Waker, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use crate::tls::TlsStream;

/// Bytes read at a time. One buffer per thread serves all connections, so an idle one holds none.
const READ_BYTES: usize = 32 * 1024;

thread_local! {
    static SCRATCH: RefCell<Vec<u8>> = RefCell::new(vec![0; READ_BYTES]);
}

/// The socket of one connection.
#[derive(Debug)]
pub enum Socket {
    /// Plain text.
    Plain(TcpStream),
    /// TLS.
    Tls(Box<TlsStream<TcpStream>>),
    /// Given away (to a handshake) or closed.
    Gone,
}

impl Socket {
    /// Reads what is there and hands it to `take`; answers how many bytes it was, 0 at the end.
    pub fn poll_read_with(
        &mut self,
        cx: &mut Context<'_>,
        take: impl FnOnce(&[u8]),
    ) -> Poll<io::Result<usize>> {
        SCRATCH.with_borrow_mut(|scratch| {
            let mut buffer = ReadBuf::new(scratch);
            let read = match self {
                Self::Plain(stream) => Pin::new(stream).poll_read(cx, &mut buffer),
                Self::Tls(stream) => Pin::new(&mut **stream).poll_read(cx, &mut buffer),
                Self::Gone => return Poll::Pending,
            };
            ready!(read)?;
            take(buffer.filled());
            Poll::Ready(Ok(buffer.filled().len()))
        })
    }

    /// Writes some of `bytes`.
    pub fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self {
            Self::Plain(stream) => Pin::new(stream).poll_write(cx, bytes),
            Self::Tls(stream) => Pin::new(&mut **stream).poll_write(cx, bytes),
            Self::Gone => Poll::Ready(Err(io::ErrorKind::NotConnected.into())),
        }
    }

    /// Sees to it that what was written leaves TLS's own buffer.
    pub fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Plain(_) | Self::Gone => Poll::Ready(Ok(())),
            Self::Tls(stream) => Pin::new(&mut **stream).poll_flush(cx),
        }
    }

    /// Ends the connection in order (TLS `close_notify`, then FIN).
    pub fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Tls(stream) => Pin::new(&mut **stream).poll_shutdown(cx),
            Self::Gone => Poll::Ready(Ok(())),
        }
    }

    /// Ends a connection that is not waited for: one attempt at the same end in order, and the socket is dropped. A
    /// client whose own buffer is full does not get it.
    pub fn close(&mut self) {
        let farewell = std::future::poll_fn(|cx| self.poll_shutdown(cx));
        // the turn's budget may be used up: this is the last there is
        let farewell = std::pin::pin!(tokio::task::unconstrained(farewell));
        if let Poll::Ready(Err(error)) = farewell.poll(&mut Context::from_waker(Waker::noop())) {
            tracing::debug!(%error, "no end in order");
        }
        *self = Self::Gone;
    }
}
