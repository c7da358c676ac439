"""One resource of a user, played by slixmpp, whose stanzas can be waited for."""

import asyncio
import contextlib
import copy

from slixmpp import ClientXMPP
from slixmpp.exceptions import IqError
from slixmpp.stanza import Iq, Message, Presence

from checks import DEADLINE_S, Failed, expect

# The XEPs that the client knows.
NUMBERS = ["0004", "0012", "0030", "0049", "0077", "0085", "0092", "0115", "0128", "0199", "0202", "0203"]


# All clients of this run: slixmpp must not be collected while its tasks still wait.
_KEPT = []


class Refused(Failed):
    """The server does not let us in; the text is the condition."""


class Client(ClientXMPP):
    def __init__(self, server, jid, password, *, direct=False, tls=None, mechanism=None, registers=False):
        """`tls`: the only version of TLS to speak; `mechanism`: the only one to try; else slixmpp chooses."""
        context = server.trust()
        if tls is not None:
            context.minimum_version = context.maximum_version = tls
        super().__init__(jid, password, sasl_mech=mechanism, ssl_context=context)
        self._address = (server.host, server.tls_port if direct else server.port)
        self.enable_direct_tls, self.enable_starttls = direct, not direct
        # Subscriptions are answered by the stories, not by the library.
        self.auto_authorize, self.auto_subscribe = None, False
        for number in NUMBERS:
            self.register_plugin(f"xep_{number}", {"create_account": registers} if number == "0077" else None)
        self.inbox = []
        self.stream_errors = []
        self._arrived = asyncio.Event()
        self._outcome = None
        self._refusal = None
        _KEPT.append(self)
        self._transcript = server.cache / "transcript.log"
        self.add_filter("in", self._keep)
        self.add_event_handler("session_start", lambda _: self._came_to(None))
        self.add_event_handler("failed_auth", self._note_refusal)
        for event in ["failed_all_auth", "connection_failed", "disconnected"]:
            self.add_event_handler(event, self._did_not_get_in)
        self.add_event_handler("stream_error", self.stream_errors.append)

    # --- in and out -------------------------------------------------------------------------------

    async def log_in(self, presence=True):
        """Connects, secures, authenticates, binds; asks for the roster and says that we are here."""
        self._outcome = asyncio.get_running_loop().create_future()
        self.connect(*self._address)
        try:
            await asyncio.wait_for(self._outcome, DEADLINE_S)
        except BaseException:
            # Else slixmpp tries again and again.
            self.cancel_connection_attempt()
            self.abort()
            raise
        if presence:
            await self.ask_roster()
            self.send_presence()
            await self.next(
                "own presence", lambda s: s.name == "presence" and s["from"].full == self.boundjid.full
            )
        return self

    async def log_out(self):
        """Closes the stream; the server has to do the same."""
        await self.disconnect(wait=DEADLINE_S)
        expect(self.disconnect_reason == "End of stream", f"stream not closed ({self.disconnect_reason!r})")

    async def ended(self):
        """Waits for the server to end the stream."""
        if self.is_connected():
            await self.wait_until("disconnected", DEADLINE_S)

    # --- what came --------------------------------------------------------------------------------

    async def next(self, what, wanted, *, leave=False):
        """Takes the first stanza that is wanted out of the inbox (or leaves it there), waiting for it."""

        async def find():
            while True:
                for stanza in self.inbox:
                    if wanted(stanza):
                        if not leave:
                            self.inbox.remove(stanza)
                        return stanza
                self._arrived.clear()
                await self._arrived.wait()

        try:
            return await asyncio.wait_for(find(), DEADLINE_S)
        except TimeoutError:
            had = " ".join(str(stanza) for stanza in self.inbox) or "nothing"
            raise Failed(f"{self.boundjid}: no {what} within {DEADLINE_S} s, but {had}") from None

    async def presence(self, kind, sender):
        """The next presence of that type (`available` is none) from a full or bare JID."""
        sender = str(sender)

        def wanted(stanza):
            if stanza.name != "presence" or stanza.xml.get("type", "available") != kind:
                return False
            return sender in (stanza["from"].full, stanza["from"].bare)

        return await self.next(f"{kind} presence from {sender}", wanted)

    def messages(self):
        """All messages in the inbox."""
        return [stanza for stanza in self.inbox if stanza.name == "message"]

    async def roster_push(self, jid, subscription=None):
        """The next roster push about a contact; with `subscription`, those on the way to it are skipped."""
        jid = str(jid)

        def about(stanza):
            return next((item for item in stanza["roster"] if str(item["jid"]) == jid), None)

        def wanted(stanza):
            item = about(stanza) if stanza.name == "iq" else None
            return item is not None and subscription in (None, item["subscription"])

        push = await self.next(f"roster push about {jid}, {subscription or 'whatever'}", wanted)
        sender = push.xml.get("from", self.boundjid.bare)
        expect(sender in (self.boundjid.bare, self.boundjid.full), f"roster push from {sender}")
        return about(push)

    async def settle(self):
        """When this returns, whatever the server had for us before is in the inbox."""
        await self.plugin["xep_0199"].ping(self.boundjid.host, timeout=DEADLINE_S)

    async def ask_roster(self, version=None):
        """Asks for the roster: the answer."""
        query = self.make_iq_get()
        query.enable("roster")
        if version is not None:
            query["roster"]["ver"] = version
        answer = await query.send(timeout=DEADLINE_S)
        # A copy: slixmpp adds to what it handles.
        came = copy.copy(answer)
        self.event("roster_update", answer)
        return came

    # --- what slixmpp calls -----------------------------------------------------------------------

    def send_raw(self, data):
        self._write("C", data)
        super().send_raw(data)

    def data_received(self, data):
        self._write("S", data)
        super().data_received(data)

    def _write(self, who, data):
        text = data if isinstance(data, str) else data.decode(errors="backslashreplace")
        with self._transcript.open("a", encoding="utf-8") as file:
            file.write(f"{self.boundjid or self.requested_jid} {who}: {text}\n")

    def _keep(self, stanza):
        # A copy: handlers change what they are given.
        if isinstance(stanza, (Message, Presence)) or (isinstance(stanza, Iq) and stanza["type"] == "set"):
            self.inbox.append(copy.copy(stanza))
            self._arrived.set()
        return stanza

    def _note_refusal(self, failure):
        self._refusal = failure["condition"]

    def _did_not_get_in(self, reason):
        errors = ", ".join(error["condition"] for error in self.stream_errors)
        self._came_to(Refused(self._refusal or errors or f"no session: {reason or 'disconnected'}"))

    def _came_to(self, error):
        if self._outcome is None or self._outcome.done():
            return
        if error is None:
            self._outcome.set_result(None)
        else:
            self._outcome.set_exception(error)


async def condition(answer):
    """The stanza error that an IQ is answered with."""
    with contextlib.suppress(asyncio.CancelledError):
        try:
            await answer
        except IqError as error:
            return error.iq["error"]["condition"]
    raise Failed("no error")
