//! An admin's client and others, without sockets.

use super::*;
use crate::testing::{Client, Scene};

async fn admin() -> (Scene, Client) {
    let scene = Scene::new("").await;
    let escalus = scene.login("escalus").await;
    (scene, escalus)
}

async fn give(client: &Client, attributes: &str, content: &str) -> String {
    let command = format!("<command xmlns='{NS}' {attributes}>{content}</command>");
    client.send(&format!("<iq type='set' id='c' to='verona.example'>{command}</iq>")).await;
    client.receive()
}

const ADD: &str = "node='http://jabber.org/protocol/admin#add-user'";

fn session(answer: &str) -> String {
    let (_, rest) = answer.split_once("sessionid='").unwrap_or_else(|| panic!("{answer}"));
    rest.split('\'').next().unwrap().to_owned()
}

fn submit(fields: &[(&str, &str)]) -> String {
    let fields =
        fields.iter().map(|(var, value)| format!("<field var='{var}'><value>{value}</value></field>"));
    format!("<x xmlns='jabber:x:data' type='submit'>{}</x>", fields.collect::<String>())
}

#[track_caller]
fn refused(answer: &str, condition: &str, specific: &str) {
    assert!(answer.contains("type='error'"), "{answer}");
    for name in [condition, specific] {
        assert!(answer.contains(&format!("<{name} xmlns=")), "no {name}: {answer}");
    }
}

#[tokio::test]
async fn who_is_no_admin_is_refused_and_counted() {
    let (scene, _escalus) = admin().await;
    let romeo = scene.login("romeo").await;
    for node in [ADD, "node='hearth#stop'", "node='nothing'", ""] {
        let answer = give(&romeo, node, "").await;
        assert!(answer.contains("<forbidden xmlns="), "{node}: {answer}");
    }
    assert_eq!(scene.server.metrics().commands_refused.value(), 4);
}

#[tokio::test]
async fn a_user_is_added_in_one_stage() {
    let (scene, escalus) = admin().await;
    let form = give(&escalus, ADD, "").await;
    for part in [
        "status='executing'",
        "<actions execute='complete'><complete/></actions>",
        "<field var='FORM_TYPE' type='hidden'><value>http://jabber.org/protocol/admin</value></field>",
        "<field var='accountjid' type='jid-single' label='the account'><required/></field>",
        "<field var='password' type='text-private' label='its password'><required/></field>",
        "<field var='password-verify' type='text-private'",
    ] {
        assert!(form.contains(part), "no {part}: {form}");
    }
    let again = format!("{ADD} sessionid='{}'", session(&form));
    let filled = [
        ("FORM_TYPE", "http://jabber.org/protocol/admin"),
        ("accountjid", "juliet@verona.example"),
        ("password", "R0m30"),
        ("password-verify", "R0m30"),
        ("email", "juliet@capulet.example"),
    ];
    let done = give(&escalus, &again, &submit(&filled)).await;
    assert!(done.contains("status='completed'"), "{done}");
    assert!(done.contains("<note type='info'>juliet@verona.example was made</note>"), "{done}");
    let juliet = hearth_wire::BareJid::parse("juliet@verona.example").unwrap();
    assert!(scene.server.credentials(&juliet).await.unwrap().is_some());
    refused(&give(&escalus, &again, &submit(&filled)).await, "not-allowed", "session-expired");
}

#[tokio::test]
async fn a_form_that_is_wrong_can_be_put_right() {
    let (_scene, escalus) = admin().await;
    let again = format!("{ADD} sessionid='{}'", session(&give(&escalus, ADD, "").await));
    for wrong in [
        submit(&[("accountjid", "juliet@verona.example")]),
        submit(&[("accountjid", "verona.example"), ("password", "x")]),
        submit(&[("accountjid", "a@verona.example"), ("password", "x"), ("password-verify", "y")]),
        "<x xmlns='jabber:x:data' type='result'/>".to_owned(),
        "<x xmlns='jabber:x:data'/>".to_owned(),
        String::new(),
    ] {
        refused(&give(&escalus, &again, &wrong).await, "bad-request", "bad-payload");
    }
    let right = submit(&[("accountjid", "a@verona.example"), ("password", "x")]);
    assert!(give(&escalus, &again, &right).await.contains("status='completed'"));
}

#[tokio::test]
async fn a_failure_is_a_completed_command_with_a_note() {
    let (_scene, escalus) = admin().await;
    let again = format!("{ADD} sessionid='{}'", session(&give(&escalus, ADD, "").await));
    let taken = submit(&[("accountjid", "escalus@verona.example"), ("password", "x")]);
    let failed = give(&escalus, &again, &taken).await;
    assert!(failed.contains("status='completed'"), "{failed}");
    assert!(failed.contains("<note type='error'>escalus@verona.example exists already</note>"), "{failed}");
}

