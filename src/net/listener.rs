//! Accepting connections: within the budgets, each in a task of its own.

use std::io;
use std::net::SocketAddr;
use std::os::fd::AsRawFd as _;
use std::sync::Arc;
use std::time::Duration;

use hearth_core::ended::Ended;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::time::Instant;

use crate::connection::{Connection, Shared};

/// Connections that the system holds for us while we are busy.
const BACKLOG: u32 = 4096;
/// Pause after the system had no descriptor for another connection.
const EXHAUSTED_PAUSE: Duration = Duration::from_millis(100);

/// Opens a listening socket. An IPv6 wildcard takes IPv4 too where the system does so.
///
/// # Errors
/// What the system says, e.g. that the port is taken.
pub fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    // a restart must not wait for connections that linger
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// Whether two listeners cannot both be: one takes what the other wants.
pub fn collide(a: SocketAddr, b: SocketAddr) -> bool {
    collide_where(a, b, wildcard_takes_ipv4())
}

fn collide_where(a: SocketAddr, b: SocketAddr, wildcard_takes_ipv4: bool) -> bool {
    let takes = |a: SocketAddr, b: SocketAddr| {
        a.ip().is_unspecified() && (a.is_ipv4() == b.is_ipv4() || (a.is_ipv6() && wildcard_takes_ipv4))
    };
    a.port() != 0 && a.port() == b.port() && (a.ip() == b.ip() || takes(a, b) || takes(b, a))
}

/// Whether `[::]` is every address of IPv4 too: as the system does, unless it was told otherwise (ipv6(7), `bindv6only`).
fn wildcard_takes_ipv4() -> bool {
    std::fs::read_to_string("/proc/sys/net/ipv6/bindv6only").map_or(true, |set| set.trim() != "1")
}

/// Accepts connections until the task is aborted.
pub async fn accept(listener: Arc<TcpListener>, shared: Arc<Shared>) {
    loop {
        match listener.accept().await {
            Ok((socket, peer)) => serve(&shared, socket, peer),
            Err(error) => {
                // out of descriptors or memory: those who are connected go on
                shared.shortage.failed(&error, Instant::now());
                tokio::time::sleep(EXHAUSTED_PAUSE).await;
            }
        }
    }
}

fn serve(shared: &Arc<Shared>, socket: TcpStream, peer: SocketAddr) {
    let server = &shared.server;
    server.metrics().connections.up();
    if !shared.shortage.spares(socket.as_raw_fd()) {
        server.metrics().connection_ended(Ended::RefusedFiles);
        shared.shortage.refused(peer, Instant::now());
        return;
    }
    let place = match shared.gate.admit(peer.ip(), &server.settings().limits, Instant::now()) {
        Ok(place) => place,
        Err(why) => {
            // closed without a word: an error needs a stream, and a stream costs what is to be saved here
            server.metrics().connection_ended(why);
            tracing::debug!(%peer, reason = why.name(), "not served");
            return;
        }
    };
    // latency over packing: we write in batches ourselves
    if let Err(error) = socket.set_nodelay(true) {
        server.metrics().connection_ended(Ended::Reset);
        tracing::debug!(%peer, %error, "connection lost at once");
        return;
    }
    let span = tracing::info_span!("conn", kind = "c2s", %peer, jid = tracing::field::Empty);
    tokio::spawn(Connection::new(Arc::clone(shared), socket, peer, place, span).run());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(a: &str, b: &str, [alone, with_ipv4]: [bool; 2]) {
        let (a, b) = (a.parse().unwrap(), b.parse().unwrap());
        assert_eq!([collide_where(a, b, false), collide_where(a, b, true)], [alone, with_ipv4], "{a} {b}");
        assert_eq!([collide_where(b, a, false), collide_where(b, a, true)], [alone, with_ipv4], "{b} {a}");
    }

    #[test]
    fn a_wildcard_takes_all_addresses_with_its_port() {
        check("127.0.0.1:1", "127.0.0.1:1", [true, true]);
        check("127.0.0.1:1", "127.0.0.2:1", [false, false]);
        check("0.0.0.0:1", "127.0.0.1:1", [true, true]);
        check("0.0.0.0:1", "127.0.0.1:2", [false, false]);
        check("0.0.0.0:1", "[::1]:1", [false, false]);
        check("[::]:1", "[::1]:1", [true, true]);
        check("[::]:1", "127.0.0.1:1", [false, true]);
        check("[::]:1", "0.0.0.0:1", [false, true]);
        check("[::]:0", "[::1]:0", [false, false]);
    }
}
