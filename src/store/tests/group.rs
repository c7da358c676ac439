//! What the writer promises: order, shared commits, isolation of failures, results only after the commit.

#![allow(clippy::unwrap_used, reason = "a test ends here")]

mod common;

use std::future::Future;
use std::pin::Pin;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex};
use std::task::Poll;

use common::{Scratch, keep, number};
use hearth_store::{Migrations, Options, Sql, SqlExt, Store, StoreError, Ticket, log};

const NOTE: Migrations =
    Migrations { owner: "note", steps: &["CREATE TABLE note (text TEXT NOT NULL PRIMARY KEY)"] };
const ADD: &str = "INSERT INTO note (text) VALUES (?1)";
const COUNT: &str = "SELECT count(*) FROM note";

fn store() -> Store {
    Store::in_memory(&[NOTE]).unwrap()
}

/// Occupies the writer until the sender is used or dropped, so that what is submitted meanwhile waits together.
async fn occupy(store: &Store) -> (SyncSender<()>, Ticket<()>) {
    let (release, wait) = sync_channel::<()>(1);
    let (begun, has_begun) = sync_channel::<()>(1);
    let mut wait: Option<Receiver<()>> = Some(wait);
    let ticket = store.reserve().await.unwrap().submit(move |_| {
        // A repeated group runs it again, and then nobody waits.
        if let Some(wait) = wait.take() {
            begun.send(()).unwrap();
            let _released_or_dropped = wait.recv();
        }
        Ok(())
    });
    tokio::task::spawn_blocking(move || has_begun.recv()).await.unwrap().unwrap();
    (release, ticket)
}

async fn texts(store: &Store) -> Vec<String> {
    let read = |sql: &mut dyn Sql| {
        sql.list("SELECT text FROM note ORDER BY rowid", &[], |row| Ok(row.text(0)?.to_owned()))
    };
    store.read(read).await.unwrap()
}

#[tokio::test]
async fn jobs_that_wait_share_one_commit_and_keep_their_order() {
    let store = store();
    let before = store.stats().commits.value();
    let (release, first) = occupy(&store).await;
    let mut tickets = Vec::new();
    let mut expected = Vec::new();
    for n in 0..100 {
        let text = format!("{n:03}");
        expected.push(text.clone());
        tickets.push(store.reserve().await.unwrap().submit(move |sql| sql.run(ADD, &[(&text).into()])));
    }
    assert_eq!(store.stats().queue.value(), 101);
    drop(release);
    first.await.unwrap();
    for ticket in tickets {
        assert_eq!(ticket.await, Ok(1));
    }
    assert_eq!(store.stats().commits.value() - before, 1);
    assert_eq!(store.stats().jobs.value(), 101);
    assert_eq!(store.stats().queue.value(), 0);
    assert_eq!(texts(&store).await, expected);
}

#[tokio::test]
async fn a_job_that_fails_after_writing_is_undone_alone() {
    let store = store();
    let (release, first) = occupy(&store).await;
    let good = store.reserve().await.unwrap().submit(|sql| sql.run(ADD, &["before".into()]));
    let bad = store.reserve().await.unwrap().submit(|sql| {
        sql.run(ADD, &["half".into()])?;
        Err::<(), _>(StoreError::Refused("no"))
    });
    let panics = store.reserve().await.unwrap().submit::<(), _>(|sql| {
        sql.run(ADD, &["torn".into()])?;
        panic!("a bug in a job")
    });
    let conflict = store.reserve().await.unwrap().submit(|sql| sql.run(ADD, &["before".into()]));
    let last = store.reserve().await.unwrap().submit(|sql| sql.run(ADD, &["after".into()]));
    drop(release);
    first.await.unwrap();
    assert_eq!(good.await, Ok(1));
    assert_eq!(bad.await, Err(StoreError::Refused("no")));
    assert_eq!(panics.await, Err(StoreError::Panicked));
    assert!(matches!(conflict.await, Err(StoreError::Conflict(_))));
    assert_eq!(last.await, Ok(1));
    assert_eq!(texts(&store).await, ["before", "after"]);
    assert_eq!(store.stats().groups_repeated.value(), 1);
    assert_eq!(store.stats().jobs_failed.value(), 3);
    assert_eq!(store.stats().jobs.value(), 6);
    assert_eq!(store.stats().commits_failed.value(), 0);
}

#[tokio::test]
async fn a_job_that_fails_before_writing_costs_its_group_nothing() {
    let store = store();
    let (release, first) = occupy(&store).await;
    let good = store.reserve().await.unwrap().submit(|sql| sql.run(ADD, &["a".into()]));
    let conflict = store.reserve().await.unwrap().submit(|sql| sql.run(ADD, &["a".into()]));
    let missing = store
        .reserve()
        .await
        .unwrap()
        .submit(|sql| sql.one("SELECT text FROM note WHERE text = 'b'", &[], number));
    drop(release);
    first.await.unwrap();
    assert_eq!(good.await, Ok(1));
    assert!(matches!(conflict.await, Err(StoreError::Conflict(_))));
    assert_eq!(missing.await, Err(StoreError::NoRow));
    assert_eq!(store.stats().groups_repeated.value(), 0);
}

