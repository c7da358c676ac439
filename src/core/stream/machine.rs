//! The stream machine: open → STARTTLS → SASL → restart → bind → live → close.
//!
//! Each state is a value; an input and a state make outputs and the next state. What takes time (a look-up, TLS,
//! binding) is asked for as an output and answered by an input; until then the driver hands nothing else in but
//! `TimedOut` and `End`.

use std::sync::Arc;

use hearth_wire::{
    Flaw, Header, IqType, Jid, Kind, Nonza, Stanza, StanzaCondition, StanzaError, StreamCondition, XmlWriter,
    ns,
};

pub use super::exchange::{Input, Output};
use super::feature::{FeatureContext, When};
use super::header::{self, OpenHeader};
use super::policy::StartTls;
use super::register;
use super::sasl::{self, Login};
use crate::ended::Ended;
use crate::host::{Host, Hosts};
use crate::limits::{PRE_AUTH_IQS_MAX, SASL_ATTEMPTS_MAX, SASL_EXCHANGES_MAX};
use crate::outbox::End;
use crate::random;
use crate::sasl::{ConnectionFacts, Credentials, Failure, Identity, Offer};
use crate::server::Server;

/// What a stream is made with.
#[derive(Debug, Clone)]
pub struct Setup {
    /// The server.
    pub server: Arc<Server>,
    /// What the listener does about STARTTLS.
    pub starttls: StartTls,
}

/// Where the stream stands.
#[derive(Debug)]
enum State {
    /// The next thing must be a header.
    Opening,
    /// Features were sent; not authenticated.
    Negotiating,
    /// `<proceed/>` was sent.
    Securing,
    /// An exchange waits for the client.
    Authenticating(Box<Login>),
    /// An exchange waits for an account.
    LookingUp(Box<Login>),
    /// Authenticated; a resource must be bound.
    Unbound,
    /// The driver binds.
    Binding(Stanza),
    /// A handler answers an iq before authentication.
    Answering,
    /// Bound.
    Live,
    /// Our end tag was sent; the client's is awaited.
    Closing,
    /// Nothing more.
    Closed,
}

/// A client's stream.
#[derive(Debug)]
pub struct Machine {
    setup: Setup,
    state: State,
    /// The host of the last header.
    host: Option<Arc<Host>>,
    /// The host that the client asked TLS for, if it named one.
    named: Option<Arc<str>>,
    /// The client's language.
    lang: Option<Box<str>>,
    /// Our header of the present document was sent.
    is_open: bool,
    facts: ConnectionFacts,
    identity: Option<Identity>,
    offer: Option<Arc<Offer>>,
    failures: u8,
    exchanges: u8,
    answers: u8,
    bind_failures: u8,
}

impl Machine {
    /// A stream on a fresh connection; `facts` say whether TLS is on already.
    pub fn new(setup: Setup, facts: ConnectionFacts) -> Self {
        Self {
            setup,
            state: State::Opening,
            host: None,
            named: None,
            lang: None,
            is_open: false,
            facts,
            identity: None,
            offer: None,
            failures: 0,
            exchanges: 0,
            answers: 0,
            bind_failures: 0,
        }
    }

    /// The host the stream was opened to.
    pub fn host(&self) -> Option<&Arc<Host>> {
        self.host.as_ref()
    }

    /// The language the stream was opened with.
    pub fn lang(&self) -> Option<&str> {
        self.lang.as_deref()
    }

    /// Whether TLS is on.
    pub fn is_secured(&self) -> bool {
        self.facts.encrypted
    }

    /// TLS was on from the first byte.
    pub fn begin_secured(&mut self, facts: ConnectionFacts) {
        self.facts = facts;
    }

    /// The client asked TLS for this host (SNI, RFC 6066 §3).
    pub fn name_host(&mut self, host: Arc<str>) {
        self.named = Some(host);
    }

