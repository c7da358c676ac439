//! Opening: never empty by accident, never twice, never a newer schema, never a migration without a way back.

#![allow(clippy::unwrap_used, reason = "a test ends here")]

mod common;

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use common::{Scratch, keep, number};
use hearth_store::{Migrations, OpenError, Options, Sql, SqlExt, Store, log};

const V1: Migrations =
    Migrations { owner: "note", steps: &["CREATE TABLE note (id INTEGER PRIMARY KEY, text TEXT NOT NULL)"] };
const V2: Migrations = Migrations {
    owner: "note",
    steps: &[
        V1.steps[0],
        "ALTER TABLE note ADD COLUMN length BIGINT NOT NULL DEFAULT 0;
         UPDATE note SET length = length(text);
         CREATE INDEX note_by_length ON note (length);",
    ],
};

async fn open_and_close(options: &Options, migrations: &[Migrations]) {
    Store::open(options, migrations).unwrap().close().await.unwrap();
}

/// A database at version 1 with one row in it.
async fn with_a_note(options: &Options) {
    let store = Store::open(options, &[V1]).unwrap();
    store.write(|sql| sql.run("INSERT INTO note (text) VALUES ('four')", &[])).await.unwrap();
    store.close().await.unwrap();
}

fn names(dir: &Path, ending: &str) -> Vec<String> {
    let entries = std::fs::read_dir(dir).unwrap();
    let mut names: Vec<String> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.retain(|name| name.ends_with(ending));
    names.sort();
    names
}

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[tokio::test]
async fn a_missing_or_empty_directory_is_not_filled_unasked() {
    let scratch = Scratch::new("create");
    let asked = scratch.options();
    let unasked = Options { create: false, ..asked.clone() };
    let refused = Store::open(&unasked, &[]).err().unwrap();
    assert!(matches!(&refused, OpenError::WouldCreate { dir } if *dir == scratch.data()));
    assert!(refused.to_string().contains("data.create = true"), "{refused}");
    assert!(!scratch.data().exists(), "a refusal leaves nothing behind");
    std::fs::create_dir(scratch.data()).unwrap();
    assert!(matches!(Store::open(&unasked, &[]), Err(OpenError::WouldCreate { .. })));
    open_and_close(&asked, &[]).await;
    open_and_close(&unasked, &[]).await;
}

#[tokio::test]
async fn data_is_closed_to_other_users_even_where_it_was_open() {
    let scratch = Scratch::new("mode");
    open_and_close(&scratch.options(), &[]).await;
    let dir = scratch.data();
    assert_eq!(mode(&dir), 0o700);
    std::fs::set_permissions(&dir, std::fs::Permissions::from_mode(0o755)).unwrap();
    std::fs::set_permissions(dir.join("hearth.db"), std::fs::Permissions::from_mode(0o644)).unwrap();
    let store = Store::open(&scratch.options(), &[]).unwrap();
    store.write(|sql| keep(sql, "x")).await.unwrap();
    assert_eq!(mode(&dir), 0o700);
    for name in names(&dir, "") {
        assert_eq!(mode(&dir.join(&name)), 0o600, "{name}");
    }
    store.close().await.unwrap();
}

#[tokio::test]
async fn a_second_opener_is_told_who_holds_the_data() {
    let scratch = Scratch::new("lock");
    let store = Store::open(&scratch.options(), &[]).unwrap();
    let refused = Store::open(&scratch.options(), &[]).err().unwrap();
    let own = std::process::id();
    assert!(matches!(refused, OpenError::Locked { pid: Some(pid), .. } if pid == own), "{refused}");
    store.close().await.unwrap();
    open_and_close(&scratch.options(), &[]).await;
}

#[tokio::test]
async fn a_newer_schema_is_refused_and_left_alone() {
    let scratch = Scratch::new("newer");
    open_and_close(&scratch.options(), &[V2]).await;
    let refused = Store::open(&scratch.options(), &[V1]).err().unwrap();
    assert!(
        matches!(&refused, OpenError::NewerSchema { owner, found: 2, known: 1 } if owner == "note"),
        "{refused}"
    );
    open_and_close(&scratch.options(), &[V2]).await;
}

#[tokio::test]
async fn tables_of_an_unknown_module_are_refused_and_left_alone() {
    let scratch = Scratch::new("absent");
    with_a_note(&scratch.options()).await;
    let refused = Store::open(&scratch.options(), &[]).err().unwrap();
    assert!(matches!(&refused, OpenError::UnknownOwner { owner } if owner == "note"), "{refused}");
    let store = Store::open(&scratch.options(), &[V1]).unwrap();
    assert_eq!(store.read(|sql| sql.one("SELECT count(*) FROM note", &[], number)).await, Ok(1));
    store.close().await.unwrap();
}

#[tokio::test]
async fn version_1_with_data_becomes_version_2_and_a_copy_of_1_remains() {
    let scratch = Scratch::new("migrate");
    with_a_note(&scratch.options()).await;
    assert_eq!(names(&scratch.data(), ".snapshot"), [""; 0], "nothing to copy at the first start");
    let store = Store::open(&scratch.options(), &[V2]).unwrap();
    assert_eq!(store.read(|sql| sql.one("SELECT length FROM note", &[], number)).await, Ok(4));
    store.close().await.unwrap();
    // store 1, log 1, kv 1, note 1.
    let copies = names(&scratch.data(), ".snapshot");
    assert_eq!(copies, ["hearth.db.schema-4.snapshot"]);
    let copy = scratch.data().join(&copies[0]);
    assert_eq!(mode(&copy), 0o600);

    // The way back, as the documentation describes it.
    std::fs::rename(copy, scratch.data().join("hearth.db")).unwrap();
    let store = Store::open(&scratch.options(), &[V1]).unwrap();
    let text =
        store.read(|sql| sql.one("SELECT text FROM note", &[], |row| Ok(row.text(0)?.to_owned()))).await;
    assert_eq!(text, Ok("four".to_owned()));
    store.close().await.unwrap();
}