#[tokio::test]
async fn callbacks_come_in_order_after_the_commit_and_before_any_ticket() {
    let store = store();
    let seen = Arc::new(Mutex::new(Vec::new()));
    let (release, first) = occupy(&store).await;
    // Submitted before the callbacks, and yet told after them.
    let early = store.reserve().await.unwrap().submit(|sql| sql.run(ADD, &["early".into()]));
    for n in 0..20 {
        let (seen, store_then) = (Arc::clone(&seen), store.clone());
        store.reserve().await.unwrap().submit_then(
            move |sql| {
                let row = keep(sql, "x")?;
                if n == 13 { Err(StoreError::Refused("no")) } else { Ok(row) }
            },
            move |result| {
                let committed = store_then.stats().commits.value();
                seen.lock().unwrap().push((n, result.is_ok(), committed));
            },
        );
    }
    let before = store.stats().commits.value();
    drop(release);
    first.await.unwrap();
    early.await.unwrap();
    let expected: Vec<(i32, bool, u64)> = (0..20).map(|n| (n, n != 13, before + 1)).collect();
    assert_eq!(*seen.lock().unwrap(), expected);
}

#[tokio::test]
async fn no_ticket_wakes_while_a_callback_of_its_group_is_still_at_work() {
    let store = store();
    let (release, first) = occupy(&store).await;
    let mut early = store.reserve().await.unwrap().submit(|sql| sql.run(ADD, &["early".into()]));
    let (inside, is_inside) = sync_channel::<()>(1);
    let (go_on, wait) = sync_channel::<()>(1);
    store.reserve().await.unwrap().submit_then(
        |_| Ok(()),
        move |_| {
            inside.send(()).unwrap();
            wait.recv().unwrap();
        },
    );
    drop(release);
    tokio::task::spawn_blocking(move || is_inside.recv()).await.unwrap().unwrap();
    let now = std::future::poll_fn(|context| Poll::Ready(Pin::new(&mut early).poll(context))).await;
    assert_eq!(now, Poll::Pending);
    go_on.send(()).unwrap();
    assert_eq!((early.await, first.await), (Ok(1), Ok(())));
}

#[tokio::test]
async fn a_commit_that_fails_fails_its_whole_group_and_the_next_one_goes_on() {
    // The foreign key is checked by COMMIT only, and then the transaction is still open.
    const CHILD: Migrations = Migrations {
        owner: "child",
        steps: &["CREATE TABLE child (note TEXT REFERENCES note (text) DEFERRABLE INITIALLY DEFERRED)"],
    };
    let store = Store::in_memory(&[NOTE, CHILD]).unwrap();
    let (release, first) = occupy(&store).await;
    let good = store.reserve().await.unwrap().submit(|sql| sql.run(ADD, &["good".into()]));
    let orphan = store
        .reserve()
        .await
        .unwrap()
        .submit(|sql| sql.run("INSERT INTO child (note) VALUES ('nobody')", &[]));
    let own = store.reserve().await.unwrap().submit(|_| Err::<(), _>(StoreError::Refused("no")));
    drop(release);
    assert!(matches!(first.await, Err(StoreError::Conflict(_))));
    assert!(matches!(good.await, Err(StoreError::Conflict(_))));
    assert!(matches!(orphan.await, Err(StoreError::Conflict(_))));
    assert_eq!(own.await, Err(StoreError::Refused("no")), "its own reason says more");
    assert_eq!(store.stats().commits_failed.value(), 1);
    assert_eq!(store.write(|sql| sql.run(ADD, &["next".into()])).await, Ok(1));
    assert_eq!(texts(&store).await, ["next"]);
}

#[tokio::test]
async fn row_numbers_rise_with_the_order_of_submission_and_skip_what_was_undone() {
    let store = store();
    let (release, first) = occupy(&store).await;
    let mut tickets = Vec::new();
    for n in 0..50 {
        tickets.push(store.reserve().await.unwrap().submit(move |sql| {
            let row = keep(sql, "x")?;
            if n % 10 == 5 { Err(StoreError::Refused("no")) } else { Ok(row) }
        }));
    }
    drop(release);
    first.await.unwrap();
    let mut rows = Vec::new();
    for ticket in tickets {
        rows.extend(ticket.await.ok());
    }
    assert_eq!(rows.len(), 45);
    assert!(rows.is_sorted_by(|a, b| a < b), "{rows:?}");
    let kept = |sql: &mut dyn Sql| log::page(sql, 1, log::Range::default(), log::End::Oldest, 100);
    let kept: Vec<i64> = store.read(kept).await.unwrap().rows.iter().map(|row| row.row).collect();
    assert_eq!(kept, rows);
}

