//! The stream machine as a transport drives it: what a client sends as XML, what the server's other parts answer as
//! words, and what comes out as short lines.

use std::sync::Arc;

use expect_test::{Expect, expect};
use hearth_store::Store;
use hearth_wire::{Frame, Framer, FramerLimits, Jid, StanzaCondition, StanzaError, StreamCondition, ns};

use super::machine::{Machine, Setup};
use super::policy::StartTls;
use super::{Input, Output};
use crate::clock::ManualClock;
use crate::ended::Ended;
use crate::host::{HostConfig, Hosts};
use crate::limits::{BIND_ATTEMPTS_MAX, SASL_ATTEMPTS_MAX};
use crate::outbox::End;
use crate::plan::Plan;
use crate::sasl::{ConnectionFacts, Credentials, ITERATIONS_MIN, Password};
use crate::server::{Parts, Server, Settings};

mod matrix;
mod random;

const HEADER: &str = "<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' \
                      to='a.example' version='1.0'>";
const STARTTLS: &str = "<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>";
/// `\0juliet\0secret`.
const PLAIN: &str =
    "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>AGp1bGlldABzZWNyZXQ=</auth>";
/// PLAIN without its first message: the server asks for it.
const PLAIN_LATER: &str = "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'/>";
const RESPONSE: &str = "<response xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>AGp1bGlldABzZWNyZXQ=</response>";
const ABORT: &str = "<abort xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>";
const BIND: &str = "<iq type='set' id='b'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq>";
const MESSAGE: &str = "<message to='romeo@a.example'/>";
const CLOSE: &str = "</stream:stream>";

const LIMITS: FramerLimits =
    FramerLimits { element_bytes_max: 10_000, expansion_bytes_max: 1_024, elements_max: 32, depth_max: 32 };

async fn server() -> Arc<Server> {
    let plan = Plan::build(&[crate::im::MODULE], &Default::default()).unwrap();
    let hosts = [("a.example", None), ("moved.example", Some("b.example:5222"))].map(|(domain, other)| {
        HostConfig { domain: domain.into(), anonymous: true, see_other_host: other.map(Into::into) }
    });
    let store = Store::in_memory(&[crate::account_table::MIGRATIONS]).unwrap();
    let (hosts, clock) = (Hosts::new(&hosts).unwrap(), Arc::new(ManualClock::default()));
    Server::new(Parts { plan, hosts, store, clock, settings: Settings::default() }).await.unwrap()
}

/// A client's side of one stream.
struct Script {
    machine: Machine,
    framer: Framer,
    /// What came out, one line each.
    lines: Vec<String>,
}

impl Script {
    fn new(server: &Arc<Server>, starttls: StartTls, encrypted: bool) -> Self {
        let facts = ConnectionFacts { encrypted, ..ConnectionFacts::default() };
        let machine = Machine::new(Setup { server: Arc::clone(server), starttls }, facts);
        Self { machine, framer: Framer::new(ns::CLIENT, LIMITS), lines: Vec::new() }
    }

    /// Takes one thing that happens: XML of the client's, or a word (see [`word`]).
    fn happens(&mut self, what: &str) {
        if !what.starts_with('<') {
            return self.input(word(what));
        }
        let mut bytes = what.as_bytes();
        loop {
            match self.framer.next(&mut bytes) {
                Ok(None) => return,
                Ok(Some(Frame::Open(header))) => self.input(Input::Header(header)),
                Ok(Some(Frame::Stanza(stanza, flaw))) => self.input(Input::Stanza(stanza, flaw)),
                Ok(Some(Frame::Nonza(nonza))) => self.input(Input::Nonza(nonza)),
                Ok(Some(Frame::Close)) => self.input(Input::Close),
                Err(misbehaved) => return self.input(Input::Misbehaved(misbehaved)),
            }
        }
    }

    fn input(&mut self, input: Input) {
        let mut outputs = Vec::new();
        self.machine.input(input, &mut outputs);
        if outputs.iter().any(|output| matches!(output, Output::Restart)) {
            self.framer.restart();
        }
        self.lines.extend(outputs.iter().map(line));
    }
}

