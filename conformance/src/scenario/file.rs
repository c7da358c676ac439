//! A scenario file: header lines, then steps.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::{Action, Fault, Stage, Step};

/// The lines before the first step.
#[derive(Clone, Debug, Default)]
pub struct Header {
    /// What is shown, in a sentence.
    pub title: String,
    /// Ids of `requirements*.toml`.
    pub covers: Vec<String>,
    /// Peer → why the scenario does not hold there.
    pub differs: BTreeMap<String, String>,
    /// Why no other server is asked.
    pub hearth_only: Option<String>,
    /// A variant of Hearth's configuration, `conformance/servers/NAME.toml`.
    pub server: Option<String>,
    /// A server that no other scenario uses: it can be stopped, its disk be filled.
    pub own: Option<Own>,
    /// Users that are not ordinary.
    pub users: Vec<UserSpec>,
}

/// A scenario's own server.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Own {
    /// Settings that go over the configuration of every server under test, in TOML.
    pub config: Vec<String>,
    /// How much fits on the disk with its data; `None`: as much as on any.
    pub disk_mb: Option<u32>,
}

/// `user: NAME [on host2] [password "…"] [without account | of the server]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserSpec {
    /// As the scenario calls the user.
    pub name: String,
    /// On the second virtual host.
    pub on_host2: bool,
    /// A certain password instead of a random one.
    pub password: Option<String>,
    /// Whether an account is made.
    pub account: bool,
    /// Whether the account is there already, under exactly this name (the admin that the starters make).
    pub existing: bool,
}

/// One file.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// Below `conformance/scenarios`, e.g. `rfc6121/8.1-x.txt`.
    pub path: String,
    /// What the first lines say.
    pub header: Header,
    pub(crate) steps: Vec<Step>,
}

/// All scenario files below a folder, by path.
///
/// # Errors
/// Every mistake in any of them, with file and line.
pub fn all(folder: &Path) -> Result<Vec<Scenario>, Vec<String>> {
    let mut files = Vec::new();
    let mut mistakes = Vec::new();
    if let Err(error) = collect(folder, &mut files) {
        mistakes.push(format!("{}: {error}", folder.display()));
    }
    files.sort();
    let mut scenarios = Vec::new();
    for file in files {
        let path = file.strip_prefix(folder).unwrap_or(&file).to_string_lossy().into_owned();
        match std::fs::read_to_string(&file).map_err(|error| error.to_string()) {
            Ok(text) => match Scenario::parse(&path, &text) {
                Ok(scenario) => scenarios.push(scenario),
                Err(found) => mistakes.extend(found),
            },
            Err(error) => mistakes.push(format!("{path}: {error}")),
        }
    }
    if mistakes.is_empty() { Ok(scenarios) } else { Err(mistakes) }
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) -> std::io::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            collect(&path, files)?;
        } else if path.extension().is_some_and(|extension| extension == "txt") {
            files.push(path);
        }
    }
    Ok(())
}

impl Scenario {
    /// Reads a file's text.
    ///
    /// # Errors
    /// Every mistake, with file and line.
    pub fn parse(path: &str, text: &str) -> Result<Self, Vec<String>> {
        let mut scenario = Self { path: path.to_owned(), header: Header::default(), steps: Vec::new() };
        let mut mistakes = Vec::new();
        for (line, text) in logical_lines(text) {
            if let Err(why) = scenario.line(line, &text) {
                mistakes.push(format!("{path}:{line}: {why}"));
            }
        }
        if let Err(why) = scenario.header.check() {
            mistakes.push(format!("{path}:1: {why}"));
        }
        mistakes.extend(scenario.misplaced_faults());
        if mistakes.is_empty() {
            mistakes = scenario.lint();
        }
        if mistakes.is_empty() { Ok(scenario) } else { Err(mistakes) }
    }

    fn line(&mut self, line: usize, text: &str) -> Result<(), String> {
        if self.steps.is_empty() && self.header.line(text)? {
            return Ok(());
        }
        self.steps.push(Step::parse(line, text)?);
        Ok(())
    }

    /// What befalls the server in this scenario.
    pub(crate) fn faults(&self) -> impl Iterator<Item = (usize, &Fault)> {
        self.steps.iter().filter_map(|step| match &step.action {
            Action::Fault(fault) => Some((step.line, fault)),
            _ => None,
        })
    }

    /// Faults that would hit other scenarios, or cannot be brought about.
    fn misplaced_faults(&self) -> Vec<String> {
        let own = self.header.own.as_ref();
        let why = |fault: &Fault| match own {
            None => Some("needs `server: own`"),
            Some(Own { disk_mb: None, .. }) if fault.fills() => Some("needs `disk: N MB`"),
            Some(_) => None,
        };
        let wrong = self.faults().filter_map(|(line, fault)| Some((line, why(fault)?)));
        wrong.map(|(line, why)| format!("{}:{line}: this {why}", self.path)).collect()
    }

