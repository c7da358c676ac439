//! Registration as clients see it.

use std::net::IpAddr;

use hearth_core::iq::Verb;
use hearth_core::stream::feature::FeatureContext;
use hearth_core::stream::register::{self, PreAuthCall};
use hearth_wire::{BareJid, framer};

use crate::testing::Scene;

const OPEN: &str = "[register]\nopen = true\nattempts_per_address_and_hour = 3";

fn set(content: &str) -> String {
    format!("<iq type='set' id='r1'><query xmlns='jabber:iq:register'>{content}</query></iq>")
}

fn fields(name: &str, password: &str) -> String {
    set(&format!("<username>{name}</username><password>{password}</password>"))
}

/// What a stranger is answered.
async fn stranger(scene: &Scene, peer: &str, iq: &str) -> String {
    let stanza = framer::read_stanza(&iq.replace("<iq ", "<iq xmlns='jabber:client' ")).unwrap();
    let entry = scene.server.plan().pre_auth().first().unwrap().clone();
    let call = PreAuthCall {
        server: scene.server.clone(),
        host: scene.host().clone(),
        peer: peer.parse::<IpAddr>().unwrap(),
        secured: true,
        verb: if iq.contains("'get'") { Verb::Get } else { Verb::Set },
        stanza,
    };
    let mut text = String::new();
    register::answer(entry, call).await.unwrap().write(&mut text, None, None);
    text
}

async fn exists(scene: &Scene, jid: &str) -> bool {
    scene.server.account(&BareJid::parse(jid).unwrap()).await.is_ok()
}

#[tokio::test]
async fn a_stranger_makes_an_account() {
    let scene = Scene::new(OPEN).await;
    let get = "<iq type='get' id='r0'><query xmlns='jabber:iq:register'/></iq>";
    let form = stranger(&scene, "192.0.2.1", get).await;
    for part in ["<username/><password/>", "<x xmlns='jabber:x:data' type='form'>", "<required/>"] {
        assert!(form.contains(part), "{form}");
    }
    let made = stranger(&scene, "192.0.2.1", &fields("Romeo", "secret")).await;
    assert_eq!(made, "<iq from='verona.example' id='r1' type='result'/>");
    assert!(exists(&scene, "romeo@verona.example").await);
    let taken = stranger(&scene, "192.0.2.1", &fields("romeo", "other")).await;
    assert!(taken.contains("<conflict "), "{taken}");
}

#[tokio::test]
async fn bad_data_is_not_acceptable() {
    let scene = Scene::new(OPEN).await;
    for (name, password) in [("", "pw"), ("romeo", ""), ("a@b", "pw"), ("admin", "pw"), ("romeo", "a\u{80}")]
    {
        let answer = stranger(&scene, "192.0.2.1", &fields(name, password)).await;
        assert!(answer.contains("<error type='modify'><not-acceptable "), "{name} {password} {answer}");
    }
    let answer = stranger(&scene, "192.0.2.1", &set("<username>romeo</username>")).await;
    assert!(answer.contains("not-acceptable"), "{answer}");
    let answer = stranger(&scene, "192.0.2.1", &set("<remove/>")).await;
    assert!(answer.contains("unexpected-request"), "{answer}");
    assert!(!exists(&scene, "romeo@verona.example").await);
}

#[tokio::test]
async fn attempts_are_limited_and_the_machine_itself_may_be_exempt() {
    let scene = Scene::new(&format!("{OPEN}\nloopback_unlimited = true")).await;
    for n in 0..3 {
        assert!(stranger(&scene, "192.0.2.1", &fields(&format!("user{n}"), "pw")).await.contains("result"));
    }
    let refused = stranger(&scene, "192.0.2.1", &fields("user4", "pw")).await;
    assert!(refused.contains("<error type='wait'><resource-constraint "), "{refused}");
    for n in 5..9 {
        assert!(stranger(&scene, "127.0.0.1", &fields(&format!("user{n}"), "pw")).await.contains("result"));
    }
}

#[tokio::test]
async fn closed_registration_is_no_service() {
    let scene = Scene::new("").await;
    for iq in
        [fields("romeo", "pw"), "<iq type='get' id='r0'><query xmlns='jabber:iq:register'/></iq>".to_owned()]
    {
        assert!(stranger(&scene, "192.0.2.1", &iq).await.contains("service-unavailable"));
    }
    assert!(!is_offered(&scene) && is_offered(&Scene::new(OPEN).await));
}

/// Whether the stream features tell of registration.
fn is_offered(scene: &Scene) -> bool {
    let (server, host) = (&*scene.server, &*scene.host());
    let context = FeatureContext { server, host, secured: true, guest: false, offer: None };
    let feature = server.plan().stream_features().find(|feature| feature.name == "register").unwrap();
    feature.offer(&context).is_some()
}

