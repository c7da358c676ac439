//! Nothing is dropped without being counted: what dies with a session, answers to those who have gone, and what a client
//! that does not read is not given (design: nothing silent).

#![allow(clippy::unwrap_used, reason = "a test ends here")]

mod common;

use std::sync::Arc;

use common::{Client, DOMAIN, FLEETING, accounts, chat, server, stanza};
use hearth_core::ended::Ended;
use hearth_core::router::Flow;
use hearth_wire::{StanzaCondition, StanzaError};

const ROSTER: &str = "xmlns='jabber:iq:roster'";

#[tokio::test]
async fn answers_pushes_and_presence_that_were_not_read_are_counted_with_their_session() {
    let server = server().await;
    accounts(&server, &["romeo"]).await;
    let romeo = Client::bind(&server, "romeo", "orchard").await;
    romeo.send(&format!("<iq type='get' id='r1'><query {ROSTER}/></iq>")).await;
    let set = format!("<query {ROSTER}><item jid='juliet@{DOMAIN}'/></query>");
    romeo.send(&format!("<iq type='set' id='r2'>{set}</iq>")).await;
    romeo.send("<presence/>").await;
    assert_eq!(romeo.session.outbox.load().0, 4, "two results, a push, and its own presence");
    assert_eq!(server.metrics().dropped_session.value(), 0);
    romeo.lose();
    assert_eq!(server.metrics().dropped_session.value(), 4);
}

#[tokio::test]
async fn answers_to_who_has_gone_are_counted() {
    let server = server().await;
    accounts(&server, &["romeo"]).await;
    let romeo = Client::bind(&server, "romeo", "orchard").await;
    let session = Arc::clone(&romeo.session);
    romeo.lose();
    let flow =
        server.accept(&session, stanza("<iq type='get' id='q'><query xmlns='urn:example:none'/></iq>"), None);
    assert!(matches!(flow, Flow::Done));
    assert_eq!(server.metrics().dropped_session.value(), 1);
    for sender in ["romeo", "nobody"] {
        let mut message = stanza(&chat("juliet", "m1"));
        message.from = Some(format!("{sender}@{DOMAIN}/orchard").parse().unwrap());
        server.bounce(&message, &StanzaError::new(StanzaCondition::ServiceUnavailable));
    }
    assert_eq!(server.metrics().dropped_error.value(), 2);
}

#[tokio::test]
async fn a_slow_reader_is_counted_once_and_what_it_is_not_given_each_time() {
    let server = server().await;
    accounts(&server, &["romeo", "juliet"]).await;
    let juliet = Client::online(&server, "juliet", "balcony").await;
    let mut romeo = Client::bind(&server, "romeo", "orchard").await;
    let to = juliet.session.jid.clone();
    let message = format!(
        "<message to='{to}' id='m'><x xmlns='{FLEETING}'/><body>{}</body></message>",
        "x".repeat(60_000)
    );
    let mut refused = 0;
    while refused < 3 {
        romeo.send(&message).await;
        refused += romeo.rest().lines().count();
    }
    let metrics = server.metrics();
    assert_eq!((metrics.slow_readers.value(), metrics.dropped_session.value()), (1, 0), "romeo was told");
    let (_, end) = juliet.session.outbox.take(usize::MAX, |_| ());
    assert_eq!(end.unwrap().why, Ended::SlowReader);
    let _other = Client::online(&server, "juliet", "garden").await;
    assert_eq!((metrics.slow_readers.value(), metrics.dropped_session.value()), (1, 1), "its presence");
}
