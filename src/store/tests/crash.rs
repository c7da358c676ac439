//! `kill -9` in the middle of writes: everything acknowledged is there, and no number is used twice.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test ends here")]

mod common;

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use common::{Scratch, keep};
use hearth_store::{Options, Sql, Store, log};

/// Names the data directory for the child that will be killed.
const CHILD: &str = "HEARTH_STORE_CRASH_DIR";
const TEST: &str = "what_was_acknowledged_survives_the_kill_and_numbers_never_repeat";

#[test]
fn what_was_acknowledged_survives_the_kill_and_numbers_never_repeat() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    if let Some(dir) = std::env::var_os(CHILD) {
        return runtime.block_on(write_for_ever(Path::new(&dir)));
    }
    let scratch = Scratch::new("crash");
    let mut acknowledged = BTreeMap::new();
    for lines in [1, 40, 400, 1_500, 4_000, 700] {
        let earlier = acknowledged.last_key_value().map_or(0, |(row, _)| *row);
        let new = run_and_kill(&scratch.data(), lines);
        assert!(new.iter().all(|(row, _)| *row > earlier), "a number of an earlier process came again");
        acknowledged.extend(new);
        let kept = runtime.block_on(kept(&scratch.options()));
        for (row, text) in &acknowledged {
            assert_eq!(kept.get(row), Some(text), "row {row} was acknowledged");
        }
    }
}

/// Lets a child write until it has acknowledged so many rows, and kills it there.
fn run_and_kill(dir: &Path, lines: usize) -> Vec<(i64, String)> {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", TEST, "--nocapture"])
        .env(CHILD, dir)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut output = BufReader::new(child.stdout.take().unwrap()).lines().map(|line| line.unwrap());
    let mut rows: Vec<(i64, String)> =
        output.by_ref().filter_map(|line| acknowledgement(&line)).take(lines).collect();
    assert_eq!(rows.len(), lines);
    child.kill().unwrap();
    child.wait().unwrap();
    // What it had said before it died counts too; a last line without its end does not.
    rows.extend(output.filter_map(|line| acknowledgement(&line)));
    rows
}

fn acknowledgement(line: &str) -> Option<(i64, String)> {
    let (row, text) = line.strip_prefix("ack ")?.strip_suffix(" .")?.split_once(' ')?;
    Some((row.parse().ok()?, text.to_owned()))
}

/// The child: many writes under way at any time, each said aloud as soon as it is acknowledged. The writer's own
/// thread says it, and soon stands still in the middle of a group because nobody reads on: had it spoken before
/// its commit, the kill would show it.
async fn write_for_ever(dir: &Path) {
    let store = Store::open(&Options { create: true, ..Options::new(dir) }, &[]).unwrap();
    for n in 0_u64.. {
        let text = format!("message-{n}-of-{}", std::process::id());
        let said = text.clone();
        store
            .reserve()
            .await
            .unwrap()
            .submit_then(move |sql| keep(sql, &text), move |row| println!("ack {} {said} .", row.unwrap()));
    }
}

async fn kept(options: &Options) -> BTreeMap<i64, String> {
    let store = Store::open(options, &[]).unwrap();
    let all = |sql: &mut dyn Sql| log::page(sql, 1, log::Range::default(), log::End::Oldest, 1_000_000);
    let page = store.read(all).await.unwrap();
    assert!(page.complete);
    store.close().await.unwrap();
    page.rows.into_iter().map(|row| (row.row, String::from_utf8(row.stanza).unwrap())).collect()
}
