//! Delivery to an account whose clients come and go: stored, drained, handed on; in order, once, and nothing silent
//! (RFC 6120 §10.1, RFC 6121 §8.5, XEP-0160).

#![allow(clippy::unwrap_used, reason = "a test ends here")]

mod common;

use std::sync::Arc;
use std::sync::mpsc::sync_channel;

use common::{Client, DOMAIN, FLEETING, MIGRATIONS, accounts, chat, messages, server_on, two};
use expect_test::{Expect, expect};
use hearth_core::ended::Ended;
use hearth_core::outbox::End;
use hearth_core::server::Server;
use hearth_store::{Options, Store};

fn check(client: &mut Client, expected: Expect) {
    expected.assert_eq(&client.rest());
}

/// Sends juliet so many messages, `m0` and so on.
async fn send_many(romeo: &Client, count: usize, message: fn(&str, &str) -> String) {
    for n in 0..count {
        romeo.send(&message("juliet", &format!("m{n}"))).await;
    }
}

/// A session of juliet that has been given all that waited for her.
async fn come(server: &Arc<Server>, resource: &str) -> Client {
    let client = Client::online(server, "juliet", resource).await;
    client.drained().await;
    client
}

/// Lets everything that waits for the store come to its end.
async fn settled(server: &Server) {
    for _ in 0..3 {
        server.store().write(|_| Ok(())).await.unwrap();
        tokio::task::yield_now().await;
    }
}

/// Holds the store's writer until the sender is dropped or speaks.
fn hold(server: &Server) -> std::sync::mpsc::SyncSender<()> {
    let (go, wait) = sync_channel::<()>(1);
    // the place of the job before is given back a moment after that has answered
    let permit = loop {
        match server.store().try_reserve() {
            Ok(permit) => break permit,
            Err(_) => std::thread::yield_now(),
        }
    };
    permit.submit_then(
        move |_| {
            let _ = wait.recv();
            Ok(())
        },
        |_| (),
    );
    go
}

#[tokio::test]
async fn offline_messages_come_once_in_order_and_only_to_the_first_who_is_ready() {
    let (server, romeo) = two().await;
    for text in ["m1", "m2", "m3"] {
        romeo.send(&chat("juliet", text)).await;
    }
    let mut negative = Client::bind(&server, "juliet", "negative").await;
    negative.send("<presence><priority>-1</priority></presence>").await;
    negative.drained().await;
    check(&mut negative, expect!["presence\n"]);
    let mut first = come(&server, "first").await;
    negative.rest();
    check(&mut first, expect!["presence\nmessage m1 chat\nmessage m2 chat\nmessage m3 chat\n"]);
    let mut second = come(&server, "second").await;
    second.rest();
    check(&mut negative, expect!["presence\n"]);
    second.lose();
    first.lose();
    settled(&server).await;
    let mut later = come(&server, "later").await;
    check(&mut later, expect!["presence\n"]);
}

#[tokio::test]
async fn a_session_that_ends_in_mid_drain_leaves_the_rest_to_the_next() {
    let (server, romeo) = two().await;
    send_many(&romeo, 250, chat).await;
    let mut given = Vec::new();
    // 7 are written, some more lie in the buffer, the rest in queue and store
    for _ in 0..3 {
        let mut juliet = Client::online(&server, "juliet", "r").await;
        for _ in 0..7 {
            given.push(juliet.next().await);
        }
        juliet.take(300);
        juliet.lose();
    }
    let mut juliet = Client::online(&server, "juliet", "r").await;
    while given.len() < 250 {
        given.push(juliet.next().await);
    }
    juliet.drained().await;
    check(&mut juliet, expect![""]);
    let expected: Vec<String> = (0..250).map(|n| format!("message m{n} chat")).collect();
    assert_eq!(given, expected);
}