    /// Whether the answer to a look-up will take milliseconds of CPU.
    pub fn is_heavy(&self) -> bool {
        matches!(&self.state, State::LookingUp(login) if login.is_heavy())
    }

    /// Whether TLS is to begin now.
    pub fn is_securing(&self) -> bool {
        matches!(self.state, State::Securing)
    }

    /// Whether a header was sent: before, there is no stream that could carry an error.
    pub fn has_opened(&self) -> bool {
        self.is_open
    }

    /// Whether a resource is bound and the stream is not closing.
    pub fn is_live(&self) -> bool {
        matches!(self.state, State::Live)
    }

    /// Whether nothing is to be expected any more.
    pub fn is_closed(&self) -> bool {
        matches!(self.state, State::Closed)
    }

    /// Whether our end tag was sent.
    pub fn is_closing(&self) -> bool {
        matches!(self.state, State::Closing | State::Closed)
    }

    /// Takes an input and appends what has to be done to `out`.
    pub fn input(&mut self, input: Input, out: &mut Vec<Output>) {
        let state = std::mem::replace(&mut self.state, State::Closed);
        self.state = self.next(state, input, out);
    }

    fn next(&mut self, state: State, input: Input, out: &mut Vec<Output>) -> State {
        match (state, input) {
            (State::Closed, _) => State::Closed,
            (State::Closing, Input::Close | Input::TimedOut | Input::Misbehaved(_)) => {
                out.push(Output::Hangup);
                State::Closed
            }
            (State::Closing, _) => State::Closing,
            (_, Input::Misbehaved(m)) => self.fail(m.into(), Some(m.to_string()), out),
            (_, Input::TimedOut) => self.fail(StreamCondition::ConnectionTimeout, None, out),
            (_, Input::End(end)) => self.end(end, out),
            (_, Input::Close) => self.close(out),
            // §4.9.1.1: an error of the client's ends the stream just so
            (_, Input::Nonza(nonza)) if nonza.is("error", ns::STREAM) => self.close(out),
            (State::Opening, Input::Header(header)) => self.open(&header, out),
            (State::Negotiating, Input::Nonza(nonza)) => self.negotiate(&nonza, out),
            (State::Negotiating, Input::Stanza(stanza, flaw)) => self.before_auth(stanza, flaw, out),
            // §6.4.2: a new attempt ends the one under way
            (State::Authenticating(_), Input::Nonza(nonza)) if nonza.is("auth", ns::SASL) => {
                self.auth(&nonza, out)
            }
            (State::Authenticating(login), Input::Nonza(nonza)) => self.respond(login, &nonza, out),
            (State::LookingUp(login), Input::Credentials(found)) => {
                self.looked_up(login, found.as_ref(), out)
            }
            (State::Securing, Input::Secured(facts)) => self.secured(facts, out),
            (State::Answering, Input::Answered(answer)) => {
                out.extend(answer.map(Output::Stanza));
                State::Negotiating
            }
            (State::Unbound | State::Live, Input::Nonza(nonza)) if nonza.is("starttls", ns::TLS) => {
                self.starttls(out)
            }
            (State::Unbound, Input::Stanza(stanza, flaw)) => self.bind(stanza, flaw, out),
            (State::Binding(asked), Input::Bound(jid)) => bound(&asked, &jid, out),
            (State::Binding(asked), Input::BindRefused(error)) => self.bind_refused(&asked, &error, out),
            (State::Live, Input::Stanza(stanza, flaw)) => self.live(stanza, flaw, out),
            (state, input) => self.out_of_place(&state, &input, out),
        }
    }

    // === opening ===

