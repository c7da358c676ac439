//! Keys of accounts: what comes from elsewhere can be used and is completed, counts stay true, a login does not outlive the
//! password it was made with, and names that are no account look like those that are.

#![allow(clippy::unwrap_used, reason = "a test ends here")]

mod common;

use std::sync::Arc;

use common::{Client, DOMAIN, Dice, MIGRATIONS, accounts, bare, keys, server, server_on};
use hearth_core::account_table;
use hearth_core::bind::{self, BindRequest};
use hearth_core::registry;
use hearth_core::sasl::{Credentials, Identity, KeysMark, Password, ScramHash};
use hearth_core::server::Server;
use hearth_core::session::Connected;
use hearth_store::{Migrations, Options, Store};
use hearth_wire::{StanzaCondition, StreamCondition};

/// `pencil`, the password of RFC 5802 §5's user.
const SHA_1: &str =
    "SCRAM-SHA-1$4096:QSXCR+Q6sek8bf92$6dlGYMOdZcOPutkcNY8U2g7vK9Y=:D+CSWLOshSulAsxiupA+qs2/fTE=";

fn imported() -> Credentials {
    Credentials::from_text(SHA_1, false).unwrap()
}

async fn import(server: &Server, name: &str) {
    assert_eq!(server.import_accounts(vec![(bare(name), imported())]).await.unwrap(), 1);
}

async fn mark(server: &Server, name: &str) -> KeysMark {
    server.credentials(&bare(name)).await.unwrap().unwrap().mark
}

/// What a connection with TLS is offered, and the shares of the shapes.
fn view(server: &Server) -> (Vec<&'static str>, Vec<(String, u64)>) {
    let policy = server.sasl_policy(server.hosts().first(), true);
    let shares = server.key_tally().shares(DOMAIN);
    let mut shares: Vec<_> = shares.iter().map(|share| (share.shape.to_string(), share.accounts)).collect();
    shares.sort();
    (policy.scram.into_iter().map(ScramHash::scheme).collect(), shares)
}

const ALL: [&str; 3] = ["SCRAM-SHA-512", "SCRAM-SHA-256", "SCRAM-SHA-1"];

#[tokio::test]
async fn imported_keys_are_completed_once_the_password_is_known() {
    let server = server().await;
    accounts(&server, &["juliet"]).await;
    assert_eq!(view(&server).0, ALL);
    import(&server, "romeo").await;
    assert_eq!(view(&server).0, ["SCRAM-SHA-1"]);

    let before = mark(&server, "romeo").await;
    let stale = KeysMark { generation: before.generation - 1, ..before };
    let pencil = || Password::new("pencil").unwrap();
    server.complete_keys(stale, pencil()).await.unwrap();
    assert_eq!(view(&server).0, ["SCRAM-SHA-1"], "of another password");
    server.complete_keys(before, pencil()).await.unwrap();
    assert_eq!(view(&server).0, ALL);
    let after = server.credentials(&bare("romeo")).await.unwrap().unwrap();
    assert!(after.is_complete());
    assert_eq!(after.mark, before, "it is the same password");
    assert!(after.to_text().starts_with(SHA_1), "what was there stays");
    // again, and for an account that has gone
    server.complete_keys(before, pencil()).await.unwrap();
    server.remove_account(&bare("romeo")).await.unwrap();
    server.complete_keys(before, pencil()).await.unwrap();
    assert_eq!(view(&server).1.len(), 1);
}

#[tokio::test]
async fn counts_in_memory_are_those_of_the_store() {
    let server = server().await;
    let (mut dice, names) = (Dice::new(5), ["a", "b", "c", "d", "e"]);
    let own = registry::derive(Password::new("secret").unwrap()).await.unwrap();
    for _ in 0..200 {
        let name = names[dice.below(5) as usize];
        let jid = bare(name);
        // what cannot be done to an account that is not there, or is there, does nothing
        let _ = match dice.below(7) {
            0 => server.create_account(&jid, &own).await,
            1 => server.import_accounts(vec![(jid, imported())]).await.map(drop),
            2 => server.set_keys(&jid, keys(), None).await,
            3 => server.set_disabled(&jid, true).await,
            4 => server.set_disabled(&jid, false).await,
            5 => server.remove_account(&jid).await,
            _ => match server.credentials(&jid).await.unwrap() {
                Some(found) => {
                    let password = Password::new("pencil").unwrap();
                    server.complete_keys(found.mark, password).await.map_err(Into::into)
                }
                None => Ok(()),
            },
        };
        let again = server_on(server.store().clone()).await;
        assert_eq!(view(&server), view(&again));
        assert_eq!(server.key_tally().withheld(DOMAIN), again.key_tally().withheld(DOMAIN));
    }
}

