//! Log lines, for people or programs, on standard error. Level and format change while the server runs. The audit lines
//! of admin commands are there at every level, unless they are switched off by name.

use std::io::{self, IsTerminal as _};
use std::str::FromStr as _;

use anyhow::Context as _;
use tracing_subscriber::filter::Directive;
use tracing_subscriber::layer::{Layer, SubscriberExt as _};
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Registry, fmt, reload};

use super::config::{LogConfig, LogFormat};

type Filter = reload::Handle<EnvFilter, Registry>;

/// The running log. Both formats are there, and all but one are silent: so a span that was begun in one format cannot be
/// met, half-written, in the other.
#[derive(Debug)]
pub(crate) struct Log {
    human: Filter,
    json: Filter,
}

/// Begins to log.
///
/// # Errors
/// The level cannot be understood, or logging has begun already.
pub(crate) fn start(config: &LogConfig) -> anyhow::Result<Log> {
    let (human, human_filter) = reload::Layer::new(filter(config, LogFormat::Human)?);
    let (json, json_filter) = reload::Layer::new(filter(config, LogFormat::Json)?);
    let layers: [Box<dyn Layer<Registry> + Send + Sync>; 2] = [
        fmt::layer().with_writer(io::stderr).with_ansi(io::stderr().is_terminal()).with_filter(human).boxed(),
        fmt::layer().with_writer(io::stderr).json().flatten_event(true).with_filter(json).boxed(),
    ];
    let layers = Vec::from(layers);
    tracing_subscriber::registry().with(layers).try_init().context("cannot log")?;
    Ok(Log { human: human_filter, json: json_filter })
}

impl Log {
    /// Goes on with another level or format.
    ///
    /// # Errors
    /// The level cannot be understood.
    pub(crate) fn change(&self, config: &LogConfig) -> anyhow::Result<()> {
        let (human, json) = (filter(config, LogFormat::Human)?, filter(config, LogFormat::Json)?);
        self.human.reload(human).and_then(|()| self.json.reload(json)).context("cannot log")
    }
}

/// The target of the lines that say who gave which command.
const AUDIT: &str = "audit";

/// What is logged in a format.
fn filter(config: &LogConfig, format: LogFormat) -> anyhow::Result<EnvFilter> {
    if config.format != format {
        return Ok(EnvFilter::new("off"));
    }
    let level = config.level.as_str();
    let filter = EnvFilter::try_new(level).with_context(|| format!("log.level `{level}`"))?;
    // whoever wants fewer lines does not mean these
    Ok(if names_audit(level) { filter } else { filter.add_directive(Directive::from_str("audit=info")?) })
}

/// Whether one of the parts says itself how much there is to be of the audit lines.
fn names_audit(level: &str) -> bool {
    level.split(',').any(|part| part.split(['=', '[']).next() == Some(AUDIT))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_audit_lines_are_switched_off_by_name_only() {
        let filter = |level: &str, format| {
            let config = LogConfig { level: level.to_owned(), format: LogFormat::Human };
            filter(&config, format).unwrap().to_string()
        };
        for level in ["error", "off", "warn,hearth_net=debug", "warn,audition=off"] {
            assert!(filter(level, LogFormat::Human).contains("audit=info"), "{level}");
        }
        for level in ["warn,audit=off", "warn,audit=warn", "audit"] {
            assert!(!filter(level, LogFormat::Human).contains("audit=info"), "{level}");
        }
        assert_eq!(filter("info", LogFormat::Json), "off", "this format is not in use");
    }
}
