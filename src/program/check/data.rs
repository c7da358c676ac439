//! The data directory and the local socket.

use std::fs;
use std::io;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;
use std::time::SystemTime;

use hearth_core::host::Hosts;
use hearth_core::key_tally::{self, KeyTally};
use hearth_core::plan::Plan;
use hearth_core::unserved;
use hearth_net::tls::Severity;
use hearth_store::{Inspection, OpenError, inspect, look};
use rustix::fs::{Access, access, statvfs};

use super::Findings;
use crate::program::command::hosts;
use crate::program::config::Config;
use crate::program::{data, modules};

/// The database in the data directory.
const DATABASE: &str = "hearth.db";
/// The longest path of a socket, in bytes (`sun_path` of unix(7), without its NUL).
const SOCKET_BYTES_MAX: usize = 107;
/// With less free space than this it is time to act, in bytes: some days of a busy server.
const SPACE_LOW_BYTES: u64 = 1 << 30;
/// With less than this, messages will soon be refused, in bytes.
const SPACE_OUT_BYTES: u64 = 64 << 20;
/// A file that is this much younger than now was written by another clock, in seconds.
const FUTURE_S: u64 = 60;

/// What is in the data directory, and whether the server can use it. The process that has the database open.
pub(super) fn directory(config: &Config, plan: &Plan, found: &mut Findings) -> Option<u32> {
    let directory = &config.data.directory;
    let about = "data";
    let inspection = inspect(&data::options(config), &modules::migrations(plan));
    match &inspection {
        Err(error) => {
            unreadable(error, found);
            return None;
        }
        Ok(inspection) if !inspection.exists && config.data.create => {
            found.note(about, format!("{} is made at the start, without accounts", directory.display()));
        }
        Ok(inspection) if !inspection.exists => {
            let text = format!("there is no database in {}", directory.display());
            found.error(about, text, "correct data.directory; for a new server, run `hearth init`");
        }
        Ok(inspection) => existing_data(config, inspection, found),
    }
    writable(directory, inspection.as_ref().ok().and_then(|inspection| inspection.foreign.as_deref()), found);
    young(directory, found);
    if let Some((place, bytes)) = free(directory, found) {
        space(place, bytes, found);
    }
    inspection.ok()?.held_by?
}

/// What keeps a start from opening the data. Some texts tell more than one way out; the fix is the first to try.
fn unreadable(error: &OpenError, found: &mut Findings) {
    let fix = match error {
        OpenError::WouldCreate { .. } => "correct data.directory; for a new server, run `hearth init`",
        OpenError::NotEmpty { .. } => "let data.directory name the data, or an empty directory of their own",
        OpenError::Locked { .. } => "stop that process, or give this one another data.directory",
        OpenError::NewerSchema { .. } | OpenError::UnknownOwner { .. } => "install the newer version again",
        OpenError::TwoOwners { .. } | OpenError::ForeignName { .. } => {
            "install another version: this one has a fault"
        }
        OpenError::Migration { .. } => "install the version again that ran before",
        OpenError::NoRoom { .. } => "make room, then start again",
        OpenError::Io { why, .. } if why.kind() == io::ErrorKind::PermissionDenied => {
            "let the server's user read it, or look as that user"
        }
        OpenError::Io { .. } | OpenError::Database(_) => {
            "see that the disk works; if the database is damaged, put a copy of the data into its place"
        }
    };
    found.error("data", error.to_string(), fix);
}

fn existing_data(config: &Config, inspection: &Inspection, found: &mut Findings) {
    if config.data.create {
        let text = "data.create is still true: with a wrong path the server would start without accounts";
        found.add(Severity::Note, "data", text, "set it to false");
    }
    match inspection.held_by {
        Some(Some(pid)) => found.note("data", format!("process {pid} has the database open")),
        Some(None) => found.note("data", "a process has the database open"),
        None => {}
    }
    if !inspection.behind.is_empty() {
        upgrade(&config.data.directory, &inspection.behind, found);
    } else if let Ok(hosts) = hosts(config) {
        keys(config, &hosts, found);
        unserved(config, &hosts, found);
    }
}

/// The next start upgrades tables; it copies the database first.
fn upgrade(directory: &Path, behind: &[&str], found: &mut Findings) {
    let bytes = fs::metadata(directory.join(DATABASE)).map_or(0, |file| file.len());
    let text = format!("the next start upgrades the tables of {}, after a copy", behind.join(", "));
    match free(directory, found) {
        Some((_, free)) if free < 2 * bytes => {
            let fix = format!(
                "make room: {} are free, the copy and the work on it need {}",
                size(free),
                size(2 * bytes)
            );
            found.error("data", text, fix);
        }
        _ => found.note("data", text),
    }
}

/// The nearest directory that exists.
fn existing(directory: &Path) -> Option<&Path> {
    directory.ancestors().find(|path| path.exists())
}

/// The bytes that are free for this user where the data are.
fn free<'d>(directory: &'d Path, found: &mut Findings) -> Option<(&'d Path, u64)> {
    let place = existing(directory)?;
    match statvfs(place) {
        Ok(disk) => Some((place, disk.f_bavail.saturating_mul(disk.f_frsize))),
        Err(error) => {
            let text = format!("the free space of {} is not known: {error}", place.display());
            found.note("disk", text);
            None
        }
    }
}

fn space(place: &Path, bytes: u64, found: &mut Findings) {
    let text = format!("{} are free at {}", size(bytes), place.display());
    let fix = "make room, or move the data directory to a larger disk: what cannot be stored is refused";
    if bytes < SPACE_OUT_BYTES {
        found.error("disk", text, fix);
    } else if bytes < SPACE_LOW_BYTES {
        found.add(Severity::Warning, "disk", text, fix);
    } else {
        found.note("disk", text);
    }
}