async fn bind_proved(server: &Arc<Server>, name: &str, proved: KeysMark) -> Result<(), StanzaCondition> {
    let connected =
        Connected { peer: "127.0.0.1:5000".parse().unwrap(), tls: None, mechanism: "PLAIN", since_ms: 0 };
    let host = server.hosts().first().clone();
    let (identity, proved) = (Identity::Account(bare(name)), Some(proved));
    let request = BindRequest { identity, proved, host, resource: None, connected, lang: None };
    bind::bind(server, request).await.map(drop).map_err(|error| error.condition)
}

#[tokio::test]
async fn a_login_with_the_old_password_cannot_be_bound() {
    let server = server().await;
    import(&server, "romeo").await;
    let old = mark(&server, "romeo").await;
    server.complete_keys(old, Password::new("pencil").unwrap()).await.unwrap();
    assert_eq!(bind_proved(&server, "romeo", old).await, Ok(()), "more keys, the same password");

    let session = Client::bind(&server, "romeo", "r").await.session;
    server.set_keys(&bare("romeo"), keys(), None).await.unwrap();
    let end = session.outbox.take(usize::MAX, |_| ()).1.unwrap();
    assert_eq!(end.condition, Some(StreamCondition::NotAuthorized));
    assert_eq!(bind_proved(&server, "romeo", old).await, Err(StanzaCondition::NotAuthorized));
    let new = mark(&server, "romeo").await;
    assert_eq!(bind_proved(&server, "romeo", new).await, Ok(()));

    // after a restart too
    let again = server_on(server.store().clone()).await;
    assert_eq!(bind_proved(&again, "romeo", old).await, Err(StanzaCondition::NotAuthorized));
    assert_eq!(bind_proved(&again, "romeo", new).await, Ok(()));

    server.set_disabled(&bare("romeo"), true).await.unwrap();
    assert_eq!(bind_proved(&server, "romeo", new).await, Err(StanzaCondition::NotAuthorized));
    // another account of the same name and the same password
    server.remove_account(&bare("romeo")).await.unwrap();
    server.create_account(&bare("romeo"), keys()).await.unwrap();
    assert_eq!(bind_proved(&server, "romeo", new).await, Err(StanzaCondition::NotAuthorized));
}

#[tokio::test]
async fn accounts_made_before_shapes_were_kept_are_counted() {
    let dir = tempfile::tempdir().unwrap();
    let options = Options { create: true, ..Options::new(dir.path()) };
    let first = Migrations { owner: "core", steps: &account_table::MIGRATIONS.steps[..1] };
    let store = Store::open(&options, &[first]).unwrap();
    let old = store.write(|sql| {
        for (id, keys) in [(1, SHA_1), (2, "damaged"), (3, SHA_1)] {
            sql.run(
                "INSERT INTO core_account (id, domain, localpart, keys, disabled, created_ms, roster_version) \
                 VALUES (?1, 'verona.example', 'p' || ?1, ?2, 0, 0, 0)",
                &[hearth_store::Value::Int(id), hearth_store::Value::Text(keys)],
            )?;
        }
        Ok(())
    });
    old.await.unwrap();
    store.close().await.unwrap();
    let server = server_on(Store::open(&options, &MIGRATIONS).unwrap()).await;
    let (offered, shares) = view(&server);
    assert_eq!(offered, ["SCRAM-SHA-1"]);
    assert_eq!(shares[0], ("1:4096:12".to_owned(), 2));
    server.set_keys(&bare("p2"), keys(), None).await.unwrap();
    assert!(server.credentials(&bare("p2")).await.unwrap().unwrap().is_complete(), "damage is mended");
    server.store().close().await.unwrap();
}
