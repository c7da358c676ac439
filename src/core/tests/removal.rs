//! The removal of an account: the account and what its contacts are owed go together, whenever the process ends.

#![allow(clippy::unwrap_used, reason = "a test ends here")]

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use common::{Client, DOMAIN, MIGRATIONS, accounts, bare, chat, server, server_on};
use expect_test::expect;
use hearth_core::clock::ManualClock;
use hearth_core::host::{HostConfig, Hosts};
use hearth_core::im;
use hearth_core::module::{Module, Registrar, SetupError};
use hearth_core::plan::Plan;
use hearth_core::server::{Parts, Server, Settings};
use hearth_core::{account_table, roster_table};
use hearth_store::{SqlExt, Store, StoreError};

/// What an account thinks of its contacts, from memory.
async fn contacts(server: &Server, name: &str) -> String {
    let account = server.account(&bare(name)).await.unwrap();
    let show = |item: &hearth_core::roster::RosterItem| {
        let state = item.subscription;
        let pending = if state.pending_in { " asked" } else { "" };
        format!("{} {}{pending}", item.jid.local().unwrap_or_default(), state.attribute())
    };
    account.with(|state| state.roster.items().iter().map(show).collect::<Vec<_>>().join(", "))
}

/// romeo and juliet are contacts, the nurse asked romeo, romeo asked mercutio, and tybalt sees romeo.
async fn people(server: &Arc<Server>) {
    accounts(server, &["romeo", "juliet", "nurse", "mercutio", "tybalt"]).await;
    for (who, kind, to) in [
        ("romeo", "subscribe", "juliet"),
        ("juliet", "subscribed", "romeo"),
        ("juliet", "subscribe", "romeo"),
        ("romeo", "subscribed", "juliet"),
        ("nurse", "subscribe", "romeo"),
        ("romeo", "subscribe", "mercutio"),
        ("tybalt", "subscribe", "romeo"),
        ("romeo", "subscribed", "tybalt"),
    ] {
        let client = Client::bind(server, who, "r").await;
        client.send(&format!("<presence type='{kind}' to='{to}@{DOMAIN}'/>")).await;
        client.lose();
    }
}

const OTHERS: [&str; 4] = ["juliet", "nurse", "mercutio", "tybalt"];

async fn all_contacts(server: &Server) -> Vec<String> {
    let mut all = Vec::new();
    for name in OTHERS {
        all.push(format!("{name}: {}", contacts(server, name).await));
    }
    all
}

#[tokio::test]
async fn the_commit_that_takes_the_account_parts_it_from_everybody() {
    let server = server().await;
    people(&server).await;
    let romeo = server.account(&bare("romeo")).await.unwrap();
    let id = romeo.id.unwrap();
    // what stands right behind the removal's first write is what a crash after its commit would leave
    let behind = server.store().write(move |sql| {
        let gone = account_table::id(sql, DOMAIN, "romeo")?.is_none();
        let rows =
            sql.list("SELECT jid FROM core_roster_item WHERE account = ?1", &[id.into()], |_| Ok(()))?;
        let mut left = rows.len();
        for name in OTHERS {
            let contact = account_table::id(sql, DOMAIN, name)?.ok_or(StoreError::NoRow)?;
            let item = roster_table::item(sql, contact, &bare("romeo"))?;
            left += usize::from(item.is_some_and(|item| item.subscription != Default::default()));
        }
        Ok((gone, left))
    });
    let jid = bare("romeo");
    let (removed, behind) = tokio::join!(server.remove_account(&jid), behind);
    removed.unwrap();
    assert_eq!(behind.unwrap(), (true, 0));
    let in_memory = all_contacts(&server).await;
    assert_eq!(in_memory, all_contacts(&*server_on(server.store().clone()).await).await);
    assert_eq!(in_memory, ["juliet: romeo none", "nurse: romeo none", "mercutio: ", "tybalt: romeo none"]);
}