#[tokio::test]
async fn a_drain_goes_on_at_another_session_that_is_there_already() {
    let (server, romeo) = two().await;
    send_many(&romeo, 150, chat).await;
    let mut first = Client::online(&server, "juliet", "first").await;
    assert_eq!(first.next().await, "message m0 chat");
    let mut second = Client::online(&server, "juliet", "second").await;
    assert_eq!(second.rest(), "presence\n", "the presence of the first");
    first.lose();
    let mut given = Vec::new();
    while given.len() < 149 {
        given.extend(Some(second.next().await).filter(|line| line.starts_with("message")));
    }
    let expected: Vec<String> = (1..150).map(|n| format!("message m{n} chat")).collect();
    assert_eq!(given, expected);
}

#[tokio::test]
async fn what_was_not_written_finds_one_other_way() {
    let (server, mut romeo) = two().await;
    let mut juliet = Client::online(&server, "juliet", "r").await;
    for text in ["m1", "m2", "m3"] {
        romeo.send(&chat("juliet", text)).await;
    }
    romeo.send(&format!("<iq type='get' id='q' to='juliet@{DOMAIN}/r'><x xmlns='urn:x'/></iq>")).await;
    juliet.take(1);
    juliet.write();
    juliet.lose();
    settled(&server).await;
    check(&mut romeo, expect!["iq q error: cancel service-unavailable\n"]);
    let mut juliet = come(&server, "r").await;
    check(&mut juliet, expect!["message m2 chat\nmessage m3 chat\n"]);
}

#[tokio::test]
async fn what_others_were_given_too_is_not_given_again() {
    let (server, romeo) = two().await;
    let first = Client::online(&server, "juliet", "first").await;
    let mut second = Client::online(&server, "juliet", "second").await;
    second.rest();
    romeo.send(&chat("juliet", "m1")).await;
    first.lose();
    settled(&server).await;
    check(&mut second, expect!["message m1 chat\npresence unavailable\n"]);
}

#[tokio::test]
async fn a_replaced_session_hands_over_what_it_did_not_write() {
    let (server, romeo) = two().await;
    let mut old = Client::online(&server, "juliet", "r").await;
    romeo.send(&chat("juliet", "m1")).await;
    let mut new = Client::bind(&server, "juliet", "r").await;
    old.take(usize::MAX);
    assert_eq!(old.end.as_ref().unwrap().condition.unwrap().name(), "conflict");
    romeo.send(&chat("juliet", "m2")).await;
    new.send("<presence/>").await;
    romeo.send(&chat("juliet", "m3")).await;
    old.lose();
    settled(&server).await;
    new.drained().await;
    check(&mut new, expect!["presence\nmessage m1 chat\nmessage m2 chat\nmessage m3 chat\n"]);
}

#[tokio::test]
async fn a_message_whose_row_fails_is_refused_and_nobody_sees_it() {
    let (server, mut romeo) = two().await;
    let nothing_goes = "CREATE TRIGGER log_no BEFORE INSERT ON log BEGIN SELECT RAISE(ABORT, 'no'); END";
    server.store().write(|sql| sql.run(nothing_goes, &[])).await.unwrap();
    romeo.send(&chat("juliet", "m1")).await;
    check(&mut romeo, expect!["message m1 error: wait internal-server-error\n"]);
    server.store().write(|sql| sql.run("DROP TRIGGER log_no", &[])).await.unwrap();
    romeo.send(&chat("juliet", "m2")).await;
    let mut juliet = come(&server, "r").await;
    check(&mut juliet, expect!["message m2 chat\n"]);
    check(&mut romeo, expect![""]);
}

