//! The frozen plan: everything the modules declared, checked once, then only read.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Write as _;
use std::sync::Arc;

use hearth_store::Migrations;
use hearth_wire::Stanza;
use smallvec::SmallVec;

use crate::command::Command;
use crate::disco::DiscoNodes;
use crate::event::Listener;
use crate::iq::{Entity, IqCall, IqHandler, Verb};
use crate::live::{NewSettings, Reader};
use crate::metrics::Counter;
use crate::module::{
    Forget, Identity, InfoForm, Keepalive, MakeKeepalive, Module, Registrar, SetupError, Stamp, Xep,
};
use crate::stage::{Hook, Interest, Passage, Stage, Step};
use crate::stream::feature::StreamFeature;
use crate::stream::register::PreAuthEntry;

/// A hook with where it stands.
pub(crate) struct HookEntry {
    pub(crate) stage: Stage,
    pub(crate) interest: Interest,
    pub(crate) module: &'static str,
    pub(crate) hook: Box<dyn Hook>,
}

/// A handler with what it handles.
pub(crate) struct IqEntry {
    pub(crate) verb: Verb,
    pub(crate) on: Entity,
    pub(crate) payload: (&'static str, &'static str),
    pub(crate) module: &'static str,
    pub(crate) handler: IqHandler,
}

/// A module's configuration section: what it may hold, and what it holds by default.
#[derive(Debug)]
pub struct ConfigSection {
    /// The module's name.
    pub name: &'static str,
    /// Names, types and comments.
    pub schema: schemars::Schema,
    /// The defaults.
    pub default: toml::Table,
}

