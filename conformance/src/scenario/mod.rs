//! Scenarios: the text format of `conformance/README.md`, its variables and its templates.

mod file;
mod lint;
mod matching;
mod options;
mod rule;
mod step;
mod template;
mod vars;

pub use file::{Header, Scenario, UserSpec, all};
pub(crate) use matching::Matching;
pub(crate) use options::{AuthenticateOptions, ConnectOptions, PresenceOption, TlsVersion};
pub(crate) use rule::{Captures, Rule};
pub(crate) use step::{Action, SendAs, Stage, Step};
pub(crate) use template::Template;
pub(crate) use vars::{Escaping, Vars, random_hex};
