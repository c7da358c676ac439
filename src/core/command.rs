//! Admin commands: described once by the module that owns them, offered through every door (local socket and command
//! line, XEP-0050 and later HTTP), with one permission check and one audit line.

mod audit;

use std::collections::BTreeMap;
use std::sync::Arc;

use hearth_wire::{BareJid, Jid};
use zeroize::Zeroizing;

pub(crate) use self::audit::Refusals;
use crate::host::Host;
use crate::iq::BoxFuture;
use crate::server::Server;

/// Hosts named to whoever misspells one.
const HOSTS_TOLD_MAX: usize = 20;

/// What kind of value an argument takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ArgKind {
    /// Any text on one line.
    Text,
    /// An account address (`user@domain`).
    Account,
    /// One account address or several, a line each.
    Accounts,
    /// One address or several, a line each, with or without a resource.
    Jids,
    /// A virtual host served here.
    Host,
    /// A whole number.
    Number,
    /// Yes or no; no if it is not given.
    Flag,
    /// A secret: asked for without echo or read from standard input, never taken from the command line's words,
    /// never logged.
    Password,
    /// Lines of text: on the command line the name of a file, or standard input. They may hold secrets and are never
    /// logged.
    Lines,
}

/// Looks at one line of [`ArgKind::Lines`] without a server: whether it holds anything, or why it cannot be taken. The
/// reason shows no secret.
pub type LineCheck = fn(&str) -> Result<bool, String>;

/// One argument.
#[derive(Debug, Clone, Copy)]
pub struct Arg {
    /// Its name: `[a-z_]+`.
    pub name: &'static str,
    /// What it takes.
    pub kind: ArgKind,
    /// Whether it must be given.
    pub required: bool,
    /// One line for people.
    pub help: &'static str,
    /// Of lines: what can be told of one beforehand.
    pub line: Option<LineCheck>,
}

impl Arg {
    /// An argument that must be given.
    pub const fn required(name: &'static str, kind: ArgKind, help: &'static str) -> Self {
        Self { name, kind, required: true, help, line: None }
    }

    /// An argument that may be left out.
    pub const fn optional(name: &'static str, kind: ArgKind, help: &'static str) -> Self {
        Self { name, kind, required: false, help, line: None }
    }

    /// Lines that must be given; `help` begins with "lines of".
    pub const fn lines(name: &'static str, help: &'static str, line: LineCheck) -> Self {
        Self { name, kind: ArgKind::Lines, required: true, help, line: Some(line) }
    }
}

/// The code of a command.
pub type Run = fn(CommandCall) -> BoxFuture<Result<Answer, CommandError>>;

/// One admin command.
#[derive(Debug, Clone, Copy)]
pub struct Command {
    /// Its words as typed: `account add`.
    pub name: &'static str,
    /// The short name of its XEP-0050 node where XEP-0133 registers one (`add-user`); otherwise one is made from the
    /// name.
    pub node: Option<&'static str>,
    /// Whether it makes sense on the stored data alone, while no server runs.
    pub offline: bool,
    /// One line for people.
    pub help: &'static str,
    /// Its arguments, in the order of the command line.
    pub args: &'static [Arg],
    /// What it does.
    pub run: Run,
}

/// Who gave a command and through which door: for the permission check and the audit line.
#[derive(Debug, Clone)]
pub enum Caller {
    /// A process that may open the local socket, which only the server's own user (and root) can.
    LocalSocket,
    /// An admin named in the configuration, through XEP-0050.
    Admin(Jid),
}

impl std::fmt::Display for Caller {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::LocalSocket => f.write_str("local socket"),
            Self::Admin(jid) => write!(f, "{jid}"),
        }
    }
}

/// One call of a command. Values are checked against the kinds before the command runs.
#[derive(Clone)]
pub struct CommandCall {
    /// The server.
    pub server: Arc<Server>,
    /// Who calls.
    pub caller: Caller,
    /// Checked values by argument name.
    values: BTreeMap<&'static str, Zeroizing<String>>,
}

