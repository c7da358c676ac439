//! Plays scenarios: makes the accounts, takes the steps, tells what went wrong.

mod clients;
mod expect;
mod faults;
mod players;
mod stage;
mod streams;
#[cfg(test)]
mod tests;

pub(crate) use stage::{Failure, Played, play};
