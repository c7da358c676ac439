//! A full disk: clients are told to wait, nothing is acknowledged that is not kept, those who are there go on talking,
//! and when there is room again, everything works as before.

#![allow(clippy::unwrap_used, reason = "a test ends here")]

mod common;

use std::sync::Arc;

use common::{Client, DOMAIN, MIGRATIONS, bare, chat, keys, server_on, short};
use expect_test::expect;
use hearth_core::registry::AccountError;
use hearth_core::server::Server;
use hearth_store::{Options, Store};

const WAIT: &str = "error: wait internal-server-error";

/// Sends until the server refuses; the ids of what it took.
async fn fill(romeo: &mut Client, kind: &str, body_bytes: usize) -> Vec<String> {
    let (mut taken, body) = (Vec::new(), "x".repeat(body_bytes));
    loop {
        let id = format!("{kind}{}", taken.len());
        romeo.send(&chat("juliet", &id).replace("</body>", &format!("{body}</body>"))).await;
        match romeo.rest().as_str() {
            "" => taken.push(id),
            refused => {
                assert_eq!(refused, format!("message {id} {WAIT}\n"));
                return taken;
            }
        }
    }
}

/// Adds contacts until the server refuses; those it acknowledged.
async fn fill_roster(romeo: &mut Client) -> Vec<String> {
    let mut taken = Vec::new();
    loop {
        let contact = format!("c{}@{DOMAIN}", taken.len());
        romeo
            .send(&format!(
                "<iq type='set' id='{contact}'><query xmlns='jabber:iq:roster'><item jid='{contact}' \
                 name='{}'/></query></iq>",
                "n".repeat(1_000)
            ))
            .await;
        match romeo.next().await {
            refused if refused.contains("error") => {
                assert_eq!(refused, format!("iq {contact} {WAIT}"));
                return taken;
            }
            result => assert_eq!(result, format!("iq {contact} result")),
        }
        taken.push(contact);
    }
}

async fn fill_accounts(server: &Server) -> usize {
    for n in 0.. {
        match server.create_account(&bare(&format!("account{n}")), keys()).await {
            Ok(()) => {}
            Err(AccountError::Internal(_)) => return n,
            Err(other) => panic!("{other}"),
        }
    }
    unreachable!("a disk of {} pages takes accounts for ever", PAGES)
}

const PAGES: u32 = 80;

async fn start(dir: &std::path::Path) -> Arc<Server> {
    let options = Options { create: true, pages_max: Some(PAGES), ..Options::new(dir) };
    let server = server_on(Store::open(&options, &MIGRATIONS).unwrap()).await;
    common::accounts(&server, &["romeo", "juliet", "mercutio"]).await;
    server
}

#[tokio::test]
async fn a_full_disk_passes_by() {
    let dir = tempfile::tempdir().unwrap();
    let server = start(dir.path()).await;
    let mut romeo = Client::bind(&server, "romeo", "r").await;
    let mut mercutio = Client::online(&server, "mercutio", "r").await;
    let mut kept = fill(&mut romeo, "big", 20_000).await;
    kept.extend(fill(&mut romeo, "small", 10).await);
    let contacts = fill_roster(&mut romeo).await;
    let made = fill_accounts(&server).await;

    mercutio.rest();
    romeo.send(&chat("mercutio", "live")).await;
    assert_eq!(mercutio.rest(), "message live chat\n", "who is there needs no disk");
    let shown = romeo.session.account.with(|state| state.roster.items().len());
    assert_eq!(shown, contacts.len(), "memory shows what is kept");
    assert_eq!(server.count_accounts(DOMAIN).await.unwrap(), made as i64 + 3);

    let mut juliet = Client::online(&server, "juliet", "r").await;
    for id in &kept {
        assert_eq!(juliet.next().await, format!("message {id} chat"));
    }
    juliet.drained().await;
    assert_eq!(juliet.rest(), "");
    // what was delivered is forgotten: there is room again
    while server.store().read(|sql| hearth_store::log::offline_count(sql, 2, 1)).await.unwrap().0 > 0 {
        tokio::task::yield_now().await;
    }
    juliet.lose();
    romeo.send(&chat("juliet", "after")).await;
    romeo
        .send(&format!(
            "<iq type='set' id='s'><query xmlns='jabber:iq:roster'><item jid='after@{DOMAIN}'/></query></iq>"
        ))
        .await;
    expect!["iq s result\n"].assert_eq(&romeo.rest());
    server.create_account(&bare("after"), keys()).await.unwrap();
    let mut juliet = Client::online(&server, "juliet", "r").await;
    assert_eq!(short(&juliet.receive().await), "message after chat");
    server.store().close().await.unwrap();
}
