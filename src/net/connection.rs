//! One client's connection: a task that owns socket, framer, stream machine and the session's writing end.
//!
//! It is polled as a whole: whatever woke it (bytes, room to write, the session's queue, a commit, a timer), it looks at
//! everything. So an idle connection holds no buffer, no nested futures and one timer.

mod deadlines;
mod handshake;
mod login;
mod obey;

use std::collections::VecDeque;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use hearth_core::bind;
use hearth_core::ended::Ended;
use hearth_core::limits::{SESSION_COMMITS_MAX, UNREAD_ANSWERS_BYTES_MAX};
use hearth_core::offline;
use hearth_core::outbox::End;
use hearth_core::router::{Behind, Flow};
use hearth_core::sasl::{ConnectionFacts, Identity, KeysMark};
use hearth_core::server::Server;
use hearth_core::session::Session;
use hearth_core::stream::machine::Setup;
use hearth_core::stream::policy::StartTls;
use hearth_core::stream::{Input, Machine};
use hearth_wire::{Flaw, Frame, Framer, IqType, Kind, Stanza, StanzaError, StreamCondition, ns};
use tokio::net::TcpStream;
use tokio::runtime::{Handle, RuntimeFlavor};
use tokio::time::{Instant, Sleep};

use self::deadlines::{Clock, seconds};
use self::login::Trying;
use crate::closing::{Closing, Counted};
use crate::gate::{Gate, Place};
use crate::outgoing::{Outgoing, RENDER_BYTES_MAX};
use crate::shortage::Shortage;
use crate::socket::Socket;
use crate::tls::{AcceptError, Secured, TlsHosts, TlsStream, Use};

/// Reads in one turn, before other connections get theirs.
const READS_PER_TURN: u32 = 4;

/// What all connections of a listener share.
#[derive(Debug)]
pub struct Shared {
    /// The server.
    pub server: Arc<Server>,
    /// The certificates.
    pub tls: TlsHosts,
    /// The budgets before login.
    pub gate: Arc<Gate>,
    /// How the sessions' connections end when the server does.
    pub closing: Arc<Closing>,
    /// What is kept back of the system's descriptors.
    pub shortage: Arc<Shortage>,
    /// What the listener does about STARTTLS.
    pub starttls: StartTls,
    /// Whether development certificates may be shown to the network.
    pub development: bool,
    /// Whether TLS begins with the first byte.
    pub direct: bool,
}

/// What the connection waits for before it looks at the next frame.
enum Resume {
    /// The machine gets this.
    Input(Box<Input>),
    /// The handshake is over.
    Secured(Box<Handshake>),
    /// A resource is bound, or not.
    Bound(Bound),
    /// A stanza was dealt with.
    Done,
}

/// What a handshake comes to.
type Handshake = Result<(TlsStream<TcpStream>, Secured), AcceptError>;

/// What binding comes to; with the place of a guest.
type Bound = Result<(Arc<Session>, Option<Place>), StanzaError>;

type Waiting = Pin<Box<dyn Future<Output = Resume> + Send>>;

/// Why the socket is done with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ending {
    No,
    /// Both sides closed in order: write what is left, then shut down.
    Closing,
    /// Gone, or to be dropped.
    Gone,
}

