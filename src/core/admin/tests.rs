//! The commands, called as every door calls them, on a server without sockets.

use std::sync::Arc;

use expect_test::expect;
use hearth_store::Store;
use zeroize::Zeroizing;

use super::*;
use crate::clock::ManualClock;
use crate::command::{self, Answer, CallError, Caller};
use crate::control::Order;
use crate::host::{HostConfig, Hosts};
use crate::plan::Plan;
use crate::server::{Parts, Reconfiguration, Server, Settings};

async fn server() -> Arc<Server> {
    let plan = Plan::build(&[crate::im::MODULE, MODULE], &Default::default()).unwrap();
    let hosts = ["a.example", "b.example"].map(|domain| HostConfig {
        domain: domain.into(),
        anonymous: false,
        see_other_host: None,
    });
    let mut migrations = vec![crate::account_table::MIGRATIONS];
    migrations.extend_from_slice(plan.migrations());
    let store = Store::in_memory(&migrations).unwrap();
    let hosts = Hosts::new(&hosts).unwrap();
    let clock = Arc::new(ManualClock::default());
    Server::new(Parts { plan, hosts, store, clock, settings: Settings::default() }).await.unwrap()
}

async fn give(server: &Arc<Server>, name: &str, values: &[(&str, &str)]) -> Result<Answer, CommandError> {
    let values: Vec<_> =
        values.iter().map(|(key, value)| ((*key).to_owned(), Zeroizing::new((*value).to_owned()))).collect();
    command::call(server, Caller::LocalSocket, name, values).await.unwrap()
}

fn column(answer: &Answer, at: usize) -> Vec<&str> {
    answer.rows.iter().map(|row| row[at].as_str()).collect()
}

#[tokio::test]
async fn an_account_lives_and_ends() {
    let server = server().await;
    let romeo = [("accountjid", "Romeo@a.example"), ("password", "secret")];
    assert_eq!(give(&server, "account add", &romeo).await.unwrap().text, "romeo@a.example was made");
    assert!(matches!(give(&server, "account add", &romeo).await, Err(CommandError::Conflict(_))));
    let jid = hearth_wire::BareJid::parse("romeo@a.example").unwrap();
    let before = server.credentials(&jid).await.unwrap().unwrap().to_text();
    give(&server, "account password", &romeo).await.unwrap();
    assert_ne!(server.credentials(&jid).await.unwrap().unwrap().to_text(), before, "a fresh salt");
    let named = [("accountjids", "romeo@a.example")];
    give(&server, "account disable", &named).await.unwrap();
    assert!(server.credentials(&jid).await.unwrap().unwrap().disabled);
    let shown = give(&server, "account show", &romeo[..1]).await.unwrap();
    assert!(shown.rows.contains(&vec!["login".into(), "disabled".into()]), "{shown:?}");
    give(&server, "account enable", &named).await.unwrap();
    assert!(!server.credentials(&jid).await.unwrap().unwrap().disabled);
    give(&server, "account remove", &named).await.unwrap();
    assert!(matches!(give(&server, "account show", &romeo[..1]).await, Err(CommandError::NotFound(_))));
}

#[tokio::test]
async fn several_accounts_are_done_until_one_fails() {
    let server = server().await;
    give(&server, "account add", &[("accountjid", "x@a.example"), ("password", "1")]).await.unwrap();
    let error =
        give(&server, "account disable", &[("accountjids", "x@a.example\ny@a.example")]).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "there is no account y@a.example; done before that: x@a.example is disabled"
    );
}

#[tokio::test]
async fn bad_values_are_told_and_change_nothing() {
    let server = server().await;
    for (name, values, why) in [
        ("account add", vec![("accountjid", "x@a.example")], "password is missing"),
        ("account add", vec![("password", "1")], "accountjid is missing"),
        (
            "account add",
            vec![("accountjid", "a.example"), ("password", "1")],
            "a.example is not of the form user@domain",
        ),
        (
            "account add",
            vec![("accountjid", "x@c.example"), ("password", "1")],
            "the host c.example is not served here; served are: a.example, b.example",
        ),
        (
            "account list",
            vec![("host", "c.example")],
            "the host c.example is not served here; served are: a.example, b.example",
        ),
        ("account list", vec![("limit", "many")], "limit is not a whole number"),
        ("account list", vec![("limit", "0")], "limit is at least 1"),
        ("account import", vec![("accounts", "")], "there is no account among the lines"),
        ("account import", vec![("accounts", "# none\n\n")], "there is no account among the lines"),
        ("session kick", vec![("accountjids", "x@a.example")], "x@a.example has no session here"),
    ] {
        assert_eq!(give(&server, name, &values).await.unwrap_err().to_string(), why, "{name}");
    }
    assert_eq!(give(&server, "account list", &[]).await.unwrap().text, "0 of 0 accounts");
}