    /// Every user of the scenario: those of the header, and ordinary ones for all other names in its steps.
    pub(crate) fn users(&self) -> Vec<UserSpec> {
        let mut users = self.header.users.clone();
        let mut known: BTreeSet<String> = users.iter().map(|user| user.name.clone()).collect();
        let mut kept: BTreeSet<String> =
            self.steps.iter().filter_map(Step::payload).flat_map(kept_names).collect();
        kept.extend(self.steps.iter().filter_map(Step::counter).map(str::to_owned));
        for name in self.steps.iter().flat_map(|step| step.users(&kept)) {
            if known.insert(name.to_owned()) {
                let name = name.to_owned();
                users.push(UserSpec::ordinary(name));
            }
        }
        users
    }
}

impl Step {
    fn users<'a>(&'a self, kept: &BTreeSet<String>) -> Vec<&'a str> {
        let mut users: Vec<&str> = self.who.split_once('/').map(|(user, _)| user).into_iter().collect();
        match &self.action {
            Action::Contacts { other, .. } => users.extend([self.who.as_str(), other]),
            Action::Reach { stage: Stage::Authenticated { user } | Stage::Bound { user, .. }, .. }
            | Action::Authenticate { user, .. } => users.push(user),
            _ => {}
        }
        users.extend(in_variables(self.payload().unwrap_or_default(), kept));
        users
    }

    pub(super) fn payload(&self) -> Option<&str> {
        match &self.action {
            Action::Send { payload, .. }
            | Action::SendCutOff { payload }
            | Action::Receive { payload, .. }
            | Action::Ignore { payload }
            | Action::OpenStream { attributes: payload }
            | Action::ReceiveHeader { attributes: payload }
            | Action::Fault(Fault::Runs { command: payload }) => Some(payload),
            _ => None,
        }
    }

    /// The variable in which the step counts.
    pub(super) fn counter(&self) -> Option<&str> {
        match &self.action {
            Action::Send { times, .. } | Action::Receive { times, .. } => times.counter.as_deref(),
            _ => None,
        }
    }
}

/// Users in variables: `romeo` of `${romeo}`, `${romeo:name}` and `${romeo/orchard}`.
fn in_variables<'a>(payload: &'a str, kept: &BTreeSet<String>) -> Vec<&'a str> {
    let mut users = Vec::new();
    for rest in payload.split("${").skip(1) {
        let Some(end) = rest.find('}') else { continue };
        let variable = &rest[..end];
        let (name, kind) = variable.split_at(variable.find([':', '/']).unwrap_or(end));
        let of_a_user = kind.is_empty() || kind == ":name" || kind == ":password" || kind.starts_with('/');
        if of_a_user
            && name.starts_with(|first: char| first.is_ascii_lowercase())
            && name != "host"
            && name != "host2"
            && !kept.contains(name)
        {
            users.push(name);
        }
    }
    users
}

/// Names under which templates keep values.
pub(super) fn kept_names(payload: &str) -> impl Iterator<Item = String> {
    let after = |mark| payload.split(mark).skip(1);
    let name = |text: &str| text.chars().take_while(|c| c.is_alphanumeric() || "_-".contains(*c)).collect();
    after("!set ").chain(after("?&lt;")).chain(after("?P&lt;")).map(name)
}