/// One connection.
pub struct Connection {
    shared: Arc<Shared>,
    peer: SocketAddr,
    socket: Socket,
    framer: Framer,
    machine: Machine,
    outgoing: Outgoing,
    session: Option<Arc<Session>>,
    waiting: Option<Waiting>,
    /// What is waited for is a handshake, which owns the socket.
    is_handshaking: bool,
    /// The session is over; what it has not written may still be on its way.
    has_left: bool,
    /// The client does not read, and is not waited for.
    is_stalled: bool,
    /// The framer keeps input that was not looked at yet.
    has_unread: bool,
    behind: VecDeque<Behind>,
    /// What it sends fills queues: others have their turn before the next stanza.
    yields: bool,
    /// A request that the server answers, until what was sent before it is stored.
    held: Option<(Stanza, Option<Flaw>)>,
    place: Option<Place>,
    /// The account that the client is trying to log in to.
    trying: Option<Box<Trying>>,
    counted: Option<Counted>,
    identity: Option<Identity>,
    /// The keys that the identity was proved with.
    proved: Option<KeysMark>,
    mechanism: &'static str,
    tls: Option<Arc<str>>,
    timer: Pin<Box<Sleep>>,
    clock: Clock,
    end: Ending,
    /// The first cause of the end, once there is one.
    why: Option<Ended>,
    span: tracing::Span,
}

impl Connection {
    /// A connection just accepted.
    pub fn new(
        shared: Arc<Shared>,
        socket: TcpStream,
        peer: SocketAddr,
        place: Place,
        span: tracing::Span,
    ) -> Self {
        let setup = Setup {
            server: Arc::clone(&shared.server),
            starttls: if shared.direct { StartTls::Off } else { shared.starttls },
        };
        let now = Instant::now();
        let login_s = shared.server.settings().limits.login_s_max;
        let mut connection = Self {
            peer,
            socket: Socket::Gone,
            framer: Framer::new(ns::CLIENT, login::NARROW),
            machine: Machine::new(setup, ConnectionFacts::default()),
            outgoing: Outgoing::default(),
            session: None,
            waiting: None,
            is_handshaking: false,
            has_left: false,
            is_stalled: false,
            has_unread: false,
            behind: VecDeque::new(),
            yields: false,
            held: None,
            place: Some(place),
            trying: None,
            counted: None,
            identity: None,
            proved: None,
            mechanism: "",
            tls: None,
            timer: Box::pin(tokio::time::sleep_until(now + seconds(login_s))),
            clock: Clock { began: now, heard: now, amid: None, asked: None, closing: None },
            end: Ending::No,
            why: None,
            span,
            shared,
        };
        if connection.shared.direct {
            connection.handshake(socket, Use::ClientDirect, String::new());
        } else {
            connection.socket = Socket::Plain(socket);
        }
        connection
    }

    /// Serves the connection to its end.
    pub async fn run(mut self) {
        std::future::poll_fn(|cx| {
            let span = self.span.clone();
            let _entered = span.enter();
            self.turn(cx)
        })
        .await;
    }

    fn server(&self) -> &Arc<Server> {
        &self.shared.server
    }

    // === one turn ===

    fn turn(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if let Some(session) = &self.session {
            session.outbox.register(cx.waker());
            if self.shared.closing.is_forced() {
                self.note_end(Ended::Shutdown);
                self.end = Ending::Gone;
            }
        }
        self.yields = false;
        self.settle();
        let mut reads = 0;
        loop {
            self.poll_waiting(cx);
            let read = self.poll_input(cx, reads < READS_PER_TURN);
            reads += u32::from(read);
            let wrote = self.poll_output(cx);
            if self.is_over() {
                return Poll::Ready(());
            }
            if !read && !wrote {
                break;
            }
            if reads >= READS_PER_TURN && read {
                cx.waker().wake_by_ref();
                break;
            }
        }
        if self.yields {
            cx.waker().wake_by_ref();
        }
        self.poll_timer(cx);
        if self.is_over() { Poll::Ready(()) } else { Poll::Pending }
    }

    /// Releases what was committed, in order.
    fn settle(&mut self) {
        while let Some(behind) = self.behind.pop_front_if(|behind| behind.is_settled()) {
            behind.release(&self.shared.server);
        }
        if self.behind.is_empty()
            && let Some((stanza, flaw)) = self.held.take()
            && self.machine.is_live()
            && self.session.as_ref().is_some_and(|session| !session.outbox.is_ending())
        {
            self.live(stanza, flaw);
        }
    }

