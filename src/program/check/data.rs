//! The data directory, the local socket, and what the system lets the server have.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;

use hearth_core::host::Hosts;
use hearth_core::key_tally::{self, KeyTally};
use hearth_core::plan::Plan;
use hearth_net::tls::Severity;
use hearth_store::{inspect, look};

use super::Findings;
use crate::program::command::hosts;
use crate::program::config::Config;
use crate::program::{data, modules};

/// The longest path of a socket, in bytes (`sun_path` of unix(7), without its NUL).
const SOCKET_BYTES_MAX: usize = 107;
/// Below this many files, the limit is reached long before the machine is.
const FILES_FEW: u64 = 10_000;

/// What is in the data directory, and whether the server can use it.
pub(super) fn directory(config: &Config, plan: &Plan, found: &mut Findings) {
    let directory = &config.data.directory;
    let about = "data";
    match inspect(&data::options(config), &modules::migrations(plan)) {
        Err(error) => return found.error(about, error.to_string(), ""),
        Ok(inspection) if !inspection.exists && config.data.create => {
            found.note(about, format!("{} is made at the start, without accounts", directory.display()));
        }
        Ok(inspection) if !inspection.exists => {
            let text = format!("there is no database in {}", directory.display());
            found.error(about, text, "correct data.directory; for a new server, run `hearth init`");
        }
        Ok(inspection) => {
            if config.data.create {
                let text =
                    "data.create is still true: with a wrong path the server would start without accounts";
                found.add(Severity::Note, about, text, "set it to false");
            }
            match inspection.held_by {
                Some(Some(pid)) => found.note(about, format!("process {pid} has the database open")),
                Some(None) => found.note(about, "a process has the database open"),
                None => {}
            }
            if !inspection.behind.is_empty() {
                let text = format!(
                    "the next start upgrades the tables of {}, after a copy",
                    inspection.behind.join(", ")
                );
                found.note(about, text);
            } else {
                keys(config, found);
            }
        }
    }
    writable(directory, found);
}

/// Which hosts cannot offer all SCRAM mechanisms, because accounts came without keys for them.
fn keys(config: &Config, found: &mut Findings) {
    let tally = match look(&data::options(config), |sql| KeyTally::load(sql)) {
        Ok(tally) => tally,
        Err(error) => return found.error("data", error.to_string(), ""),
    };
    let wanted = config.settings().login.sasl(false);
    for host in hosts(config).iter().flat_map(Hosts::all).map(|host| host.domain.domain()) {
        let withheld = tally.withheld(host).into_iter().filter(|w| wanted.scram.contains(&w.hash));
        let Some(line) = key_tally::describe(&withheld.collect::<Vec<_>>()) else { continue };
        let fix = if wanted.plain {
            "let their users log in by PLAIN once, set new passwords, or disable accounts that nobody uses"
        } else {
            "set new passwords, disable accounts that nobody uses, or let login.plain be true for some time"
        };
        found.add(Severity::Warning, &format!("host {host}"), format!("not offered: {line}"), fix);
    }
}

/// Whether this user can write there; looked at from the nearest directory that exists.
fn writable(directory: &Path, found: &mut Findings) {
    let Some(existing) = directory.ancestors().find(|path| path.exists()) else { return };
    match fs::metadata(existing) {
        Ok(meta) if !meta.is_dir() => {
            found.error(
                "data",
                format!("{} is not a directory", existing.display()),
                "correct data.directory",
            );
        }
        Ok(meta) if meta.permissions().readonly() => {
            let fix =
                format!("let the server's user write it: chown or chmod (it belongs to user {})", meta.uid());
            found.error("data", format!("{} cannot be written", existing.display()), fix);
        }
        Ok(meta) if existing == directory && meta.permissions().mode() & 0o077 != 0 => {
            let text = format!("{} is open to other users of this machine", directory.display());
            found.add(Severity::Warning, "data", text, "nothing to do: the next start closes it");
        }
        Ok(_) => {}
        Err(error) => {
            let text = format!("{}: {error}", existing.display());
            found.error("data", text, "let the server's user pass every directory on the way");
        }
    }
}

/// Whether the local socket can be opened.
pub(super) fn socket(config: &Config, found: &mut Findings) {
    let path = config.socket();
    let bytes = path.as_os_str().len();
    if bytes > SOCKET_BYTES_MAX {
        let text = format!("{} has {bytes} bytes; the system allows {SOCKET_BYTES_MAX}", path.display());
        found.error("admin.socket", text, "name a shorter path");
    }
    let Some(directory) = path.parent().filter(|directory| **directory != config.data.directory) else {
        return;
    };
    if fs::metadata(directory).is_ok_and(|meta| meta.permissions().mode() & 0o077 != 0) {
        let text = format!("{} may be entered by other users of this machine", directory.display());
        found.error("admin.socket", text, format!("chmod 700 {}, or name another path", directory.display()));
    }
}

/// How many clients the system lets us have.
pub(super) fn files(found: &mut Findings) {
    match rlimit::Resource::NOFILE.get() {
        Ok((_, hard)) if hard < FILES_FEW => {
            let fix = "raise it: LimitNOFILE= in the systemd unit, or nofile in limits.conf";
            found.add(Severity::Warning, "open files", format!("at most {hard}, one for each client"), fix);
        }
        Ok((_, hard)) => found.note("open files", format!("at most {hard}, one for each client")),
        Err(error) => {
            found.add(Severity::Warning, "open files", format!("the limit is not known: {error}"), "")
        }
    }
}
