//! XEP-0199: XMPP Ping, version 2.0.1.   https://xmpp.org/extensions/xep-0199.html
//!
//! Answers pings to the server and to accounts, and has silent clients asked, so that dead connections are found (§4.1).

use hearth_core::iq::{Entity, IqCall, IqResult, Reply, Verb};
use hearth_core::live::Objection;
use hearth_core::module::{Keepalive, Module, Registrar, SetupError, Support, Xep};
use hearth_core::session::Session;
use hearth_wire::{IqType, Jid, Kind, Stanza, StanzaCondition, StanzaError, XmlWriter};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::vocab::access;

/// Asks and answers.
pub(crate) const MODULE: Module = Module {
    name: "ping",
    xeps: &[Xep { number: 199, version: "2.0.1", support: Support::Complete, title: "XMPP Ping" }],
    needs: &["disco"],
    register,
};

const NS: &str = "urn:xmpp:ping";

/// When silent clients are asked for a sign of life.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct Config {
    /// Seconds without a byte from a client before it is pinged; 0: never.
    ask_after_s: u32,
    /// Seconds a pinged client has to send anything at all, before its connection counts as dead.
    answer_within_s: u32,
}

impl Default for Config {
    fn default() -> Self {
        Self { ask_after_s: 300, answer_within_s: 60 }
    }
}

impl Config {
    fn judge(&self) -> Result<(), Objection> {
        if self.ask_after_s == 0 || self.answer_within_s > 0 {
            return Ok(());
        }
        let text = "with 0, every silent connection would end";
        Err(Objection::new("answer_within_s", text, "choose at least 1; to ask nobody, set ask_after_s = 0"))
    }

    fn keepalive(&self) -> Option<Keepalive> {
        let Self { ask_after_s, answer_within_s } = *self;
        (ask_after_s > 0).then_some(Keepalive { ask_after_s, answer_within_s, ask })
    }
}

fn register(m: &mut Registrar<'_>) -> Result<(), SetupError> {
    let config = m.config(Config::judge)?;
    m.keepalive(move || config.now().keepalive())?;
    for on in [Entity::Server, Entity::Own, Entity::Account] {
        m.feature(on, NS);
        m.iq(Verb::Get, on, (NS, "ping"), answer)?;
    }
    Ok(())
}

/// §4.2; for an account only to whom it shows its presence (RFC 6121 §8.5.1: to others it may as well not exist).
async fn answer(call: IqCall) -> IqResult {
    if call.on == Entity::Server || access::visible(&call).is_some() {
        Ok(Reply::empty())
    } else {
        Err(StanzaError::new(StanzaCondition::ServiceUnavailable))
    }
}

/// §4.1. Whatever the client answers, an error too, is a sign of life.
fn ask(session: &Session) -> Stanza {
    let mut writer = XmlWriter::new();
    writer.open("ping", NS).close();
    let mut stanza = Stanza::new(Kind::Iq(IqType::Get), writer.into_payload());
    stanza.id = Some(format!("ping{}", session.active_ms()).into());
    stanza.from = Some(Jid::from(&session.host.domain));
    stanza.to = Some(session.jid.clone());
    stanza
}

#[cfg(test)]
mod tests {
    use crate::testing::Scene;

    const PING: &str = "<ping xmlns='urn:xmpp:ping'/>";

    #[tokio::test]
    async fn server_and_own_account_answer() {
        let scene = Scene::new("").await;
        let romeo = scene.login("romeo").await;
        for to in ["", "to='verona.example'", "to='romeo@verona.example'"] {
            romeo.send(&format!("<iq type='get' id='p1' {to}>{PING}</iq>")).await;
            let answer = romeo.receive();
            assert!(answer.contains("id='p1' type='result'/>"), "{answer}");
        }
    }

    #[tokio::test]
    async fn an_account_answers_whom_it_shows_its_presence_and_nobody_else_learns_of_it() {
        let scene = Scene::new("").await;
        let romeo = scene.login("romeo").await;
        scene.account("juliet").await;
        let ping = |to: &str| format!("<iq type='get' id='p1' to='{to}@verona.example'>{PING}</iq>");
        let mut answers = Vec::new();
        for to in ["juliet", "nobody"] {
            romeo.send(&ping(to)).await;
            answers.push(romeo.receive().replace(to, "X"));
        }
        assert!(answers[0].contains("service-unavailable"));
        assert_eq!(answers[0], answers[1]);
        scene.subscribe("romeo", "juliet").await;
        romeo.send(&ping("juliet")).await;
        assert!(romeo.receive().contains("type='result'"));
    }

    #[tokio::test]
    async fn a_silent_client_is_asked_by_its_host() {
        let scene = Scene::new("[ping]\nask_after_s = 5\nanswer_within_s = 7").await;
        let romeo = scene.login("romeo").await;
        let keepalive = scene.server.plan().keepalive().unwrap();
        assert_eq!((keepalive.ask_after_s, keepalive.answer_within_s), (5, 7));
        let mut text = String::new();
        (keepalive.ask)(&romeo.session).write(&mut text, None, None);
        let expected = "<iq from='verona.example' to='romeo@verona.example/r' id='ping0' type='get'>\
                        <ping xmlns='urn:xmpp:ping'/></iq>";
        assert_eq!(text, expected);
    }

    #[tokio::test]
    async fn when_they_are_asked_changes_without_a_restart() {
        let scene = Scene::new("[ping]\nask_after_s = 5").await;
        scene.reload("[ping]\nask_after_s = 6", |_| ());
        assert_eq!(scene.server.plan().keepalive().unwrap().ask_after_s, 6);
        scene.reload("[ping]\nask_after_s = 0", |_| ());
        assert!(scene.server.plan().keepalive().is_none());
    }

    #[tokio::test]
    async fn who_is_never_asked_stays() {
        assert!(Scene::new("[ping]\nask_after_s = 0").await.server.plan().keepalive().is_none());
        let refused = Scene::plan("[ping]\nanswer_within_s = 0").unwrap_err().to_string();
        assert!(refused.contains("ask_after_s = 0"), "{refused}");
    }
}
