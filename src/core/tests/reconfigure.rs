//! Hosts that come and go while the server runs.

#![allow(clippy::unwrap_used, reason = "a test ends here")]

mod common;

use std::sync::Arc;

use common::*;
use hearth_core::outbox::End;
use hearth_core::server::{Reconfiguration, Server};
use hearth_wire::StreamCondition;

fn serve(server: &Arc<Server>, domains: &[&str]) {
    let hosts = hosts(&domains.iter().map(|domain| (*domain, true)).collect::<Vec<_>>());
    let modules = server.plan().read_settings(&Default::default()).unwrap();
    let settings = server.settings().as_ref().clone();
    server.reconfigure(Reconfiguration { hosts, settings, modules });
}

fn end(client: &Client) -> Option<End> {
    client.session.outbox.take(usize::MAX, |_| ()).1
}

#[tokio::test]
async fn a_host_is_added_and_its_users_are_local() {
    let server = server().await;
    accounts(&server, &["romeo"]).await;
    let mut romeo = Client::online(&server, "romeo", "r").await;
    let hello = "<message to='juliet@mantua.example' id='m'><body>m</body></message>";
    romeo.send(hello).await;
    assert_eq!(romeo.next().await, "message m error: cancel remote-server-not-found");
    serve(&server, &[DOMAIN, "mantua.example"]);
    let juliet = hearth_wire::BareJid::parse("juliet@mantua.example").unwrap();
    server.create_account(&juliet, keys()).await.unwrap();
    romeo.send(hello).await;
    assert_eq!(romeo.rest(), "");
    assert_eq!(end(&romeo), None, "the others notice nothing");
}

#[tokio::test]
async fn sessions_of_a_host_that_is_gone_end() {
    let server = server().await;
    accounts(&server, &["romeo"]).await;
    let romeo = Client::online(&server, "romeo", "r").await;
    serve(&server, &["mantua.example"]);
    let gone = Some(End {
        condition: Some(StreamCondition::HostGone),
        text: None,
        why: hearth_core::ended::Ended::HostGone,
    });
    assert_eq!(end(&romeo), gone);
    serve(&server, &[DOMAIN]);
    let again = Client::online(&server, "romeo", "r2").await;
    assert_eq!(end(&again), None, "it may come back, with its accounts");
}

#[tokio::test]
async fn who_binds_while_its_host_goes_ends_too() {
    let server = server().await;
    accounts(&server, &["romeo"]).await;
    let host = server.host(DOMAIN).unwrap();
    serve(&server, &["mantua.example"]);
    let late = Client::bind_at(&server, host, "romeo", "r").await;
    assert_eq!(end(&late).unwrap().condition, Some(StreamCondition::HostGone));
}