fn size(bytes: u64) -> String {
    let (unit, name) = if bytes >= 1 << 30 { (1 << 30, "GiB") } else { (1 << 20, "MiB") };
    format!("{}.{} {name}", bytes / unit, bytes % unit * 10 / unit)
}

/// Times in the database come from the clock, and some are compared: it must not go back.
fn young(directory: &Path, found: &mut Findings) {
    let Ok(modified) = fs::metadata(directory.join(DATABASE)).and_then(|file| file.modified()) else {
        return;
    };
    let ahead_s = modified.duration_since(SystemTime::now()).map_or(0, |ahead| ahead.as_secs());
    if ahead_s > FUTURE_S {
        let text = format!("the database was written {ahead_s} seconds from now: the clock has gone back");
        found.add(
            Severity::Warning,
            "clock",
            text,
            "set the clock, best by NTP (`timedatectl set-ntp true`)",
        );
    }
}

/// Which hosts cannot offer all SCRAM mechanisms, because accounts came without keys for them.
fn keys(config: &Config, hosts: &Hosts, found: &mut Findings) {
    let tally = match look(&data::options(config), |sql| KeyTally::load(sql)) {
        Ok(tally) => tally,
        Err(error) => return unreadable(&error, found),
    };
    let wanted = config.settings().login.sasl(false);
    for host in hosts.all().map(|host| host.domain.domain()) {
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

/// Accounts that nobody can log in to, because their domain is no host (any more).
fn unserved(config: &Config, hosts: &Hosts, found: &mut Findings) {
    match look(&data::options(config), |sql| unserved::load(sql, hosts)) {
        Ok(unserved) => {
            if let Some(line) = unserved::describe(&unserved) {
                found.add(Severity::Warning, "data", format!("nobody can log in to {line}"), unserved::FIX);
            }
        }
        Err(error) => unreadable(&error, found),
    }
}

/// Whether this user can write there; looked at from the nearest directory that exists.
fn writable(directory: &Path, foreign: Option<&str>, found: &mut Findings) {
    let Some(existing) = existing(directory) else { return };
    let meta = match fs::metadata(existing) {
        Ok(meta) => meta,
        Err(error) => {
            let fix = "let the server's user pass every directory on the way";
            return found.error("data", format!("{}: {error}", existing.display()), fix);
        }
    };
    let (place, owner) = (existing.display(), meta.uid());
    let user = rustix::process::geteuid();
    if !meta.is_dir() {
        found.error("data", format!("{place} is not a directory"), "correct data.directory");
    } else if access(existing, Access::WRITE_OK | Access::EXEC_OK).is_err() {
        let fix = format!("let the server's user write it: chown or chmod (it belongs to user {owner})");
        found.error("data", format!("{place} cannot be written by user {}", user.as_raw()), fix);
    } else if existing == directory && user.is_root() && owner != user.as_raw() {
        let text = format!("this looks as root, who may everything; the data belong to user {owner}");
        found.note("data", format!("{text}: `sudo -u '#{owner}' hearth check` sees what the server sees"));
    }
    if existing == directory && meta.permissions().mode() & 0o077 != 0 {
        let text = format!("{place} is open to other users of this machine");
        match foreign {
            None => found.note("data", format!("{text}; the next start closes it")),
            // the start leaves it to whoever else has files there, and opens no socket where others may enter
            Some(name) => {
                let fix = format!("move the data to a directory of their own, or chmod 700 {place}");
                found.error("data", format!("{text}, and a start leaves it so: it holds `{name}` too"), fix);
            }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(bytes: u64, severity: Severity, text: &str) {
        let mut found = Findings::default();
        space(Path::new("/data"), bytes, &mut found);
        assert_eq!((found.0[0].severity, found.0[0].text.as_str()), (severity, text));
        assert_eq!(found.0[0].fix.is_empty(), severity == Severity::Note);
    }

    #[test]
    fn little_space_is_told_in_time() {
        check(5 << 30, Severity::Note, "5.0 GiB are free at /data");
        check((1 << 30) - 1, Severity::Warning, "1023.9 MiB are free at /data");
        check(SPACE_OUT_BYTES - 1, Severity::Error, "63.9 MiB are free at /data");
        check(0, Severity::Error, "0.0 MiB are free at /data");
    }

    #[test]
    fn a_clock_that_went_back_is_told() {
        let dir = tempfile::tempdir().unwrap();
        let file = fs::File::create(dir.path().join(DATABASE)).unwrap();
        let mut found = Findings::default();
        young(dir.path(), &mut found);
        assert!(found.0.is_empty(), "{found:?}");
        file.set_modified(SystemTime::now() + std::time::Duration::from_secs(7_200)).unwrap();
        young(dir.path(), &mut found);
        assert_eq!(found.count(Severity::Warning), 1, "{found:?}");
    }

    #[test]
    fn an_upgrade_needs_room_for_a_copy() {
        let dir = tempfile::tempdir().unwrap();
        let file = fs::File::create(dir.path().join(DATABASE)).unwrap();
        let mut found = Findings::default();
        upgrade(dir.path(), &["last"], &mut found);
        // a hole takes no space; a copy might
        file.set_len(1 << 42).unwrap();
        upgrade(dir.path(), &["last"], &mut found);
        let severities: Vec<_> = found.0.iter().map(|finding| finding.severity).collect();
        assert_eq!(severities, [Severity::Note, Severity::Error], "{found:?}");
    }
}