#[tokio::test]
async fn contacts_who_are_there_hear_it_in_order() {
    let server = server().await;
    people(&server).await;
    let romeo = Client::online(&server, "romeo", "r").await;
    let mut juliet = Client::online(&server, "juliet", "r").await;
    juliet.send("<iq type='get' id='g'><query xmlns='jabber:iq:roster'/></iq>").await;
    juliet.rest();
    server.remove_account(&bare("romeo")).await.unwrap();
    let mut heard = Vec::new();
    juliet.take(usize::MAX);
    while let Some(text) = juliet.write() {
        let short = common::short(&text);
        let state = text.split(" subscription='").nth(1).and_then(|rest| rest.split('\'').next());
        heard.push(format!(
            "{} {}",
            short.replace(|c: char| c.is_ascii_digit(), ""),
            state.unwrap_or_default()
        ));
    }
    expect![[r#"
        presence unavailable 
        presence unsubscribe 
        iq push set to
        presence unsubscribed 
        iq push set none"#]]
    .assert_eq(&heard.join("\n"));
    romeo.lose();
    expect![""].assert_eq(&juliet.rest());
}

static FAILS: AtomicBool = AtomicBool::new(true);

/// A module whose part of the removal fails for a while.
const CLUMSY: Module = Module { name: "clumsy", xeps: &[], needs: &[], register: fail };

fn fail(m: &mut Registrar<'_>) -> Result<(), SetupError> {
    m.on_account_removed(|_, _| {
        if FAILS.load(Ordering::Relaxed) { Err(StoreError::Refused("not now")) } else { Ok(()) }
    });
    Ok(())
}

#[tokio::test]
async fn a_removal_that_fails_changes_nothing() {
    let plan = Plan::build(&[im::MODULE, CLUMSY], &Default::default()).unwrap();
    let host = HostConfig { domain: DOMAIN.to_owned(), anonymous: false, see_other_host: None };
    let (hosts, clock) = (Hosts::new(&[host]).unwrap(), Arc::new(ManualClock::default()));
    let store = Store::in_memory(&MIGRATIONS).unwrap();
    let server =
        Server::new(Parts { plan, hosts, store, clock, settings: Settings::default() }).await.unwrap();
    people(&server).await;
    let before = all_contacts(&server).await;
    server.remove_account(&bare("romeo")).await.unwrap_err();
    for server in [&server, &server_on(server.store().clone()).await] {
        assert_eq!(before, all_contacts(server).await);
        assert!(contacts(server, "romeo").await.contains("juliet both"));
        assert_eq!(server.key_tally().shares(DOMAIN).iter().map(|share| share.accounts).sum::<u64>(), 5);
    }
    let mut romeo = Client::bind(&server, "romeo", "r").await;
    assert_eq!(romeo.rest(), "", "his sessions go on");
    FAILS.store(false, Ordering::Relaxed);
    server.remove_account(&bare("romeo")).await.unwrap();
    assert_ne!(before, all_contacts(&server).await);
}

#[tokio::test]
async fn what_a_crash_left_of_the_log_goes_at_the_next_start() {
    let server = server().await;
    accounts(&server, &["romeo", "juliet"]).await;
    let romeo = Client::bind(&server, "romeo", "r").await;
    romeo.send(&chat("juliet", "kept")).await;
    let id = server.account(&bare("juliet")).await.unwrap().id.unwrap();
    // the first commit of the removal, and then the process ends
    server.store().write(move |sql| account_table::remove(sql, id).map(drop)).await.unwrap();
    let rows = || server.store().read(move |sql| hearth_store::log::offline_count(sql, id, 10));
    assert_eq!(rows().await.unwrap().0, 1);
    let _again = server_on(server.store().clone()).await;
    while !server.store().read(account_table::gone).await.unwrap().is_empty() {
        tokio::task::yield_now().await;
    }
    assert_eq!(rows().await.unwrap().0, 0);
}