/// What others than the client have to say.
fn word(what: &str) -> Input {
    match what {
        "secured" => Input::Secured(ConnectionFacts { encrypted: true, ..ConnectionFacts::default() }),
        "found" => Input::Credentials(Some(keys())),
        "unknown" => Input::Credentials(None),
        "bound" => Input::Bound(Jid::parse("juliet@a.example/r").unwrap()),
        "conflict" => Input::BindRefused(StanzaError::new(StanzaCondition::Conflict)),
        "answered" => Input::Answered(None),
        "time is up" => Input::TimedOut,
        "shutdown" => Input::End(End {
            condition: Some(StreamCondition::SystemShutdown),
            text: None,
            why: Ended::Shutdown,
        }),
        "gone" => Input::Close,
        other => panic!("unknown word: {other}"),
    }
}

fn keys() -> Credentials {
    static KEYS: std::sync::OnceLock<String> = std::sync::OnceLock::new();
    let text = KEYS.get_or_init(|| {
        let password = Password::new("secret").unwrap();
        let salts = [[1; 16], [2; 16], [3; 16]];
        Credentials::derive(&password, &salts, ITERATIONS_MIN).unwrap().to_text().to_string()
    });
    Credentials::from_text(text, false).unwrap()
}

/// An output as a line: ids and data left out, names kept.
fn line(output: &Output) -> String {
    let names = |payload: &hearth_wire::Payload| {
        let names: Vec<&str> = payload.children().iter().map(|&child| payload.name(child)).collect();
        names.join(" ")
    };
    match output {
        Output::Header(header) => format!("header from {}", header.from),
        Output::Features(payload) => format!("features {}", names(payload)),
        Output::Nonza(payload) => {
            let detail =
                payload.as_str().split('<').nth(2).and_then(|inner| inner.split([' ', '/', '>']).next());
            format!("{} {}", names(payload), detail.unwrap_or_default()).trim_end().to_owned()
        }
        Output::Stanza(stanza) => {
            let mut text = String::new();
            stanza.write(&mut text, None, None);
            text.split('>').next().unwrap_or_default().replace('<', "")
        }
        Output::Error { condition, other_host, .. } => {
            format!("error {} {}", condition.name(), other_host.as_deref().unwrap_or_default())
                .trim_end()
                .into()
        }
        Output::StartTls => "start TLS".into(),
        Output::Restart => "restart".into(),
        Output::Lookup(lookup) => format!("look up {}", lookup.account),
        Output::LoginFailed(_) => "login failed".into(),
        Output::LoggedIn(_, mechanism) => format!("logged in by {mechanism}"),
        Output::PreAuth(..) => "answer before login".into(),
        Output::Bind(resource) => format!("bind {}", resource.as_deref().unwrap_or("any")),
        Output::Live(stanza, _) => format!("route {}", stanza.kind.name()),
        Output::Close => "close".into(),
        Output::Hangup => "hang up".into(),
    }
}

/// What comes out when this happens, on a connection that is in plain text at first.
async fn check(starttls: StartTls, happens: &[&str], expected: Expect) {
    let mut script = Script::new(&server().await, starttls, false);
    happens.iter().for_each(|what| script.happens(what));
    expected.assert_eq(&script.lines.join("\n"));
}

/// The same on a connection that is encrypted, behind the first header.
async fn check_secured(happens: &[&str], expected: Expect) {
    let mut script = Script::new(&server().await, StartTls::Required, true);
    script.happens(HEADER);
    script.lines.clear();
    happens.iter().for_each(|what| script.happens(what));
    expected.assert_eq(&script.lines.join("\n"));
}

