//! Reading configuration and certificates anew while the server runs (SIGHUP, `hearth reload`).
//!
//! A configuration with a mistake changes nothing. What cannot change without a restart is told, not passed over.

use hearth_core::host::Hosts;
use hearth_net::tls::Outcome;
use time::OffsetDateTime;
use tokio::sync::oneshot;
use tokio::task::spawn_blocking;

use super::Program;
use crate::program::certificates;
use crate::program::config::{Config, Loaded, Sources, load};

type Answer = oneshot::Sender<Result<String, String>>;

impl Program {
    /// Reads everything anew, logs what became of it and tells whoever asked.
    pub(super) async fn reload(&mut self, answer: Option<Answer>) {
        let outcome = self.try_reload().await.map_err(|error| format!("{error:#}"));
        match &outcome {
            Ok(text) => tracing::info!("reloaded: {}", text.replace('\n', "; ")),
            Err(text) => tracing::error!("not reloaded, all stays as it was: {}", text.replace('\n', "; ")),
        }
        if let Some(answer) = answer {
            // who does not wait for it any more does not want it
            let _ = answer.send(outcome);
        }
    }

    async fn try_reload(&mut self) -> anyhow::Result<String> {
        let (sources, running, served) = (self.sources.clone(), self.config.clone(), self.served.clone());
        let read = spawn_blocking(move || -> anyhow::Result<_> {
            let config = read(&sources)?;
            let now = OffsetDateTime::now_utc();
            // hosts and listeners stay as they are, so the certificates are those of the running configuration
            let tls = Config { tls: config.tls.clone(), ..running };
            let found = certificates::find(&tls, &Hosts::new(&tls.host)?, now)?;
            certificates::check_use(&tls, &found, now)?;
            Ok((config, served.replace(found.files, now)))
        });
        let (config, outcomes) = read.await??;
        self.server.set_settings(config.settings());
        let text = told(&self.config, &config, &outcomes);
        take_over(&mut self.config, config);
        Ok(text)
    }
}

fn read(sources: &Sources) -> anyhow::Result<Config> {
    let Loaded { config, .. } = load(sources)?;
    Ok(config)
}

/// What changed at once becomes the running configuration; the rest is compared again next time.
fn take_over(running: &mut Config, new: Config) {
    let Config { admins, conflict, limits, login, tls, .. } = new;
    *running = Config { admins, conflict, limits, login, tls, ..running.clone() };
}

/// One line for each certificate, and which sections wait for a restart.
fn told(running: &Config, new: &Config, outcomes: &[Outcome]) -> String {
    let waiting = [
        ("host", running.host != new.host),
        ("listen", running.listen != new.listen),
        ("data", running.data != new.data),
        ("log", running.log != new.log),
        ("admin", running.admin != new.admin),
        ("xep", running.xep != new.xep),
    ];
    let waiting: Vec<&str> =
        waiting.into_iter().filter(|(_, differs)| *differs).map(|(name, _)| name).collect();
    let mut lines = vec!["admins, conflict, limits and login are as in the configuration".to_owned()];
    if !waiting.is_empty() {
        lines.push(format!("changes of {} wait for a restart", waiting.join(", ")));
    }
    lines.extend(outcomes.iter().map(ToString::to_string));
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_waits_for_a_restart_is_told_until_it_is_back() {
        let mut running = Config::default();
        let mut new = running.clone();
        new.admins.push("me@x".into());
        assert_eq!(
            told(&running, &new, &[]),
            "admins, conflict, limits and login are as in the configuration"
        );
        new.log.level = "debug".into();
        new.host.clear();
        assert!(told(&running, &new, &[]).ends_with("\nchanges of host, log wait for a restart"));
        take_over(&mut running, new.clone());
        assert_eq!(running.admins, ["me@x"]);
        assert!(told(&running, &new, &[]).ends_with("wait for a restart"));
    }
}
