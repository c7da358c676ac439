//! The audit line: one for each command that was given, with its outcome, and one for each that was refused. Its target
//! is `audit`. No secrets, and nothing of what an error says, since that may quote what was typed.

use std::collections::BTreeMap;

use parking_lot::Mutex;
use zeroize::Zeroizing;

use super::{Answer, ArgKind, Caller, Command, CommandError};
use crate::limits::REFUSALS_TOLD_PER_MINUTE_MAX;

const MINUTE_MS: i64 = 60_000;

/// A command under way. Its line is written when it is over, whatever way: also if whoever waited for it is gone.
pub(super) struct Line {
    command: &'static str,
    caller: Caller,
    args: String,
    outcome: &'static str,
}

impl Line {
    pub(super) fn begin(
        command: &Command,
        caller: &Caller,
        values: &BTreeMap<&'static str, Zeroizing<String>>,
    ) -> Self {
        let shown: Vec<String> = command
            .args
            .iter()
            .filter_map(|arg| values.get(arg.name).map(|value| (arg, value)))
            .map(|(arg, value)| match arg.kind {
                ArgKind::Password => format!("{}=(secret)", arg.name),
                ArgKind::Lines => format!("{}=({} lines)", arg.name, value.lines().count()),
                ArgKind::Text | ArgKind::Account | ArgKind::Host | ArgKind::Number | ArgKind::Flag => {
                    format!("{}={}", arg.name, value.as_str())
                }
                ArgKind::Accounts | ArgKind::Jids => format!("{}={}", arg.name, value.replace('\n', ",")),
            })
            .collect();
        Self { command: command.name, caller: caller.clone(), args: shown.join(" "), outcome: "interrupted" }
    }

    pub(super) fn end(mut self, result: &Result<Answer, CommandError>) {
        self.outcome = match result {
            Ok(_) => "done",
            Err(CommandError::Usage(_)) => "usage",
            Err(CommandError::NotFound(_)) => "not-found",
            Err(CommandError::Conflict(_)) => "conflict",
            Err(CommandError::Internal(_)) => "failed",
        };
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        let Self { command, caller, args, outcome } = self;
        tracing::info!(target: "audit", command, %caller, args, outcome, "admin command");
    }
}

/// Lines about callers who may not. Any user can cause them, so there is a limit: beyond it they are counted, and the next
/// line says how many are missing.
#[derive(Debug, Default)]
pub(crate) struct Refusals(Mutex<Minute>);

#[derive(Debug, Default)]
struct Minute {
    began_ms: i64,
    told: u32,
    untold: u64,
}

impl Refusals {
    pub(super) fn note(&self, command: &str, caller: &Caller, now_ms: i64) {
        if let Some(untold) = self.0.lock().take(now_ms) {
            tracing::warn!(target: "audit", command, %caller, outcome = "forbidden", untold, "admin command");
        }
    }
}

impl Minute {
    /// How many went untold before this one, if it may be told.
    fn take(&mut self, now_ms: i64) -> Option<u64> {
        // a clock that was set back begins another minute too
        if !(0..MINUTE_MS).contains(&(now_ms - self.began_ms)) {
            (self.began_ms, self.told) = (now_ms, 0);
        }
        if self.told >= REFUSALS_TOLD_PER_MINUTE_MAX {
            self.untold += 1;
            return None;
        }
        self.told += 1;
        Some(std::mem::take(&mut self.untold))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_beyond_the_limit_are_told_as_a_number_in_the_next_minute() {
        let mut minute = Minute::default();
        for _ in 0..REFUSALS_TOLD_PER_MINUTE_MAX {
            assert_eq!(minute.take(1_000_000), Some(0));
        }
        assert_eq!((minute.take(1_000_001), minute.take(1_059_999)), (None, None));
        assert_eq!((minute.take(1_060_000), minute.take(1_060_000)), (Some(2), Some(0)));
        assert_eq!(minute.take(5), Some(0), "the clock was set back");
    }
}
