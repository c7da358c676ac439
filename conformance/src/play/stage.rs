//! A scenario in play: its users, connections and variables.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use super::players::{cast, register};
use crate::client::{Connection, Credentials, Received, Target, deadline_in};
use crate::scenario::{Action, Escaping, Scenario, Step, Template, Times, Vars};
use crate::secrets::Secrets;
use crate::server::Server;
use crate::xml::{CLIENT, Element};

/// How long anything may take that has no time of its own.
pub(super) const STEP_S: u64 = 10;

/// Why a scenario failed, ready to be shown.
#[derive(Clone, Debug)]
pub(crate) struct Failure {
    pub(crate) line: usize,
    pub(crate) why: String,
    /// Of the connection in question.
    pub(crate) transcript: String,
}

/// A connection with what the runner knows about it.
pub(super) struct Client {
    pub(super) connection: Connection,
    /// The host to which its stream is addressed.
    pub(super) host: String,
    /// The full JID, once bound.
    pub(super) jid: Option<String>,
    /// Whether it has sent available presence.
    pub(super) available: bool,
    /// Full JIDs whose available presence is passed over once: `connects` caused it.
    pub(super) presence_once: Vec<String>,
    /// Bare JIDs whose unavailable presence is passed over once: it answers the probe that `connects` caused.
    pub(super) unavailable_once: Vec<String>,
    /// Stanzas that are passed over, always.
    pub(super) ignored: Vec<Template>,
}

impl Client {
    pub(super) fn new(connection: Connection, host: String) -> Self {
        Self {
            connection,
            host,
            jid: None,
            available: false,
            presence_once: Vec::new(),
            unavailable_once: Vec::new(),
            ignored: Vec::new(),
        }
    }

    /// Whether the scenario does not get to see this; asked once for each thing that came.
    pub(super) fn passes_over(&mut self, received: &Received, wanted: &[Template]) -> bool {
        let Received::Element(element) = received else { return false };
        if element.is(CLIENT, "presence") {
            let from = element.attribute("from").unwrap_or_default();
            match element.attribute("type") {
                None if take(&mut self.presence_once, from) => return true,
                // RFC 6121 §4.3.2: a server should answer the probe of an offline contact, and need not.
                Some("unavailable")
                    if !wanted.iter().any(|template| template.check(element).is_ok())
                        && take(&mut self.unavailable_once, from) =>
                {
                    return true;
                }
                _ => {}
            }
        }
        self.ignored.iter().any(|template| template.check(element).is_ok())
    }

    /// Whether stanzas can be exchanged.
    pub(super) fn is_bound(&self) -> bool {
        self.jid.is_some() && !self.connection.is_gone()
    }
}

/// Takes one value out of a list, if it is there.
fn take(list: &mut Vec<String>, value: &str) -> bool {
    let found = list.iter().position(|other| other == value);
    found.map(|index| list.swap_remove(index)).is_some()
}

/// All that a step may need.
pub(super) struct Play<'a> {
    pub(super) target: &'a Target,
    pub(super) vars: Vars,
    pub(super) users: HashMap<String, Credentials>,
    pub(super) clients: BTreeMap<String, Client>,
    /// (a, b): a sees the presence of b.
    pub(super) watching: Vec<(String, String)>,
    /// Numbers the runner's own pings.
    pub(super) pings: u32,
    /// What was received on connections that are over.
    pub(super) seen: Vec<Received>,
    /// The server, when it is this scenario's own.
    pub(super) server: Option<Arc<Server>>,
    pub(super) secrets: Secrets,
}

/// What is left of a play.
pub(crate) struct Played {
    pub(crate) result: Result<(), Failure>,
    /// Everything that the server sent.
    pub(crate) seen: Vec<Received>,
    /// What must not be in the server's log.
    pub(crate) secrets: Secrets,
}

/// Plays a scenario. `server` is there when it is the scenario's own.
pub(crate) async fn play(scenario: &Scenario, target: &Target, server: Option<Arc<Server>>) -> Played {
    let mut play = Play {
        target,
        vars: Vars::default(),
        users: HashMap::new(),
        clients: BTreeMap::new(),
        watching: Vec::new(),
        pings: 0,
        seen: Vec::new(),
        server,
        secrets: Secrets::default(),
    };
    let result = play.all(scenario).await;
    let mut seen = std::mem::take(&mut play.seen);
    for client in play.clients.values_mut() {
        seen.append(&mut client.connection.seen);
    }
    Played { result, seen, secrets: play.secrets }
}