impl Header {
    /// Takes a header line; false when it is none.
    fn line(&mut self, text: &str) -> Result<bool, String> {
        let Some((key, value)) = text.split_once(':') else { return Ok(false) };
        let value = value.trim();
        let reason = || match value {
            "" => Err("a reason is missing".to_owned()),
            reason => Ok(reason.to_owned()),
        };
        match key.trim() {
            "title" => self.title = value.to_owned(),
            "covers" => self
                .covers
                .extend(value.split(',').map(str::trim).filter(|id| !id.is_empty()).map(str::to_owned)),
            "prosody differs" => {
                self.differs.insert("prosody".to_owned(), reason()?);
            }
            "ejabberd differs" => {
                self.differs.insert("ejabberd".to_owned(), reason()?);
            }
            "hearth only" => self.hearth_only = Some(reason()?),
            "server" if value == "own" => self.own = Some(self.own.take().unwrap_or_default()),
            "server" => self.server = Some(value.to_owned()),
            "config" => self.of_own("config")?.config.push(value.to_owned()),
            "disk" => {
                let size = value.strip_suffix(" MB").and_then(|number| number.parse().ok());
                let size = size.filter(|mb| (1..=100).contains(mb)).ok_or("`disk:` wants `N MB`")?;
                self.of_own("disk")?.disk_mb = Some(size);
            }
            "user" => self.users.push(UserSpec::parse(value)?),
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn of_own(&mut self, key: &str) -> Result<&mut Own, String> {
        self.own.as_mut().ok_or_else(|| format!("`{key}:` stands behind `server: own`"))
    }

    fn check(&self) -> Result<(), String> {
        if self.title.is_empty() {
            return Err("`title:` is missing".to_owned());
        }
        match (&self.server, &self.own) {
            (Some(_), Some(_)) => Err("one server is enough".to_owned()),
            (None, None) => Ok(()),
            _ if self.hearth_only.is_none() => Err("`server:` needs `hearth only: REASON`".to_owned()),
            _ => Ok(()),
        }
    }
}

impl UserSpec {
    fn ordinary(name: String) -> Self {
        Self { name, on_host2: false, password: None, account: true, existing: false }
    }

    fn parse(text: &str) -> Result<Self, String> {
        let (name, mut rest) = text.split_once(' ').unwrap_or((text, ""));
        let mut user = Self::ordinary(name.to_owned());
        while !rest.trim().is_empty() {
            rest = rest.trim();
            if let Some(after) = rest.strip_prefix("on host2") {
                user.on_host2 = true;
                rest = after;
            } else if let Some(after) = rest.strip_prefix("without account") {
                user.account = false;
                rest = after;
            } else if let Some(after) = rest.strip_prefix("of the server") {
                (user.account, user.existing) = (false, true);
                rest = after;
            } else if let Some(after) = rest.strip_prefix("password \"") {
                let (password, after) = after.split_once('"').ok_or("a quote is not closed")?;
                user.password = Some(password.to_owned());
                rest = after;
            } else {
                return Err(format!("`{rest}` is not understood"));
            }
        }
        Ok(user)
    }
}

/// Lines with their continuations joined, with the number of the first.
fn logical_lines(text: &str) -> Vec<(usize, String)> {
    let mut lines: Vec<(usize, String)> = Vec::new();
    for (number, line) in text.lines().enumerate() {
        if line.starts_with('#') || line.trim().is_empty() {
            continue;
        }
        match lines.last_mut() {
            Some((_, step)) if line.starts_with([' ', '\t']) => step.push_str(line.trim()),
            _ => lines.push((number + 1, line.trim_end().to_owned())),
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "title: A title\ncovers: a-1, b-2\ncovers: c-3\nprosody differs: because\n\
        user: mercutio on host2 password \"x y\"\nuser: nobody without account\n\n\
        romeo/orchard connects\n# a comment\nromeo/orchard sends:\n    <message to=\"${juliet:name}\">\n\
        \t<body>a b</body></message>\nromeo/orchard receives: <iq id='!set x' to='${x} ${friar}'/>\n";

    #[test]
    fn a_file_is_read() {
        let scenario = Scenario::parse("x.txt", TEXT).unwrap();
        assert_eq!(scenario.header.covers, ["a-1", "b-2", "c-3"]);
        assert_eq!(scenario.header.differs["prosody"], "because");
        assert_eq!(scenario.steps.len(), 3);
        assert_eq!(scenario.steps[1].line, 10);
        let Action::Send { payload, .. } = &scenario.steps[1].action else { panic!("not a send") };
        assert_eq!(payload, "<message to=\"${juliet:name}\"><body>a b</body></message>");
        let users: Vec<_> = scenario.users().into_iter().map(|user| (user.name, user.account)).collect();
        // `x` of the template is a kept value, not a user.
        let expected =
            [("mercutio", true), ("nobody", false), ("romeo", true), ("juliet", true), ("friar", true)];
        assert_eq!(users, expected.map(|(name, account)| (name.to_owned(), account)));
        assert_eq!(scenario.header.users[0].password.as_deref(), Some("x y"));
    }

    #[test]
    fn mistakes_have_their_line() {
        let mistakes = Scenario::parse("x.txt", "title: x\nromeo dances\n").unwrap_err();
        assert_eq!(mistakes, ["x.txt:2: unknown step `dances`"]);
        assert!(Scenario::parse("x.txt", "a/b connects\n").is_err(), "no title");
        assert!(Scenario::parse("x.txt", "title: x\nserver: y\n").is_err(), "no reason");
        let own = "title: x\nhearth only: y\nserver: own\n";
        assert!(Scenario::parse("x.txt", &format!("{own}config: a.b = 1\nthe server is killed\n")).is_ok());
        let mistakes = Scenario::parse("x.txt", &format!("{own}the disk is full\n")).unwrap_err();
        assert_eq!(mistakes, ["x.txt:4: this needs `disk: N MB`"]);
        assert!(Scenario::parse("x.txt", "title: x\nthe server is killed\n").is_err(), "whose server?");
        assert!(Scenario::parse("x.txt", "title: x\nconfig: a.b = 1\n").is_err(), "whose config?");
        assert!(Scenario::parse("x.txt", "title: x\nprosody differs:\n").is_err(), "no reason");
    }
}