    /// Whether nothing is left to do: the socket is gone and nothing of the client's is under way.
    fn is_over(&mut self) -> bool {
        if self.end != Ending::Gone {
            return false;
        }
        if self.is_handshaking {
            self.waiting = None;
        }
        self.leave();
        self.waiting.is_none() && self.behind.is_empty() && self.session.is_none()
    }

    fn poll_waiting(&mut self, cx: &mut Context<'_>) {
        while let Some(waiting) = &mut self.waiting {
            let Poll::Ready(resume) = waiting.as_mut().poll(cx) else { return };
            self.waiting = None;
            match resume {
                Resume::Done => {}
                Resume::Input(input) if self.machine.is_heavy() => off_the_worker(|| self.input(*input)),
                Resume::Input(input) => self.input(*input),
                Resume::Secured(result) => self.secured(*result),
                Resume::Bound(result) => self.bound(result, cx),
            }
        }
    }

    // === input ===

    /// Whether the next frame may be looked at.
    fn may_read(&self) -> bool {
        // before a session bounds its own queue, whoever does not read our answers is not read either
        let answered = self.session.is_some() || self.outgoing.len() <= UNREAD_ANSWERS_BYTES_MAX;
        // who was told to end does nothing any more but read, and close
        let is_ending = self.session.as_ref().is_some_and(|session| session.outbox.is_ending());
        self.waiting.is_none()
            && self.held.is_none()
            && (!is_ending || self.machine.is_closing())
            && !self.yields
            && self.behind.len() < SESSION_COMMITS_MAX
            && self.end == Ending::No
            && answered
    }

    /// Takes in what was kept, then what the socket has; true if there may be more at once.
    fn poll_input(&mut self, cx: &mut Context<'_>, may_poll: bool) -> bool {
        if !self.may_read() {
            return false;
        }
        if std::mem::take(&mut self.has_unread) {
            self.consume(&[]);
            // whatever it led to wants to be polled
            return true;
        }
        if !may_poll {
            return true;
        }
        let mut socket = std::mem::replace(&mut self.socket, Socket::Gone);
        let read = socket.poll_read_with(cx, |bytes| {
            if !bytes.is_empty() {
                self.clock.heard = Instant::now();
                self.clock.asked = None;
                self.consume(bytes);
            }
        });
        // a handshake may have been asked for meanwhile; it gets the socket
        self.socket = socket;
        self.start_handshake();
        match read {
            Poll::Pending => false,
            Poll::Ready(Ok(0)) => {
                self.lost(None);
                false
            }
            Poll::Ready(Ok(_)) => true,
            Poll::Ready(Err(error)) => {
                self.lost(Some(error));
                false
            }
        }
    }

    fn consume(&mut self, bytes: &[u8]) {
        let mut rest = bytes;
        loop {
            match self.framer.next(&mut rest) {
                Ok(Some(frame)) => {
                    // what comes next has begun no earlier than now
                    self.clock.amid = None;
                    self.frame(frame);
                }
                Ok(None) => break,
                Err(misbehaved) => {
                    self.input(Input::Misbehaved(misbehaved));
                    return;
                }
            }
            if !self.may_read() {
                self.framer.keep(rest);
                self.has_unread = self.framer.has_kept();
                break;
            }
        }
        // input that we have not looked at yet is our delay, not the client's
        let is_amid = self.framer.is_amid() && !self.has_unread;
        let amid = is_amid.then(|| self.clock.amid.unwrap_or(self.clock.heard));
        if amid.is_some() && self.clock.amid.is_none() {
            self.arm(self.clock.heard + seconds(self.server().settings().limits.stanza_s_max));
        }
        self.clock.amid = amid;
    }

