//! The values of a command's arguments: from the command line, from a file, or asked for. Passwords are never words of
//! the command line, which every user of the machine can read.

use std::collections::BTreeMap;
use std::io::{self, BufRead, Read as _};

use anyhow::{Context as _, ensure};
use clap::ArgMatches;
use hearth_core::command::{ArgKind, Command};
use hearth_wire::Jid;
use zeroize::Zeroizing;

use super::lines;
use super::prompt::ask;
use crate::program::door::protocol::Secret;

/// No password that anybody can type is longer, in bytes.
const PASSWORD_BYTES_MAX: u64 = 4096;

/// Shorter ones are quickly guessed, in characters (NIST SP 800-63B §3.1.1.2).
const PASSWORD_CHARACTERS_FEW: usize = 8;

/// Values of one call.
type Values = BTreeMap<String, Secret>;

/// One call of the command.
pub(super) struct Call {
    /// Its values.
    pub(super) values: Values,
    /// Which lines of a file it gives, where it does not give all of them.
    pub(super) lines: Option<(usize, usize)>,
}

/// The calls of the command: one, or several where lines are given in parts.
///
/// # Errors
/// A file cannot be read or taken, or a password was not given.
pub(super) fn read(command: &Command, matches: &ArgMatches) -> anyhow::Result<Vec<Call>> {
    let mut values = Values::new();
    let mut parts = Vec::new();
    for arg in command.args {
        match arg.kind {
            ArgKind::Password => {
                let password =
                    if matches.get_flag(arg.name) { typed_in(&mut io::stdin().lock())? } else { ask(arg)? };
                warn_of_short(&password);
                values.insert(arg.name.to_owned(), Secret(password));
            }
            ArgKind::Flag if matches.get_flag(arg.name) => {
                values.insert(arg.name.to_owned(), Secret(Zeroizing::new("1".to_owned())));
            }
            ArgKind::Flag => {}
            ArgKind::Lines => {
                let file = matches.get_one::<String>(arg.name).map_or("-", String::as_str);
                parts = lines::read(file, arg)?.into_iter().map(|part| (arg.name.to_owned(), part)).collect();
            }
            ArgKind::Text
            | ArgKind::Account
            | ArgKind::Accounts
            | ArgKind::Jids
            | ArgKind::Host
            | ArgKind::Number => {
                let words: Vec<&str> =
                    matches.get_many::<String>(arg.name).into_iter().flatten().map(String::as_str).collect();
                if arg.kind == ArgKind::Account {
                    words.iter().try_for_each(|word| account(word))?;
                }
                if !words.is_empty() {
                    values.insert(arg.name.to_owned(), Secret(Zeroizing::new(words.join("\n"))));
                }
            }
        }
    }
    if parts.is_empty() {
        return Ok(vec![Call { values, lines: None }]);
    }
    let several = parts.len() > 1;
    let call = |(name, part): (String, lines::Part)| {
        let mut values = values.clone();
        values.insert(name, Secret(part.text));
        Call { values, lines: several.then_some(part.numbers) }
    };
    Ok(parts.into_iter().map(call).collect())
}

/// Looks at an address before a person has typed a password for it.
fn account(text: &str) -> anyhow::Result<()> {
    let jid = Jid::parse(text).with_context(|| format!("`{text}` is no address"))?;
    ensure!(jid.local().is_some() && jid.is_bare(), "{text} is not of the form user@domain");
    Ok(())
}

/// Tells whoever sets it of a password that is quickly guessed. It is taken: it may be meant so.
fn warn_of_short(password: &str) {
    if password.chars().count() < PASSWORD_CHARACTERS_FEW {
        eprintln!("note: a password of fewer than {PASSWORD_CHARACTERS_FEW} characters is quickly guessed");
    }
}

/// The first line of standard input, without its end.
fn typed_in(input: &mut impl BufRead) -> anyhow::Result<Zeroizing<String>> {
    let mut line = Zeroizing::new(String::new());
    input.take(PASSWORD_BYTES_MAX + 2).read_line(&mut line).context("standard input")?;
    let text = line.trim_end_matches(['\r', '\n']);
    ensure!(!text.is_empty(), "no password came on standard input");
    ensure!(text.len() as u64 <= PASSWORD_BYTES_MAX, "what came on standard input is no password");
    Ok(Zeroizing::new(text.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_one_line_of_standard_input() {
        let read = |text: &str| typed_in(&mut text.as_bytes()).map(|password| password.to_string());
        assert_eq!(read("secret word\nrest").unwrap(), "secret word");
        assert_eq!(read("secret\r\n").unwrap(), "secret");
        assert_eq!(read(" spaces ").unwrap(), " spaces ");
        assert!(read("\n").is_err() && read("").is_err());
        assert!(read(&"x".repeat(5_000)).is_err());
    }
}
