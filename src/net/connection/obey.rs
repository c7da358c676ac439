//! Doing what the stream machine says, framed for TCP (RFC 6120 §4.2).

use hearth_core::ended::Ended;
use hearth_core::stream::{Input, Output};
use hearth_wire::{StreamCondition, ns};

use super::{Connection, Ending};

impl Connection {
    pub(super) fn input(&mut self, input: Input) {
        let mut outputs = Vec::new();
        self.machine.input(input, &mut outputs);
        for output in outputs {
            self.obey(output);
        }
    }

    pub(super) fn obey(&mut self, output: Output) {
        match output {
            Output::Header(header) => header.write(self.outgoing.sink()),
            Output::Features(payload) => {
                let sink = self.outgoing.sink();
                sink.push_str("<stream:features>");
                sink.push_str(payload.as_str());
                sink.push_str("</stream:features>");
            }
            Output::Nonza(payload) => self.outgoing.sink().push_str(payload.as_str()),
            Output::Stanza(stanza) => stanza.write(self.outgoing.sink(), None, None),
            Output::Error { condition, text, other_host, why } => {
                self.note_end(why);
                tracing::debug!(condition = condition.name(), text, "stream error sent");
                write_error(self.outgoing.sink(), condition, text.as_deref(), other_host.as_deref());
            }
            Output::StartTls => self.begin_handshake(),
            Output::Restart => self.framer.restart(),
            Output::Lookup(lookup) => self.look_up(lookup.account),
            Output::LoginFailed(failure) => self.login_failed(failure),
            Output::LoggedIn(success, mechanism) => self.logged_in(*success, mechanism),
            Output::PreAuth(entry, verb, stanza) => self.answer_before_auth(entry, verb, stanza),
            Output::Bind(resource) => self.bind(resource),
            Output::Live(stanza, flaw) => self.live(stanza, flaw),
            Output::Close => self.close(),
            Output::Hangup => {
                self.note_end(Ended::ClosedByClient);
                self.end = self.end.max_with(Ending::Closing);
            }
        }
    }
}

/// RFC 6120 §4.9.2, framed for TCP.
fn write_error(out: &mut String, condition: StreamCondition, text: Option<&str>, other_host: Option<&str>) {
    let mut writer = hearth_wire::XmlWriter::new();
    writer.open(condition.name(), ns::STREAM_ERROR);
    if let Some(host) = other_host {
        writer.text(host);
    }
    writer.close();
    if let Some(text) = text {
        writer.open("text", ns::STREAM_ERROR).attr("xml:lang", "en").text(text).close();
    }
    out.push_str("<stream:error>");
    out.push_str(writer.as_str());
    out.push_str("</stream:error>");
}