#[tokio::test]
async fn a_store_that_is_busy_makes_senders_wait_and_then_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let options =
        Options { create: true, queue_jobs_max: 1, reserve_wait_ms_max: 200, ..Options::new(dir.path()) };
    let server = server_on(Store::open(&options, &MIGRATIONS).unwrap()).await;
    accounts(&server, &["romeo", "juliet"]).await;
    let mut romeo = Client::bind(&server, "romeo", "r").await;
    let held = hold(&server);
    romeo.send(&chat("juliet", "m1")).await;
    check(&mut romeo, expect!["message m1 error: wait resource-constraint\n"]);
    drop(held);
    settled(&server).await;
    romeo.send(&chat("juliet", "m2")).await;
    let mut juliet = come(&server, "r").await;
    check(&mut juliet, expect!["message m2 chat\n"]);
    server.store().close().await.unwrap();
}

#[tokio::test]
async fn what_has_no_row_waits_behind_what_has_one() {
    let (server, romeo) = two().await;
    romeo.send(&format!("<presence to='juliet@{DOMAIN}'/>")).await;
    let held = hold(&server);
    let behind = romeo.send_and_go_on(&chat("juliet", "m1")).await.unwrap();
    let mut juliet = Client::online(&server, "juliet", "r").await;
    let fleeting = format!("<message to='juliet@{DOMAIN}/r' id='m2'><x xmlns='{FLEETING}'/></message>");
    assert!(romeo.send_and_go_on(&fleeting).await.is_none());
    let third = romeo.send_and_go_on(&chat("juliet", "m3")).await.unwrap();
    check(&mut juliet, expect![""]);
    drop(held);
    settled(&server).await;
    behind.release(&server);
    third.release(&server);
    check(&mut juliet, expect!["message m1 chat\nmessage m2\nmessage m3 chat\n"]);
}

#[tokio::test]
async fn what_is_addressed_to_a_resource_comes_to_it_while_another_is_drained() {
    let (server, romeo) = two().await;
    send_many(&romeo, 150, chat).await;
    let mut balcony = Client::bind(&server, "juliet", "balcony").await;
    let mut chamber = Client::online(&server, "juliet", "chamber").await;
    assert_eq!(chamber.next().await, "message m0 chat");
    romeo.send(&chat("juliet", "here").replace(DOMAIN, &format!("{DOMAIN}/balcony"))).await;
    settled(&server).await;
    check(&mut balcony, expect!["message here chat\n"]);
}

#[tokio::test]
async fn what_was_addressed_and_written_does_not_count_for_what_waits() {
    let (server, romeo) = two().await;
    romeo.send(&chat("juliet", "m1")).await;
    let mut juliet = Client::bind(&server, "juliet", "r").await;
    let held = hold(&server);
    let behind = romeo.send_and_go_on(&chat("juliet", "m2")).await.unwrap();
    let here = romeo.send_and_go_on(&chat("juliet", "here").replace(DOMAIN, &format!("{DOMAIN}/r"))).await;
    drop(held);
    settled(&server).await;
    behind.release(&server);
    here.inspect(|here| here.release(&server));
    check(&mut juliet, expect!["message here chat\n"]);
    settled(&server).await;
    juliet.send("<presence/>").await;
    juliet.drained().await;
    check(&mut juliet, expect!["presence\nmessage m1 chat\nmessage m2 chat\n"]);
}

#[tokio::test]
async fn what_one_session_wrote_says_nothing_about_another() {
    let (server, romeo) = two().await;
    romeo.send(&format!("<presence to='juliet@{DOMAIN}'/>")).await;
    let held = hold(&server);
    let mut rows = vec![romeo.send_and_go_on(&chat("juliet", "all")).await.unwrap()];
    let mut a = Client::online(&server, "juliet", "a").await;
    let mut b = Client::online(&server, "juliet", "b").await;
    for resource in ["a", "b"] {
        let message = chat("juliet", resource).replace(DOMAIN, &format!("{DOMAIN}/{resource}"));
        rows.extend(romeo.send_and_go_on(&message).await);
    }
    drop(held);
    settled(&server).await;
    rows.iter().for_each(|row| row.release(&server));
    b.rest();
    settled(&server).await;
    a.take(usize::MAX);
    a.lose();
    settled(&server).await;
    check(&mut b, expect!["presence unavailable\nmessage a chat\n"]);
}

