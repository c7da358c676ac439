//! What a client has to do in time, and what happens if it does not. One timer serves all deadlines.

use std::future::Future as _;
use std::task::Context;
use std::time::Duration;

use hearth_core::ended::Ended;
use hearth_core::stream::Input;
use tokio::time::Instant;

use super::{Connection, Ending};

/// Where nobody asks silent clients, the timer only has to fire now and then.
const SILENCE_UNBOUNDED: Duration = Duration::from_secs(3600);

/// The deadlines that apply.
#[derive(Debug)]
pub(super) struct Clock {
    pub(super) began: Instant,
    pub(super) heard: Instant,
    /// When the stanza that is coming in began.
    pub(super) amid: Option<Instant>,
    /// When the client was asked for a sign of life.
    pub(super) asked: Option<Instant>,
    /// When our end tag was sent.
    pub(super) closing: Option<Instant>,
}

impl Connection {
    /// Makes sure that the timer fires no later than this.
    pub(super) fn arm(&mut self, deadline: Instant) {
        if deadline < self.timer.deadline() {
            self.timer.as_mut().reset(deadline);
        }
    }

    pub(super) fn poll_timer(&mut self, cx: &mut Context<'_>) {
        while self.end != Ending::Gone && self.timer.as_mut().poll(cx).is_ready() {
            let now = Instant::now();
            while let Some(act) = self.overdue(now) {
                act(self);
                // what it did may have to be written
                cx.waker().wake_by_ref();
                if self.end == Ending::Gone {
                    return;
                }
            }
            let next = self.deadline();
            self.timer.as_mut().reset(next);
        }
    }

    /// The next thing to do if the client does nothing, and when.
    pub(super) fn next(&self) -> (Instant, fn(&mut Self)) {
        let limits = &self.shared.server.settings().limits;
        if let Some(closing) = self.clock.closing {
            return (closing + seconds(limits.close_s_max), Self::drop_socket);
        }
        if self.session.is_none() {
            return (self.clock.began + seconds(limits.login_s_max), Self::not_logged_in);
        }
        let silence = self.next_of_silence();
        match self.clock.amid.map(|amid| amid + seconds(limits.stanza_s_max)) {
            Some(deadline) if deadline < silence.0 => (deadline, Self::not_finished),
            _ => silence,
        }
    }

    /// XEP-0199 §4.2, RFC 6120 §4.6: a silent client is asked for a sign of life; who gives none is gone.
    pub(super) fn next_of_silence(&self) -> (Instant, fn(&mut Self)) {
        let Some(keepalive) = self.shared.server.plan().keepalive() else {
            return (self.clock.heard + SILENCE_UNBOUNDED, Self::do_nothing);
        };
        let (deadline, act): (_, fn(&mut Self)) = match self.clock.asked {
            Some(asked) => (asked + seconds(keepalive.answer_within_s), Self::silent),
            None => (self.clock.heard + seconds(keepalive.ask_after_s), Self::ask_for_life),
        };
        // whatever it says while we wait for the disk lies unread
        (deadline, if self.may_read() { act } else { Self::was_not_listened_to })
    }

    pub(super) fn deadline(&self) -> Instant {
        self.next().0
    }

    pub(super) fn overdue(&self, now: Instant) -> Option<fn(&mut Self)> {
        let (deadline, act) = self.next();
        (deadline <= now).then_some(act)
    }

    /// The client neither read nor answered the end of its stream.
    pub(super) fn drop_socket(&mut self) {
        self.server().metrics().ends_unanswered.up();
        self.end = Ending::Gone;
    }

    pub(super) fn do_nothing(&mut self) {
        self.clock.heard = Instant::now();
    }

    /// The silence was ours: the client's begins now.
    pub(super) fn was_not_listened_to(&mut self) {
        self.clock.heard = Instant::now();
        self.clock.asked = None;
    }

    pub(super) fn not_logged_in(&mut self) {
        if self.is_handshaking {
            // there is no stream that could carry an error
            self.note_end(Ended::TlsTimeout);
            self.end = Ending::Gone;
        } else {
            self.timed_out(Ended::LoginTimeout);
        }
    }

    pub(super) fn not_finished(&mut self) {
        self.timed_out(Ended::StanzaTimeout);
    }

    pub(super) fn silent(&mut self) {
        self.timed_out(Ended::Silent);
    }

    fn timed_out(&mut self, why: Ended) {
        self.note_end(why);
        self.input(Input::TimedOut);
    }

    pub(super) fn ask_for_life(&mut self) {
        if let (Some(keepalive), Some(session)) = (self.server().plan().keepalive(), &self.session) {
            session.send((keepalive.ask)(session), self.server().metrics());
        }
        self.clock.asked = Some(Instant::now());
    }
}

pub(super) fn seconds(s: u32) -> Duration {
    Duration::from_secs(u64::from(s))
}
