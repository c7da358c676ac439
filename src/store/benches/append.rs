//! What a row costs, on the disk that the target directory is on: `cargo bench -p hearth-store`.
//!
//! A measurement to be read by people, not a test: it asserts no times. Each line is the median of several runs,
//! with full durability unless it says otherwise.

#![allow(clippy::print_stdout, reason = "it prints figures")]

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use hearth_store::{Durability, Migrations, Options, Sql, Store, StoreError, WriteSql, log};
use tokio::sync::Semaphore;

type Error = Box<dyn std::error::Error + Send + Sync>;

const ROWS: i64 = 40_000;
const RUNS: usize = 5;
const STANZA: [u8; 400] = [b'x'; 400];

/// What an archive would add, to see what each index costs.
const TIME: Migrations =
    Migrations { owner: "bench", steps: &["CREATE INDEX bench_by_time ON log (account, time_ms)"] };
const ONCE: Migrations = Migrations {
    owner: "once",
    steps: &["CREATE TABLE once (key BLOB NOT NULL PRIMARY KEY, time_ms BIGINT NOT NULL);
              CREATE INDEX once_by_time ON once (time_ms);"],
};
const REMEMBER: &str = "INSERT INTO once (key, time_ms) VALUES (?1, ?2) ON CONFLICT (key) DO NOTHING";

/// One line of the answer.
struct Case {
    name: &'static str,
    tables: &'static [Migrations],
    accounts: i64,
    /// Rows that are there before the clock starts.
    before: i64,
    durability: Durability,
}

const PLAIN: Case =
    Case { name: "log, 100 accounts", tables: &[], accounts: 100, before: 0, durability: Durability::Power };

const CASES: &[Case] = &[
    PLAIN,
    Case { name: "log, 20,000 accounts", accounts: 20_000, ..PLAIN },
    Case { name: "log + time index", tables: &[TIME], ..PLAIN },
    Case { name: "log + time index + dedupe", tables: &[TIME, ONCE], ..PLAIN },
    Case { name: "log, durability = crash", durability: Durability::Crash, ..PLAIN },
    Case { name: "log, 20,000 accounts, 2 M rows", accounts: 20_000, before: 2_000_000, ..PLAIN },
    Case {
        name: "log + time index, 20,000 accounts, 2 M rows",
        tables: &[TIME],
        accounts: 20_000,
        before: 2_000_000,
        ..PLAIN
    },
];

fn main() -> Result<(), Error> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    println!("groups of up to 400 jobs, a row of 400 bytes each; median of {RUNS} runs of {ROWS} rows");
    CASES.iter().try_for_each(|case| runtime.block_on(append(case)))?;
    runtime.block_on(pages())
}

async fn append(case: &Case) -> Result<(), Error> {
    let dir = scratch();
    let options = Options { create: true, durability: case.durability, ..Options::new(&dir) };
    let store = Store::open(&options, case.tables)?;
    fill(&store, case, case.before).await?;
    let mut runs = Vec::new();
    let commits = store.stats().commits.value();
    for _ in 0..RUNS {
        let began = Instant::now();
        fill(&store, case, ROWS).await?;
        runs.push(began.elapsed().as_secs_f64() * 1e6 / ROWS as f64);
    }
    runs.sort_by(f64::total_cmp);
    let commits = store.stats().commits.value() - commits;
    println!(
        "{:<45} {:>6.1} µs/row (best {:.1})  {:>5.0} rows/commit  longest commit {} ms",
        case.name,
        runs[RUNS / 2],
        runs[0],
        (ROWS * RUNS as i64) as f64 / commits as f64,
        store.stats().commit_us_max.value() / 1000
    );
    store.close().await?;
    std::fs::remove_dir_all(&dir)?;
    Ok(())
}

/// As connections do it: a job per message, 400 of them under way.
async fn fill(store: &Store, case: &Case, rows: i64) -> Result<(), Error> {
    let window = Arc::new(Semaphore::new(400));
    let once = case.tables.len() > 1;
    for n in 0..rows {
        let place = Arc::clone(&window).acquire_owned().await?;
        let account = n.wrapping_mul(7919) % case.accounts;
        store.reserve().await?.submit_then(
            move |sql| write_one(sql, once, account, n),
            move |result| {
                assert!(result.is_ok(), "{result:?}");
                drop(place);
            },
        );
    }
    // All places back: all rows committed.
    let _all = window.acquire_many(400).await?;
    Ok(())
}

fn write_one(sql: &mut dyn WriteSql, once: bool, account: i64, n: i64) -> Result<(), StoreError> {
    let time_ms = 1_700_000_000_000 + n;
    let entry = log::Entry { account, time_ms, flags: 0, peer: "romeo@example.org", stanza: &STANZA };
    let row = log::append(sql, &entry)?;
    if once {
        // Keys come in no order, like the hash of a payload.
        let key = (row as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15).to_be_bytes();
        sql.run(REMEMBER, &[key[..].into(), time_ms.into()])?;
    }
    Ok(())
}

/// A page of 100 from a small and from a large log.
async fn pages() -> Result<(), Error> {
    for rows in [10_000, 2_000_000] {
        let dir = scratch();
        let store = Store::open(&Options { create: true, ..Options::new(&dir) }, &[])?;
        fill(&store, &PLAIN, rows).await?;
        let (median, p99) = store.read(page_times).await?;
        println!("page of 100 from {rows} rows: median {median:.0} µs, p99 {p99:.0} µs");
        store.close().await?;
        std::fs::remove_dir_all(&dir)?;
    }
    Ok(())
}

fn page_times(sql: &mut dyn Sql) -> Result<(f64, f64), StoreError> {
    let mut times: Vec<f64> = Vec::new();
    for round in 1..=10 {
        for account in 0..PLAIN.accounts {
            let range = log::Range { before: round * 10_000, ..log::Range::default() };
            let began = Instant::now();
            log::page(sql, account, range, log::End::Newest, 100)?;
            times.push(began.elapsed().as_secs_f64() * 1e6);
        }
    }
    times.sort_by(f64::total_cmp);
    Ok((times[times.len() / 2], times[times.len() * 99 / 100]))
}

fn scratch() -> PathBuf {
    PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("append-bench-{}", std::process::id()))
}