#[tokio::test]
async fn an_account_that_is_removed_takes_nothing_and_says_so() {
    let (server, mut romeo) = two().await;
    let juliet = Client::online(&server, "juliet", "r").await;
    romeo.send(&chat("juliet", "m1")).await;
    server.remove_account(&common::bare("juliet")).await.unwrap();
    romeo.send(&chat("juliet", "m2")).await;
    check(&mut romeo, expect!["message m2 error: cancel service-unavailable\n"]);
    juliet.lose();
    settled(&server).await;
    check(&mut romeo, expect!["message m1 error: cancel service-unavailable\n"]);
    accounts(&server, &["juliet"]).await;
    let mut heir = come(&server, "r").await;
    check(&mut heir, expect![""]);
    let rows = |sql: &mut dyn hearth_store::Sql| {
        hearth_store::SqlExt::one(sql, "SELECT COUNT(*) FROM log", &[], |row| row.int(0))
    };
    assert_eq!(server.store().read(rows).await.unwrap(), 0);
}

/// So large that a few fill a session's queue.
fn large(to: &str, id: &str) -> String {
    let text = "x".repeat(200_000);
    format!("<message to='{to}@{DOMAIN}' type='chat' id='{id}'><body>{text}</body></message>")
}

#[tokio::test]
async fn a_session_that_reads_the_log_slowly_delays_nobody_else() {
    let (server, romeo) = two().await;
    send_many(&romeo, 20, large).await;
    let mut slow = Client::online(&server, "juliet", "slow").await;
    assert_eq!(slow.next().await, "message m0 chat");
    let mut quick = Client::online(&server, "juliet", "quick").await;
    quick.rest();
    for text in ["new1", "new2"] {
        romeo.send(&chat("juliet", text)).await;
    }
    assert_eq!(
        (quick.next().await.as_str(), quick.next().await.as_str()),
        ("message new1 chat", "message new2 chat")
    );
    let mut given = Vec::new();
    while given.last().is_none_or(|last| last != "new2") {
        given.extend(messages(&slow.next().await));
    }
    let expected: Vec<String> =
        (1..20).map(|n| format!("m{n}")).chain(["new1".to_owned(), "new2".to_owned()]).collect();
    assert_eq!(given, expected, "the slow one has all of it, in order");
    slow.drained().await;
    slow.lose();
    quick.lose();
    settled(&server).await;
    let mut later = come(&server, "later").await;
    check(&mut later, expect![""]);
}

#[tokio::test]
async fn what_has_no_row_does_not_overtake_the_log() {
    let (server, romeo) = two().await;
    send_many(&romeo, 20, large).await;
    let mut juliet = Client::online(&server, "juliet", "r").await;
    assert_eq!(juliet.next().await, "message m0 chat");
    let fleeting =
        |id: &str| format!("<message to='juliet@{DOMAIN}' id='{id}'><x xmlns='{FLEETING}'/></message>");
    romeo.send(&fleeting("f1")).await;
    romeo.send(&chat("juliet", "m20")).await;
    romeo.send(&fleeting("f2")).await;
    romeo.send(&format!("<presence to='juliet@{DOMAIN}' id='p'/>")).await;
    romeo.send(&format!("<iq type='get' id='q' to='juliet@{DOMAIN}/r'><x xmlns='urn:x'/></iq>")).await;
    let mut given = String::new();
    while !given.ends_with("presence p\n") {
        given += &juliet.next().await;
        given.push('\n');
    }
    let (_, end) = given.split_once("message m19 chat\n").unwrap();
    expect!["message f1\nmessage m20 chat\nmessage f2\npresence p\n"].assert_eq(end);
}

