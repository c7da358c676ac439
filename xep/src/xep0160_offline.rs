//! XEP-0160: Best Practices for Handling Offline Messages, version 1.0.1; with the hints of XEP-0334 and the exception
//! for XEP-0085.   https://xmpp.org/extensions/xep-0160.html
//!
//! Which messages are kept when nobody is there to take them. How they are kept, in which order they are given, and that
//! none is lost or doubled, is the core's.

use hearth_core::iq::Entity;
use hearth_core::metrics::Counter;
use hearth_core::module::{Module, Registrar, SetupError, Support, Xep};
use hearth_core::stage::{Hook, Interest, Passage, Stage, Step};
use hearth_wire::{Child, MessageType, Payload, Stanza, StanzaCondition, StanzaError};

use crate::vocab::hints;

/// Keeps messages.
pub(crate) const MODULE: Module = Module {
    name: "offline",
    xeps: &[
        Xep {
            number: 160,
            version: "1.0.1",
            support: Support::Complete,
            title: "Best Practices for Handling Offline Messages",
        },
        Xep { number: 334, version: "1.0.0", support: Support::Partial, title: "Message Processing Hints" },
    ],
    needs: &["delay"],
    register,
};

const CHAT_STATES: &str = "http://jabber.org/protocol/chatstates";
/// XEP-0359: an id says nothing by itself.
const IDS: &str = "urn:xmpp:sid:0";

fn register(m: &mut Registrar<'_>) -> Result<(), SetupError> {
    m.feature(Entity::Server, "msgoffline");
    let full = m.metric("offline_full_total", "Messages refused because the account keeps as many as it may");
    let transient = m.metric(
        "stanzas_dropped_total{reason=\"transient\"}",
        "Stanzas dropped: a message of the moment that nobody was there to take (XEP-0160 §3)",
    );
    m.hook(Stage::Unclaimed, Interest::MESSAGE, Offline { full, transient })
}

struct Offline {
    full: Counter,
    transient: Counter,
}

/// What a message that nobody takes is worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Worth {
    /// It is kept.
    Keep,
    /// It is of the moment: nobody misses it.
    Transient,
    /// It is not to be kept, and its sender has to know that it did not arrive.
    Refuse,
}

impl Hook for Offline {
    fn pass(&self, passage: &mut Passage<'_>) -> Step {
        match worth(passage.stanza) {
            Worth::Transient => Step::Drop(self.transient.clone()),
            Worth::Refuse => Step::Refuse(StanzaError::new(StanzaCondition::ServiceUnavailable)),
            Worth::Keep
                if passage.account.log.kept >= passage.server.settings().limits.offline_messages_max =>
            {
                // §2: the queue is full
                self.full.up();
                Step::Refuse(StanzaError::new(StanzaCondition::ServiceUnavailable))
            }
            Worth::Keep => Step::Keep,
        }
    }
}

/// §3, and XEP-0334 §4: where hints contradict each other, the more careful one counts. `<no-permanent-store/>` is about
/// archives (§4.1) and allows this (§3.3).
fn worth(message: &Stanza) -> Worth {
    match message.message_type() {
        Some(MessageType::Normal | MessageType::Chat) => {}
        // groupchat, headline and error never come here (RFC 6121 §8.5.4)
        _ => return Worth::Refuse,
    }
    let payload = &*message.payload;
    let has_content = payload.children().iter().any(|&child| is_content(payload, child));
    if hints::no_store(payload) {
        // RFC 6121 §8.5.2.2.1: what somebody wrote is kept or answered with an error
        let written = payload.find_content("body").is_some();
        return if written { Worth::Refuse } else { Worth::Transient };
    }
    if has_content || hints::store(payload) { Worth::Keep } else { Worth::Transient }
}

/// Whether the child is more than a chat state and what accompanies one (XEP-0085 §5).
fn is_content(payload: &Payload, child: Child) -> bool {
    match payload.namespace(child) {
        Some(CHAT_STATES | IDS | hints::NS) => false,
        Some(_) => true,
        None => payload.name(child) != "thread",
    }
}

#[cfg(test)]
mod tests {
    use hearth_wire::framer::read_stanza;

    use super::*;
    use crate::testing::Scene;

    fn check(kind: &str, content: &str, expected: Worth) {
        let text = format!("<message xmlns='jabber:client' type='{kind}'>{content}</message>");
        assert_eq!(worth(&read_stanza(&text).unwrap()), expected, "{text}");
    }