#[tokio::test]
async fn a_user_is_told_what_is_on_file() {
    let scene = Scene::new("").await;
    let romeo = scene.login("romeo").await;
    for to in ["", "to='verona.example'"] {
        romeo.send(&format!("<iq type='get' id='r0' {to}><query xmlns='jabber:iq:register'/></iq>")).await;
        let answer = romeo.receive();
        assert!(
            answer.contains("<registered/>") && answer.contains("<username>romeo</username><password/>"),
            "{answer}"
        );
    }
}

#[tokio::test]
async fn a_new_password_ends_the_other_sessions() {
    let scene = Scene::new("").await;
    let (romeo, other) = (scene.login("romeo").await, scene.login_as("romeo", "other").await);
    let jid = BareJid::parse("romeo@verona.example").unwrap();
    let before = scene.server.credentials(&jid).await.unwrap().unwrap().to_text().to_string();
    romeo.send(&fields("romeo", "new")).await;
    assert!(romeo.receive().contains("id='r1' type='result'/>"));
    assert_ne!(scene.server.credentials(&jid).await.unwrap().unwrap().to_text().to_string(), before);
    assert_eq!(other.ended().as_deref(), Some("not-authorized"));
    assert_eq!(romeo.ended(), None);
}

#[tokio::test]
async fn a_refused_password_is_kept_out_of_the_answer_and_the_old_one_holds() {
    let scene = Scene::new("").await;
    let romeo = scene.login("romeo").await;
    let jid = BareJid::parse("romeo@verona.example").unwrap();
    let before = scene.server.credentials(&jid).await.unwrap().unwrap().to_text().to_string();
    for (request, condition) in [
        (fields("juliet", "hush"), "not-acceptable"),
        (fields("romeo", ""), "bad-request"),
        (fields("romeo", "hush\u{80}"), "not-acceptable"),
        (set("<password>hush</password>"), "bad-request"),
        (set("<username>romeo</username>"), "bad-request"),
        (set("<remove/><password>hush</password>"), "bad-request"),
    ] {
        romeo.send(&request).await;
        let answer = romeo.receive();
        assert!(answer.contains(condition) && !answer.contains("hush"), "{request}\n{answer}");
    }
    assert_eq!(scene.server.credentials(&jid).await.unwrap().unwrap().to_text().to_string(), before);
}

#[tokio::test]
async fn a_password_is_not_changed_where_others_can_read_it() {
    let scene = Scene::new("").await;
    let romeo = scene.login_from("romeo", "192.0.2.1:5000", None).await;
    romeo.send(&fields("romeo", "new")).await;
    assert!(romeo.receive().contains("not-authorized"));
    let romeo = scene.login_from("romeo", "192.0.2.1:5000", Some("TLSv1.3")).await;
    romeo.send(&fields("romeo", "new")).await;
    assert!(romeo.receive().contains("type='result'"));
}

#[tokio::test]
async fn a_removed_account_is_gone_and_its_sessions_end_after_the_answer() {
    let scene = Scene::new("").await;
    let (romeo, other) = (scene.login("romeo").await, scene.login_as("romeo", "other").await);
    romeo.send(&set("<remove/>")).await;
    assert!(romeo.receive().contains("id='r1' type='result'/>"));
    assert_eq!(romeo.ended().as_deref(), Some("not-authorized"));
    assert_eq!(other.ended().as_deref(), Some("not-authorized"));
    assert!(!exists(&scene, "romeo@verona.example").await);
}

#[tokio::test]
async fn a_guest_and_a_user_of_another_host_have_nothing_to_change_here() {
    let scene = Scene::new("").await;
    let guest = scene.guest().await;
    let romeo = scene.login("romeo").await;
    let there = |iq: String| iq.replace("id=", "to='mantua.example' id=");
    for (client, remove, change) in [
        (&guest, set("<remove/>"), fields("x", "new")),
        (&romeo, there(set("<remove/>")), there(fields("romeo", "new"))),
    ] {
        client.send(&remove).await;
        assert!(client.receive().contains("registration-required"));
        client.send(&change).await;
        assert!(client.receive().contains("unexpected-request"));
    }
}

#[tokio::test]
async fn registration_opens_and_closes_without_a_restart() {
    let scene = Scene::new("").await;
    let get = "<iq type='get' id='r0'><query xmlns='jabber:iq:register'/></iq>";
    assert!(stranger(&scene, "192.0.2.1", get).await.contains("<service-unavailable "));
    scene.reload(OPEN, |_| ());
    assert!(is_offered(&scene) && stranger(&scene, "192.0.2.1", get).await.contains("<required/>"));
    scene.reload("", |_| ());
    assert!(!is_offered(&scene));
    assert!(stranger(&scene, "192.0.2.1", get).await.contains("<service-unavailable "));
}