    fn frame(&mut self, frame: Frame) {
        match frame {
            // the hot path: nothing of the stream's state is asked
            Frame::Stanza(stanza, flaw) if self.machine.is_live() && flaw != Some(Flaw::From) => {
                self.live(stanza, flaw);
            }
            Frame::Stanza(stanza, flaw) => self.input(Input::Stanza(stanza, flaw)),
            Frame::Open(header) => self.input(Input::Header(header)),
            Frame::Nonza(nonza) => self.input(Input::Nonza(nonza)),
            Frame::Close => self.input(Input::Close),
        }
    }

    fn live(&mut self, stanza: Stanza, flaw: Option<Flaw>) {
        let Some(session) = &self.session else { return };
        if !self.behind.is_empty() && is_answered_by_server(&stanza) {
            // an answer says that what came before was dealt with (RFC 6120 §10.1): a crash must not make it untrue
            self.held = Some((stanza, flaw));
            return;
        }
        // RFC 6120 §8.1.2.1: `from` may be the full or the bare address, and nobody else's
        let honest =
            stanza.from.as_ref().is_none_or(|from| *from == session.jid || is_bare_of(from, session));
        if !honest {
            let condition = Some(StreamCondition::InvalidFrom);
            let end = End { condition, text: None, why: Ended::StreamError };
            return self.input(Input::End(end));
        }
        let flow = self.shared.server.accept(session, stanza, flaw);
        self.yields |= session.take_yield();
        match flow {
            Flow::Done => {}
            Flow::Behind(behind) => self.behind.push_back(behind),
            Flow::Block(future) => {
                self.wait(async move {
                    future.await;
                    Resume::Done
                });
            }
        }
    }

    fn wait(&mut self, future: impl Future<Output = Resume> + Send + 'static) {
        self.waiting = Some(Box::pin(future));
    }

    // === output ===

    /// Writes what is rendered, then renders more; true if something was written and there may be more.
    fn poll_output(&mut self, cx: &mut Context<'_>) -> bool {
        // what a connection that is gone did not write finds another way: nothing of it may leave any more
        if self.end == Ending::Gone || matches!(self.socket, Socket::Gone) {
            return false;
        }
        let was_full = !self.outgoing.is_empty();
        if was_full {
            let wrote = self.outgoing.poll_write(cx, &mut self.socket);
            self.note_rows();
            match wrote {
                Poll::Pending => return self.end_stalled(),
                Poll::Ready(Err(error)) => {
                    self.lost(Some(error));
                    return false;
                }
                Poll::Ready(Ok(())) => {}
            }
            if self.has_left {
                self.leave();
            }
        }
        if self.end == Ending::Closing {
            if self.socket.poll_shutdown(cx).is_ready() {
                self.end = Ending::Gone;
            }
            return false;
        }
        // what was written may let us read again
        self.render() || was_full
    }

    /// A session that was told to end ends now, even if its client does not read: what is queued finds another way, and
    /// the client has the time of a close to read what is written already, and why. True if it did: there is to be read
    /// again, for the end of the client's stream.
    fn end_stalled(&mut self) -> bool {
        if self.has_left || self.machine.is_closing() {
            return false;
        }
        let end = self.session.as_ref().and_then(|session| session.outbox.spoken_end());
        let Some(end) = end else { return false };
        self.is_stalled = true;
        self.input(Input::End(end));
        true
    }

    /// What has left has arrived, even if the next write finds the connection broken.
    fn note_rows(&mut self) {
        let left = self.outgoing.take_left();
        if let Some(session) = self.session.as_ref().filter(|_| left > 0) {
            let rows = session.outbox.written(left);
            if !rows.is_empty() {
                offline::delivered(&self.shared.server, session, &rows);
            }
        }
    }

    /// Takes from the session's queue; false if there was nothing.
    fn render(&mut self) -> bool {
        if self.machine.is_closing() {
            return false;
        }
        let Some(session) = &self.session else { return false };
        let outgoing = &mut self.outgoing;
        let (taken, end) = session.outbox.take(RENDER_BYTES_MAX, |item| outgoing.push(item));
        let some = taken > 0 || end.is_some();
        if let Some(end) = end {
            self.input(Input::End(end));
        }
        some
    }

