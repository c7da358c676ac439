//! A full and a failing disk: errors that pass, nothing acknowledged that is not kept, and the writer lives on.

#![allow(clippy::unwrap_used, reason = "a test ends here")]

mod common;

use std::process::Command;

use common::{Scratch, keep, number};
use hearth_store::{Options, SqlExt, Store, StoreError, log};
use rustix::process::{Resource, Rlimit, setrlimit};

/// Set for the child that plays the disk with a limited file size.
const CHILD: &str = "HEARTH_STORE_SMALL_FILES";

/// Appends until the store says no; returns what was acknowledged and why it ended.
async fn fill(store: &Store, rows: &mut Vec<i64>) -> StoreError {
    let text = "x".repeat(20_000);
    loop {
        let text = text.clone();
        match store.write(move |sql| keep(sql, &text)).await {
            Ok(row) => rows.push(row),
            Err(error) => return error,
        }
    }
}

async fn kept(store: &Store) -> Vec<i64> {
    store.read(|sql| sql.list("SELECT row FROM log ORDER BY row", &[], number)).await.unwrap()
}

#[tokio::test]
async fn a_full_database_says_so_and_goes_on_when_there_is_room() {
    let scratch = Scratch::new("full");
    let store = Store::open(&Options { pages_max: Some(64), ..scratch.options() }, &[]).unwrap();
    let mut rows = Vec::new();
    assert_eq!(fill(&store, &mut rows).await, StoreError::Full);
    assert_eq!(kept(&store).await, rows, "what was acknowledged is kept, and nothing else");
    assert_eq!(fill(&store, &mut rows).await, StoreError::Full, "still full, still answering");
    let half = rows.split_off(rows.len() / 2);
    let gone = rows.clone();
    store.write(move |sql| log::forget(sql, 1, &gone)).await.unwrap();
    rows = half;
    assert_eq!(fill(&store, &mut rows).await, StoreError::Full);
    assert_eq!(kept(&store).await, rows);
    assert!(store.stats().commits_failed.value() >= 3);
    store.close().await.unwrap();
}

#[test]
fn a_disk_that_fails_while_writing_loses_nothing_acknowledged() {
    if std::env::var_os(CHILD).is_some() {
        return tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(child());
    }
    // The signal of the limit would end the child; the shell makes it ignored, and that is inherited.
    let status = Command::new("sh")
        .args(["-c", r#"trap "" XFSZ; exec "$0" "$@""#])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", "a_disk_that_fails_while_writing_loses_nothing_acknowledged", "--nocapture"])
        .env(CHILD, "1")
        .status()
        .unwrap();
    assert!(status.success());
}

/// What the disk did: the same call may succeed later.
fn is_temporary(error: &StoreError) -> bool {
    matches!(error, StoreError::Full | StoreError::Unavailable(_))
}

async fn child() {
    let scratch = Scratch::new("failing");
    let store = Store::open(&scratch.options(), &[]).unwrap();
    let mut rows = Vec::new();
    limit_file_size(Some(1 << 20));
    let error = fill(&store, &mut rows).await;
    assert!(is_temporary(&error), "{error:?}");
    assert!(!rows.is_empty());
    assert_eq!(kept(&store).await, rows);
    assert!(is_temporary(&fill(&store, &mut rows).await), "still failing, still answering");
    limit_file_size(None);
    rows.push(store.write(|sql| keep(sql, "after")).await.unwrap());
    assert!(rows.is_sorted_by(|a, b| a < b));
    assert_eq!(kept(&store).await, rows);
    assert!(store.stats().reopened.value() > 0);
    store.close().await.unwrap();
    let store = Store::open(&scratch.options(), &[]).unwrap();
    assert_eq!(kept(&store).await, rows);
    store.close().await.unwrap();
}

fn limit_file_size(bytes: Option<u64>) {
    setrlimit(Resource::Fsize, Rlimit { current: bytes, maximum: None }).unwrap();
}