    #[test]
    fn what_says_something_is_kept() {
        for kind in ["normal", "chat", "odd"] {
            check(kind, "<body>hi</body>", Worth::Keep);
            check(kind, "<subject>hi</subject>", Worth::Keep);
            check(kind, "<received xmlns='urn:xmpp:receipts' id='1'/>", Worth::Keep);
            check(
                kind,
                "<encrypted xmlns='eu.siacs.conversations.axolotl'/><store xmlns='urn:xmpp:hints'/>",
                Worth::Keep,
            );
            check(
                kind,
                "<body>hi</body><active xmlns='http://jabber.org/protocol/chatstates'/>",
                Worth::Keep,
            );
            check(kind, "<body>hi</body><no-permanent-store xmlns='urn:xmpp:hints'/>", Worth::Keep);
            check(kind, "<body>hi</body><no-copy xmlns='urn:xmpp:hints'/>", Worth::Keep);
        }
    }

    #[test]
    fn what_is_of_the_moment_is_not_kept_and_not_missed() {
        let composing = "<composing xmlns='http://jabber.org/protocol/chatstates'/>";
        check("chat", composing, Worth::Transient);
        check("normal", composing, Worth::Transient);
        check(
            "chat",
            &format!("{composing}<thread>t</thread><origin-id xmlns='urn:xmpp:sid:0' id='o'/>"),
            Worth::Transient,
        );
        check("chat", &format!("{composing}<no-permanent-store xmlns='urn:xmpp:hints'/>"), Worth::Transient);
        check("chat", "<x xmlns='urn:x'/><no-store xmlns='urn:xmpp:hints'/>", Worth::Transient);
        check("chat", "", Worth::Transient);
        check("chat", &format!("{composing}<store xmlns='urn:xmpp:hints'/>"), Worth::Keep);
    }

    #[test]
    fn what_was_written_but_must_not_be_kept_is_refused() {
        check("chat", "<body>secret</body><no-store xmlns='urn:xmpp:hints'/>", Worth::Refuse);
        check(
            "chat",
            "<body>s</body><no-store xmlns='urn:xmpp:hints'/><store xmlns='urn:xmpp:hints'/>",
            Worth::Refuse,
        );
        for kind in ["groupchat", "headline", "error"] {
            check(kind, "<body>hi</body><store xmlns='urn:xmpp:hints'/>", Worth::Refuse);
        }
    }

    #[tokio::test]
    async fn what_a_session_was_given_but_did_not_write_is_given_to_the_next() {
        let scene = Scene::new("").await;
        let romeo = scene.login("romeo").await;
        scene.account("juliet").await;
        romeo.send("<message to='juliet@verona.example' id='m1'><body>hi</body></message>").await;
        let juliet = scene.login("juliet").await;
        juliet.send("<presence/>").await;
        juliet.drained().await;
        juliet.leave();
        let juliet = scene.login("juliet").await;
        juliet.available().await;
        assert!(juliet.receive_soon().await.contains("<body>hi</body>"));
        juliet.drained().await;
        juliet.leave();
        let juliet = scene.login("juliet").await;
        juliet.available().await;
        juliet.drained().await;
        juliet.receives_nothing();
    }

    #[tokio::test]
    async fn a_full_account_refuses_and_takes_again_once_it_was_emptied() {
        let scene = Scene::with_limits("", |limits| limits.offline_messages_max = 2).await;
        let romeo = scene.login("romeo").await;
        scene.account("juliet").await;
        let send =
            |id: &str| format!("<message to='juliet@verona.example' id='{id}'><body>{id}</body></message>");
        for id in ["m1", "m2"] {
            romeo.send(&send(id)).await;
            romeo.receives_nothing();
        }
        romeo.send(&send("m3")).await;
        let refused = romeo.receive();
        assert!(
            refused.contains("id='m3' type='error'") && refused.contains("service-unavailable"),
            "{refused}"
        );
        let juliet = scene.login("juliet").await;
        juliet.available().await;
        for id in ["m1", "m2"] {
            assert!(juliet.receive_soon().await.contains(&format!("<body>{id}</body>")));
        }
        juliet.drained().await;
        juliet.leave();
        romeo.send(&send("m4")).await;
        romeo.receives_nothing();
    }
}
