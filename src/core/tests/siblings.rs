//! Sessions of one account beside each other: what becomes of one keeps nothing from another (RFC 6121 §8.5.2.1.1), and
//! order holds all the same (RFC 6120 §10.1).

#![allow(clippy::unwrap_used, reason = "a test ends here")]

mod common;

use common::{Client, DOMAIN, accounts, chat, messages, two};

#[tokio::test]
async fn a_session_that_ends_keeps_nothing_from_its_siblings_that_they_have_too() {
    let (server, romeo) = two().await;
    let mut laptop = Client::online(&server, "juliet", "laptop").await;
    let mut phone = Client::online(&server, "juliet", "phone").await;
    laptop.rest();
    phone.rest();
    romeo.send(&chat("juliet", "m1")).await;
    phone.take(usize::MAX);
    // neither of them is known to have left
    phone.leave();
    romeo.send(&chat("juliet", "m2")).await;
    assert_eq!(messages(&laptop.rest()), ["m1", "m2"]);
    phone.lose();
    assert!(messages(&laptop.rest()).is_empty(), "nothing comes twice");
}

#[tokio::test]
async fn what_only_an_ending_session_has_goes_before_what_its_sender_sends_next() {
    let (server, romeo) = two().await;
    accounts(&server, &["nurse"]).await;
    let nurse = Client::online(&server, "nurse", "r").await;
    let mut laptop = Client::online(&server, "juliet", "laptop").await;
    let mut phone = Client::online(&server, "juliet", "phone").await;
    laptop.rest();
    phone.rest();
    romeo.send(&chat("juliet", "m1").replace(DOMAIN, &format!("{DOMAIN}/phone"))).await;
    phone.take(usize::MAX);
    phone.leave();
    romeo.send(&chat("juliet", "m2")).await;
    nurse.send(&chat("juliet", "n1")).await;
    assert_eq!(messages(&laptop.rest()), ["n1"], "another sender has nothing to wait for");
    phone.lose();
    assert_eq!(messages(&laptop.rest()), ["m1", "m2"]);
}
