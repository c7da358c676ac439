//! ANONYMOUS: no name, no password, perhaps a word for the log.
//!
//! RFC 4505; XEP-0175 (the empty `<auth/>` is answered with success at once).

use super::Failure;
use super::exchange::{Machine, Step, Success};
use super::identity::Identity;
use super::prep::is_trace;

/// Longest trace information, in characters (RFC 4505 §2; RFC 6120 §6.5.8 has the case).
const TRACE_CHARS_MAX: usize = 255;

pub(super) struct Anonymous;

impl Machine for Anonymous {
    fn step(&mut self, data: &[u8]) -> Step {
        match std::str::from_utf8(data) {
            Ok(trace) if trace.chars().count() <= TRACE_CHARS_MAX && is_trace(trace) => {
                let trace = (!trace.is_empty()).then(|| trace.to_owned());
                Step::Done(Success {
                    identity: Identity::Anonymous { trace },
                    data: None,
                    binding: None,
                    mark: None,
                    password: None,
                })
            }
            _ => Step::Fail(Failure::Malformed),
        }
    }
}