    /// §4.2, §4.3.3: a header is answered with a header and features.
    fn open(&mut self, header: &Header, out: &mut Vec<Output>) -> State {
        let hosts = self.setup.server.hosts();
        let addressed = header.to.clone().or_else(|| self.assumed_host(&hosts));
        let speaker = addressed.as_deref().and_then(|to| header::host(to, &hosts)).unwrap_or(hosts.first());
        let to = header
            .from
            .as_deref()
            .and_then(|from| Jid::parse(from).ok())
            .map(|from| from.to_bare().to_string());
        let (from, version) = (speaker.domain.to_string(), header::lower_version(header.version.as_deref()));
        self.send_header(OpenHeader { from, to, version, id: String::new() }, out);
        let opened = match header::judge(header, addressed.as_deref(), &hosts) {
            Ok(opened) => opened,
            Err(condition) => return self.fail(condition, None, out),
        };
        if let Some(condition) = self.contradiction(&opened) {
            return self.fail(condition, None, out);
        }
        // §4.9.3.19: not before TLS, where anybody on the way could have written it
        if let Some(other) = opened.host.config.see_other_host.as_ref().filter(|_| !self.may_secure()) {
            let other_host = Some(other.clone());
            let condition = StreamCondition::SeeOtherHost;
            self.setup.server.metrics().stream_error(condition);
            out.push(Output::Error { condition, text: None, other_host, why: Ended::SentElsewhere });
            out.push(Output::Close);
            return State::Closing;
        }
        self.host = Some(opened.host);
        self.lang = opened.lang;
        self.features(out)
    }

    /// §4.7.2: a header without `to` goes to the host of the stream before, to the one that TLS was asked for, or to the
    /// only one there is.
    fn assumed_host(&self, hosts: &Hosts) -> Option<String> {
        let before = self.host.as_ref().map(|host| host.domain.to_string());
        before.or_else(|| self.named.as_deref().map(str::to_owned)).or_else(|| {
            let mut all = hosts.all();
            let first = all.next()?;
            all.next().is_none().then(|| first.domain.to_string())
        })
    }

    /// What a later header of the same connection may not change: the host and who the client is.
    fn contradiction(&self, opened: &header::Opened) -> Option<StreamCondition> {
        match (&self.identity, &self.host) {
            (Some(_), Some(host)) if host.domain != opened.host.domain => {
                Some(StreamCondition::NotAuthorized)
            }
            (Some(Identity::Account(account)), _) => {
                let other = opened.from.as_ref().is_some_and(|from| !from.eq_bare(account));
                other.then_some(StreamCondition::InvalidFrom)
            }
            _ => None,
        }
    }

    fn send_header(&mut self, header: OpenHeader, out: &mut Vec<Output>) {
        // without randomness there is no login either: what is left is to say that something failed
        let id = random::id().unwrap_or_else(|_| "none".to_owned());
        out.push(Output::Header(OpenHeader { id, ..header }));
        self.is_open = true;
    }

    fn may_secure(&self) -> bool {
        !self.facts.encrypted && self.setup.starttls != StartTls::Off
    }

    fn must_secure(&self) -> bool {
        !self.facts.encrypted && self.setup.starttls == StartTls::Required
    }

    /// §4.3.2: what may, and what must, be negotiated next.
    fn features(&mut self, out: &mut Vec<Output>) -> State {
        let Some(host) = self.host.clone() else { return State::Opening };
        let mut writer = XmlWriter::new();
        if self.identity.is_some() {
            self.after_login(&host, &mut writer);
            out.push(Output::Features(writer.into_payload()));
            return State::Unbound;
        }
        if self.may_secure() {
            writer.open("starttls", ns::TLS);
            if self.must_secure() {
                writer.open("required", ns::TLS).close();
            }
            writer.close();
        }
        if self.must_secure() {
            self.offer = None;
        } else {
            let policy = self.setup.server.sasl_policy(&host, self.facts.encrypted);
            let offer = Arc::new(Offer::new(&policy, self.facts.clone()));
            sasl::write_features(&offer, &mut writer);
            self.write_module_features(When::BeforeLogin, &host, Some(&offer), &mut writer);
            self.offer = Some(offer);
        }
        out.push(Output::Features(writer.into_payload()));
        State::Negotiating
    }