impl Play<'_> {
    async fn all(&mut self, scenario: &Scenario) -> Result<(), Failure> {
        if let Err(why) = self.cast(scenario).await {
            return Err(Failure { line: 1, why, transcript: String::new() });
        }
        for step in &scenario.steps {
            if let Err(why) = self.step(step).await {
                let transcript = self.clients.get(&step.who).map(|client| client.connection.transcript());
                return Err(Failure { line: step.line, why, transcript: transcript.unwrap_or_default() });
            }
        }
        for client in self.clients.values_mut() {
            client.connection.say_goodbye(deadline_in(STEP_S)).await;
        }
        Ok(())
    }

    async fn cast(&mut self, scenario: &Scenario) -> Result<(), String> {
        self.vars.set("host", &self.target.host);
        self.vars.set("host2", &self.target.host2);
        for user in scenario.users() {
            let credentials = cast(&user, self.target, &mut self.vars)?;
            self.secrets.password(&credentials.name, &credentials.password);
            if user.account {
                let mut stream = register(self.target, &credentials, deadline_in(STEP_S)).await?;
                self.seen.append(&mut stream.seen);
            }
            self.users.insert(user.name, credentials);
        }
        Ok(())
    }

    async fn step(&mut self, step: &Step) -> Result<(), String> {
        let who = step.who.as_str();
        match &step.action {
            Action::Contacts { other, mutual } => self.make_contacts(who, other, *mutual).await,
            Action::Connect(options) => self.connect(who, options).await,
            Action::Disconnect => self.disconnect(who).await,
            Action::Drop => self.drop_connection(who),
            Action::HangUp => self.hang_up(who).await,
            Action::StopReading => self.set_reading(who, false),
            Action::ReadOn => self.set_reading(who, true),
            Action::ReadToTheEnd => self.read_to_the_end(who).await,
            Action::Ping => self.ping(who).await.map(|_| ()),
            Action::SendCutOff { payload } => self.send_cut_off(who, payload).await,
            Action::HasReceivedNothing => self.has_received_nothing(who).await,
            Action::Fault(fault) => self.fault(fault).await,
            Action::Send { payload, how, times } => self.send(who, payload, *how, times).await,
            Action::Receive { payload, any_order: true, within_s, .. } => {
                self.receive_any_order(who, payload, *within_s).await
            }
            Action::Receive { payload, times, within_s, .. } => {
                self.receive(who, payload, times, *within_s).await
            }
            Action::ReceiveNothing => self.receive_nothing(who).await,
            Action::Ignore { payload } => self.ignore(who, payload),
            Action::Reach { stage, options } => self.reach(who, stage, options).await,
            Action::OpenConnection { direct_tls, options } => {
                self.open_connection(who, *direct_tls, options).await
            }
            Action::OpenStream { attributes } => self.open_stream(who, attributes).await,
            Action::ReceiveHeader { attributes } => self.receive_header(who, attributes).await,
            Action::StartTls { tls } => self.start_tls(who, *tls).await,
            Action::Handshake { tls } => self.handshake(who, *tls).await,
            Action::Authenticate { user, options, to_the_end } => {
                self.authenticate(who, user, options, *to_the_end).await
            }
            Action::RestartStream => self.restart_stream(who).await,
            Action::Bind { resource } => self.bind(who, resource.as_deref()).await,
            Action::ReceiveStreamError { conditions, after_header } => {
                self.receive_stream_error(who, conditions, *after_header).await
            }
            Action::CloseStream => self.close_stream(who).await,
            Action::ReceiveStreamClose => self.receive_stream_close(who).await,
            Action::SeeClosed => self.see_closed(who).await,
            Action::CloseConnection => {
                self.client(who)?.connection.close().await;
                Ok(())
            }
        }
    }

    /// The client of that name, connected or not.
    pub(super) fn client(&mut self, who: &str) -> Result<&mut Client, String> {
        self.clients.get_mut(who).ok_or_else(|| format!("{who} has not connected"))
    }

    /// Puts a new connection in the place of one that is over.
    pub(super) fn enter(&mut self, who: &str, client: Client) -> Result<(), String> {
        if let Some(before) = self.clients.get(who)
            && !before.connection.is_gone()
        {
            return Err(format!("{who} is connected already"));
        }
        if let Some(mut before) = self.clients.insert(who.to_owned(), client) {
            self.seen.append(&mut before.connection.seen);
        }
        Ok(())
    }

    pub(super) fn user(&self, name: &str) -> Result<Credentials, String> {
        self.users.get(name).cloned().ok_or_else(|| format!("no user {name}"))
    }

    /// The templates of a payload.
    pub(super) fn templates(&self, payload: &str, turn: Option<u32>) -> Result<Vec<Template>, String> {
        Template::parse_all(&self.vars.turn(payload, Escaping::Xml, turn)?)
    }

    /// Where a repetition's counter stands.
    pub(super) fn counted(&self, times: &Times) -> Result<u32, String> {
        let Some(value) = times.counter.as_deref().and_then(|name| self.vars.get(name)) else { return Ok(0) };
        value.parse().map_err(|_| format!("`{value}` is no number to count on from"))
    }

    /// Puts a repetition's counter where it stands now.
    pub(super) fn count(&mut self, times: &Times, counted: u32) {
        if let Some(name) = &times.counter {
            self.vars.set(name, counted.to_string());
        }
    }

    /// Keeps what a template captured.
    pub(super) fn keep(&mut self, captures: crate::scenario::Captures) {
        for (name, value) in captures {
            self.vars.set(&name, value);
        }
    }
}

/// How a thing that came reads in a message.
pub(super) fn describe(received: Option<&Received>) -> String {
    match received {
        None => "nothing came in time".to_owned(),
        Some(Received::Header(header)) => format!("a stream header came: {}", header.element),
        Some(Received::Element(element)) => format!("this came: {}", cut(element)),
        Some(Received::StreamClose) => "</stream:stream> came".to_owned(),
        Some(Received::Closed(why)) => format!("the server closed the connection {why}"),
        Some(Received::Bad(why)) => format!("the server sent what it may not send: {why}"),
    }
}

fn cut(element: &Element) -> String {
    let mut text = element.to_string();
    if text.len() > 3000 {
        text.truncate(text.floor_char_boundary(3000));
        text.push('…');
    }
    text
}
