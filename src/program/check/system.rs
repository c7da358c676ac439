//! What the system lets the server have, and who may touch its configuration.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use hearth_net::tls::Severity;
use time::OffsetDateTime;
use time::macros::datetime;

use super::Findings;
use crate::program::config::Config;

/// Files beside the clients': listeners, database, log.
const FILES_OTHER: u64 = 200;
/// This program is younger than that: a clock that says less was never set.
const CLOCK_EARLIEST: OffsetDateTime = datetime!(2026-01-01 00:00 UTC);

/// Whether others may change the configuration, and so the server.
pub(super) fn configuration(files: &[PathBuf], found: &mut Findings) {
    for file in files {
        let place = file.display();
        if fs::metadata(file).is_ok_and(|meta| meta.permissions().mode() & 0o002 != 0) {
            let text = format!("every user of this machine may change {place}");
            found.add(Severity::Warning, "configuration", text, format!("chmod o-w {place}"));
        }
    }
}

/// Certificates and kept messages have times.
pub(super) fn clock(now: OffsetDateTime, found: &mut Findings) {
    if now < CLOCK_EARLIEST {
        let fix = "set the clock, best by NTP (`timedatectl set-ntp true`)";
        found.error("clock", format!("it is not {} any more", now.date()), fix);
    }
}

/// How many clients the system lets us have. Of a running server its own limits count: a shell's may be others.
pub(super) fn files(config: &Config, running: Option<u32>, found: &mut Findings) {
    let limits = match running {
        Some(pid) => of_process(pid),
        None => rlimit::Resource::NOFILE.get().map_err(|error| error.to_string()),
    };
    match limits {
        Ok((soft, hard)) => judge_files(config, soft, hard, found),
        Err(error) => found.note("open files", format!("the limit is not known: {error}")),
    }
}

fn judge_files(config: &Config, soft: u64, hard: u64, found: &mut Findings) {
    let needed = u64::from(config.limits.connections_before_login_max) + FILES_OTHER;
    let text = if soft < hard {
        format!("{soft} at first, raised to {hard} at the start: one for each client")
    } else {
        format!("at most {hard}, one for each client")
    };
    if hard < needed {
        let text = format!("{text}; limits.connections_before_login_max alone lets {needed} be needed");
        let fix =
            "raise it: LimitNOFILE= in the systemd unit, nofile in limits.conf, --ulimit of a container";
        found.add(Severity::Warning, "open files", text, fix);
    } else {
        found.note("open files", text);
    }
}

/// proc_pid_limits(5).
fn of_process(pid: u32) -> Result<(u64, u64), String> {
    let text = fs::read_to_string(format!("/proc/{pid}/limits")).map_err(|error| error.to_string())?;
    let line = text.lines().find_map(|line| line.strip_prefix("Max open files"));
    let mut numbers = line.unwrap_or_default().split_whitespace().map(|word| match word {
        "unlimited" => Ok(u64::MAX),
        word => word.parse().map_err(|_| format!("`{word}` in /proc/{pid}/limits")),
    });
    match (numbers.next(), numbers.next()) {
        (Some(soft), Some(hard)) => Ok((soft?, hard?)),
        _ => Err(format!("/proc/{pid}/limits does not say")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(soft: u64, hard: u64, severity: Severity, part: &str) {
        let mut found = Findings::default();
        judge_files(&Config::default(), soft, hard, &mut found);
        assert!(found.0[0].severity == severity && found.0[0].text.contains(part), "{found:?}");
    }

    #[test]
    fn the_limit_is_held_against_the_configuration() {
        check(1_024, 524_288, Severity::Note, "1024 at first, raised to 524288 at the start");
        check(524_288, 524_288, Severity::Note, "at most 524288");
        check(1_024, 4_096, Severity::Warning, "connections_before_login_max alone lets 10200 be needed");
    }

    #[test]
    fn the_limits_of_a_running_process_are_read() {
        assert_eq!(of_process(std::process::id()).unwrap(), rlimit::Resource::NOFILE.get().unwrap());
        assert!(of_process(u32::MAX).is_err());
    }

    #[test]
    fn a_clock_that_was_never_set_is_told() {
        let mut found = Findings::default();
        clock(OffsetDateTime::now_utc(), &mut found);
        assert!(found.0.is_empty());
        clock(OffsetDateTime::UNIX_EPOCH, &mut found);
        assert_eq!(
            (found.count(Severity::Error), found.0[0].text.as_str()),
            (1, "it is not 1970-01-01 any more")
        );
    }

    #[test]
    fn a_configuration_that_anybody_may_change_is_told() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("config.toml");
        fs::write(&file, "").unwrap();
        let mut found = Findings::default();
        for (mode, warnings) in [(0o644, 0), (0o664, 0), (0o666, 1)] {
            fs::set_permissions(&file, fs::Permissions::from_mode(mode)).unwrap();
            configuration(std::slice::from_ref(&file), &mut found);
            assert_eq!(found.count(Severity::Warning), warnings, "{mode:o}");
        }
    }
}