const KEYS: &str =
    "SCRAM-SHA-1$4096:QSXCR+Q6sek8bf92$6dlGYMOdZcOPutkcNY8U2g7vK9Y=:D+CSWLOshSulAsxiupA+qs2/fTE=";

#[tokio::test]
async fn accounts_are_imported_and_listed_in_pages() {
    let server = server().await;
    let lines = format!("# from elsewhere\nb@b.example {KEYS}\na@a.example {KEYS}\n\nc@a.example {KEYS}\n");
    let imported = give(&server, "account import", &[("accounts", &lines)]).await.unwrap();
    assert_eq!(column(&imported, 1), ["3", "0"]);
    expect![[r#"
        a.example does not offer SCRAM-SHA-512 (enabled accounts without keys for it: 2), SCRAM-SHA-256 (enabled accounts without keys for it: 2). It will, as soon as those accounts have logged in by PLAIN, have got a new password, or are disabled
        b.example does not offer SCRAM-SHA-512 (enabled accounts without keys for it: 1), SCRAM-SHA-256 (enabled accounts without keys for it: 1). It will, as soon as those accounts have logged in by PLAIN, have got a new password, or are disabled"#]]
    .assert_eq(&imported.text);
    let status = give(&server, "status", &[]).await.unwrap();
    let lacking = status.rows.iter().filter(|row| row[0].starts_with("accounts_lacking_keys"));
    let lacking: Vec<String> = lacking.map(|row| row.join(" ")).collect();
    expect![[r#"
        accounts_lacking_keys{host="a.example",hash="SCRAM-SHA-512"} 2
        accounts_lacking_keys{host="a.example",hash="SCRAM-SHA-256"} 2
        accounts_lacking_keys{host="b.example",hash="SCRAM-SHA-512"} 1
        accounts_lacking_keys{host="b.example",hash="SCRAM-SHA-256"} 1"#]]
    .assert_eq(&lacking.join("\n"));
    let again = give(&server, "account import", &[("accounts", &format!("{lines}d@a.example {KEYS}"))])
        .await
        .unwrap();
    assert_eq!(
        (column(&again, 0), column(&again, 1)),
        (vec!["made", "there already, left as they are"], vec!["1", "3"])
    );
    let page = give(&server, "account list", &[("limit", "2")]).await.unwrap();
    assert_eq!(
        (column(&page, 0), page.text.as_str()),
        (vec!["a@a.example", "c@a.example"], "2 of 4 accounts")
    );
    let rest = give(&server, "account list", &[("after", "c@a.example")]).await.unwrap();
    assert_eq!(column(&rest, 0), ["d@a.example", "b@b.example"]);
    let one = give(&server, "account list", &[("host", "B.example")]).await.unwrap();
    assert_eq!(column(&one, 0), ["b@b.example"]);
}

#[tokio::test]
async fn accounts_of_a_domain_that_is_no_host_any_more_are_seen_and_removed() {
    let server = server().await;
    for jid in ["x@a.example", "y@b.example"] {
        give(&server, "account add", &[("accountjid", jid), ("password", "1")]).await.unwrap();
    }
    let left = HostConfig { domain: "b.example".into(), anonymous: false, see_other_host: None };
    server.reconfigure(Reconfiguration {
        hosts: Hosts::new(&[left]).unwrap(),
        settings: Settings::default(),
        modules: server.plan().read_settings(&Default::default()).unwrap(),
    });
    let told = crate::unserved::describe(&server.unserved().await.unwrap());
    assert_eq!(told.as_deref(), Some("1 account of a.example, which is no [[host]]"));
    let all = give(&server, "account list", &[]).await.unwrap();
    assert_eq!(
        (column(&all, 0), column(&all, 1)),
        (vec!["x@a.example", "y@b.example"], vec!["no host", "enabled"])
    );
    let one = give(&server, "account list", &[("host", "A.example")]).await.unwrap();
    assert_eq!((column(&one, 0), one.text.as_str()), (vec!["x@a.example"], "1 of 1 accounts"));
    let rest = give(&server, "account list", &[("after", "x@a.example")]).await.unwrap();
    assert_eq!(column(&rest, 0), ["y@b.example"]);
    let shown = give(&server, "account show", &[("accountjid", "x@a.example")]).await.unwrap();
    assert!(shown.rows.contains(&vec!["login".into(), "no host".into()]), "{shown:?}");
    let status = give(&server, "status", &[]).await.unwrap();
    assert!(
        status.rows.contains(&vec!["accounts_unserved{domain=\"a.example\"}".into(), "1".into()]),
        "{status:?}"
    );
    let new = give(&server, "account add", &[("accountjid", "z@a.example"), ("password", "1")]).await;
    assert!(matches!(new, Err(CommandError::NotFound(_))), "none is made there");
    give(&server, "account remove", &[("accountjids", "x@a.example")]).await.unwrap();
    assert_eq!(server.unserved().await.unwrap(), []);
    let gone = give(&server, "account list", &[("host", "a.example")]).await;
    assert!(matches!(gone, Err(CommandError::NotFound(_))), "{gone:?}");
}

#[tokio::test]
async fn a_bad_line_imports_nothing_and_shows_no_keys() {
    let server = server().await;
    for bad in ["x@a.example", "x@a.example SCRAM-SHA-1$1:YQ==$YQ==:YQ==", "x@c.example SCRAM-SHA-1"] {
        let lines = format!("ok@a.example {KEYS}\n{bad}");
        let error = give(&server, "account import", &[("accounts", &lines)]).await.unwrap_err().to_string();
        assert!(!error.contains("YQ=="), "{error}");
    }
    assert_eq!(give(&server, "account list", &[]).await.unwrap().rows.len(), 0);
}

#[tokio::test]
async fn status_tells_what_was_dropped_and_what_holds_memory() {
    let server = server().await;
    server.metrics().dropped_headline.add(3);
    server.metrics().connections.add(5);
    server.metrics().connection_ended(crate::ended::Ended::Kicked);
    let status = give(&server, "status", &[]).await.unwrap();
    let value = |name: &str| status.rows.iter().find(|row| row[0] == name).map(|row| row[1].clone());
    assert_eq!(value("stanzas_dropped_total{reason=\"headline\"}").as_deref(), Some("3"));
    assert_eq!(value("connections").as_deref(), Some("4"));
    assert_eq!(value("connections_ended_total{reason=\"kicked\"}").as_deref(), Some("1"));
    assert_eq!(value("connections_ended_total{reason=\"reset\"}"), None, "what never occurred is not shown");
    assert_eq!(value("accounts{host=\"b.example\"}").as_deref(), Some("0"));
    assert_eq!(value("memory_objects{kind=\"accounts\"}").as_deref(), Some("0"));
    assert_eq!(value("version").as_deref(), Some(status::VERSION));
}

#[tokio::test]
async fn stop_and_reload_are_orders_to_the_program() {
    let server = server().await;
    let nobody = give(&server, "stop", &[]).await.unwrap_err();
    assert!(matches!(nobody, CommandError::Conflict(_)), "{nobody}");
    let mut orders = server.control().take_orders().unwrap();
    give(&server, "stop", &[]).await.unwrap();
    assert!(matches!(orders.recv().await, Some(Order::Stop)));
}

#[tokio::test]
async fn only_admins_and_known_values_get_through() {
    let server = server().await;
    let stranger = Caller::Admin(hearth_wire::Jid::parse("x@a.example").unwrap());
    let refused = command::call(&server, stranger, "status", []).await.unwrap_err();
    assert_eq!(refused, CallError::Forbidden("x@a.example".into()));
    let odd = [("colour".to_owned(), Zeroizing::new("red".to_owned()))];
    let refused = command::call(&server, Caller::LocalSocket, "status", odd).await.unwrap_err();
    assert_eq!(refused, CallError::UnknownArg("status", "colour".into()));
}
