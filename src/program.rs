//! What the program `hearth` is made of, around the server: configuration, command line, local socket, checks.

pub(crate) mod certificates;
pub(crate) mod check;
pub(crate) mod cli;
pub(crate) mod command;
pub(crate) mod config;
pub(crate) mod data;
pub(crate) mod door;
pub(crate) mod init;
pub(crate) mod logging;
pub(crate) mod modules;
pub(crate) mod serve;
pub(crate) mod welcome;

#[cfg(test)]
mod golden;
