//! One step of a scenario: who does or sees what.

use super::{AuthenticateOptions, ConnectOptions, Fault, Times, TlsVersion};

/// How long a step waits when the scenario does not say.
pub(super) const TIMEOUT_S: u64 = 10;

/// A step with the line it stands on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Step {
    pub(crate) line: usize,
    /// A connection: `romeo/orchard` or `S`; for contacts a user; for a fault `the server`.
    pub(crate) who: String,
    pub(crate) action: Action,
}

/// How a payload goes out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SendAs {
    Stanzas,
    Raw,
    ByteByByte,
}

/// Points to which a new connection can be brought in one step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    Open,
    Secured,
    Authenticated { user: String },
    Bound { user: String, resource: String },
}

/// What is done or seen. The words are explained in `conformance/README.md`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    Contacts { other: String, mutual: bool },
    Connect(ConnectOptions),
    Disconnect,
    Drop,
    HangUp,
    StopReading,
    ReadOn,
    ReadToTheEnd,
    Ping,
    Send { payload: String, how: SendAs, times: Times },
    SendCutOff { payload: String },
    Receive { payload: String, any_order: bool, times: Times, within_s: u64 },
    ReceiveNothing,
    HasReceivedNothing,
    Ignore { payload: String },
    Reach { stage: Stage, options: ConnectOptions },
    OpenConnection { direct_tls: bool, options: ConnectOptions },
    OpenStream { attributes: String },
    ReceiveHeader { attributes: String },
    StartTls { tls: Option<TlsVersion> },
    Handshake { tls: Option<TlsVersion> },
    Authenticate { user: String, options: AuthenticateOptions, to_the_end: bool },
    RestartStream,
    Bind { resource: Option<String> },
    ReceiveStreamError { conditions: Vec<String>, after_header: bool },
    CloseStream,
    ReceiveStreamClose,
    SeeClosed,
    CloseConnection,
    Fault(Fault),
}

impl Step {
    /// Reads a step whose continuation lines are joined.
    ///
    /// # Errors
    /// What is not understood.
    pub(crate) fn parse(line: usize, text: &str) -> Result<Self, String> {
        let (words, payload) = split_payload(text);
        if let Some(what) = words.trim().strip_prefix("the ")
            && let Some(fault) = Fault::parse(what, payload)?
        {
            return Ok(Self { line, who: "the server".to_owned(), action: Action::Fault(fault) });
        }
        let (who, what) =
            words.trim().split_once(' ').ok_or("a step is `WHO WHAT` or `WHO WHAT: PAYLOAD`")?;
        let what = what.trim();
        let action = match payload {
            Some(payload) => with_payload(what, payload.trim().to_owned())?,
            None => without_payload(what)?,
        };
        let action = action.ok_or_else(|| {
            let colon = if payload.is_some() { ":" } else { "" };
            format!("unknown step `{what}{colon}`")
        })?;
        Ok(Self { line, who: who.to_owned(), action })
    }
}

/// Splits at the first colon that is neither quoted nor inside `${…}`.
fn split_payload(text: &str) -> (&str, Option<&str>) {
    let (mut quoted, mut depth) = (false, 0_usize);
    for (index, character) in text.char_indices() {
        match character {
            '"' => quoted = !quoted,
            '{' => depth += 1,
            '}' => depth = depth.saturating_sub(1),
            ':' if !quoted && depth == 0 => return (&text[..index], Some(&text[index + 1..])),
            _ => {}
        }
    }
    (text, None)
}

fn with_payload(what: &str, payload: String) -> Result<Option<Action>, String> {
    if payload.is_empty() {
        return Err("nothing follows the colon".to_owned());
    }
    if let Some(action) = repeated(what, &payload)? {
        return Ok(Some(action));
    }
    let send = |how| Action::Send { payload: payload.clone(), how, times: Times::default() };
    Ok(Some(match what {
        "sends raw" => send(SendAs::Raw),
        "sends byte by byte" => send(SendAs::ByteByByte),
        "sends, cut off at every byte" => Action::SendCutOff { payload },
        "ignores" => Action::Ignore { payload },
        "opens a stream" => Action::OpenStream { attributes: payload },
        "receives stream header" => Action::ReceiveHeader { attributes: payload },
        "receives stream error" => stream_error(&payload, false),
        "receives stream error after header" => stream_error(&payload, true),
        _ => return Ok(None),
    }))
}