    // === the end ===

    /// Notes why the connection ends. Only the first word counts.
    fn note_end(&mut self, why: Ended) {
        self.why.get_or_insert(why);
    }

    /// Our end tag; the session is over with it.
    fn close(&mut self) {
        if !self.machine.is_closed() {
            // we close first, and without an error: that is the answer to a `<starttls/>` that cannot be (§5.4.2.2)
            self.note_end(Ended::StarttlsRefused);
        }
        // what was asked before the end is answered before the end (RFC 6120 §4.4)
        if let Some(session) = self.session.as_ref().filter(|_| !self.is_stalled) {
            session.outbox.take(usize::MAX, |item| self.outgoing.push(item));
        }
        self.outgoing.sink().push_str("</stream:stream>");
        let now = Instant::now();
        self.clock.closing = Some(now);
        self.arm(now + seconds(self.server().settings().limits.close_s_max));
        self.leave();
    }

    /// The connection broke or the client went without a word.
    fn lost(&mut self, error: Option<io::Error>) {
        self.note_end(match &error {
            // TLS says so where its own end is missing
            Some(error) if error.kind() != io::ErrorKind::UnexpectedEof => Ended::Reset,
            _ if self.identity.is_some() || self.machine.has_opened() => Ended::EndOfFile,
            _ => Ended::NoStream,
        });
        if let Some(error) = error {
            tracing::debug!(%error, "connection lost");
        }
        self.end = Ending::Gone;
        self.socket = Socket::Gone;
    }

    /// Ends the session. What it was given but did not write finds another way, as soon as that is known: all is written,
    /// or the socket is gone.
    fn leave(&mut self) {
        self.has_left = true;
        let is_gone = self.end == Ending::Gone;
        let mut is_settled = true;
        if let Some(session) = &self.session {
            bind::leave(&self.shared.server, session);
            if is_gone || self.outgoing.is_empty() {
                bind::settle(&self.shared.server, session);
            }
            is_settled = session.outbox.is_settled();
        }
        // the commits that are still awaited wake this task through the session
        if is_gone && is_settled && self.behind.is_empty() && self.waiting.is_none() {
            if let Some(session) = self.session.take() {
                tracing::info!(jid = %session.jid, "session ended");
            }
            self.place = None;
            // whoever is still there learns that nothing was cut off (RFC 6120 §4.4); `lost` sees to those who are not
            self.socket.close();
        }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.socket.close();
        // its task broke: others must not wait for it
        if let Some(session) = self.session.take() {
            // rows that are committed from here on release themselves
            session.outbox.settle();
            bind::end(&self.shared.server, &session);
        }
        self.behind.drain(..).for_each(|behind| behind.release(&self.shared.server));
        // no cause: its task was dropped with the runtime, or broke
        let why = self.why.unwrap_or(Ended::Internal);
        self.shared.server.metrics().connection_ended(why);
    }
}

impl Ending {
    fn max_with(self, other: Self) -> Self {
        if self == Self::Gone { self } else { other }
    }
}

/// Whether the server itself will say something to this, for itself or for an account.
fn is_answered_by_server(stanza: &Stanza) -> bool {
    matches!(stanza.kind, Kind::Iq(IqType::Get | IqType::Set))
        && stanza.to.as_ref().is_none_or(|to| to.is_bare() || to.is_domain())
}

fn is_bare_of(from: &hearth_wire::Jid, session: &Session) -> bool {
    from.is_bare() && from.eq_bare(&session.account.jid)
}

/// Runs what takes milliseconds of CPU (a key derived from a password) so that other connections of this thread go on.
fn off_the_worker(work: impl FnOnce()) {
    match Handle::current().runtime_flavor() {
        RuntimeFlavor::MultiThread => tokio::task::block_in_place(work),
        // there is no other thread to hand the others to
        _ => work(),
    }
}
