//! `hearth check`: everything that would go wrong, each with its severity and its fix. Changes nothing.

mod data;
mod dns;
pub(crate) mod network;
mod system;

use std::fmt;
use std::io::{self, Write as _};
use std::process::ExitCode;

use hearth_net::tls::Severity;
use time::OffsetDateTime;

use super::certificates;
use super::config::{Config, Loaded, Problems, Sources, load};
use super::door::client;

/// One thing that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Finding {
    severity: Severity,
    /// What it is about: a section of the configuration, a host.
    about: String,
    text: String,
    fix: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let severity = match self.severity {
            Severity::Error => "ERROR  ",
            Severity::Warning => "warning",
            Severity::Note => "note   ",
        };
        write!(f, "{severity} {}: {}", self.about, self.text)?;
        if self.fix.is_empty() { Ok(()) } else { write!(f, "\n        fix: {}", self.fix) }
    }
}

/// All that was found.
#[derive(Debug, Default)]
struct Findings(Vec<Finding>);

impl Findings {
    fn add(&mut self, severity: Severity, about: &str, text: impl Into<String>, fix: impl Into<String>) {
        let finding = Finding { severity, about: about.to_owned(), text: text.into(), fix: fix.into() };
        // every test that leads to a finding shows that it says what to do
        #[cfg(test)]
        assert!(severity == Severity::Note || !finding.fix.is_empty(), "without a fix: {finding}");
        self.0.push(finding);
    }

    fn note(&mut self, about: &str, text: impl Into<String>) {
        self.add(Severity::Note, about, text, "");
    }

    fn error(&mut self, about: &str, text: impl Into<String>, fix: impl Into<String>) {
        self.add(Severity::Error, about, text, fix);
    }

    fn count(&self, severity: Severity) -> usize {
        self.0.iter().filter(|finding| finding.severity == severity).count()
    }
}

/// Checks, prints, and fails if there is an error. `offline`: without asking name servers.
pub(crate) fn run(sources: &Sources, offline: bool) -> ExitCode {
    let found = examine(sources, (!offline).then(dns::system));
    let mut out = std::io::stdout().lock();
    for finding in &found.0 {
        // where nobody reads, the exit code tells
        let _ = writeln!(out, "{finding}");
    }
    let (errors, warnings) = (found.count(Severity::Error), found.count(Severity::Warning));
    let _ = writeln!(out, "{errors} errors, {warnings} warnings");
    if errors > 0 { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

fn examine(sources: &Sources, whom: Option<Result<dns::Whom, String>>) -> Findings {
    let mut found = Findings::default();
    match load(sources) {
        Ok(Loaded { config, plan, files, doubts }) => {
            let names: Vec<_> = files.iter().map(|file| file.display().to_string()).collect();
            found.note("configuration", format!("{} can be read", names.join(", ")));
            for doubt in doubts {
                found.add(Severity::Warning, "environment", doubt.text, doubt.fix);
            }
            let running = is_running(&config, &mut found);
            admins(&config, &mut found);
            network::certificates(&config, &mut found);
            let own = if running { client::listening(&config.socket()) } else { Some(Vec::new()) };
            network::ports(&config, own.as_deref(), &mut found);
            dns::check(&config, whom, &mut found);
            let holder = data::directory(&config, &plan, &mut found);
            data::socket(&config, &mut found);
            system::configuration(&files, &mut found);
            system::files(&config, holder.filter(|_| running), &mut found);
            system::clock(OffsetDateTime::now_utc(), &mut found);
        }
        Err(Problems(problems)) => {
            for problem in problems {
                let text = match problem.place {
                    Some(place) => format!("{place}: {}", problem.text),
                    None => problem.text,
                };
                found.error("configuration", text, problem.fix);
            }
        }
    }
    found
}

fn is_running(config: &Config, found: &mut Findings) -> bool {
    match client::is_there(&config.socket()) {
        Ok(true) => {
            found.note("server", "is running with this configuration");
            true
        }
        Ok(false) => false,
        Err(error) => {
            found.error(
                "server",
                format!("{error:#}"),
                "name another admin.socket, or look as the server's own user",
            );
            // whoever may not ask whether it runs had better take it that it does
            let cause = error.downcast_ref::<io::Error>();
            cause.is_some_and(|cause| cause.kind() == io::ErrorKind::PermissionDenied)
        }
    }
}

fn admins(config: &Config, found: &mut Findings) {
    if config.admins.is_empty() {
        found.note("admins", "none is named: commands are given on this machine only, not from clients");
    }
    for admin in &config.admins {
        let domain = admin.rsplit_once('@').map_or("", |(_, domain)| domain);
        if !config.host.iter().any(|host| host.domain.eq_ignore_ascii_case(domain)) {
            found.add(
                Severity::Warning,
                "admins",
                format!("{admin} is not on a host of this server"),
                "name an account of a [[host]], or add that host",
            );
        }
    }
}

#[cfg(test)]
mod tests;
