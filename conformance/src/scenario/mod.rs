//! Scenarios: the text format of `conformance/README.md`, its variables and its templates.

mod fault;
mod file;
mod lint;
mod matching;
mod options;
mod rule;
mod step;
mod template;
mod times;
mod vars;

pub(crate) use fault::Fault;
pub use file::{Header, Own, Scenario, UserSpec, all};
pub(crate) use matching::Matching;
pub(crate) use options::{AuthenticateOptions, ConnectOptions, PresenceOption, TlsVersion};
pub(crate) use rule::{Captures, Rule};
pub(crate) use step::{Action, SendAs, Stage, Step};
pub(crate) use template::Template;
pub(crate) use times::Times;
pub(crate) use vars::{Escaping, Vars, random_hex};