#[tokio::test]
async fn what_comes_while_a_full_queue_ends_its_session_comes_behind_the_queue() {
    let (server, mut romeo) = two().await;
    let mut juliet = Client::online(&server, "juliet", "r").await;
    juliet.take(usize::MAX);
    let mut sent = 0;
    while !juliet.session.outbox.is_ending() {
        romeo.send(&large("juliet", &format!("m{sent}"))).await;
        sent += 1;
    }
    for _ in 0..3 {
        romeo.send(&chat("juliet", &format!("m{sent}"))).await;
        sent += 1;
    }
    let mut other = Client::online(&server, "juliet", "other").await;
    other.rest();
    romeo.send(&chat("juliet", &format!("m{sent}"))).await;
    check(&mut other, expect![""]);
    check(&mut romeo, expect![""]);
    // the first is on its way through the socket when it is lost
    juliet.take(1);
    assert_eq!(juliet.next().await, "message m0 chat");
    juliet.take(300_000);
    juliet.lose();
    settled(&server).await;
    let mut given = Vec::new();
    while given.len() < sent {
        given.extend(messages(&other.next().await));
    }
    let expected: Vec<String> = (1..=sent).map(|n| format!("m{n}")).collect();
    assert_eq!(given, expected);
}

#[tokio::test]
async fn what_is_not_known_to_be_written_when_a_stream_closes_comes_before_what_is_newer() {
    let (server, romeo) = two().await;
    let mut juliet = Client::online(&server, "juliet", "r").await;
    romeo.send(&chat("juliet", "m1")).await;
    juliet.take(usize::MAX);
    juliet.leave();
    romeo.send(&chat("juliet", "m2")).await;
    juliet.lose();
    settled(&server).await;
    let mut juliet = come(&server, "r").await;
    check(
        &mut juliet,
        expect![[r#"
        message m1 chat
        message m2 chat
    "#]],
    );
}

#[tokio::test]
async fn what_all_sessions_lost_waits_in_the_log() {
    let (server, romeo) = two().await;
    let mut first = Client::online(&server, "juliet", "first").await;
    let mut second = Client::online(&server, "juliet", "second").await;
    first.rest();
    second.rest();
    for text in ["m1", "m2"] {
        romeo.send(&chat("juliet", text)).await;
    }
    second.take(1);
    assert_eq!(second.next().await, "message m1 chat");
    second.lose();
    first.lose();
    settled(&server).await;
    let mut juliet = come(&server, "r").await;
    check(
        &mut juliet,
        expect![[r#"
        message m2 chat
    "#]],
    );
}

#[tokio::test]
async fn what_was_not_written_waits_for_room_in_the_store() {
    let dir = tempfile::tempdir().unwrap();
    let options =
        Options { create: true, queue_jobs_max: 1, reserve_wait_ms_max: 20, ..Options::new(dir.path()) };
    let server = server_on(Store::open(&options, &MIGRATIONS).unwrap()).await;
    accounts(&server, &["romeo", "juliet"]).await;
    let mut romeo = Client::bind(&server, "romeo", "r").await;
    let juliet = Client::online(&server, "juliet", "r").await;
    for text in ["m1", "m2", "m3"] {
        romeo.send(&chat("juliet", text)).await;
    }
    let held = hold(&server);
    let session = juliet.session.clone();
    juliet.lose();
    assert!(!session.outbox.is_settled());
    romeo.send(&chat("juliet", "m4")).await;
    drop(held);
    while !session.outbox.is_settled() {
        tokio::task::yield_now().await;
    }
    settled(&server).await;
    let mut juliet = come(&server, "r").await;
    check(
        &mut juliet,
        expect![[r#"
            message m1 chat
            message m2 chat
            message m3 chat
            message m4 chat
        "#]],
    );
    check(&mut romeo, expect![""]);
    server.store().close().await.unwrap();
}

#[tokio::test]
async fn who_goes_away_in_mid_drain_leaves_the_rest_to_another() {
    let (server, romeo) = two().await;
    send_many(&romeo, 20, large).await;
    let mut first = Client::online(&server, "juliet", "first").await;
    assert_eq!(first.next().await, "message m0 chat");
    let mut second = Client::online(&server, "juliet", "second").await;
    first.send("<presence type='unavailable'/>").await;
    let mut given = messages(&first.rest());
    while given.last().is_none_or(|last| last != "m19") {
        given.extend(messages(&second.next().await));
    }
    let expected: Vec<String> = (1..20).map(|n| format!("m{n}")).collect();
    assert_eq!(given, expected);
}

#[tokio::test]
async fn what_is_given_back_to_the_log_comes_before_what_had_no_row() {
    let (server, romeo) = two().await;
    for text in ["m1", "m2", "m3"] {
        romeo.send(&chat("juliet", text)).await;
    }
    let mut first = come(&server, "first").await;
    for text in ["m4", "m5"] {
        romeo.send(&chat("juliet", text)).await;
    }
    first.take(usize::MAX);
    first.session.outbox.end(End { condition: None, text: None, why: Ended::Kicked });
    let mut second = Client::online(&server, "juliet", "second").await;
    second.rest();
    romeo.send(&chat("juliet", "m6")).await;
    first.lose();
    let mut given = Vec::new();
    while given.len() < 6 {
        given.extend(messages(&second.next().await));
    }
    assert_eq!(given, ["m1", "m2", "m3", "m4", "m5", "m6"]);
}

#[tokio::test]
async fn what_is_addressed_to_a_replaced_resource_comes_behind_what_that_did_not_write() {
    let (server, romeo) = two().await;
    let here = |text: &str| chat("juliet", text).replace(DOMAIN, &format!("{DOMAIN}/r"));
    let mut old = Client::online(&server, "juliet", "r").await;
    romeo.send(&here("m1")).await;
    old.take(usize::MAX);
    let mut new = Client::online(&server, "juliet", "r").await;
    romeo.send(&here("m2")).await;
    assert!(!messages(&new.rest()).contains(&"m2".to_owned()));
    old.lose();
    check(&mut new, expect!["message m1 chat\nmessage m2 chat\n"]);
}

#[tokio::test]
async fn what_is_new_waits_for_all_sessions_that_end() {
    let (server, romeo) = two().await;
    let mut clients = Vec::new();
    for (resource, text) in [("a", "m1"), ("b", "m2")] {
        let mut client = Client::online(&server, "juliet", resource).await;
        client.rest();
        romeo.send(&chat("juliet", text).replace(DOMAIN, &format!("{DOMAIN}/{resource}"))).await;
        client.take(usize::MAX);
        clients.push(client);
    }
    clients.iter().for_each(Client::leave);
    romeo.send(&chat("juliet", "m3")).await;
    let (a, b) = (clients.remove(0), clients.remove(0));
    b.lose();
    a.lose();
    settled(&server).await;
    let mut juliet = come(&server, "r").await;
    assert_eq!(messages(&juliet.rest()).last().unwrap(), "m3");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_who_bind_one_resource_at_once_leave_one_session() {
    let (server, _) = two().await;
    for _ in 0..50 {
        let binds: Vec<_> = (0..8)
            .map(|_| {
                let server = server.clone();
                tokio::spawn(async move { Client::bind(&server, "juliet", "r").await })
            })
            .collect();
        for bind in binds {
            bind.await.unwrap();
        }
        let account = server.account(&common::bare("juliet")).await.unwrap();
        let left = account.with(|state| {
            let live = state.resources.iter().filter(|resource| !resource.session.outbox.is_ending());
            (state.resources.len(), live.count())
        });
        assert_eq!(left, (1, 1));
        for session in account.with(|state| state.leaving.clone()) {
            hearth_core::bind::settle(&server, &session);
        }
    }
}
