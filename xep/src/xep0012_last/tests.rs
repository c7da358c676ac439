//! What is answered about the last activity, to whom, and that it is remembered.

use crate::testing::Scene;

fn ask(to: &str) -> String {
    format!("<iq type='get' id='l1' {to}><query xmlns='jabber:iq:last'/></iq>")
}

const JULIET: &str = "to='juliet@verona.example'";

#[tokio::test]
async fn the_server_tells_how_long_it_runs() {
    let scene = Scene::new("").await;
    let romeo = scene.login("romeo").await;
    scene.clock.set(123_456_999);
    romeo.send(&ask("to='verona.example'")).await;
    assert!(romeo.receive().contains("<query xmlns='jabber:iq:last' seconds='123456'/>"));
}

#[tokio::test]
async fn a_contact_learns_when_the_user_left_and_what_the_user_said() {
    let scene = Scene::new("").await;
    let romeo = scene.login("romeo").await;
    let juliet = scene.login("juliet").await;
    scene.subscribe("romeo", "juliet").await;
    romeo.send(&ask(JULIET)).await;
    assert!(romeo.receive().contains("<query xmlns='jabber:iq:last' seconds='0'/>"), "connected");
    juliet.available().await;
    juliet.send("<presence type='unavailable'><status>Heading Home</status></presence>").await;
    scene.clock.set(97_000);
    juliet.leave();
    scene.clock.set(1_000_000);
    romeo.send(&ask(JULIET)).await;
    assert!(romeo.receive().contains("<query xmlns='jabber:iq:last' seconds='903'>Heading Home</query>"));
}

#[tokio::test]
async fn it_is_remembered_by_the_store() {
    let scene = Scene::new("").await;
    let juliet = scene.login("juliet").await;
    juliet.available().await;
    scene.clock.set(5_000);
    juliet.leave();
    scene.settle().await;
    let scene = scene.restarted().await;
    let romeo = scene.login("romeo").await;
    scene.subscribe("romeo", "juliet").await;
    scene.clock.set(65_000);
    romeo.send(&ask(JULIET)).await;
    assert!(romeo.receive().contains("<query xmlns='jabber:iq:last' seconds='60'/>"));
}

#[tokio::test]
async fn who_was_never_here_is_not_found() {
    let scene = Scene::new("").await;
    let romeo = scene.login("romeo").await;
    scene.account("juliet").await;
    scene.subscribe("romeo", "juliet").await;
    romeo.send(&ask(JULIET)).await;
    assert!(romeo.receive().contains("item-not-found"));
}

#[tokio::test]
async fn a_stranger_is_forbidden_whether_there_is_such_an_account_or_not() {
    let scene = Scene::new("").await;
    let romeo = scene.login("romeo").await;
    scene.account("juliet").await;
    let mut answers = Vec::new();
    for name in ["juliet", "nobody"] {
        romeo.send(&ask(&format!("to='{name}@verona.example'"))).await;
        answers.push(romeo.receive().replace(name, "X"));
    }
    assert!(answers[0].contains("<error type='auth'><forbidden "), "{}", answers[0]);
    assert_eq!(answers[0], answers[1]);
}

#[tokio::test]
async fn a_resource_is_asked_only_by_whom_it_shows_itself_to() {
    let scene = Scene::new("").await;
    let romeo = scene.login("romeo").await;
    let juliet = scene.login("juliet").await;
    juliet.available().await;
    let to = format!("to='{}'", juliet.jid());
    romeo.send(&ask(&to)).await;
    assert!(romeo.receive().contains("forbidden"));
    romeo.send(&ask("to='juliet@verona.example/elsewhere'")).await;
    assert!(romeo.receive().contains("forbidden"));
    juliet.receives_nothing();
    scene.subscribe("romeo", "juliet").await;
    romeo.send(&ask(&to)).await;
    assert!(juliet.receive().contains("<query xmlns='jabber:iq:last'/>"));
}

#[tokio::test(start_paused = true)]
async fn the_end_of_a_killed_server_is_not_forgotten() {
    let scene = Scene::new("").await;
    let juliet = scene.login("juliet").await;
    juliet.available().await;
    scene.clock.set(900_000);
    // nobody leaves: the server is killed some time after its round
    tokio::time::sleep(std::time::Duration::from_secs(16 * 60)).await;
    scene.settle().await;
    let scene = scene.restarted().await;
    let romeo = scene.login("romeo").await;
    scene.subscribe("romeo", "juliet").await;
    scene.clock.set(1_900_000);
    romeo.send(&ask(JULIET)).await;
    assert!(romeo.receive().contains("<query xmlns='jabber:iq:last' seconds='1000'/>"));
}