/// `sends …`, `receives …`, `receives in any order`, with how often and within which time.
fn repeated(what: &str, payload: &str) -> Result<Option<Action>, String> {
    let payload = payload.to_owned();
    if let Some(rest) = word_prefix(what, "sends") {
        let times = Times::parse(rest)?;
        return Ok(times.map(|times| Action::Send { payload, how: SendAs::Stanzas, times }));
    }
    let Some(rest) = word_prefix(what, "receives") else { return Ok(None) };
    let (rest, within_s) = match rest.rsplit_once("within ") {
        Some((rest, time)) => (rest.trim_end(), seconds(time)?),
        None => (rest, TIMEOUT_S),
    };
    if rest == "in any order" {
        return Ok(Some(Action::Receive { payload, any_order: true, times: Times::default(), within_s }));
    }
    let times = Times::parse(rest)?;
    Ok(times.map(|times| Action::Receive { payload, any_order: false, times, within_s }))
}

/// `30 s`
fn seconds(text: &str) -> Result<u64, String> {
    let number = text.strip_suffix(" s").and_then(|number| number.parse().ok());
    number.filter(|number| (1..=1_000).contains(number)).ok_or_else(|| format!("`{text}` is not a time"))
}

fn stream_error(payload: &str, after_header: bool) -> Action {
    let conditions = payload.split('|').map(|condition| condition.trim().to_owned()).collect();
    Action::ReceiveStreamError { conditions, after_header }
}

fn without_payload(what: &str) -> Result<Option<Action>, String> {
    Ok(Some(match what {
        "disconnects" => Action::Disconnect,
        "drops the connection" => Action::Drop,
        "hangs up" => Action::HangUp,
        "stops reading" => Action::StopReading,
        "reads on" => Action::ReadOn,
        "reads to the end" => Action::ReadToTheEnd,
        "pings" => Action::Ping,
        "receives nothing" => Action::ReceiveNothing,
        "has received nothing" => Action::HasReceivedNothing,
        "opens a stream" => Action::OpenStream { attributes: String::new() },
        "receives stream header" => Action::ReceiveHeader { attributes: String::new() },
        "starts TLS" => Action::StartTls { tls: None },
        "starts TLS 1.2" => Action::StartTls { tls: Some(TlsVersion::V1_2) },
        "starts TLS 1.3" => Action::StartTls { tls: Some(TlsVersion::V1_3) },
        "does the TLS handshake" => Action::Handshake { tls: None },
        "does the TLS handshake 1.2" => Action::Handshake { tls: Some(TlsVersion::V1_2) },
        "does the TLS handshake 1.3" => Action::Handshake { tls: Some(TlsVersion::V1_3) },
        "restarts the stream" => Action::RestartStream,
        "binds" => Action::Bind { resource: None },
        "closes the stream" => Action::CloseStream,
        "receives the stream close" => Action::ReceiveStreamClose,
        "sees the connection closed" => Action::SeeClosed,
        "closes the connection" => Action::CloseConnection,
        _ => return with_words(what),
    }))
}

fn with_words(what: &str) -> Result<Option<Action>, String> {
    let after = |prefix: &str| word_prefix(what, prefix);
    Ok(Some(if let Some(options) = after("connects") {
        Action::Connect(ConnectOptions::parse(options)?)
    } else if let Some(options) = after("opens a TCP connection") {
        Action::OpenConnection { direct_tls: false, options: ConnectOptions::parse(options)? }
    } else if let Some(options) = after("opens a direct TLS connection") {
        Action::OpenConnection { direct_tls: true, options: ConnectOptions::parse(options)? }
    } else if let Some(rest) = after("is open") {
        Action::Reach { stage: Stage::Open, options: ConnectOptions::parse(rest)? }
    } else if let Some(rest) = after("is secured") {
        Action::Reach { stage: Stage::Secured, options: ConnectOptions::parse(rest)? }
    } else if let Some(rest) = after("is authenticated as") {
        let (user, options) = first_word(rest)?;
        let stage = Stage::Authenticated { user: user.to_owned() };
        Action::Reach { stage, options: ConnectOptions::parse(options)? }
    } else if let Some(rest) = after("is bound as") {
        let (who, options) = first_word(rest)?;
        let (user, resource) = who.split_once('/').ok_or("`is bound as` wants user/resource")?;
        let stage = Stage::Bound { user: user.to_owned(), resource: resource.to_owned() };
        Action::Reach { stage, options: ConnectOptions::parse(options)? }
    } else if let Some(rest) = after("authenticates as") {
        authenticate(rest, true)?
    } else if let Some(rest) = after("tries to authenticate as") {
        authenticate(rest, false)?
    } else if let Some(resource) = after("binds") {
        Action::Bind { resource: Some(resource.to_owned()) }
    } else if let Some(other) = after("is subscribed to") {
        Action::Contacts { other: other.to_owned(), mutual: false }
    } else if let Some(other) = after("and").and_then(|rest| rest.strip_suffix(" are contacts")) {
        Action::Contacts { other: other.trim().to_owned(), mutual: true }
    } else {
        return Ok(None);
    }))
}

