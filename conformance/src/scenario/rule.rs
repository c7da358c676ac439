//! Rules for one value, an attribute's or a text's: `!any`, `!set NAME`, `!re …` and their like.

use std::collections::BTreeMap;

use regex::Regex;

/// What a successful match kept under names.
pub(crate) type Captures = BTreeMap<String, String>;

/// What an attribute or a text has to be.
#[derive(Debug)]
pub(crate) enum Rule {
    Equal(String),
    Any,
    Absent,
    Set(String),
    Regex(Regex),
    In(Vec<String>),
    Not(String),
    Maybe(String),
}

impl Rule {
    /// Reads a rule; what does not begin with `!` stands for itself.
    pub(crate) fn new(text: &str) -> Result<Self, String> {
        let Some(rule) = text.strip_prefix('!') else { return Ok(Self::Equal(text.to_owned())) };
        let (word, argument) = rule.split_once(' ').unwrap_or((rule, ""));
        let argument = argument.to_owned();
        match word {
            _ if rule.starts_with('!') => Ok(Self::Equal(rule.to_owned())),
            "any" => Ok(Self::Any),
            "absent" => Ok(Self::Absent),
            "set" if !argument.is_empty() => Ok(Self::Set(argument)),
            "re" => match Regex::new(&format!("^(?s:{argument})$")) {
                Ok(regex) => Ok(Self::Regex(regex)),
                Err(error) => Err(format!("bad regular expression: {error}")),
            },
            "in" => Ok(Self::In(argument.split('|').map(str::to_owned).collect())),
            "not" => Ok(Self::Not(argument)),
            "maybe" => Ok(Self::Maybe(argument)),
            _ => Err(format!("unknown rule `{text}`")),
        }
    }

    /// Compares; `None` is an absent attribute.
    pub(crate) fn check(&self, value: Option<&str>, captures: &mut Captures) -> Result<(), String> {
        let fits = match self {
            Self::Equal(wanted) => value == Some(wanted),
            Self::Any => value.is_some(),
            Self::Absent => value.is_none(),
            Self::Set(name) => {
                captures.extend(value.map(|value| (name.clone(), value.to_owned())));
                value.is_some()
            }
            Self::Regex(regex) => value.is_some_and(|value| keep_groups(regex, value, captures)),
            Self::In(choices) => value.is_some_and(|value| choices.iter().any(|choice| choice == value)),
            Self::Not(other) => value != Some(other),
            Self::Maybe(wanted) => value.is_none_or(|value| value == wanted),
        };
        if fits { Ok(()) } else { Err(format!("is {}, expected {self:?}", show(value))) }
    }
}

fn show(value: Option<&str>) -> String {
    value.map_or_else(|| "absent".to_owned(), |value| format!("{:?}", shorten(value)))
}

/// Long values are cut where they are shown.
pub(super) fn shorten(text: &str) -> String {
    match text.char_indices().nth(300) {
        Some((end, _)) => format!("{}… ({} bytes)", &text[..end], text.len()),
        None => text.to_owned(),
    }
}

fn keep_groups(regex: &Regex, value: &str, captures: &mut Captures) -> bool {
    let Some(groups) = regex.captures(value) else { return false };
    for name in regex.capture_names().flatten() {
        if let Some(group) = groups.name(name) {
            captures.insert(name.to_owned(), group.as_str().to_owned());
        }
    }
    true
}