impl std::fmt::Debug for CommandCall {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // values may be secrets
        write!(f, "CommandCall({}, {:?})", self.caller, self.values.keys())
    }
}

impl CommandCall {
    /// The value of an argument; empty values count as not given.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.values.get(name).map(|value| value.as_str()).filter(|value| !value.is_empty())
    }

    /// The value of a required argument.
    ///
    /// # Errors
    /// [`CommandError::Usage`] if it is missing.
    pub fn text(&self, name: &'static str) -> Result<&str, CommandError> {
        self.get(name).ok_or(CommandError::Usage(format!("{name} is missing")))
    }

    /// A required account address on a host served here.
    ///
    /// # Errors
    /// [`CommandError::Usage`] if it is missing or malformed, [`CommandError::NotFound`] for a host not served.
    pub fn account(&self, name: &'static str) -> Result<BareJid, CommandError> {
        self.account_of(self.text(name)?)
    }

    /// The same for every line of the value.
    ///
    /// # Errors
    /// As [`account`](Self::account).
    pub fn accounts(&self, name: &'static str) -> Result<Vec<BareJid>, CommandError> {
        self.lines(name)?.map(|text| self.account_of(text)).collect()
    }

    /// An account address on a host served here, given as a part of the value of `name`.
    ///
    /// # Errors
    /// As [`account`](Self::account).
    pub fn account_of(&self, text: &str) -> Result<BareJid, CommandError> {
        let jid = parse(text)?;
        if jid.local().is_none() || jid.is_full() {
            return Err(CommandError::Usage(format!("{text} is not of the form user@domain")));
        }
        let bare = jid.to_bare();
        if self.server.host(bare.domain()).is_none() {
            return Err(self.not_served(bare.domain()));
        }
        Ok(bare)
    }

    /// The addresses in the lines of a required value.
    ///
    /// # Errors
    /// [`CommandError::Usage`] if it is missing or one of them is malformed.
    pub fn jids(&self, name: &'static str) -> Result<Vec<Jid>, CommandError> {
        self.lines(name)?.map(parse).collect()
    }

    fn lines(&self, name: &'static str) -> Result<impl Iterator<Item = &str>, CommandError> {
        Ok(self.text(name)?.lines().map(str::trim).filter(|line| !line.is_empty()))
    }

    /// A whole number, if it is given.
    ///
    /// # Errors
    /// [`CommandError::Usage`] if it is none.
    pub fn number(&self, name: &'static str) -> Result<Option<u32>, CommandError> {
        let number = self.get(name).map(str::parse).transpose();
        number.map_err(|_| CommandError::Usage(format!("{name} is not a whole number")))
    }

    /// Whether a flag is set (XEP-0004 §3.3: `1` or `true`).
    ///
    /// # Errors
    /// [`CommandError::Usage`] if it is neither yes nor no.
    pub fn flag(&self, name: &'static str) -> Result<bool, CommandError> {
        match self.get(name) {
            None | Some("0" | "false") => Ok(false),
            Some("1" | "true") => Ok(true),
            Some(_) => Err(CommandError::Usage(format!("{name} is neither true nor false"))),
        }
    }

    /// A virtual host served here, if one is given.
    ///
    /// # Errors
    /// [`CommandError::NotFound`] if it is not served.
    pub fn host(&self, name: &'static str) -> Result<Option<Arc<Host>>, CommandError> {
        let Some(text) = self.get(name) else { return Ok(None) };
        let domain = hearth_wire::jid::prepare_domain(text).unwrap_or_default();
        let host = self.server.host(&domain);
        host.map(Some).ok_or_else(|| self.not_served(text))
    }

    fn not_served(&self, domain: &str) -> CommandError {
        let mut served: Vec<String> = self.server.hosts().all().map(|host| host.domain.to_string()).collect();
        served.sort_unstable();
        served.truncate(HOSTS_TOLD_MAX);
        let served = served.join(", ");
        CommandError::NotFound(format!("the host {domain} is not served here; served are: {served}"))
    }
}

