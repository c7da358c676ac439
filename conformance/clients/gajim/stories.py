"""Two users of Gajim's library live on a server: accounts, contacts, presence, chat, absence, services."""

import logging
import sys
from datetime import datetime, timezone

from nbxmpp.const import PresenceShow, PresenceType
from nbxmpp.structs import AnnotationNote

from checks import CannotGoOn, Checks, Failed, equal, expect, fresh_name
from client import Client
from server import Server


class User:
    def __init__(self, server, name):
        self.server = server
        self.name = fresh_name(name)
        self.password = fresh_name("Pa ßwörd")
        self.jid = f"{self.name}@{server.domain}"

    def client(self, **options):
        return Client(self.server, self.name, self.password, **options)


def register(world):
    for user in (world.romeo, world.juliet):
        with world.check(f"{user.name} registers", needed=True) as detail:
            client = user.client(registers=True).connect()
            data = client.call("Register", "request_register_form")
            # As Gajim does: the form with fields if there is one, else the old one.
            form = data.form or data.fields_form
            detail.append("with a form of fields" if data.form else "with the old form")
            form.type_ = "submit"
            form["username"].value = user.name
            form["password"].value = user.password
            client.call("Register", "submit_register_form", form)
            client.log_out()


def log_in(world):
    for mechanism in ("SCRAM-SHA-512", "SCRAM-SHA-256", "SCRAM-SHA-1", "PLAIN"):
        with world.check(f"login by {mechanism}, if it is offered") as detail:
            try:
                world.romeo.client(mechanisms={mechanism}).log_in().log_out()
            except Failed as failed:
                equal(str(failed), "invalid-mechanism", "nbxmpp said")
                expect(mechanism not in ("SCRAM-SHA-1", "PLAIN"), "not offered")
                detail.append("not offered")
    with world.check("a wrong password is refused"):
        try:
            Client(world.server, world.romeo.name, "wrong").connect()
        except Failed as failed:
            equal(str(failed), "not-authorized", "refused with")
        else:
            raise Failed("logged in")
    with world.check("login over STARTTLS and over direct TLS", needed=True):
        world.his = world.romeo.client().log_in()
        world.hers = world.juliet.client(direct=True).log_in()


def subscribe(world):
    for what, one, other in (("romeo", world.his, world.hers), ("juliet", world.hers, world.his)):
        with world.check(f"{what} subscribes, and sees the other"):
            one.module("BasePresence").subscribe(other.jid())
            other.next("request", _presence(PresenceType.SUBSCRIBE, one.jid()))
            other.module("BasePresence").subscribed(one.jid())
            one.next("approval", _presence(PresenceType.SUBSCRIBED, other.jid()))
            one.next("presence", _presence(PresenceType.AVAILABLE, other.jid()))
    with world.check("names and groups are kept, and both rosters tell of both subscriptions"):
        for one, other in ((world.his, world.hers), (world.hers, world.his)):
            one.call("Roster", "set_item", other.jid().bare, "Nick & <Name> ❤", ["Friends", "Verona"])
            item = one.call("Roster", "request_roster").items[0]
            equal(
                (str(item.jid), item.name, item.subscription, sorted(item.groups)),
                (other.jid().bare, "Nick & <Name> ❤", "both", ["Friends", "Verona"]),
                "item",
            )


def _presence(kind, sender):
    return lambda name, came: name == "presence" and came.type == kind and came.jid.bare_match(sender)


def presence(world):
    for what, one, other in (("romeo", world.his, world.hers), ("juliet", world.hers, world.his)):
        with world.check(f"{what} is away, and the other sees it"):
            status = fresh_name("bin weg")
            one.presence(show="away", status=status, priority=7)
            seen = other.next("away", lambda name, came, s=status: name == "presence" and came.status == s)
            equal((seen.show, seen.priority), (PresenceShow.AWAY, 7), "presence")