#[tokio::test]
async fn without_arguments_it_is_done_at_once_and_a_table_is_a_form() {
    let (_scene, escalus) = admin().await;
    let status = give(&escalus, "node='hearth#status' action='execute'", "").await;
    assert!(status.contains("status='completed'"), "{status}");
    let head = "<x xmlns='jabber:x:data' type='result'><reported><field var='what' type='text-single' label='what'/>";
    assert!(status.contains(head), "{status}");
    assert!(status.contains("<field var='what'><value>sessions</value></field>"), "{status}");
}

#[tokio::test]
async fn several_addresses_are_several_values() {
    let (scene, escalus) = admin().await;
    scene.account("tybalt").await;
    scene.account("paris").await;
    let disable = "node='http://jabber.org/protocol/admin#disable-user'";
    let form = give(&escalus, disable, "").await;
    assert!(form.contains("<field var='accountjids' type='jid-multi'"), "{form}");
    let both = "<x xmlns='jabber:x:data' type='submit'><field var='accountjids'><value>tybalt@verona.example</value>\
                <value>paris@verona.example</value></field></x>";
    let done = give(&escalus, &format!("{disable} sessionid='{}'", session(&form)), both).await;
    assert!(done.contains("paris@verona.example is disabled"), "{done}");
}

#[tokio::test]
async fn actions_are_as_the_stage_allows() {
    let (_scene, escalus) = admin().await;
    refused(&give(&escalus, &format!("{ADD} action='jump'"), "").await, "bad-request", "malformed-action");
    refused(&give(&escalus, &format!("{ADD} action='complete'"), "").await, "bad-request", "bad-action");
    refused(&give(&escalus, &format!("{ADD} action='cancel'"), "").await, "bad-request", "bad-action");
    let again = format!("{ADD} sessionid='{}'", session(&give(&escalus, ADD, "").await));
    refused(&give(&escalus, &format!("{again} action='next'"), "").await, "bad-request", "bad-action");
    refused(&give(&escalus, &format!("{again} action='prev'"), "").await, "bad-request", "bad-action");
    let canceled = give(&escalus, &format!("{again} action='cancel'"), "").await;
    assert!(canceled.contains("status='canceled'"), "{canceled}");
    refused(&give(&escalus, &again, "").await, "not-allowed", "session-expired");
    refused(&give(&escalus, &format!("{ADD} sessionid='x'"), "").await, "bad-request", "bad-sessionid");
}

#[tokio::test]
async fn only_english_is_spoken() {
    let (_scene, escalus) = admin().await;
    refused(&give(&escalus, &format!("{ADD} xml:lang='fr-ca'"), "").await, "bad-request", "bad-locale");
    let answer = give(&escalus, &format!("{ADD} xml:lang='en-US'"), "").await;
    assert!(answer.contains("xml:lang='en'"), "{answer}");
    let german =
        format!("<iq type='set' id='c' to='verona.example' xml:lang='de'><command xmlns='{NS}' {ADD}/></iq>");
    escalus.send(&german).await;
    assert!(escalus.receive().contains("status='executing'"), "a client's language in general is no wish");
}

#[tokio::test]
async fn others_see_no_commands_and_give_none() {
    let (scene, escalus) = admin().await;
    let romeo = scene.login("romeo").await;
    let refusal = give(&romeo, ADD, "").await;
    assert!(refusal.contains("<error type='cancel'><forbidden xmlns="), "{refusal}");
    let ask = |what: &str, node: &str| {
        let query = format!("<query xmlns='http://jabber.org/protocol/disco#{what}' node='{node}'/>");
        format!("<iq type='get' id='d' to='verona.example'>{query}</iq>")
    };
    let add = "http://jabber.org/protocol/admin#add-user";
    romeo.send(&ask("items", NS)).await;
    assert!(!romeo.receive().contains("<item"));
    romeo.send(&ask("info", add)).await;
    assert!(romeo.receive().contains("<forbidden"));
    escalus.send(&ask("items", NS)).await;
    let items = escalus.receive();
    assert!(
        items.contains(&format!("<item jid='verona.example' node='{add}' name='Make an account'/>")),
        "{items}"
    );
    assert!(items.contains("node='hearth#status'"), "{items}");
    escalus.send(&ask("info", add)).await;
    let info = escalus.receive();
    assert!(
        info.contains("<identity category='automation' type='command-node' name='Make an account'/>"),
        "{info}"
    );
    assert!(
        info.contains(&format!("<feature var='{NS}'/>")) && info.contains("<feature var='jabber:x:data'/>")
    );
    escalus.send(&ask("info", NS)).await;
    assert!(escalus.receive().contains("type='command-list'"));
}

#[tokio::test]
async fn what_is_no_command_is_not_found() {
    let (_scene, escalus) = admin().await;
    refused(&give(&escalus, "node='nothing'", "").await, "item-not-found", "item-not-found");
    refused(&give(&escalus, "", "").await, "bad-request", "bad-request");
}
