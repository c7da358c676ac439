"""One resource of a user, played by nbxmpp on the main loop of GLib, with answers to wait for."""

from nbxmpp.client import Client as Stream
from nbxmpp.const import ConnectionProtocol, ConnectionType, Mode
from nbxmpp.protocol import Message
from nbxmpp.structs import StanzaHandler

from gi.repository import Gio, GLib

from checks import DEADLINE_S, Failed, expect

# After nbxmpp's own handlers have read a stanza.
LAST = 100


class Client:
    def __init__(self, server, name, password, *, direct=False, mechanisms=None, registers=False):
        self.stream = Stream(log_context=name)
        self.stream.set_domain(server.domain)
        self.stream.set_username(name)
        self.stream.set_password(password)
        self.stream.set_mode(Mode.REGISTER if registers else Mode.CLIENT)
        self.stream.set_mechs(mechanisms)
        port = server.tls_port if direct else server.port
        security = ConnectionType.DIRECT_TLS if direct else ConnectionType.START_TLS
        self.stream.set_custom_host(f"{server.host}:{port}", ConnectionProtocol.TCP, security)
        # Else nbxmpp accepts no certificate of an unknown authority; other faults it does not forgive.
        self.stream.set_accepted_certificates([Gio.TlsCertificate.new_from_pem(server.certificate, -1)])
        self.inbox = []
        self._signals = []
        self._transcript = server.cache / "transcript.log"
        for signal in ("connected", "disconnected", "connection-failed"):
            self.stream.subscribe(signal, self._on_signal)
        self.stream.subscribe("stanza-sent", self._on_sent)
        self.stream.subscribe("stanza-received", self._on_received)
        for kind in ("message", "presence"):
            self.stream.register_handler(StanzaHandler(name=kind, callback=self._on_stanza, priority=LAST))

    # --- in and out ----------------------------------------------------------------------------

    def connect(self):
        """Connects: up to a session, or, to register, up to a secured stream."""
        self._signals.clear()
        self.stream.connect()
        until(lambda: self._signals, "session")
        if self._signals[0] != "connected":
            # What the server said stands in the second part of the error.
            raise Failed(f"{self.stream.get_error()[1]}")
        return self

    def log_in(self):
        """Connects, asks for the roster and says that we are here."""
        self.connect()
        self.call("Roster", "request_roster")
        self.presence()
        self.next("own presence", lambda kind, came: kind == "presence" and came.self_presence)
        return self

    def log_out(self):
        """Closes the stream; the server has to do the same."""
        self.stream.disconnect()
        self.ended()
        error = self.stream.get_error()[1]
        expect(error == "stream-end", f"the stream ended with {error}")

    def ended(self):
        """Waits for the server to end the stream."""
        until(lambda: "disconnected" in self._signals, "end of the stream")

    def jid(self):
        """The full JID of the session."""
        return self.stream.get_bound_jid()

    # --- what is asked and sent ----------------------------------------------------------------

    def module(self, name):
        return self.stream.get_module(name)

    def call(self, module, function, *arguments):
        """Calls what asks the server something: its answer."""
        answers = []

        # The task forgets its result as soon as it has told it.
        def done(task):
            answers.append(task.get_result())

        # No `timeout`: nbxmpp takes it for a time of day, now and then.
        getattr(self.module(module), function)(*arguments, callback=done)
        until(lambda: answers, f"answer to {function}")
        if isinstance(answers[0], Exception):
            raise answers[0]
        return answers[0]

    def presence(self, **presence):
        """Sends presence to all who may see it."""
        self.module("BasePresence").send(**presence)

    def say(self, to, text):
        """Sends a chat message."""
        self.stream.send_stanza(Message(to=to, body=text, typ="chat"))

    # --- what came -----------------------------------------------------------------------------

    def next(self, what, wanted):
        """Takes the first message or presence out of the inbox that is wanted, waiting for it."""

        def found():
            return next((entry for entry in self.inbox if wanted(*entry)), None)

        try:
            until(found, what)
        except Failed as failed:
            raise Failed(f"{failed}, but {self.inbox}") from None
        entry = found()
        self.inbox.remove(entry)
        return entry[1]

    def messages(self):
        """The texts of all messages in the inbox."""
        return [properties.body for kind, properties in self.inbox if kind == "message"]

    def settle(self):
        """When this returns, whatever the server had for us before is in the inbox."""
        self.call("Ping", "ping", self.stream.domain)

    # --- what nbxmpp calls ---------------------------------------------------------------------

    def _on_signal(self, _stream, signal, *_):
        self._signals.append(signal)

    def _on_stanza(self, _stream, stanza, properties):
        self.inbox.append((stanza.getName(), properties))

    def _on_sent(self, _stream, _signal, data):
        self._write("C", data)

    def _on_received(self, _stream, _signal, data):
        self._write("S", data)

    def _write(self, who, data):
        with self._transcript.open("a", encoding="utf-8") as file:
            file.write(f"{self.stream.username} {who}: {data}\n")


def until(condition, what):
    """Runs the main loop until the condition holds."""
    late = []
    timer = GLib.timeout_add_seconds(DEADLINE_S, lambda: late.append(True) or GLib.SOURCE_CONTINUE)
    try:
        while not condition():
            if late:
                raise Failed(f"no {what} within {DEADLINE_S} s")
            GLib.MainContext.default().iteration(True)
    finally:
        GLib.source_remove(timer)