    fn after_login(&self, host: &Host, writer: &mut XmlWriter) {
        writer.open("bind", ns::BIND).close();
        // RFC 3921 clients wait for it; newer ones know by `<optional/>` that it does nothing
        writer.open("session", ns::SESSION).open("optional", ns::SESSION).close().close();
        self.write_module_features(When::AfterLogin, host, None, writer);
    }

    fn write_module_features(&self, when: When, host: &Host, offer: Option<&Offer>, writer: &mut XmlWriter) {
        let server = &*self.setup.server;
        let guest = matches!(self.identity, Some(Identity::Anonymous { .. }));
        let context = FeatureContext { server, host, secured: self.facts.encrypted, guest, offer };
        for feature in server.plan().stream_features().filter(|feature| feature.when == when) {
            if let Some(payload) = feature.offer(&context) {
                writer.payload(&payload);
            }
        }
    }

    // === STARTTLS ===

    fn negotiate(&mut self, nonza: &Nonza, out: &mut Vec<Output>) -> State {
        if nonza.is("starttls", ns::TLS) {
            return self.starttls(out);
        }
        if nonza.is("auth", ns::SASL) {
            return self.auth(nonza, out);
        }
        if nonza.is("abort", ns::SASL) {
            return self.sasl_failed(Failure::Aborted, out);
        }
        if &*nonza.namespace == ns::SASL {
            // a response without an exchange
            return self.sasl_failed(Failure::OutOfOrder, out);
        }
        self.fail(unsupported(nonza), None, out)
    }

    /// §5.4.2.
    fn starttls(&mut self, out: &mut Vec<Output>) -> State {
        let mut writer = XmlWriter::new();
        if self.facts.encrypted || self.identity.is_some() || self.setup.starttls == StartTls::Off {
            // §5.4.2.2: failure ends the stream
            writer.open("failure", ns::TLS).close();
            out.push(Output::Nonza(writer.into_payload()));
            out.push(Output::Close);
            return State::Closing;
        }
        writer.open("proceed", ns::TLS).close();
        out.push(Output::Nonza(writer.into_payload()));
        out.push(Output::StartTls);
        State::Securing
    }

    /// §5.4.3.3: a new stream, and nothing of the old one is known.
    fn secured(&mut self, facts: ConnectionFacts, out: &mut Vec<Output>) -> State {
        self.facts = facts;
        self.host = None;
        self.lang = None;
        self.is_open = false;
        out.push(Output::Restart);
        State::Opening
    }

    // === SASL ===

    fn auth(&mut self, nonza: &Nonza, out: &mut Vec<Output>) -> State {
        self.exchanges += 1;
        if self.exchanges > SASL_EXCHANGES_MAX {
            return self.fail(StreamCondition::PolicyViolation, Some("too many attempts".to_owned()), out);
        }
        let (Some(offer), Some(host)) = (self.offer.clone(), self.host.clone()) else {
            return self.sasl_failed(Failure::Encryption, out);
        };
        match Login::start(&self.setup.server, &host, &offer, nonza) {
            Ok((login, step)) => self.step(Box::new(login), step, out),
            Err(sasl::Refused::Failure(failure)) => self.sasl_failed(failure, out),
            Err(sasl::Refused::Internal) => self.fail(StreamCondition::InternalServerError, None, out),
        }
    }

    fn respond(&mut self, mut login: Box<Login>, nonza: &Nonza, out: &mut Vec<Output>) -> State {
        if &*nonza.namespace != ns::SASL {
            return self.fail(StreamCondition::NotAuthorized, None, out);
        }
        match login.respond(nonza) {
            Ok(step) => self.step(login, step, out),
            Err(failure) => self.sasl_failed(failure, out),
        }
    }

    fn looked_up(
        &mut self,
        mut login: Box<Login>,
        found: Option<&Credentials>,
        out: &mut Vec<Output>,
    ) -> State {
        let step = login.credentials(found);
        self.step(login, step, out)
    }

