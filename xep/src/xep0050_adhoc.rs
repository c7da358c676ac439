//! XEP-0050: Ad-Hoc Commands, version 1.3.0, with the forms of XEP-0004 and the nodes of XEP-0133.
//! https://xmpp.org/extensions/xep-0050.html
//!
//! The door to the admin commands for the admins named in the configuration, in any client. Every command of the registry
//! is here by itself: its arguments make the form, its answer the result. All have one stage.
//!
//! XEP-0133: add, delete, disable and re-enable users, change a password, end sessions, with the fields it names. All
//! that is said is English; who asks for another language in `<command/>` itself is refused with `bad-locale` (§3.7).

mod form;
mod nodes;
mod sessions;

use std::sync::Arc;

use hearth_core::command::{self, Answer, CallError, Caller, Command, CommandError};
use hearth_core::iq::{Entity, IqCall, IqResult, Reply, Verb};
use hearth_core::module::{Module, Registrar, SetupError, Support, Xep};
use hearth_wire::{Element, ErrorType, Payload, StanzaCondition, StanzaError, XmlWriter, ns};

use self::nodes::Nodes;
use self::sessions::Sessions;
use crate::vocab::data_form::DataForm;

/// The commands' second door.
pub(crate) const MODULE: Module = Module {
    name: "adhoc",
    xeps: &[
        Xep { number: 4, version: "2.13.2", support: Support::Complete, title: "Data Forms" },
        Xep { number: 50, version: "1.3.0", support: Support::Complete, title: "Ad-Hoc Commands" },
        Xep {
            number: 68,
            version: "1.3.0",
            support: Support::Complete,
            title: "Field Standardization for Data Forms",
        },
        Xep { number: 133, version: "1.3.1", support: Support::Partial, title: "Service Administration" },
    ],
    needs: &["disco"],
    register,
};

const NS: &str = "http://jabber.org/protocol/commands";

fn register(m: &mut Registrar<'_>) -> Result<(), SetupError> {
    m.feature(Entity::Server, NS);
    m.disco_nodes(Entity::Server, Nodes);
    let sessions = Arc::new(Sessions::default());
    m.iq(Verb::Set, Entity::Server, (NS, "command"), move |call| execute(Arc::clone(&sessions), call))
}

/// What is to be done with the command (§4.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Action {
    Execute,
    Cancel,
    Prev,
    Next,
    Complete,
}

impl Action {
    fn of(element: &Element) -> Result<Self, StanzaError> {
        match element.attr("action") {
            None | Some("execute") => Ok(Self::Execute),
            Some("cancel") => Ok(Self::Cancel),
            Some("prev") => Ok(Self::Prev),
            Some("next") => Ok(Self::Next),
            Some("complete") => Ok(Self::Complete),
            Some(_) => Err(refusal("malformed-action", "there is no such action")),
        }
    }
}

/// §4.4: an error of one of the commands' own kinds.
fn refusal(condition: &str, text: &str) -> StanzaError {
    StanzaError::new(StanzaCondition::BadRequest).with_text(text).with_specific(condition, NS)
}

fn forbidden() -> StanzaError {
    StanzaError::new(StanzaCondition::Forbidden).with_type(ErrorType::Cancel)
}

