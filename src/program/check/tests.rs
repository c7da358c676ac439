//! Servers that are not well, and what `hearth check` says of them.

use std::net::TcpListener;
use std::path::Path;

use hearth_core::account_table::{self, NewAccount};
use hearth_core::plan::Plan;
use hearth_core::sasl::Credentials;
use hearth_store::{Options, Store};

use super::*;
use crate::program::{data, modules};

fn found(dir: &Path, toml: &str) -> Findings {
    let file = dir.join("config.toml");
    std::fs::write(&file, toml).unwrap();
    examine(&Sources { files: vec![file], ..Sources::default() }, None)
}

fn loaded(dir: &Path, toml: &str) -> Loaded {
    let file = dir.join("config.toml");
    std::fs::write(&file, toml).unwrap();
    load(&Sources { files: vec![file], ..Sources::default() }).unwrap()
}

#[track_caller]
fn has(found: &Findings, severity: Severity, about: &str, text: &str) {
    let hit = |finding: &&Finding| {
        finding.severity == severity && finding.about.starts_with(about) && finding.text.contains(text)
    };
    assert!(found.0.iter().any(|finding| hit(&finding)), "no {about}: {text} in {:#?}", found.0);
}

const FREE: &str = "[[listen]]\naddress = '127.0.0.1:0'\n";

#[test]
fn a_new_server_is_fine() {
    let dir = tempfile::tempdir().unwrap();
    let found = found(dir.path(), &format!("data.create = true\n{FREE}"));
    assert_eq!((found.count(Severity::Error), found.count(Severity::Warning)), (0, 0), "{:#?}", found.0);
    has(&found, Severity::Note, "certificate of localhost", "made at the start");
    has(&found, Severity::Note, "data", "is made at the start");
    has(&found, Severity::Note, "listen", "only clients on this machine");
}

#[test]
fn every_ill_is_named_with_its_fix() {
    let dir = tempfile::tempdir().unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let toml = format!(
        "admins = ['me@elsewhere.example']\nadmin.socket = '{}/hearth.sock'\n\
         [[host]]\ndomain = 'a.example'\n\
         [[listen]]\naddress = '127.0.0.1:{port}'\n[[listen]]\naddress = '[::]:0'\n",
        "x".repeat(120)
    );
    let found = found(dir.path(), &toml);
    has(&found, Severity::Warning, "admins", "me@elsewhere.example");
    has(&found, Severity::Error, "certificate of a.example", "there is none in");
    has(&found, Severity::Error, &format!("listen 127.0.0.1:{port}"), "another program has this port");
    has(&found, Severity::Error, "data", "there is no database in");
    has(&found, Severity::Error, "admin.socket", "the system allows 107");
    has(&found, Severity::Note, "listen", "a firewall must let TCP ports 0 through");
}

/// A database with one account whose keys are SHA-1's.
fn with_an_old_account(config: &Config, plan: &Plan) {
    let options = Options { create: true, ..data::options(config) };
    let store = Store::open(&options, &modules::migrations(plan)).unwrap();
    let keys = "SCRAM-SHA-1$4096:QSXCR+Q6sek8bf92$6dlGYMOdZcOPutkcNY8U2g7vK9Y=:D+CSWLOshSulAsxiupA+qs2/fTE=";
    let account = NewAccount {
        domain: "localhost".to_owned(),
        localpart: "user".to_owned(),
        keys: Credentials::from_text(keys, false).unwrap(),
        created_ms: 0,
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        store.write(move |sql| account_table::create(sql, &account)).await.unwrap();
        store.close().await.unwrap();
    });
}

#[test]
fn a_hash_that_cannot_be_offered_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let toml = format!("login.scram_sha_256 = false\n{FREE}");
    let loaded = loaded(dir.path(), &toml);
    with_an_old_account(&loaded.config, &loaded.plan);
    let found = found(dir.path(), &toml);
    has(
        &found,
        Severity::Warning,
        "host localhost",
        "not offered: SCRAM-SHA-512 (enabled accounts without keys for it: 1)",
    );
}

#[test]
fn accounts_of_a_domain_that_is_no_host_are_told() {
    let dir = tempfile::tempdir().unwrap();
    let loaded = loaded(dir.path(), FREE);
    with_an_old_account(&loaded.config, &loaded.plan);
    let renamed = found(dir.path(), &format!("{FREE}[[host]]\ndomain = 'example.org'\n"));
    has(&renamed, Severity::Warning, "data", "1 account of localhost, which is no [[host]]");
}

#[test]
fn plain_text_and_bad_certificates_are_told() {
    let dir = tempfile::tempdir().unwrap();
    let plain = found(dir.path(), "[[listen]]\naddress = '127.0.0.1:0'\nstarttls = 'off'\n");
    has(&plain, Severity::Warning, "tls", "no listener offers TLS");
    std::fs::create_dir(dir.path().join("certs")).unwrap();
    std::fs::write(dir.path().join("certs/localhost.crt"), "nonsense").unwrap();
    std::fs::write(dir.path().join("certs/localhost.key"), "nonsense").unwrap();
    let bad = found(dir.path(), FREE);
    has(&bad, Severity::Error, "certificate of localhost", "");
}

#[test]
fn data_that_cannot_be_opened_are_told_with_the_way_out_that_fits() {
    let dir = tempfile::tempdir().unwrap();
    let Loaded { config, plan, .. } = loaded(dir.path(), FREE);
    with_an_old_account(&config, &plan);
    let with = |extra: &[hearth_store::Migrations]| {
        let mut migrations = modules::migrations(&plan);
        migrations.extend_from_slice(extra);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let store = Store::open(&data::options(&config), &migrations).unwrap();
        runtime.block_on(store.close()).unwrap();
    };
    with(&[hearth_store::Migrations { owner: "later", steps: &["CREATE TABLE later (x BIGINT)"] }]);
    let newer = found(dir.path(), FREE);
    has(&newer, Severity::Error, "data", "it has tables of `later`");
    let fix = &newer.0.iter().find(|finding| finding.severity == Severity::Error).unwrap().fix;
    assert_eq!(fix, "install the newer version again");
    std::fs::write(config.data.directory.join("hearth.db"), "nonsense").unwrap();
    has(&found(dir.path(), FREE), Severity::Error, "data", "the database could not be opened");
}

#[test]
fn a_variable_that_nobody_reads_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("config.toml");
    std::fs::write(&file, format!("data.create = true\n{FREE}")).unwrap();
    let variables = [("HEARTH_HOST".to_owned(), "a.example".to_owned())].into_iter().collect();
    let found = examine(&Sources { files: vec![file], variables }, None);
    has(&found, Severity::Warning, "environment", "the variable HEARTH_HOST is not read");
}

#[test]
fn mistakes_of_the_configuration_come_first_and_alone() {
    let dir = tempfile::tempdir().unwrap();
    let found = found(dir.path(), "[data]\nxyz = 1\n");
    assert_eq!(found.0.len(), 1);
    has(&found, Severity::Error, "configuration", "config.toml:2: there is no setting `data.xyz`");
}