#[tokio::test]
async fn only_the_two_newest_copies_are_kept() {
    const STEPS: &[&str] = &[
        "CREATE TABLE note (a)",
        "ALTER TABLE note ADD COLUMN b",
        "CREATE INDEX note_b ON note (b)",
        "ANALYZE",
    ];
    let scratch = Scratch::new("copies");
    for count in 1..=STEPS.len() {
        open_and_close(&scratch.options(), &[Migrations { owner: "note", steps: &STEPS[..count] }]).await;
    }
    let copies = names(&scratch.data(), ".snapshot");
    assert_eq!(copies, ["hearth.db.schema-5.snapshot", "hearth.db.schema-6.snapshot"]);
}

#[tokio::test]
async fn a_migration_that_fails_changes_nothing() {
    const BROKEN: Migrations =
        Migrations { owner: "note", steps: &[V1.steps[0], "CREATE TABLE note_more (a); DROP TABLE nothing"] };
    let scratch = Scratch::new("broken");
    with_a_note(&scratch.options()).await;
    let failed = Store::open(&scratch.options(), &[BROKEN]).err().unwrap();
    assert!(matches!(failed, OpenError::Migration { owner: "note", step: 2, .. }), "{failed}");
    let store = Store::open(&scratch.options(), &[V1]).unwrap();
    assert!(!store.schema_dump().await.unwrap().contains("note_more"));
    store.close().await.unwrap();
}

#[test]
fn owners_are_unique_and_name_what_they_make() {
    let twice = Store::in_memory(&[V1, V2]).err().unwrap();
    assert!(matches!(twice, OpenError::TwoOwners { owner: "note" }), "{twice}");
    let reserved = Store::in_memory(&[Migrations { owner: "log", steps: &[] }]).err().unwrap();
    assert!(matches!(reserved, OpenError::TwoOwners { owner: "log" }), "{reserved}");
    let foreign = Migrations { owner: "note", steps: &["CREATE TABLE notes (a)"] };
    let foreign = Store::in_memory(&[foreign]).err().unwrap();
    assert!(matches!(&foreign, OpenError::ForeignName { name, .. } if name == "notes"), "{foreign}");
}

#[tokio::test]
async fn connections_are_set_as_promised() {
    let scratch = Scratch::new("pragma");
    let store = Store::open(&scratch.options(), &[]).unwrap();
    let settings = |sql: &mut dyn Sql| {
        let statements = [
            "PRAGMA synchronous",
            "PRAGMA page_size",
            "PRAGMA wal_autocheckpoint",
            "PRAGMA foreign_keys",
            "PRAGMA mmap_size",
        ];
        statements
            .into_iter()
            .map(|statement| sql.one(statement, &[], number))
            .collect::<Result<Vec<i64>, _>>()
    };
    // synchronous: 2 is FULL, 1 is NORMAL.
    assert_eq!(store.write(move |sql| settings(sql)).await.unwrap(), [2, 8192, 0, 1, 0]);
    let mode = |sql: &mut dyn Sql| sql.one("PRAGMA journal_mode", &[], |row| Ok(row.text(0)?.to_owned()));
    assert_eq!(store.read(mode).await.unwrap(), "wal");
    store.close().await.unwrap();

    let quick = Options { durability: hearth_store::Durability::Crash, ..scratch.options() };
    let store = Store::open(&quick, &[]).unwrap();
    assert_eq!(store.write(|sql| sql.one("PRAGMA synchronous", &[], number)).await, Ok(1));
    store.close().await.unwrap();
}

#[tokio::test]
async fn numbers_go_on_where_an_emptied_log_ended() {
    let scratch = Scratch::new("numbers");
    let store = Store::open(&scratch.options(), &[]).unwrap();
    let row = store.write(|sql| keep(sql, "x")).await.unwrap();
    store.write(move |sql| log::forget(sql, 1, &[row])).await.unwrap();
    store.close().await.unwrap();
    let store = Store::open(&scratch.options(), &[]).unwrap();
    assert!(store.write(|sql| keep(sql, "y")).await.unwrap() > row);
    store.close().await.unwrap();
}

#[tokio::test]
async fn the_schema_of_the_store_itself() {
    let store = Store::in_memory(&[]).unwrap();
    let file = Scratch::new("schema");
    let on_disk = Store::open(&file.options(), &[]).unwrap();
    let dump = store.schema_dump().await.unwrap();
    assert_eq!(dump, on_disk.schema_dump().await.unwrap());
    on_disk.close().await.unwrap();
    let tables: Vec<&str> = dump.lines().filter(|line| line.starts_with("CREATE")).collect();
    expect_test::expect![[r#"
        [
            "CREATE TABLE kv (",
            "CREATE TABLE log (",
            "CREATE INDEX log_by_account ON log (account, row);",
            "CREATE TABLE store_counter (name TEXT NOT NULL PRIMARY KEY, reserved BIGINT NOT NULL);",
            "CREATE TABLE store_schema (owner TEXT NOT NULL PRIMARY KEY, step BIGINT NOT NULL);",
        ]
    "#]]
    .assert_debug_eq(&tables);
}