def chat(world):
    for what, one, other in (("romeo", world.his, world.hers), ("juliet", world.hers, world.his)):
        with world.check(f"what {what} says, the other sees"):
            for text in ("But soft!", "<b>&amp;</b> ]]> \"'", "ελληνικά ❤ 中文\nline two"):
                one.say(other.jid(), text)
                other.next("message", lambda name, came, t=text: name == "message" and came.body == t)


def away(world):
    lines = [f"line {number} of ten" for number in range(1, 11)]
    with world.check("one who leaves is seen as unavailable"):
        world.hers.log_out()
        world.his.next("unavailable", _presence(PresenceType.UNAVAILABLE, world.hers.jid()))
    with world.check("what was said meanwhile comes at the next login, in order, once, with its time"):
        for line in lines:
            world.his.say(world.hers.jid(), line)
        world.his.settle()
        world.hers = world.juliet.client(direct=True).log_in()
        world.hers.settle()
        equal(world.hers.messages(), lines, "messages")
        delayed = [came.has_server_delay for name, came in world.hers.inbox if name == "message"]
        equal(delayed, [True] * len(lines), "stamped by the server")
    with world.check("it does not come a second time"):
        world.hers.log_out()
        world.hers = world.juliet.client(direct=True).log_in()
        world.hers.settle()
        equal(world.hers.messages(), [], "messages")


def services(world):
    domain = world.server.domain
    with world.check("service discovery") as detail:
        info = world.his.call("Discovery", "disco_info", domain)
        expect(any(identity.category == "server" for identity in info.identities), f"{info.identities}")
        detail.append(f"{len(info.features)} features")
        own = world.his.call("Discovery", "disco_info", world.romeo.jid)
        expect(any(identity.category == "account" for identity in own.identities), f"{own.identities}")
        world.his.call("Discovery", "disco_items", domain)
    with world.check("version") as detail:
        version = world.his.call("SoftwareVersion", "request_software_version", domain)
        detail.append(f"{version.name} {version.version}")
    with world.check("time"):
        world.his.call("EntityTime", "request_entity_time", domain)
    with world.check("last activity"):
        expect(world.his.call("LastActivity", "request_last_activity", domain).seconds >= 0, "seconds")
    with world.check("notes about contacts are kept (private storage)"):
        now = datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
        note = AnnotationNote(jid=world.hers.jid().bare, data="likes <balconies> ❤", cdate=now, mdate=now)
        world.his.call("Annotations", "set_annotations", [note])
        equal([n.data for n in world.his.call("Annotations", "request_annotations")], [note.data], "notes")


def leave(world):
    with world.check("the password is changed, and good at the next login"):
        world.juliet.password = fresh_name("neues Paßwort")
        world.hers.call("Register", "change_password", world.juliet.password)
        world.hers.log_out()
        world.hers = world.juliet.client().log_in()
    with world.check("an account is removed, and its streams are ended by the server"):
        gone = world.hers.jid()
        world.hers.module("Register").unregister()
        world.hers.ended()
        world.his.next("unsubscription", _presence(PresenceType.UNSUBSCRIBED, gone))
        world.his.log_out()


STORIES = [register, log_in, subscribe, presence, chat, away, services, leave]


class World:
    def __init__(self, server, checks):
        self.server = server
        self.check = checks.check
        self.romeo = User(server, "romeo")
        self.juliet = User(server, "juliet")
        # Their clients that are logged in.
        self.his = self.hers = None


def main():
    server = Server.from_arguments()
    transcript = server.cache / "transcript.log"
    transcript.write_text("", encoding="utf-8")
    # What the library itself complains about is kept beside what was on the wire.
    logging.basicConfig(filename=server.cache / "library.log", filemode="w", level=logging.INFO)
    checks = Checks()
    world = World(server, checks)
    for story in STORIES:
        print(story.__name__, flush=True)
        try:
            story(world)
        except CannotGoOn:
            break
        except Exception as error:
            logging.exception("%s", story.__name__)
            checks.broke_off(story.__name__, error)
    print(f"  what was on the wire: {transcript}")
    return checks.end()


if __name__ == "__main__":
    sys.exit(main())