#[tokio::test]
async fn a_stream_from_its_first_header_to_its_last_tag() {
    let way =
        [HEADER, STARTTLS, "secured", HEADER, PLAIN, "found", HEADER, BIND, "bound", MESSAGE, CLOSE, MESSAGE];
    check(
        StartTls::Required,
        &way,
        expect![[r#"
            header from a.example
            features starttls
            proceed
            start TLS
            restart
            header from a.example
            features mechanisms
            look up juliet@a.example
            success
            logged in by PLAIN
            restart
            header from a.example
            features bind session ver sub
            bind any
            iq id='b' type='result'
            route message
            close
            hang up"#]],
    )
    .await;
}

#[tokio::test]
async fn a_client_that_must_not_stay_is_told_where_to_go_only_when_nobody_can_change_it() {
    let moved = &HEADER.replace("a.example", "moved.example");
    check(
        StartTls::Required,
        &[moved, STARTTLS, "secured", moved, CLOSE],
        expect![[r#"
            header from moved.example
            features starttls
            proceed
            start TLS
            restart
            header from moved.example
            error see-other-host b.example:5222
            close
            hang up"#]],
    )
    .await;
}

#[tokio::test]
async fn an_error_comes_in_a_stream_even_before_the_client_opened_one() {
    let expected = expect![[r#"
        header from a.example
        error connection-timeout
        close
        hang up"#]];
    check(StartTls::Required, &["time is up", "time is up"], expected).await;
    let expected = expect![[r#"
        header from a.example
        error system-shutdown
        close
        hang up"#]];
    check(StartTls::Required, &["shutdown", "time is up", "shutdown"], expected).await;
}

#[tokio::test]
async fn sasl_out_of_order_fails_and_the_client_may_try_again() {
    check_secured(
        &[RESPONSE, ABORT, PLAIN_LATER, ABORT, PLAIN_LATER, PLAIN_LATER, RESPONSE, "unknown", PLAIN, "found"],
        expect![[r#"
            login failed
            failure malformed-request
            login failed
            failure aborted
            challenge
            login failed
            failure aborted
            challenge
            challenge
            look up juliet@a.example
            login failed
            failure not-authorized
            look up juliet@a.example
            success
            logged in by PLAIN
            restart"#]],
    )
    .await;
}

#[tokio::test]
async fn a_header_without_a_host_goes_to_the_one_that_tls_was_asked_for() {
    let nobody = &HEADER.replace("to='a.example' ", "");
    check_at_first(nobody, None, "header from a.example; error improper-addressing; close").await;
    check_at_first(
        nobody,
        Some("moved.example"),
        "header from moved.example; error see-other-host b.example:5222; close",
    )
    .await;
    // and to that of the stream before
    let mut script = Script::new(&server().await, StartTls::Required, true);
    [HEADER, PLAIN, "found"].iter().for_each(|what| script.happens(what));
    script.lines.clear();
    script.happens(nobody);
    assert_eq!(script.lines, ["header from a.example", "features bind session ver sub"]);
}

async fn check_at_first(header: &str, named: Option<&str>, expected: &str) {
    let mut script = Script::new(&server().await, StartTls::Required, true);
    named.into_iter().for_each(|host| script.machine.name_host(host.into()));
    script.happens(header);
    assert_eq!(script.lines.join("; "), expected);
}

#[tokio::test]
async fn guests_are_offered_what_works_for_them() {
    const ANONYMOUS: &str = "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='ANONYMOUS'/>";
    let mut script = Script::new(&server().await, StartTls::Required, true);
    [HEADER, ANONYMOUS, HEADER].iter().for_each(|what| script.happens(what));
    assert_eq!(script.lines.last().map(String::as_str), Some("features bind session"), "{:?}", script.lines);
}

#[tokio::test]
async fn attempts_to_log_in_and_to_bind_are_counted() {
    let mut script = Script::new(&server().await, StartTls::Required, true);
    script.happens(HEADER);
    let tries = (0..50).take_while(|_| {
        script.happens(PLAIN);
        script.happens("unknown");
        !script.machine.is_closing()
    });
    assert_eq!(tries.count() + 1, usize::from(SASL_ATTEMPTS_MAX));
    assert!(script.lines.ends_with(&["error policy-violation".into(), "close".into()]), "{:?}", script.lines);

    let mut script = Script::new(&server().await, StartTls::Required, true);
    [HEADER, PLAIN, "found", HEADER].iter().for_each(|what| script.happens(what));
    let tries = (0..50).take_while(|_| {
        script.happens(BIND);
        script.happens("conflict");
        !script.machine.is_closing()
    });
    assert_eq!(tries.count() + 1, usize::from(BIND_ATTEMPTS_MAX));
    assert!(script.lines.ends_with(&["error policy-violation".into(), "close".into()]), "{:?}", script.lines);
}