    fn step(&mut self, login: Box<Login>, step: crate::sasl::Step, out: &mut Vec<Output>) -> State {
        use crate::sasl::Step;
        match step {
            Step::Challenge(data) => {
                out.push(Output::Nonza(sasl::challenge(&data)));
                State::Authenticating(login)
            }
            Step::Need(lookup) => {
                out.push(Output::Lookup(lookup));
                State::LookingUp(login)
            }
            Step::Fail(failure) => self.sasl_failed(failure, out),
            Step::Done(success) => {
                out.push(Output::Nonza(sasl::success(success.data.as_deref())));
                self.identity = Some(success.identity.clone());
                out.push(Output::LoggedIn(Box::new(success), login.mechanism_name()));
                out.push(Output::Restart);
                self.offer = None;
                self.is_open = false;
                State::Opening
            }
        }
    }

    /// §6.4.5, §6.5: the client may try again, a few times.
    fn sasl_failed(&mut self, failure: Failure, out: &mut Vec<Output>) -> State {
        out.push(Output::LoginFailed(failure));
        out.push(Output::Nonza(sasl::failure(failure)));
        // to give up, or to lack what a mechanism needs, is no attempt at a password
        self.failures += u8::from(!matches!(failure, Failure::Aborted | Failure::BindingType));
        if self.failures >= SASL_ATTEMPTS_MAX {
            let text = Some("too many failed attempts".to_owned());
            return self.fail(StreamCondition::PolicyViolation, text, out);
        }
        State::Negotiating
    }

    // === before and while binding ===

    /// Only a module's own iqs are answered before authentication (XEP-0077).
    fn before_auth(&mut self, stanza: Stanza, flaw: Option<Flaw>, out: &mut Vec<Output>) -> State {
        // §4.3.5: to the server itself only
        let is_ours = stanza.to.as_ref().is_none_or(|to| self.is_own(to));
        let entry = if flaw.is_none() && is_ours && !self.must_secure() {
            register::find(&self.setup.server, &stanza)
        } else {
            None
        };
        self.answers += u8::from(entry.is_some());
        match entry {
            Some(_) if self.answers > PRE_AUTH_IQS_MAX => {
                self.fail(StreamCondition::PolicyViolation, Some("too many requests".to_owned()), out)
            }
            Some((entry, verb)) => {
                out.push(Output::PreAuth(entry, verb, stanza));
                State::Answering
            }
            None => self.fail(StreamCondition::NotAuthorized, None, out),
        }
    }

    /// §7.6, §7.7. §7.1: nothing else before.
    fn bind(&mut self, stanza: Stanza, flaw: Option<Flaw>, out: &mut Vec<Output>) -> State {
        let child = stanza.payload.find("bind", ns::BIND);
        let (Some(child), Kind::Iq(kind)) = (child, stanza.kind) else {
            return self.fail(StreamCondition::NotAuthorized, None, out);
        };
        // §4.3.5: before there is a resource, to the server and the account itself only
        if stanza.to.as_ref().is_some_and(|to| !self.is_own(to)) {
            return self.fail(StreamCondition::NotAuthorized, None, out);
        }
        // §8.1.2.1
        if stanza.from.as_ref().is_some_and(|from| from.local().is_none() || !self.is_own(from)) {
            return self.fail(StreamCondition::InvalidFrom, None, out);
        }
        if kind != IqType::Set || flaw.is_some() {
            return self.bind_refused(&stanza, &StanzaError::new(StanzaCondition::BadRequest), out);
        }
        let asked = stanza.payload.element(child, ns::CLIENT);
        let resource =
            asked.and_then(|bind| bind.get_child("resource", ns::BIND).map(hearth_wire::Element::text));
        out.push(Output::Bind(resource.filter(|name| !name.is_empty())));
        State::Binding(stanza)
    }

