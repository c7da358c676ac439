//! How an extension joins: it declares what it wants, the plan checks and freezes it.
//!
//! A module is one value and one function. Nothing it declares takes effect but through the [`Registrar`].

use std::any::type_name;
use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Arc;

use hearth_store::{Migrations, StoreError, WriteSql};
use hearth_wire::{Jid, Payload, Stanza, XmlWriter};
use schemars::JsonSchema;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::command::Command;
use crate::disco::DiscoNodes;
use crate::event::{Event, Listener};
use crate::host::Host;
use crate::iq::{Entity, IqCall, IqHandler, IqResult, Verb};
use crate::live::{self, Judge, Live, Objection};
use crate::metrics::Counter;
use crate::plan::{ConfigSection, Draft, HookEntry, IqEntry};
use crate::server::Server;
use crate::session::Session;
use crate::slot::Slot;
use crate::stage::{Hook, Interest, Stage};
use crate::stream::feature::StreamFeature;
use crate::stream::register::PreAuthEntry;

/// How much of an extension is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Support {
    /// All of the server's side.
    Complete,
    /// A part; the module's header says which.
    Partial,
}

/// An extension a module implements, for the table in the README and the DOAP file.
#[derive(Debug, Clone, Copy)]
pub struct Xep {
    /// Its number.
    pub number: u16,
    /// The version implemented.
    pub version: &'static str,
    /// How much of it.
    pub support: Support,
    /// Its title.
    pub title: &'static str,
}

/// A module: what one file in `xep/` offers.
#[derive(Debug, Clone, Copy)]
pub struct Module {
    /// Its name: in the plan, in the configuration (`[xep.<name>]`), in `needs` of others.
    pub name: &'static str,
    /// What it implements.
    pub xeps: &'static [Xep],
    /// Modules that must be there too.
    pub needs: &'static [&'static str],
    /// Declares everything.
    pub register: fn(&mut Registrar<'_>) -> Result<(), SetupError>,
}

/// Why the server cannot start with these modules and this configuration.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// Two modules want the same payload.
    #[error("{payload} has two owners: `{first}` and `{second}`")]
    TwoOwners {
        /// Entity, verb and name.
        payload: String,
        /// Who declared it first.
        first: &'static str,
        /// Who declared it again.
        second: &'static str,
    },
    /// A module that others need is missing.
    #[error("module `{module}` needs `{needs}`, which is not there")]
    Missing {
        /// Who needs.
        module: &'static str,
        /// What is needed.
        needs: &'static str,
    },
    /// `hook_after` names a module without a hook in that stage, or one that comes later.
    #[error(
        "module `{module}` wants to come after `{after}` in {stage:?}, but that has no hook there before it"
    )]
    Order {
        /// Who wants.
        module: &'static str,
        /// After whom.
        after: &'static str,
        /// Where.
        stage: Stage,
    },
    /// A configuration section that cannot be read.
    #[error("xep.{section}{}{key}: {message}", if key.is_empty() { "" } else { "." })]
    Config {
        /// The module's name.
        section: String,
        /// Where in the section; empty: the section as a whole.
        key: String,
        /// What is wrong with it.
        message: String,
    },
    /// A value that a module finds impossible.
    #[error("xep.{module}.{}: {} ({})", .objection.key, .objection.text, .objection.fix)]
    Invalid {
        /// Who found it.
        module: &'static str,
        /// What it says.
        objection: Objection,
    },
}

/// A disco identity (XEP-0030 §3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Identity {
    /// Category, e.g. `server`.
    pub category: &'static str,
    /// Type, e.g. `im`.
    pub kind: &'static str,
    /// Name for people.
    pub name: &'static str,
}

/// Makes an extension form of a disco answer (XEP-0128); `None` where there is nothing to say. It is asked once and
/// again after each [`Event::Reloaded`].
pub type InfoForm = Box<dyn Fn(&Server, &Host) -> Option<Payload> + Send + Sync>;