/// One request (§2.4).
async fn execute(sessions: Arc<Sessions>, call: IqCall) -> IqResult {
    let element = call.element()?;
    let caller = Caller::Admin(call.from.clone());
    let node = element.attr("node");
    let command = node.and_then(|node| nodes::command(&call.server, node));
    // what strangers make up is not for the log
    let name = command.map_or("(unknown)", |command| command.name);
    command::admit(&call.server, &caller, name).map_err(|_| forbidden())?;
    node.ok_or(StanzaError::new(StanzaCondition::BadRequest))?;
    let command = command.ok_or(StanzaError::new(StanzaCondition::ItemNotFound))?;
    let action = Action::of(&element)?;
    check_language(&element)?;
    let now_ms = call.server.now_ms();
    let Some(session) = element.attr("sessionid") else {
        if action != Action::Execute {
            return Err(refusal("bad-action", "a command begins with `execute`"));
        }
        let session = sessions.begin(&call.from, command.name, now_ms)?;
        if command.args.is_empty() {
            return complete(&sessions, &session, &call, command, None).await;
        }
        return Ok(Reply::Result(stage(&session, command, &form::ask(&call.server, command))));
    };
    sessions.check(session, &call.from, command.name, now_ms)?;
    match action {
        Action::Cancel => {
            sessions.end(session);
            Ok(Reply::Result(state(session, command, "canceled", |_| ())))
        }
        Action::Execute | Action::Complete => {
            let form =
                DataForm::find_in(&element).map_err(|_| refusal("bad-payload", "the form is malformed"))?;
            complete(&sessions, session, &call, command, form.as_ref()).await
        }
        Action::Prev | Action::Next => Err(refusal("bad-action", "the command has one stage")),
    }
}

/// §3.7. What comes with the stanza is the client's language in general, and no reason to refuse.
fn check_language(element: &Element) -> Result<(), StanzaError> {
    let language = element.attr_ns(ns::XML, "lang").unwrap_or("en").to_ascii_lowercase();
    let primary = language.split('-').next().unwrap_or_default();
    if primary == "en" { Ok(()) } else { Err(refusal("bad-locale", "only English is spoken here")) }
}

/// Runs the command with what was filled in.
async fn complete(
    sessions: &Sessions,
    session: &str,
    call: &IqCall,
    command: &Command,
    form: Option<&DataForm>,
) -> IqResult {
    let values = form::values(command, form)?;
    let caller = Caller::Admin(call.from.clone());
    let outcome = match command::call(&call.server, caller, command.name, values).await {
        Ok(outcome) => outcome,
        Err(CallError::Forbidden(_)) => return Err(forbidden()),
        Err(CallError::Unknown(_)) => return Err(StanzaError::new(StanzaCondition::ItemNotFound)),
        Err(error @ CallError::UnknownArg(..)) => return Err(refusal("bad-payload", &error.to_string())),
    };
    let error = match outcome {
        Ok(answer) => {
            sessions.end(session);
            return Ok(Reply::Result(state(session, command, "completed", |writer| {
                write_answer(&answer, writer)
            })));
        }
        // what was filled in can be put right: the session goes on
        Err(CommandError::Usage(text)) => return Err(refusal("bad-payload", &text)),
        Err(error) => error,
    };
    sessions.end(session);
    if let CommandError::Internal(cause) = &error {
        tracing::error!(%cause, command = command.name, "an admin command failed");
    }
    // §3.6: it is completed, and a note says that it failed
    Ok(Reply::Result(state(session, command, "completed", |writer| {
        note("error", &error.to_string(), writer)
    })))
}

/// A command that waits for its form (§3.4): it can only be completed or canceled.
fn stage(session: &str, command: &Command, form: &DataForm) -> Payload {
    state(session, command, "executing", |writer| {
        writer.open("actions", NS).attr("execute", "complete");
        writer.open("complete", NS).close().close();
        form.write(writer);
    })
}

fn state(session: &str, command: &Command, status: &str, content: impl FnOnce(&mut XmlWriter)) -> Payload {
    let mut writer = XmlWriter::new();
    writer.open("command", NS).attr("node", &nodes::node(command)).attr("sessionid", session);
    writer.attr("status", status).attr("xml:lang", "en");
    content(&mut writer);
    writer.close();
    writer.into_payload()
}

fn write_answer(answer: &Answer, writer: &mut XmlWriter) {
    if !answer.text.is_empty() {
        note("info", &answer.text, writer);
    }
    if !answer.columns.is_empty() {
        form::table(answer).write(writer);
    }
}

fn note(kind: &str, text: &str, writer: &mut XmlWriter) {
    writer.open("note", NS).attr("type", kind).text(text).close();
}

#[cfg(test)]
mod tests;
