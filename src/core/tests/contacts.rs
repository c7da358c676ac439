//! Contacts: subscriptions made by many at once end the same on both sides and in the store, what a client missed brings
//! it to the same roster, directed presence is taken back, and guests leave nothing behind (RFC 6121 §2.6, §3, §4.6).

#![allow(clippy::unwrap_used, reason = "a test ends here")]

mod common;

use std::collections::BTreeMap;
use std::sync::Arc;

use common::{Client, DOMAIN, accounts, bare, server, server_on, server_with};
use expect_test::expect;
use hearth_core::account::Account;
use hearth_core::limits::{DIRECTED_PRESENCE_MAX, Limits};
use hearth_core::sasl::Identity;
use hearth_core::server::{Server, Settings};

const PEOPLE: usize = 50;

fn name(n: usize) -> String {
    format!("p{n}")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn everybody_with_everybody_at_once_agrees() {
    let server = server().await;
    for n in 0..PEOPLE {
        accounts(&server, &[&name(n)]).await;
    }
    let askers: Vec<_> = (0..PEOPLE)
        .map(|me| {
            let server = server.clone();
            tokio::spawn(async move {
                let client = Client::bind(&server, &name(me), "r").await;
                for other in (0..PEOPLE).map(|n| (n + me) % PEOPLE).filter(|other| *other != me) {
                    for kind in ["subscribed", "subscribe"] {
                        let to = format!("{}@{DOMAIN}", name(other));
                        client.send(&format!("<presence type='{kind}' to='{to}'/>")).await;
                    }
                }
                client.lose();
            })
        })
        .collect();
    for asker in askers {
        asker.await.unwrap();
    }
    let again = server_on(server.store().clone()).await;
    for server in [&server, &again] {
        for me in 0..PEOPLE {
            let account = server.account(&bare(&name(me))).await.unwrap();
            account.with(|state| {
                assert_eq!(state.roster.items().len(), PEOPLE - 1);
                for item in state.roster.items() {
                    assert_eq!(item.subscription.attribute(), "both", "{me} {item:?}");
                    assert!(!item.subscription.pending_in && !item.subscription.pending_out, "{me} {item:?}");
                }
            });
        }
    }
}

/// The items of a roster result or of pushes, by address; `None`: removed.
fn apply(roster: &mut BTreeMap<String, String>, xml: &str) {
    for item in xml.split("<item ").skip(1) {
        let item = item.split("</query>").next().unwrap().trim_end_matches("</item>").to_owned();
        let jid = item.split("jid='").nth(1).unwrap().split('\'').next().unwrap().to_owned();
        match item.contains("subscription='remove'") {
            true => roster.remove(&jid),
            false => roster.insert(jid, item),
        };
    }
}

fn get(ver: &str) -> String {
    format!("<iq type='get' id='g'><query xmlns='jabber:iq:roster' ver='{ver}'/></iq>")
}

/// Reads results and pushes as a client does.
fn take(client: &mut Client, roster: &mut BTreeMap<String, String>) {
    client.take(usize::MAX);
    while let Some(text) = client.write() {
        apply(roster, &text);
    }
}

/// The version of a client's roster now.
fn version(client: &Client) -> String {
    client.session.account.with(|state| state.roster.ver(state.roster.version()))
}

async fn roster(client: &mut Client, ver: &str) -> BTreeMap<String, String> {
    client.send(&get(ver)).await;
    let mut roster = BTreeMap::new();
    take(client, &mut roster);
    roster
}

#[tokio::test]
async fn what_was_missed_and_the_whole_are_the_same_roster() {
    let server = server().await;
    accounts(&server, &["juliet"]).await;
    let mut juliet = Client::bind(&server, "juliet", "r").await;
    let mut seen = Vec::new();
    for n in 0..60 {
        juliet.rest();
        let version = version(&juliet);
        seen.push((version, roster(&mut juliet, "").await));
        // every third one is removed again later, every fifth changed
        let change = match n {
            n if n % 7 == 6 => format!("jid='c{}@x.example' subscription='remove'", n - 6),
            n if n % 5 == 4 => format!("jid='c{}@x.example' name='new {n}'", n - 1),
            n => format!("jid='c{n}@x.example' name='n{n}'"),
        };
        juliet
            .send(&format!(
                "<iq type='set' id='s'><query xmlns='jabber:iq:roster'><item {change}/></query></iq>"
            ))
            .await;
    }
    let whole = roster(&mut juliet, "").await;
    assert!(whole.len() > 30);
    let now = version(&juliet);
    for (version, mut known) in seen {
        juliet.send(&get(&version)).await;
        take(&mut juliet, &mut known);
        assert_eq!(known, whole, "what was missed since {version}");
    }
    assert!(roster(&mut juliet, &now).await.is_empty(), "nothing was missed");
}

/// Whoever has more contacts than a limit that was lowered can still change them and withdraw, and those withdraw
/// from it: otherwise the two rosters would say different things (RFC 6121 §3.2.2, §3.3.3).
#[tokio::test]
async fn a_roster_beyond_its_limit_is_still_its_owners() {
    let server = server().await;
    let people = ["juliet", "romeo", "nurse", "mercutio", "paris"];
    accounts(&server, &people).await;
    let juliet = Client::bind(&server, "juliet", "r").await;
    for other in &people[1..4] {
        let other = Client::bind(&server, other, "r").await;
        other.send(&format!("<presence type='subscribe' to='juliet@{DOMAIN}'/>")).await;
        juliet.send(&format!("<presence type='subscribed' to='{}'/>", other.session.account.jid)).await;
        juliet.send(&format!("<presence type='subscribe' to='{}'/>", other.session.account.jid)).await;
        other.send(&format!("<presence type='subscribed' to='juliet@{DOMAIN}'/>")).await;
    }
    let limits = Limits { roster_items_max: 2, ..Limits::default() };
    let lowered = server_with(server.store().clone(), Settings { limits, ..Settings::default() }).await;
    let mut juliet = Client::bind(&lowered, "juliet", "r").await;
    let mut romeo = Client::bind(&lowered, "romeo", "r").await;
    let nurse = Client::bind(&lowered, "nurse", "r").await;
    let set = |item: &str| {
        format!("<iq type='set' id='s'><query xmlns='jabber:iq:roster'><item {item}/></query></iq>")
    };
    juliet.send(&format!("<presence type='unsubscribed' to='romeo@{DOMAIN}'/>")).await;
    juliet.send(&format!("<presence type='unsubscribe' to='romeo@{DOMAIN}'/>")).await;
    nurse.send(&format!("<presence type='unsubscribe' to='juliet@{DOMAIN}'/>")).await;
    juliet.send(&set(&format!("jid='mercutio@{DOMAIN}' name='Cousin'"))).await;
    assert_eq!(juliet.rest(), "iq s result\n");
    juliet.send(&set("jid='paris@x.example'")).await;
    juliet.send(&format!("<presence type='subscribe' id='p' to='paris@{DOMAIN}'/>")).await;
    assert_eq!(juliet.rest(), "iq s error: cancel not-allowed\npresence p error: cancel not-allowed\n");
    let seen = async |of: &mut Client| roster(of, "").await.into_values().collect::<Vec<_>>().join("\n");
    expect![[r#"
        jid='mercutio@verona.example' name='Cousin' subscription='both'/>
        jid='nurse@verona.example' subscription='to'/>
        jid='romeo@verona.example' subscription='none'/>"#]]
    .assert_eq(&seen(&mut juliet).await);
    expect!["jid='juliet@verona.example' subscription='none'/>"].assert_eq(&seen(&mut romeo).await);
}

#[tokio::test]
async fn a_damaged_contact_leaves_the_others_usable() {
    let server = server().await;
    accounts(&server, &["romeo", "juliet", "nurse"]).await;
    let juliet = Client::bind(&server, "juliet", "r").await;
    for (contact, request) in [("romeo", "subscribe"), ("nurse", "subscribe")] {
        juliet.send(&format!("<presence type='{request}' to='{contact}@{DOMAIN}'/>")).await;
    }
    for damage in [
        "UPDATE core_roster_item SET groups = 'x' WHERE jid LIKE 'nurse@%'",
        "UPDATE core_roster_item SET groups = '[]', subscription = 1000 WHERE jid LIKE 'nurse@%'",
        "UPDATE core_roster_item SET subscription = 0, request = '<' WHERE jid LIKE 'nurse@%'",
        "UPDATE core_roster_item SET request = NULL, name = X'FF' WHERE jid LIKE 'nurse@%'",
        "UPDATE core_roster_item SET name = NULL, jid = '@' WHERE jid LIKE 'nurse@%'",
    ] {
        server.store().write(move |sql| sql.run(damage, &[])).await.unwrap();
        let again = server_on(server.store().clone()).await;
        let mut juliet = Client::bind(&again, "juliet", "r").await;
        let seen = roster(&mut juliet, "").await;
        assert_eq!(seen.keys().collect::<Vec<_>>(), [&format!("romeo@{DOMAIN}")], "{damage}");
        assert_eq!(again.metrics().roster_items_damaged.value(), 1, "{damage}");
    }
    // a row that can be found is written anew by the next change
    let again = server_on(server.store().clone()).await;
    let romeo = Client::bind(&again, "romeo", "r").await;
    let damage = "UPDATE core_roster_item SET groups = 'x' WHERE jid LIKE 'juliet@%'";
    server.store().write(move |sql| sql.run(damage, &[])).await.unwrap();
    romeo.send(&format!("<presence type='subscribe' to='juliet@{DOMAIN}'/>")).await;
    let again = server_on(server.store().clone()).await;
    let mut romeo = Client::bind(&again, "romeo", "r").await;
    assert_eq!(roster(&mut romeo, "").await.len(), 1);
}

#[tokio::test]
async fn directed_presence_is_taken_back_once() {
    let server = server().await;
    accounts(&server, &["romeo", "juliet"]).await;
    let mut romeo = Client::online(&server, "romeo", "r").await;
    let juliet = Client::bind(&server, "juliet", "r").await;
    for _ in 0..2 {
        juliet.send(&format!("<presence to='romeo@{DOMAIN}'/>")).await;
    }
    romeo.rest();
    juliet.lose();
    expect!["presence unavailable\n"].assert_eq(&romeo.rest());
}

#[tokio::test]
async fn directed_presence_beyond_the_limit_is_refused_and_the_rest_is_taken_back() {
    let server = server().await;
    accounts(&server, &["romeo", "juliet"]).await;
    let mut romeo = Client::online(&server, "romeo", "r").await;
    let mut juliet = Client::bind(&server, "juliet", "r").await;
    juliet.send(&format!("<presence to='romeo@{DOMAIN}'/>")).await;
    for n in 1..DIRECTED_PRESENCE_MAX {
        juliet.send(&format!("<presence to='romeo@{DOMAIN}/{n}'/>")).await;
    }
    expect!["presence\n"].assert_eq(&romeo.rest());
    expect![""].assert_eq(&juliet.rest());

    juliet.send(&format!("<presence to='romeo@{DOMAIN}/r' id='more'/>")).await;
    expect!["presence more error: wait resource-constraint\n"].assert_eq(&juliet.rest());
    expect![""].assert_eq(&romeo.rest());
    // whoever has it already may hear more, and taking one back makes room
    juliet.send(&format!("<presence to='romeo@{DOMAIN}'><show>away</show></presence>")).await;
    juliet.send(&format!("<presence to='romeo@{DOMAIN}/1' type='unavailable'/>")).await;
    juliet.send(&format!("<presence to='romeo@{DOMAIN}/r'/>")).await;
    expect![""].assert_eq(&juliet.rest());
    expect!["presence\npresence\n"].assert_eq(&romeo.rest());
    juliet.lose();
    expect!["presence unavailable\npresence unavailable\n"].assert_eq(&romeo.rest());
}

#[tokio::test]
async fn a_guest_leaves_nothing_behind() {
    let server = server().await;
    let guest = || Identity::Anonymous { trace: None };
    let long = "r".repeat(2_000);
    assert!(Client::bind_as(&server, guest(), &long).await.is_err());
    assert_eq!(server.accounts().count(), 0, "it could not be bound");
    let one = Client::bind_as(&server, guest(), "r").await.unwrap();
    let two = Client::bind_as(&server, guest(), "r").await.unwrap();
    one.send("<presence/>").await;
    one.send(&format!("<message to='{}'><body>hi</body></message>", two.session.jid)).await;
    assert_eq!(server.accounts().count(), 2);
    two.lose();
    one.lose();
    assert_eq!((server.accounts().count(), server.session_count()), (0, 0));
}

/// Makes `watcher` a subscriber of `watched`.
async fn subscribe(watcher: &Client, watched: &Client) {
    for (client, kind, other) in [(watched, "subscribed", watcher), (watcher, "subscribe", watched)] {
        let other = other.session.account.jid.as_str();
        client.send(&format!("<presence type='{kind}' to='{other}'/>")).await;
    }
}

/// Whether the last that a client heard of this resource is that it is there.
fn believes_there(client: &mut Client, resource: &str) -> bool {
    client.take(usize::MAX);
    let from = format!("from='{resource}'");
    let about = std::iter::from_fn(|| client.write()).filter(|text| text.contains(&from));
    about.last().is_some_and(|text| !text.contains("type='unavailable'"))
}

/// Waits without giving way to other tasks, for use under an account's lock.
fn spin(done: impl Fn() -> bool) {
    while !done() {
        std::thread::yield_now();
    }
}

/// A lock that was long held goes to the next in line, but not twice in a row: then whoever is quick has it first.
fn have_turn_taken(account: &Arc<Account>) {
    let next = account.with(|_| {
        let account = account.clone();
        let next = std::thread::spawn(move || account.with(|_| ()));
        let_others_wait();
        let_others_wait();
        next
    });
    next.join().unwrap();
}

/// Lets others run until they wait for a lock.
fn let_others_wait() {
    (0..100).for_each(|_| std::thread::yield_now());
}

/// Juliet is there and subscribed to romeo, of whom a session is connected without presence.
async fn watched() -> (Arc<Server>, Client, Client) {
    let server = server().await;
    accounts(&server, &["romeo", "juliet"]).await;
    let juliet = Client::online(&server, "juliet", "r").await;
    let first = Client::bind(&server, "romeo", "first").await;
    subscribe(&juliet, &first).await;
    (server, juliet, first)
}

/// Whoever waits for a lock has to wake up first, so who comes then mostly overtakes him.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn who_is_replaced_while_he_becomes_available_leaves_no_ghost() {
    let (server, mut juliet, first) = watched().await;
    let (romeo, watcher) = (first.session.account.clone(), juliet.session.account.clone());
    let resource = format!("romeo@{DOMAIN}/r");
    for round in 0..300 {
        let old = Client::bind(&server, "romeo", "r").await;
        have_turn_taken(&watcher);
        let available = watcher.with(|_| {
            let available = tokio::spawn(async move {
                old.send("<presence/>").await;
                old
            });
            spin(|| romeo.with(|state| state.available().next().is_some()));
            let_others_wait();
            available
        });
        let new = Client::bind(&server, "romeo", "r").await;
        let old = available.await.unwrap();
        assert!(!believes_there(&mut juliet, &resource), "round {round}");
        new.send("<presence/>").await;
        old.lose();
        assert!(believes_there(&mut juliet, &resource), "round {round}");
        new.lose();
        assert!(!believes_there(&mut juliet, &resource), "round {round}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn who_comes_again_while_he_is_missed_is_not_thought_away() {
    let (server, mut juliet, first) = watched().await;
    let (romeo, watcher) = (first.session.account.clone(), juliet.session.account.clone());
    for round in 0..300 {
        let old = Client::online(&server, "romeo", "r").await;
        have_turn_taken(&watcher);
        let left = watcher.with(|_| {
            let left = tokio::spawn(async move { old.lose() });
            spin(|| romeo.with(|state| state.resource("r").is_none()));
            let_others_wait();
            left
        });
        let new = Client::online(&server, "romeo", "r").await;
        left.await.unwrap();
        assert!(believes_there(&mut juliet, &format!("romeo@{DOMAIN}/r")), "round {round}");
        new.lose();
        juliet.rest();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn who_leaves_while_he_is_shown_to_a_new_subscriber_leaves_no_ghost() {
    let server = server().await;
    accounts(&server, &["romeo", "juliet"]).await;
    let mut juliet = Client::online(&server, "juliet", "r").await;
    let watcher = juliet.session.account.clone();
    let mut first = Some(Client::bind(&server, "romeo", "first").await);
    let romeo = first.as_ref().unwrap().session.account.clone();
    for round in 0..300 {
        let leaving = Client::online(&server, "romeo", "r").await;
        juliet.send(&format!("<presence type='subscribe' to='romeo@{DOMAIN}'/>")).await;
        let sender = first.take().unwrap();
        let shown = tokio::spawn(async move {
            sender.send(&format!("<presence type='subscribed' to='juliet@{DOMAIN}'/>")).await;
            sender
        });
        // as soon as juliet has the answer, his presence follows
        let is_answered = || {
            watcher.with(|state| {
                let answered = state.roster.subscription(romeo.jid.as_str()).to;
                if answered {
                    let_others_wait();
                }
                answered
            })
        };
        spin(is_answered);
        leaving.lose();
        first = Some(shown.await.unwrap());
        assert!(!believes_there(&mut juliet, &format!("romeo@{DOMAIN}/r")), "round {round}");
        juliet.send(&format!("<presence type='unsubscribe' to='romeo@{DOMAIN}'/>")).await;
        juliet.rest();
    }
}