/// Writes the mark of a stanza that was kept for later: who kept it, and since when, in milliseconds since 1970
/// (XEP-0203).
pub type Stamp = fn(&mut XmlWriter, keeper: &Jid, since_ms: i64);

/// How silent sessions are asked for a sign of life.
#[derive(Debug, Clone, Copy)]
pub struct Keepalive {
    /// Seconds without a byte from the client before it is asked.
    pub ask_after_s: u32,
    /// Seconds it then has to send anything at all.
    pub answer_within_s: u32,
    /// Makes the question.
    pub ask: fn(&Session) -> Stanza,
}

/// Says how silent sessions are asked now; `None`: they are not.
pub type MakeKeepalive = Box<dyn Fn() -> Option<Keepalive> + Send + Sync>;

/// Removes what a module stored for an account, inside the transaction that removes the account.
pub type Forget = fn(&mut dyn WriteSql, account: i64) -> Result<(), StoreError>;

/// What a module declares goes through here.
pub struct Registrar<'a> {
    pub(crate) module: &'static str,
    pub(crate) draft: &'a mut Draft,
    pub(crate) sections: &'a BTreeMap<String, toml::Table>,
}

impl Registrar<'_> {
    /// A feature in the disco answer of an entity.
    pub fn feature(&mut self, on: Entity, namespace: &'static str) {
        self.draft.features.push((on, namespace));
    }

    /// A feature in the disco answer of the own account, unless it is a guest's (XEP-0175), for whom nothing is kept.
    pub fn feature_of_kept_accounts(&mut self, namespace: &'static str) {
        self.feature(Entity::Own, namespace);
        self.draft.not_for_guests.push(namespace);
    }

    /// An identity in the disco answer of an entity.
    pub fn identity(&mut self, on: Entity, identity: Identity) {
        self.draft.identities.push((on, identity));
    }

    /// Nodes of an entity that this module answers for.
    pub fn disco_nodes(&mut self, on: Entity, nodes: impl DiscoNodes) {
        self.draft.disco_nodes.push((on, self.module, Arc::new(nodes)));
    }

    /// A form in the disco answer of the server (XEP-0128).
    pub fn info_form(&mut self, form: impl Fn(&Server, &Host) -> Option<Payload> + Send + Sync + 'static) {
        self.draft.info_forms.push(Box::new(form));
    }

    /// The handler of one payload `(namespace, name)` at one entity.
    ///
    /// # Errors
    /// [`SetupError::TwoOwners`] if it has one already.
    pub fn iq<F, Fut>(
        &mut self,
        verb: Verb,
        on: Entity,
        payload: (&'static str, &'static str),
        handler: F,
    ) -> Result<(), SetupError>
    where
        F: Fn(IqCall) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = IqResult> + Send + 'static,
    {
        let handler: IqHandler = Arc::new(move |call| Box::pin(handler(call)));
        self.draft.add_iq(IqEntry { verb, on, payload, module: self.module, handler })
    }

    /// The handler of an iq that a client may send before it is authenticated (XEP-0077).
    pub fn iq_before_auth(&mut self, entry: PreAuthEntry) {
        self.draft.pre_auth.push(entry);
    }

    /// Something offered in `<stream:features/>`.
    pub fn stream_feature(&mut self, feature: StreamFeature) {
        self.draft.stream_features.push((self.module, feature));
    }

    /// Code in a stage, in the order of the module list.
    ///
    /// # Errors
    /// None today; the signature is the same as that of [`hook_after`](Self::hook_after).
    pub fn hook(&mut self, stage: Stage, interest: Interest, hook: impl Hook) -> Result<(), SetupError> {
        self.hook_after(stage, interest, &[], hook)
    }

    /// Code in a stage, behind that of named modules.
    ///
    /// # Errors
    /// [`SetupError::Order`] if one of them has no hook there before this one.
    pub fn hook_after(
        &mut self,
        stage: Stage,
        interest: Interest,
        after: &[&'static str],
        hook: impl Hook,
    ) -> Result<(), SetupError> {
        let module = self.module;
        let there =
            |name: &str| self.draft.hooks.iter().any(|entry| entry.stage == stage && entry.module == name);
        if let Some(missing) = after.iter().find(|name| !there(name)) {
            return Err(SetupError::Order { module, after: missing, stage });
        }
        self.draft.hooks.push(HookEntry { stage, interest, module, hook: Box::new(hook) });
        Ok(())
    }

    /// Wants to be told of events. It cannot veto.
    pub fn on(&mut self, listener: impl Fn(&Arc<Server>, &Event<'_>) + Send + Sync + 'static) {
        let listener: Listener = Box::new(listener);
        self.draft.listeners.push((self.module, listener));
    }

    /// State hung on each session.
    pub fn session_slot<T: Default + Send + 'static>(&mut self) -> Slot<T> {
        self.draft.session_slots.push((self.module, type_name::<T>()));
        Slot::new(self.draft.session_slots.len() - 1)
    }

    /// State hung on each loaded account.
    pub fn account_slot<T: Default + Send + 'static>(&mut self) -> Slot<T> {
        self.draft.account_slots.push((self.module, type_name::<T>()));
        Slot::new(self.draft.account_slots.len() - 1)
    }

    /// Tables of its own.
    pub fn tables(&mut self, migrations: Migrations) {
        self.draft.migrations.push(migrations);
    }

    /// Removes an account's data from those tables.
    pub fn on_account_removed(&mut self, forget: Forget) {
        self.draft.forget.push(forget);
    }

    /// How silent sessions are asked for a sign of life. At most one module may say.
    ///
    /// # Errors
    /// [`SetupError::TwoOwners`].
    pub fn keepalive(
        &mut self,
        keepalive: impl Fn() -> Option<Keepalive> + Send + Sync + 'static,
    ) -> Result<(), SetupError> {
        match &self.draft.keepalive {
            Some((first, _)) => {
                Err(SetupError::TwoOwners { payload: "keepalive".into(), first, second: self.module })
            }
            None => {
                self.draft.keepalive = Some((self.module, Box::new(keepalive)));
                Ok(())
            }
        }
    }

    /// How a stanza that was kept for later is marked. At most one module may say.
    ///
    /// # Errors
    /// [`SetupError::TwoOwners`].
    pub fn stamp(&mut self, stamp: Stamp) -> Result<(), SetupError> {
        match &self.draft.stamp {
            Some((first, _)) => {
                Err(SetupError::TwoOwners { payload: "stamp".into(), first, second: self.module })
            }
            None => {
                self.draft.stamp = Some((self.module, stamp));
                Ok(())
            }
        }
    }

    /// An admin command.
    ///
    /// # Errors
    /// [`SetupError::TwoOwners`] if the name is taken.
    pub fn command(&mut self, command: Command) -> Result<(), SetupError> {
        self.draft.add_command(self.module, command)
    }

    /// A counter shown by `status` (and, later, to a metrics collector).
    pub fn metric(&mut self, name: &'static str, help: &'static str) -> Counter {
        let counter = Counter::default();
        self.draft.metrics.push((name, help, counter.clone()));
        counter
    }

    /// The module's section `[xep.<name>]`, or its default, now and after each reload. `judge` says what is wrong with
    /// values that their types allow.
    ///
    /// # Errors
    /// [`SetupError::Config`] if the section has unknown keys or wrong values, [`SetupError::Invalid`] with the words of
    /// `judge`.
    pub fn config<C>(&mut self, judge: Judge<C>) -> Result<Live<C>, SetupError>
    where
        C: DeserializeOwned + Serialize + Default + JsonSchema + Send + Sync + 'static,
    {
        let name = self.module;
        let default = toml::Table::try_from(C::default()).map_err(|error| SetupError::Config {
            section: name.to_owned(),
            key: String::new(),
            message: error.to_string(),
        })?;
        self.draft.config.push(ConfigSection { name, schema: schemars::schema_for!(C), default });
        let (live, reader) = live::live(name, judge, self.sections)?;
        self.draft.readers.push(reader);
        Ok(live)
    }
}
