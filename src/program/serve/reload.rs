//! Reading configuration and certificates anew while the server runs (SIGHUP, `hearth reload`).
//!
//! A configuration with a mistake changes nothing, and neither does one whose ports cannot be had or that has a new host
//! without a certificate. Where the new certificate of an old host is refused, the rest is taken, and whoever asked is
//! told that it failed: scripts that renew certificates look at that alone. What cannot change without a restart is named.

mod differences;

use hearth_core::host::Hosts;
use hearth_core::server::Reconfiguration;
use hearth_core::unserved;
use hearth_net::config::ListenConfig;
use hearth_net::tls::{Change, Development, Outcome, TlsHosts};
use time::OffsetDateTime;
use tokio::sync::oneshot;
use tokio::task::spawn_blocking;

use super::{Program, explained};
use crate::program::certificates;
use crate::program::command::hosts;
use crate::program::config::{Config, Loaded, NEED_RESTART, load};

type Answer = oneshot::Sender<Result<String, String>>;

impl Program {
    /// Reads everything anew, logs what became of it and tells whoever asked.
    pub(super) async fn reload(&mut self, answer: Option<Answer>) {
        let line = |text: &str| text.replace('\n', "; ");
        let told = match self.try_reload().await {
            Ok(Reloaded { text, is_complete: true }) => {
                tracing::info!("reloaded: {}", line(&text));
                Ok(text)
            }
            Ok(Reloaded { text, .. }) => {
                tracing::error!("reloaded, but a certificate was refused: {}", line(&text));
                Err(format!("a certificate was refused, the rest was taken:\n{text}"))
            }
            Err(error) => {
                let text = format!("{error:#}");
                tracing::error!("not reloaded, all stays as it was: {}", line(&text));
                Err(format!("nothing was changed: {text}"))
            }
        };
        if let Some(answer) = answer {
            // who does not wait for it any more does not want it
            let _ = answer.send(told);
        }
    }

    async fn try_reload(&mut self) -> anyhow::Result<Reloaded> {
        let sources = self.sources.clone();
        let Loaded { config: wanted, .. } = spawn_blocking(move || load(&sources)).await??;
        let listeners = self.net.prepare(&wanted.listen).map_err(explained)?;
        let new = effective(&self.config, &wanted, listeners.listen());
        let modules = self.server.plan().read_settings(&new.xep)?;
        let (config, served) = (new.clone(), self.served.clone());
        let (hosts, certificates) = spawn_blocking(move || take_certificates(&config, &served)).await??;
        // from here on nothing can be refused any more
        let mut text = told(&self.config, &new, &wanted, listeners.waiting(), &certificates.outcomes);
        let is_complete = certificates.outcomes.iter().all(|outcome| outcome.change != Change::Refused);
        if let Err(error) = self.log.change(&new.log) {
            tracing::error!("the log goes on as it was: {error:#}");
        }
        self.server.reconfigure(Reconfiguration { hosts, settings: new.settings(), modules });
        self.net.take_over(listeners, new.tls.development);
        self.server.control().set_listening(self.net.local_addresses());
        self.watch(certificates.development);
        self.config = new;
        match self.server.unserved().await {
            Ok(unserved) => text.extend(
                unserved::describe(&unserved)
                    .map(|line| format!("\nnobody can log in to {line}: {}", unserved::FIX)),
            ),
            Err(error) => {
                tracing::error!(%error, "accounts of domains that are no host could not be looked for")
            }
        }
        Ok(Reloaded { text, is_complete })
    }
}

/// What a reload has done.
struct Reloaded {
    /// In words.
    text: String,
    /// Whether every host has the certificate that lies there for it.
    is_complete: bool,
}

/// The wanted configuration without what needs a restart ([`NEED_RESTART`]).
fn effective(running: &Config, wanted: &Config, listen: Vec<ListenConfig>) -> Config {
    let Config { data, admin, .. } = running.clone();
    Config { data, admin, listen, ..wanted.clone() }
}

struct Taken {
    outcomes: Vec<Outcome>,
    development: Option<Development>,
}

/// Serves the certificates of a configuration. Reads files.
///
/// # Errors
/// A host that had no certificate so far has none that can be served: nothing is changed then.
fn take_certificates(config: &Config, served: &TlsHosts) -> anyhow::Result<(Hosts, Taken)> {
    let (hosts, now) = (hosts(config)?, OffsetDateTime::now_utc());
    let found = certificates::find(config, &hosts, now)?;
    certificates::check_use(config, &found, now)?;
    let new = found.files.iter().filter(|files| served.host(&files.domain).is_none());
    TlsHosts::check(new.cloned().collect(), now)?;
    let outcomes = served.replace(found.files, now);
    Ok((hosts, Taken { outcomes, development: found.development }))
}

/// What has changed, what waits for a restart, and one line for each certificate.
fn told(
    running: &Config,
    new: &Config,
    wanted: &Config,
    waiting: &[ListenConfig],
    outcomes: &[Outcome],
) -> String {
    let changed = differences::between(running, new);
    let mut lines = vec![match changed.as_slice() {
        [] => "nothing has changed in the configuration".to_owned(),
        changed => format!("changed: {}", changed.join(", ")),
    }];
    let mut later = differences::of_sections(new, wanted, &NEED_RESTART);
    later.extend(waiting.iter().map(|listen| {
        let address = listen.address;
        format!(
            "listen {address} (port {} is held by a listener that would have to close first)",
            address.port()
        )
    }));
    if !later.is_empty() {
        lines.push(format!("needs a restart: {}", later.join(", ")));
    }
    lines.extend(outcomes.iter().map(ToString::to_string));
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_needs_a_restart_is_what_is_said_to() {
        let plain = Config::default();
        let mut wanted: Config = toml::from_str(
            "admins = ['me@x']\nconflict = 'rename'\n[data]\ndurability = 'crash'\n[[host]]\ndomain = 'b'\n\
             [tls]\ncertificates = 'other'\n[login]\nplain = false\n[limits]\nlogin_s_max = 1\n\
             [log]\nlevel = 'warn'\n[admin]\nsocket = 'x'\n[xep.ping]\nask_after_s = 1",
        )
        .unwrap();
        wanted.listen.pop();
        let keys = |config: &Config| toml::Table::try_from(config).unwrap();
        let (before, after) = (keys(&plain), keys(&effective(&plain, &wanted, wanted.listen.clone())));
        let differs = |key: &&String| before.get(*key) != keys(&wanted).get(*key);
        let all = keys(&wanted);
        assert!(all.keys().all(|key| differs(&key)), "a section is not changed here: {all:?}");
        let kept: Vec<&String> = all.keys().filter(|key| after.get(*key) == before.get(*key)).collect();
        let said: std::collections::BTreeSet<_> = NEED_RESTART.into_iter().collect();
        assert_eq!(kept.into_iter().map(String::as_str).collect::<std::collections::BTreeSet<_>>(), said);
    }
}