fn parse(text: &str) -> Result<Jid, CommandError> {
    Jid::parse(text).map_err(|error| CommandError::Usage(format!("`{text}` is no address: {error}")))
}

/// What a command answers: lines for people, and a table for programs and forms.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Answer {
    /// A sentence for people.
    pub text: String,
    /// Names of the table's columns; empty: no table.
    pub columns: Vec<&'static str>,
    /// Rows of the table, each as long as `columns`.
    pub rows: Vec<Vec<String>>,
}

impl Answer {
    /// A sentence only.
    pub fn text(text: impl Into<String>) -> Self {
        Self { text: text.into(), ..Self::default() }
    }
}

/// Why a command did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    /// Arguments are missing or malformed.
    #[error("{0}")]
    Usage(String),
    /// What it is about does not exist.
    #[error("{0}")]
    NotFound(String),
    /// It would make something that exists already, or contradict the present state.
    #[error("{0}")]
    Conflict(String),
    /// A fault of the server's own.
    #[error("the server failed: {0}")]
    Internal(#[from] crate::error::Internal),
}

impl CommandError {
    /// The same, saying what was done before it came to that.
    pub fn after(self, done: &[String]) -> Self {
        if done.is_empty() {
            return self;
        }
        let told = |text: String| format!("{text}; done before that: {}", done.join(", "));
        match self {
            Self::Usage(text) => Self::Usage(told(text)),
            Self::NotFound(text) => Self::NotFound(told(text)),
            Self::Conflict(text) => Self::Conflict(told(text)),
            Self::Internal(error) => Self::Internal(error),
        }
    }
}

/// Why a call did not reach its command.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum CallError {
    /// No such command.
    #[error("there is no command `{0}`")]
    Unknown(String),
    /// The caller may not.
    #[error("{0} is not an admin")]
    Forbidden(String),
    /// A value that no argument takes.
    #[error("`{0}` takes no `{1}`")]
    UnknownArg(&'static str, String),
}

/// Runs a command on behalf of `caller`: the one way in, for every door.
///
/// # Errors
/// [`CallError`] if the call is not allowed or not well-formed; the inner error is the command's own.
pub async fn call(
    server: &Arc<Server>,
    caller: Caller,
    name: &str,
    values: impl IntoIterator<Item = (String, Zeroizing<String>)>,
) -> Result<Result<Answer, CommandError>, CallError> {
    let command = server.plan().command(name).ok_or_else(|| CallError::Unknown(name.to_owned()))?;
    admit(server, &caller, command.name)?;
    let mut checked = BTreeMap::new();
    for (key, value) in values {
        match command.args.iter().find(|arg| arg.name == key) {
            Some(arg) => checked.insert(arg.name, value),
            None => return Err(CallError::UnknownArg(command.name, key)),
        };
    }
    let line = audit::Line::begin(command, &caller, &checked);
    let result = (command.run)(CommandCall { server: Arc::clone(server), caller, values: checked }).await;
    line.end(&result);
    Ok(result)
}

/// Whether the caller may give this command; a refusal is counted and leaves its audit line. For a door that says no before
/// it comes to the [`call`].
///
/// # Errors
/// [`CallError::Forbidden`].
pub fn admit(server: &Server, caller: &Caller, command: &str) -> Result<(), CallError> {
    permitted(server, caller).inspect_err(|_| {
        server.metrics().commands_refused.up();
        server.refusals().note(command, caller, server.now_ms());
    })
}

/// Whether the caller may give commands at all; for those who only ask what there is.
///
/// # Errors
/// [`CallError::Forbidden`].
pub fn permitted(server: &Server, caller: &Caller) -> Result<(), CallError> {
    match caller {
        Caller::LocalSocket => Ok(()),
        Caller::Admin(jid) if server.is_admin(jid) => Ok(()),
        Caller::Admin(jid) => Err(CallError::Forbidden(jid.to_string())),
    }
}