    /// Whether an address is the stream's host, or the account that has logged in.
    fn is_own(&self, jid: &Jid) -> bool {
        let is_host = || self.host.as_ref().is_some_and(|host| Jid::from(&host.domain) == *jid);
        match &self.identity {
            Some(Identity::Account(account)) if jid.eq_bare(account) => true,
            _ => is_host(),
        }
    }

    /// §7.7.3: the client may try again, a few times.
    fn bind_refused(&mut self, asked: &Stanza, error: &StanzaError, out: &mut Vec<Output>) -> State {
        out.extend(asked.bounce(error).map(Output::Stanza));
        self.bind_failures += 1;
        if self.bind_failures >= crate::limits::BIND_ATTEMPTS_MAX {
            let text = Some("too many failed attempts".to_owned());
            return self.fail(StreamCondition::PolicyViolation, text, out);
        }
        State::Unbound
    }

    // === live ===

    /// §8.1.2.1: `from` may be left out, or be the client's own address.
    fn live(&mut self, stanza: Stanza, flaw: Option<Flaw>, out: &mut Vec<Output>) -> State {
        if flaw == Some(Flaw::From) {
            return self.fail(StreamCondition::InvalidFrom, None, out);
        }
        out.push(Output::Live(stanza, flaw));
        State::Live
    }

    /// What has no place in this state.
    fn out_of_place(&mut self, state: &State, input: &Input, out: &mut Vec<Output>) -> State {
        let condition = match (state, input) {
            // a second header without a restart
            (_, Input::Header(_)) => StreamCondition::NotWellFormed,
            (State::Live | State::Unbound, Input::Nonza(nonza)) => unsupported(nonza),
            (_, Input::Stanza(..) | Input::Nonza(_)) => StreamCondition::NotAuthorized,
            // an answer of the driver that nobody asked for: ours, not the client's
            _ => StreamCondition::InternalServerError,
        };
        self.fail(condition, None, out)
    }

    // === closing ===

    /// §4.9.1.1: errors are fatal. §4.9.1.2: they need an open stream.
    fn fail(&mut self, condition: StreamCondition, text: Option<String>, out: &mut Vec<Output>) -> State {
        let why = match condition {
            StreamCondition::InternalServerError => Ended::Internal,
            _ => Ended::StreamError,
        };
        self.end(End { condition: Some(condition), text, why }, out)
    }

    fn end(&mut self, end: End, out: &mut Vec<Output>) -> State {
        if !self.is_open {
            let hosts = self.setup.server.hosts();
            let from = self.host.as_ref().unwrap_or(hosts.first()).domain.to_string();
            let version = Some(header::VERSION.to_owned());
            self.send_header(OpenHeader { from, to: None, version, id: String::new() }, out);
        }
        if let Some(condition) = end.condition {
            self.setup.server.metrics().stream_error(condition);
            out.push(Output::Error { condition, text: end.text, other_host: None, why: end.why });
        }
        out.push(Output::Close);
        State::Closing
    }

    /// §4.4: the client closed first.
    fn close(&mut self, out: &mut Vec<Output>) -> State {
        if self.is_open {
            out.push(Output::Close);
        }
        out.push(Output::Hangup);
        State::Closed
    }
}

/// §4.8.3, §4.9.3.10: a stanza of another content namespace; §4.9.3.24: anything else that is unknown here.
fn unsupported(nonza: &Nonza) -> StreamCondition {
    match (&*nonza.name, &*nonza.namespace) {
        ("message" | "presence" | "iq", _) => StreamCondition::InvalidNamespace,
        _ => StreamCondition::UnsupportedStanzaType,
    }
}

/// §7.6.1: the client is told its full address.
fn bound(asked: &Stanza, jid: &Jid, out: &mut Vec<Output>) -> State {
    let mut writer = XmlWriter::new();
    writer.open("bind", ns::BIND).open("jid", ns::BIND).text(jid.as_str()).close().close();
    out.push(Output::Stanza(asked.reply(Kind::Iq(IqType::Result), writer.into_payload())));
    State::Live
}
