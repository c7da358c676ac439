//! What goes through the local socket: a line of JSON each way.
//!
//!     {"command":"account add","values":{"accountjid":"me@example.org","password":"…"}}
//!     {"done":{"text":"me@example.org was made","columns":[],"rows":[]}}
//!     {"failed":{"kind":"conflict","text":"me@example.org exists already"}}

use std::collections::BTreeMap;

use hearth_core::command::{Answer, CallError, CommandError};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use zeroize::Zeroizing;

/// The longest request, in bytes: a part of an import.
pub(crate) const REQUEST_BYTES_MAX: u64 = 8 << 20;
/// The longest answer, in bytes: a page of a list.
pub(crate) const RESPONSE_BYTES_MAX: u64 = 32 << 20;

/// A value that is not printed and is wiped, because it may be a password.
#[derive(Clone)]
pub(crate) struct Secret(pub(crate) Zeroizing<String>);

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret(..)")
    }
}

impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(|text| Self(Zeroizing::new(text)))
    }
}

/// A command with its values by argument name.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Request {
    /// The command's name, e.g. `account add`.
    pub(crate) command: String,
    /// Its values.
    #[serde(default)]
    pub(crate) values: BTreeMap<String, Secret>,
}

impl Request {
    /// Reads a line.
    ///
    /// # Errors
    /// The answer for a line that is too long or no request.
    pub(crate) fn parse(line: &[u8]) -> Result<Self, Response> {
        if line.len() as u64 > REQUEST_BYTES_MAX {
            return Err(Response::failed(
                Kind::Usage,
                format!("a request has at most {REQUEST_BYTES_MAX} bytes"),
            ));
        }
        // the parser's own words could quote a password
        serde_json::from_slice(line).map_err(|error| {
            let text = format!("not a request: {:?} at column {}", error.classify(), error.column());
            Response::failed(Kind::Usage, text)
        })
    }

    /// The line that says it.
    pub(crate) fn to_line(&self) -> Zeroizing<Vec<u8>> {
        Zeroizing::new(line(self))
    }

    /// Whether the server ends when this is done.
    pub(crate) fn ends_server(&self) -> bool {
        self.command == "stop"
    }
}

/// Why a command was not carried out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Kind {
    /// It was asked for in a wrong way.
    Usage,
    /// What it is about does not exist.
    NotFound,
    /// It contradicts the present state.
    Conflict,
    /// The caller may not.
    Forbidden,
    /// A fault of the server's own.
    Internal,
}

/// What became of a command.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Response {
    /// It was carried out.
    Done {
        /// A sentence for people.
        text: String,
        /// Names of the table's columns; empty: no table.
        columns: Vec<String>,
        /// The table's rows.
        rows: Vec<Vec<String>>,
    },
    /// It was not.
    Failed {
        /// Why.
        kind: Kind,
        /// Why, for people.
        text: String,
    },
}

impl Response {
    /// A refusal.
    pub(crate) fn failed(kind: Kind, text: impl Into<String>) -> Self {
        Self::Failed { kind, text: text.into() }
    }

    /// The line that says it.
    pub(crate) fn to_line(&self) -> Vec<u8> {
        line(self)
    }

    /// Whether it was carried out.
    pub(crate) fn is_done(&self) -> bool {
        matches!(self, Self::Done { .. })
    }
}

impl From<Answer> for Response {
    fn from(answer: Answer) -> Self {
        let columns = answer.columns.into_iter().map(str::to_owned).collect();
        Self::Done { text: answer.text, columns, rows: answer.rows }
    }
}

impl From<Result<Result<Answer, CommandError>, CallError>> for Response {
    fn from(result: Result<Result<Answer, CommandError>, CallError>) -> Self {
        let failed = |kind, error: &dyn std::error::Error| Self::failed(kind, error.to_string());
        match result {
            Ok(Ok(answer)) => answer.into(),
            Ok(Err(error @ CommandError::Usage(_))) => failed(Kind::Usage, &error),
            Ok(Err(error @ CommandError::NotFound(_))) => failed(Kind::NotFound, &error),
            Ok(Err(error @ CommandError::Conflict(_))) => failed(Kind::Conflict, &error),
            Ok(Err(error @ CommandError::Internal(_))) => {
                tracing::error!(%error, "an admin command failed");
                failed(Kind::Internal, &error)
            }
            Err(error @ CallError::Forbidden(_)) => failed(Kind::Forbidden, &error),
            Err(error @ (CallError::Unknown(_) | CallError::UnknownArg(..))) => failed(Kind::Usage, &error),
        }
    }
}

/// Strings and lists of them: there is no value that JSON could not say.
fn line(value: &impl Serialize) -> Vec<u8> {
    let mut line = serde_json::to_vec(value).unwrap_or_default();
    line.push(b'\n');
    line
}