#[tokio::test]
async fn readers_see_only_what_is_committed() {
    let scratch = Scratch::new("isolation");
    let store = Store::open(&scratch.options(), &[NOTE]).unwrap();
    let (inside, is_inside) = sync_channel::<()>(1);
    let (release, wait) = sync_channel::<()>(1);
    let ticket = store.reserve().await.unwrap().submit(move |sql| {
        sql.run(ADD, &["a".into()])?;
        inside.send(()).unwrap();
        wait.recv().unwrap();
        Ok(())
    });
    tokio::task::spawn_blocking(move || is_inside.recv()).await.unwrap().unwrap();
    assert_eq!(store.read(|sql| sql.one(COUNT, &[], number)).await, Ok(0));
    release.send(()).unwrap();
    ticket.await.unwrap();
    assert_eq!(store.read(|sql| sql.one(COUNT, &[], number)).await, Ok(1));
    store.close().await.unwrap();
}

#[tokio::test]
async fn readers_cannot_write() {
    let store = store();
    let refused = store.read(|sql| sql.run(ADD, &["a".into()])).await;
    assert!(refused.is_err());
    assert_eq!(store.stats().reads_failed.value(), 1);
    assert_eq!(texts(&store).await, [""; 0]);
}

#[tokio::test]
async fn a_statement_with_a_wrong_number_of_arguments_is_refused() {
    let store = store();
    let wrong = store.write(|sql| sql.run(ADD, &[])).await;
    assert!(matches!(wrong, Err(StoreError::Query(_))), "{wrong:?}");
}

#[tokio::test]
async fn a_full_queue_is_busy_and_moves_again() {
    let scratch = Scratch::new("busy");
    let options = Options { queue_jobs_max: 2, reserve_wait_ms_max: 1, ..scratch.options() };
    let store = Store::open(&options, &[]).unwrap();
    let held = store.reserve().await.unwrap();
    // A job larger than the queue wants all of it.
    assert_eq!(store.reserve_bytes(1 << 30).await.err(), Some(StoreError::Busy));
    let second = store.try_reserve().unwrap();
    assert_eq!(store.try_reserve().err(), Some(StoreError::Busy));
    assert_eq!(store.reserve().await.err(), Some(StoreError::Busy));
    drop(second);
    store.try_reserve().unwrap().submit(|_| Ok(())).await.unwrap();
    drop(held);
    store.reserve_bytes(1 << 30).await.unwrap().submit(|_| Ok(())).await.unwrap();
    store.close().await.unwrap();
}

#[tokio::test]
async fn closing_does_what_was_promised_and_takes_nothing_new() {
    let scratch = Scratch::new("close");
    let store = Store::open(&scratch.options(), &[NOTE]).unwrap();
    let (release, first) = occupy(&store).await;
    let queued = store.reserve().await.unwrap().submit(|sql| sql.run(ADD, &["queued".into()]));
    let promised = store.reserve().await.unwrap();
    let closing = tokio::spawn({
        let store = store.clone();
        async move { store.close().await }
    });
    while store.try_reserve().is_ok() {
        tokio::task::yield_now().await;
    }
    assert_eq!(store.reserve().await.err(), Some(StoreError::Closed));
    drop(release);
    let late = promised.submit(|sql| sql.run(ADD, &["promised".into()]));
    assert_eq!((first.await, queued.await, late.await), (Ok(()), Ok(1), Ok(1)));
    closing.await.unwrap().unwrap();
    assert_eq!(store.read(|sql| sql.one(COUNT, &[], number)).await, Err(StoreError::Closed));
    assert!(!scratch.data().join("hearth.db-wal").exists(), "the log file is merged");

    let store = Store::open(&scratch.options(), &[NOTE]).unwrap();
    assert_eq!(texts(&store).await, ["queued", "promised"]);
    store.close().await.unwrap();
}

#[tokio::test]
async fn under_a_writer_that_never_rests_the_log_file_starts_again_from_its_beginning() {
    let scratch = Scratch::new("wal");
    // Without syncs the writer is as fast as it can be, which is the hard case.
    let options = Options { durability: hearth_store::Durability::Crash, ..scratch.options() };
    let store = Store::open(&options, &[]).unwrap();
    let large = "x".repeat(1 << 20);
    let mut longest = 0;
    // 2 GiB at most; a log that only grows gets there.
    let mut restarted = false;
    for _ in 0..2048 {
        let text = large.clone();
        store.write(move |sql| keep(sql, &text)).await.unwrap();
        let pages = store.stats().wal_pages.value();
        restarted = pages < longest;
        longest = longest.max(pages);
        if restarted {
            break;
        }
    }
    assert!(restarted, "{longest} pages");
    store.close().await.unwrap();
}

#[tokio::test]
async fn space_is_given_back_in_steps() {
    let scratch = Scratch::new("shrink");
    let store = Store::open(&scratch.options(), &[]).unwrap();
    let text = "x".repeat(1 << 20);
    let row = store.write(move |sql| keep(sql, &text)).await.unwrap();
    store.write(move |sql| log::forget(sql, 1, &[row])).await.unwrap();
    let free = store.shrink(64).await.unwrap();
    assert!(free > 100, "{free}");
    assert_eq!(store.shrink(1024).await.unwrap(), free - 64);
    assert_eq!(store.shrink(1024).await.unwrap(), 0);
    store.close().await.unwrap();
}