/// What was declared so far.
#[derive(Default)]
pub(crate) struct Draft {
    pub(crate) features: Vec<(Entity, &'static str)>,
    /// Those of the own account that a guest's does not have.
    pub(crate) not_for_guests: Vec<&'static str>,
    pub(crate) identities: Vec<(Entity, Identity)>,
    pub(crate) info_forms: Vec<InfoForm>,
    pub(crate) disco_nodes: Vec<(Entity, &'static str, Arc<dyn DiscoNodes>)>,
    pub(crate) iqs: HashMap<&'static str, SmallVec<[IqEntry; 2]>>,
    pub(crate) pre_auth: Vec<PreAuthEntry>,
    pub(crate) stream_features: Vec<(&'static str, StreamFeature)>,
    pub(crate) hooks: Vec<HookEntry>,
    pub(crate) listeners: Vec<(&'static str, Listener)>,
    pub(crate) session_slots: Vec<(&'static str, &'static str)>,
    pub(crate) account_slots: Vec<(&'static str, &'static str)>,
    pub(crate) migrations: Vec<Migrations>,
    pub(crate) forget: Vec<Forget>,
    pub(crate) keepalive: Option<(&'static str, MakeKeepalive)>,
    pub(crate) stamp: Option<(&'static str, Stamp)>,
    pub(crate) commands: BTreeMap<&'static str, (&'static str, Command)>,
    pub(crate) metrics: Vec<(&'static str, &'static str, Counter)>,
    pub(crate) config: Vec<ConfigSection>,
    pub(crate) readers: Vec<Reader>,
}

impl Draft {
    pub(crate) fn add_iq(&mut self, entry: IqEntry) -> Result<(), SetupError> {
        let (namespace, name) = entry.payload;
        let entries = self.iqs.entry(namespace).or_default();
        let same = |old: &&IqEntry| old.payload.1 == name && old.on == entry.on && old.verb == entry.verb;
        if let Some(old) = entries.iter().find(same) {
            let payload = format!("{:?} {:?} {{{namespace}}}{name}", entry.on, entry.verb);
            return Err(SetupError::TwoOwners { payload, first: old.module, second: entry.module });
        }
        entries.push(entry);
        Ok(())
    }

    pub(crate) fn add_command(&mut self, module: &'static str, command: Command) -> Result<(), SetupError> {
        if let Some((first, _)) = self.commands.get(command.name) {
            let payload = format!("command `{}`", command.name);
            return Err(SetupError::TwoOwners { payload, first, second: module });
        }
        self.commands.insert(command.name, (module, command));
        Ok(())
    }
}

/// Everything the modules declared.
pub struct Plan {
    draft: Draft,
    /// The hooks of each stage, in order; indexed by the stage's number.
    stages: [Vec<(Interest, Box<dyn Hook>)>; Stage::ALL.len()],
    names: Vec<(Stage, &'static str, Interest)>,
    xeps: Vec<Xep>,
}

impl Plan {
    /// Lets every module declare, in the order of the list, and freezes the result. `sections` are the tables under
    /// `[xep]` in the configuration.
    ///
    /// # Errors
    /// [`SetupError`]: the server must not start.
    pub fn build(modules: &[Module], sections: &BTreeMap<String, toml::Table>) -> Result<Self, SetupError> {
        let mut draft = Draft::default();
        for module in modules {
            if let Some(needs) =
                module.needs.iter().find(|name| !modules.iter().any(|other| other.name == **name))
            {
                return Err(SetupError::Missing { module: module.name, needs });
            }
            (module.register)(&mut Registrar { module: module.name, draft: &mut draft, sections })?;
        }
        refuse_unknown(sections, &draft.config)?;
        draft.features.sort_unstable();
        draft.features.dedup();
        draft.identities.sort_unstable();
        let mut plan = Self {
            stages: std::array::from_fn(|_| Vec::new()),
            names: Vec::new(),
            xeps: modules.iter().flat_map(|module| module.xeps.iter().copied()).collect(),
            draft,
        };
        plan.freeze_hooks();
        Ok(plan)
    }

    fn freeze_hooks(&mut self) {
        let mut hooks = std::mem::take(&mut self.draft.hooks);
        hooks.sort_by_key(|entry| entry.stage); // stable: the module list's order stays
        for entry in hooks {
            self.names.push((entry.stage, entry.module, entry.interest));
            self.stages[entry.stage as usize].push((entry.interest, entry.hook));
        }
    }

    /// Whether any hook of a stage wants this stanza. Where not, the caller need not lock or copy anything.
    pub fn has_hooks(&self, stage: Stage, stanza: &Stanza) -> bool {
        self.stages[stage as usize].iter().any(|(interest, _)| interest.wants(stanza))
    }

    /// Runs the hooks of a stage until one answers something else than [`Step::Next`].
    pub fn run(&self, passage: &mut Passage<'_>) -> Step {
        for (interest, hook) in &self.stages[passage.stage as usize] {
            if !interest.wants(passage.stanza) {
                continue;
            }
            match hook.pass(passage) {
                Step::Next => {}
                step => {
                    debug_assert!(passage.stage.allows(&step), "{:?} may not {step:?}", passage.stage);
                    return step;
                }
            }
        }
        Step::Next
    }

    /// The handler of a payload at an entity.
    pub fn iq(&self, verb: Verb, on: Entity, namespace: &str, name: &str) -> Option<&IqHandler> {
        let entries = self.draft.iqs.get(namespace)?;
        entries.iter().find(|e| e.payload.1 == name && e.on == on && e.verb == verb).map(|e| &e.handler)
    }

    /// Handlers of iqs before authentication.
    pub fn pre_auth(&self) -> &[PreAuthEntry] {
        &self.draft.pre_auth
    }

    /// The disco features of an entity, sorted.
    pub fn features(&self, on: Entity) -> impl Iterator<Item = &'static str> {
        self.draft.features.iter().filter(move |(entity, _)| *entity == on).map(|(_, namespace)| *namespace)
    }

    /// Whether the account of a guest (XEP-0175) has a feature that accounts have.
    pub fn is_for_guests(&self, feature: &str) -> bool {
        !self.draft.not_for_guests.contains(&feature)
    }

    /// The disco identities of an entity, sorted.
    pub fn identities(&self, on: Entity) -> impl Iterator<Item = Identity> {
        self.draft.identities.iter().filter(move |(entity, _)| *entity == on).map(|(_, identity)| *identity)
    }

    /// Makers of the forms in the server's disco answer.
    pub fn info_forms(&self) -> &[InfoForm] {
        &self.draft.info_forms
    }

    /// Who answers for a node of the entity that was asked.
    pub fn disco_nodes(&self, call: &IqCall, node: &str) -> Option<&Arc<dyn DiscoNodes>> {
        let mut owners =
            self.draft.disco_nodes.iter().filter(|(on, ..)| *on == call.on).map(|(.., owner)| owner);
        owners.find(|owner| owner.owns(call, node))
    }

    /// What modules offer in stream features.
    pub fn stream_features(&self) -> impl Iterator<Item = &StreamFeature> {
        self.draft.stream_features.iter().map(|(_, feature)| feature)
    }

    pub(crate) fn listeners(&self) -> impl Iterator<Item = &Listener> {
        self.draft.listeners.iter().map(|(_, listener)| listener)
    }

    /// Tables that modules own.
    pub fn migrations(&self) -> &[Migrations] {
        &self.draft.migrations
    }

    pub(crate) fn forget(&self) -> &[Forget] {
        &self.draft.forget
    }

    /// How silent sessions are asked for a sign of life.
    pub fn keepalive(&self) -> Option<Keepalive> {
        self.draft.keepalive.as_ref().and_then(|(_, make)| make())
    }

    /// How a stanza that was kept for later is marked, if any module says.
    pub fn stamp(&self) -> Option<Stamp> {
        self.draft.stamp.map(|(_, stamp)| stamp)
    }

    /// The command with this name.
    pub fn command(&self, name: &str) -> Option<&Command> {
        self.draft.commands.get(name).map(|(_, command)| command)
    }

    /// All commands, by name.
    pub fn commands(&self) -> impl Iterator<Item = &Command> {
        self.draft.commands.values().map(|(_, command)| command)
    }

    /// Counters that modules declared: name, help, counter.
    pub fn metrics(&self) -> &[(&'static str, &'static str, Counter)] {
        &self.draft.metrics
    }

    /// Reads other settings of the modules, to be applied by [`Server::reconfigure`](crate::server::Server::reconfigure).
    ///
    /// # Errors
    /// [`SetupError`]: something is wrong with them; all stays as it is.
    pub fn read_settings(&self, sections: &BTreeMap<String, toml::Table>) -> Result<NewSettings, SetupError> {
        refuse_unknown(sections, &self.draft.config)?;
        NewSettings::read(&self.draft.readers, sections)
    }

    /// Configuration sections of the modules.
    pub fn config(&self) -> &[ConfigSection] {
        &self.draft.config
    }

    /// Extensions implemented.
    pub fn xeps(&self) -> &[Xep] {
        &self.xeps
    }

    /// The plan as text, for the golden file that reviewers read.
    pub fn describe(&self) -> String {
        let mut out = String::from("# Stages, in the order of a stanza's way, and who looks at it there\n");
        self.describe_stages(&mut out);
        self.describe_iqs(&mut out);
        self.describe_disco(&mut out);
        self.describe_rest(&mut out);
        out
    }

    fn describe_stages(&self, out: &mut String) {
        for stage in Stage::ALL {
            let hooks = self.names.iter().filter(|(at, ..)| *at == stage);
            let hooks: Vec<_> = hooks.map(|(_, module, interest)| format!("{module} ({interest})")).collect();
            let hooks = if hooks.is_empty() { "-".into() } else { hooks.join(" -> ") };
            let _ = writeln!(out, "{stage:?}: {hooks}");
        }
    }

    fn describe_iqs(&self, out: &mut String) {
        let iqs = self.draft.iqs.values().flatten();
        let line = |e: &IqEntry| {
            let (namespace, name) = e.payload;
            format!("{:?} {:?} {{{namespace}}}{name}: {}", e.on, e.verb, e.module)
        };
        section(out, "Iq handlers", iqs.map(line));
        let pre_auth = self.draft.pre_auth.iter().map(PreAuthEntry::describe);
        section(out, "Iq handlers before authentication", pre_auth);
    }

    fn describe_disco(&self, out: &mut String) {
        let draft = &self.draft;
        section(out, "Disco features", draft.features.iter().map(|(on, ns)| format!("{on:?} {ns}")));
        let identity = |(on, i): &(Entity, Identity)| format!("{on:?} {}/{} {}", i.category, i.kind, i.name);
        section(out, "Disco identities", draft.identities.iter().map(identity));
        let nodes = draft.disco_nodes.iter().map(|(on, module, _)| format!("{on:?}: {module}"));
        section(out, "Disco nodes", nodes);
    }

    fn describe_rest(&self, out: &mut String) {
        let draft = &self.draft;
        let features = draft.stream_features.iter();
        section(out, "Stream features", features.map(|(module, f)| format!("{}: {module}", f.describe())));
        section(out, "Listeners", draft.listeners.iter().map(|(module, _)| (*module).to_owned()));
        let slots = [("session", &draft.session_slots), ("account", &draft.account_slots)];
        let slots = slots.into_iter().flat_map(|(kind, slots)| {
            slots.iter().map(move |(module, state)| format!("{kind} {module}: {state}"))
        });
        section(out, "Slots", slots);
        let tables = draft.migrations.iter().map(|m| format!("{} {}", m.owner, m.steps.len()));
        section(out, "Tables", tables);
        let commands = draft.commands.iter().map(|(name, (module, _))| format!("{name}: {module}"));
        section(out, "Commands", commands);
        section(out, "Metrics", draft.metrics.iter().map(|(name, ..)| (*name).to_owned()));
    }
}

impl std::fmt::Debug for Plan {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.describe())
    }
}

fn section(out: &mut String, title: &str, lines: impl Iterator<Item = String>) {
    let mut lines: Vec<String> = lines.collect();
    lines.sort();
    let _ = writeln!(out, "\n# {title}");
    for line in lines {
        let _ = writeln!(out, "{line}");
    }
}

fn refuse_unknown(
    sections: &BTreeMap<String, toml::Table>,
    known: &[ConfigSection],
) -> Result<(), SetupError> {
    let Some(name) = sections.keys().find(|name| !known.iter().any(|section| section.name == **name)) else {
        return Ok(());
    };
    let names: Vec<&str> = known.iter().map(|section| section.name).collect();
    let message = format!("there is no module of this name with settings; there are: {}", names.join(", "));
    Err(SetupError::Config { section: name.clone(), key: String::new(), message })
}
