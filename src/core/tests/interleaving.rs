//! Many senders at once to an account whose only client comes, reads a little, and is lost: whatever the interleaving,
//! each message is written once, and those of one sender in their order (RFC 6120 §10.1). Among them are some that are not
//! kept for later: they may be refused, but never overtake.

#![allow(clippy::unwrap_used, reason = "a test ends here")]

mod common;

use std::sync::Arc;

use common::{Client, Dice, FLEETING, accounts, chat, server};
use hearth_core::server::Server;

const SENDERS: usize = 8;
const MESSAGES: usize = 60;
/// Every so many messages is one that is not kept.
const FLEETING_EVERY: usize = 5;

fn is_kept(n: usize) -> bool {
    !n.is_multiple_of(FLEETING_EVERY)
}

/// How many are to arrive.
fn kept() -> usize {
    SENDERS * (0..MESSAGES).filter(|n| is_kept(*n)).count()
}

fn message(id: &str, n: usize) -> String {
    let fleeting = format!("<x xmlns='{FLEETING}'/></message>");
    if is_kept(n) { chat("juliet", id) } else { chat("juliet", id).replace("</message>", &fleeting) }
}

/// The senders' numbers in what was given: whose, and which.
fn numbers(line: &str) -> Option<(usize, usize)> {
    let (sender, n) = line.strip_prefix("message s")?.strip_suffix(" chat")?.split_once('-')?;
    Some((sender.parse().ok()?, n.parse().ok()?))
}

/// Sends everything, now and then without waiting for what was stored.
async fn sender(server: Arc<Server>, number: usize, mut dice: Dice) {
    let client = Client::bind(&server, &format!("s{number}"), "r").await;
    let mut behind = Vec::new();
    for n in 0..MESSAGES {
        behind.extend(client.send_and_go_on(&message(&format!("s{number}-{n}"), n)).await);
        for _ in 0..dice.below(4) {
            tokio::task::yield_now().await;
        }
        if dice.below(3) == 0 {
            wait(&server, &mut behind).await;
        }
    }
    wait(&server, &mut behind).await;
}

async fn wait(server: &Arc<Server>, behind: &mut Vec<hearth_core::router::Behind>) {
    for behind in behind.drain(..) {
        while !behind.is_settled() {
            tokio::task::yield_now().await;
        }
        behind.release(server);
    }
}

/// One life of the client: comes, writes some of what it takes, is lost with the rest.
async fn life(server: &Arc<Server>, dice: &mut Dice, given: &mut Vec<String>) {
    let mut juliet = Client::online(server, "juliet", "r").await;
    let patience = dice.below(120);
    for _ in 0..patience {
        if count_kept(given) == kept() {
            break;
        }
        given.push(juliet.next().await);
        if dice.below(4) == 0 {
            juliet.take(dice.below(2_000) as usize);
        }
        if dice.below(3) == 0 {
            tokio::task::yield_now().await;
        }
    }
    juliet.lose();
}

async fn check(seed: u64) {
    let server = server().await;
    accounts(&server, &["juliet"]).await;
    for number in 0..SENDERS {
        accounts(&server, &[&format!("s{number}")]).await;
    }
    let senders: Vec<_> = (0..SENDERS)
        .map(|number| tokio::spawn(sender(server.clone(), number, Dice::new(seed * 100 + number as u64))))
        .collect();
    let (mut dice, mut given) = (Dice::new(seed), Vec::new());
    while count_kept(&given) < kept() {
        life(&server, &mut dice, &mut given).await;
    }
    for sender in senders {
        sender.await.unwrap();
    }
    let mut last = Client::online(&server, "juliet", "last").await;
    last.drained().await;
    assert_eq!(last.rest(), "", "seed {seed}: something was given twice");
    for number in 0..SENDERS {
        let of_sender = given.iter().filter_map(|line| numbers(line)).filter(|(sender, _)| *sender == number);
        let got: Vec<usize> = of_sender.map(|(_, n)| n).collect();
        assert!(got.is_sorted_by(|a, b| a < b), "seed {seed}, sender {number}: {got:?}");
        let kept = (0..MESSAGES).filter(|n| is_kept(*n));
        assert!(
            got.iter().copied().filter(|n| is_kept(*n)).eq(kept),
            "seed {seed}, sender {number}: {got:?}"
        );
    }
}

fn count_kept(given: &[String]) -> usize {
    given.iter().filter_map(|line| numbers(line)).filter(|(_, n)| is_kept(*n)).count()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nothing_is_lost_doubled_or_reordered() {
    for seed in 1..=40 {
        check(seed).await;
    }
}
