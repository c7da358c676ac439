//! What the server answers to disco queries.

use hearth_core::iq::Entity;
use hearth_core::module::{Module, Registrar, SetupError};
use hearth_wire::XmlWriter;

use crate::testing::Scene;

fn query(what: &str, to: &str, node: &str) -> String {
    format!("<iq type='get' id='d1' {to}><query xmlns='http://jabber.org/protocol/disco#{what}'{node}/></iq>")
}

#[tokio::test]
async fn the_server_says_what_it_is() {
    let scene = Scene::new("[disco.contact]\nabuse = [\"mailto:abuse@verona.example\"]").await;
    let romeo = scene.login("romeo").await;
    romeo.send(&query("info", "to='verona.example'", "")).await;
    let answer = romeo.receive();
    for part in [
        "<query xmlns='http://jabber.org/protocol/disco#info'><identity category='server' type='im' name='Hearth'/>",
        "<value>mailto:abuse@verona.example</value>",
    ] {
        assert!(answer.contains(part), "{answer}");
    }
    for feature in scene.server.plan().features(Entity::Server) {
        assert_eq!(answer.matches(&format!("<feature var='{feature}'/>")).count(), 1, "{feature}");
    }
    romeo.send(&query("info", "to='verona.example'", "")).await;
    assert_eq!(romeo.receive(), answer, "the same bytes again");
}

#[tokio::test]
async fn an_account_says_what_it_is_to_its_owner() {
    let scene = Scene::new("").await;
    let romeo = scene.login("romeo").await;
    for to in ["", "to='romeo@verona.example'"] {
        romeo.send(&query("info", to, "")).await;
        let answer = romeo.receive();
        assert!(answer.contains("<identity category='account' type='registered'/>"), "{answer}");
        assert!(answer.contains("<feature var='http://jabber.org/protocol/disco#items'/>"), "{answer}");
        assert!(answer.starts_with("<iq from='romeo@verona.example' "), "{answer}");
    }
}

#[tokio::test]
async fn a_guest_is_told_that_its_account_does_not_last() {
    let scene = Scene::new("").await;
    let guest = scene.guest().await;
    guest.send(&query("info", "", "")).await;
    assert!(guest.receive().contains("<identity category='account' type='anonymous'/>"));
}

#[tokio::test]
async fn a_stranger_cannot_tell_an_account_from_none() {
    let scene = Scene::new("").await;
    let romeo = scene.login("romeo").await;
    let juliet = scene.login("juliet").await;
    juliet.available().await;
    for (what, node, expected) in [
        ("info", "", "service-unavailable"),
        ("info", " node='x'", "service-unavailable"),
        ("items", "", "<query xmlns='http://jabber.org/protocol/disco#items'/>"),
        ("items", " node='x'", "<query xmlns='http://jabber.org/protocol/disco#items' node='x'/>"),
    ] {
        let mut answers = Vec::new();
        for name in ["juliet", "nobody"] {
            romeo.send(&query(what, &format!("to='{name}@verona.example'"), node)).await;
            answers.push(romeo.receive().replace(name, "X"));
        }
        assert!(answers[0].contains(expected), "{}", answers[0]);
        assert_eq!(answers[0], answers[1]);
    }
}

#[tokio::test]
async fn a_contact_sees_the_account_and_its_available_resources() {
    let scene = Scene::new("").await;
    let romeo = scene.login("romeo").await;
    let juliet = scene.login("juliet").await;
    scene.subscribe("romeo", "juliet").await;
    romeo.send(&query("info", "to='juliet@verona.example'", "")).await;
    assert!(romeo.receive().contains("<identity category='account' type='registered'/>"));
    romeo.send(&query("items", "to='juliet@verona.example'", "")).await;
    assert!(
        romeo.receive().contains("<query xmlns='http://jabber.org/protocol/disco#items'/>"),
        "none available"
    );
    juliet.available().await;
    romeo.send(&query("items", "to='juliet@verona.example'", "")).await;
    assert!(romeo.receive().contains("<item jid='juliet@verona.example/r'/>"));
}

#[tokio::test]
async fn own_items_are_all_connected_resources() {
    let scene = Scene::new("").await;
    let romeo = scene.login("romeo").await;
    romeo.send(&query("items", "", "")).await;
    assert!(romeo.receive().contains("<item jid='romeo@verona.example/r'/>"));
}

#[tokio::test]
async fn an_unknown_node_is_not_found_and_an_empty_one_is_none() {
    let scene = Scene::new("").await;
    let romeo = scene.login("romeo").await;
    for (what, to) in
        [("info", "to='verona.example'"), ("items", "to='verona.example'"), ("info", ""), ("items", "")]
    {
        romeo.send(&query(what, to, " node='nowhere'")).await;
        let answer = romeo.receive();
        assert!(answer.contains("item-not-found") && answer.contains("node='nowhere'"), "{answer}");
        romeo.send(&query(what, to, " node=''")).await;
        let answer = romeo.receive();
        assert!(answer.contains("type='result'") && answer.contains(" node=''"), "{answer}");
    }
}

#[tokio::test]
async fn answers_are_made_anew_after_a_reload() {
    fn tell_a_limit(m: &mut Registrar<'_>) -> Result<(), SetupError> {
        m.info_form(|server, _| {
            let mut writer = XmlWriter::new();
            writer
                .open("limit", "urn:test")
                .text(&server.settings().limits.roster_items_max.to_string())
                .close();
            Some(writer.into_payload())
        });
        Ok(())
    }
    let scene =
        Scene::with_modules(&[Module { name: "limit", xeps: &[], needs: &[], register: tell_a_limit }]).await;
    let romeo = scene.login("romeo").await;
    let ask = query("info", "to='verona.example'", "");
    romeo.send(&ask).await;
    assert!(romeo.receive().contains("<limit xmlns='urn:test'>2000</limit>"));
    scene.reload("", |limits| limits.roster_items_max = 7);
    romeo.send(&ask).await;
    assert!(romeo.receive().contains("<limit xmlns='urn:test'>7</limit>"));
}

#[tokio::test]
async fn contact_addresses_change_without_a_restart() {
    let scene = Scene::new("").await;
    let romeo = scene.login("romeo").await;
    let ask = query("info", "to='verona.example'", "");
    romeo.send(&ask).await;
    assert!(!romeo.receive().contains("abuse-addresses"));
    scene.reload("[disco.contact]\nabuse = ['mailto:abuse@verona.example']", |_| ());
    romeo.send(&ask).await;
    assert!(romeo.receive().contains("<value>mailto:abuse@verona.example</value>"));
    let bad = toml::from_str("[disco.contact]\nabuse = ['nobody']").unwrap();
    assert!(scene.server.plan().read_settings(&bad).unwrap_err().to_string().contains("is no URI"));
}