fn authenticate(rest: &str, to_the_end: bool) -> Result<Action, String> {
    let (user, options) = first_word(rest)?;
    let options = AuthenticateOptions::parse(options)?;
    Ok(Action::Authenticate { user: user.trim_end_matches(',').to_owned(), options, to_the_end })
}

/// What follows `prefix`, when that is a whole word.
fn word_prefix<'a>(text: &'a str, prefix: &str) -> Option<&'a str> {
    let rest = text.strip_prefix(prefix)?;
    (rest.is_empty() || rest.starts_with(' ') || rest.starts_with(',')).then(|| rest.trim())
}

fn first_word(text: &str) -> Result<(&str, &str), String> {
    let text = text.trim();
    if text.is_empty() {
        return Err("a user is missing".to_owned());
    }
    Ok(text.split_once(' ').unwrap_or((text, "")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn action(text: &str) -> Action {
        Step::parse(1, text).unwrap().action
    }

    #[test]
    fn words_and_payload_are_told_apart() {
        let step = Step::parse(3, "romeo/orchard sends: <message to='a:b'/>").unwrap();
        assert_eq!(step.who, "romeo/orchard");
        let payload = "<message to='a:b'/>".to_owned();
        assert_eq!(step.action, Action::Send { payload, how: SendAs::Stanzas, times: Times::default() });
        let Action::Authenticate { options, .. } =
            action("S authenticates as romeo with PLAIN, password \"a:b\"")
        else {
            panic!("not read");
        };
        assert_eq!(options.password.as_deref(), Some("a:b"));
    }

    #[test]
    fn every_kind_of_step_is_read() {
        for text in [
            "romeo/orchard connects",
            "romeo/orchard connects without presence, over TLS 1.3",
            "romeo/orchard connects with priority -1",
            "romeo and juliet are contacts",
            "romeo is subscribed to juliet",
            "a/b sends 10 times: <presence/>",
            "a/b sends 10 times, counted as x: <presence/>",
            "a/b sends, cut off at every byte: <presence/>",
            "a/b receives within 30 s: <presence/>",
            "a/b receives 1 to 20 times, counted as x: <presence/>",
            "a/b receives the rest to 20, counted as x within 30 s: <presence/>",
            "a/b connects with a small buffer",
            "a/b stops reading",
            "a/b reads on",
            "a/b reads to the end",
            "a/b hangs up",
            "a/b pings",
            "a/b has received nothing",
            "the server is killed",
            "the disk has room again",
            "the server runs: session list",
            "a/b receives in any order: <presence/>",
            "S opens a direct TLS connection over TLS 1.2, with ALPN h2",
            "S opens a stream: to=\"x\"",
            "S is secured over direct TLS",
            "S is authenticated as romeo with mechanism PLAIN",
            "S is bound as romeo/orchard",
            "S tries to authenticate as romeo with SCRAM-SHA-1, password \"wrong\"",
            "S authenticates as romeo",
            "S binds orchard",
            "S binds",
            "S receives stream error: bad-format | not-well-formed",
            "S receives stream error after header: host-unknown",
        ] {
            assert!(Step::parse(1, text).is_ok(), "{text}: {:?}", Step::parse(1, text));
        }
    }

    #[test]
    fn what_is_not_understood_is_refused() {
        for text in [
            "romeo",
            "a sleeps",
            "a sends",
            "a sends:",
            "a sends x times: <a/>",
            "a receives within 3: <a/>",
            "S is secured sometimes",
            "the server sleeps",
        ] {
            assert!(Step::parse(1, text).is_err(), "{text}");
        }
    }
}
