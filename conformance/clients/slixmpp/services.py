"""What the server itself answers: service discovery and everything that it lists there, storage, times."""

import re
from datetime import datetime, timezone
from xml.etree import ElementTree

from slixmpp.exceptions import IqError
from slixmpp.plugins import xep_0082
from slixmpp.xmlstream import ElementBase

from checks import DEADLINE_S, Failed, equal, expect
from client import condition

DISCO = "http://jabber.org/protocol/disco"

# A query for each feature: how to ask, whom (the domain or ourselves, that is nobody), and what.
QUERIES = {
    "jabber:iq:last": ("get", "domain", "query"),
    "jabber:iq:privacy": ("get", "self", "query"),
    "jabber:iq:register": ("get", "domain", "query"),
    "jabber:iq:roster": ("get", "self", "query"),
    "jabber:iq:time": ("get", "domain", "query"),
    "jabber:iq:version": ("get", "domain", "query"),
    "urn:xmpp:blocking": ("get", "self", "blocklist"),
    "urn:xmpp:carbons:2": ("set", "self", "enable"),
    "urn:xmpp:extdisco:2": ("get", "domain", "services"),
    "urn:xmpp:ping": ("get", "domain", "ping"),
    "urn:xmpp:time": ("get", "domain", "time"),
    "vcard-temp": ("get", "self", "vCard"),
}

# Features that say how something is done that is asked for elsewhere, or that other stories show.
SHOWN_ELSEWHERE = re.compile(
    "|".join(
        [
            # Asked in the same story.
            rf"{DISCO}#(info|items)",
            "http://jabber.org/protocol/commands",
            # The story of private storage.
            "jabber:iq:private",
            # The story of one who is away.
            "msgoffline",
            "http://jabber.org/protocol/offline",
            # Hashes of features in stream features and presence.
            "http://jabber.org/protocol/caps",
            # Rules for carbons, which copies are made.
            "urn:xmpp:carbons:rules:0",
            # Another service at the same address.
            "http://jabber.org/protocol/pubsub.*",
            # ejabberd names kinds of stanzas.
            "iq|presence",
        ]
    )
)

# Errors that mean: nobody here knows this.
UNKNOWN = ("service-unavailable", "feature-not-implemented")


async def features(world):
    domain = world.server.domain
    async with world.romeo.online("orchard") as romeo:
        disco = romeo.plugin["xep_0030"]
        with world.check("the server says that it is one"):
            info = (await disco.get_info(jid=domain, timeout=DEADLINE_S))["disco_info"]
            kinds = [identity[:2] for identity in info["identities"]]
            expect(("server", "im") in kinds, f"identities {kinds}")
        listed = info["features"]
        with world.check("every feature is known here") as detail:
            unknown = [name for name in listed if name not in QUERIES and not SHOWN_ELSEWHERE.fullmatch(name)]
            equal(unknown, [], "not asked")
            detail.append(f"{len(listed)} features")
        for name in sorted(listed):
            if name in QUERIES:
                with world.check(f"listed and answered: {name}"):
                    await _answered(romeo, domain, name)
        with world.check("items are answered"):
            await disco.get_items(jid=domain, timeout=DEADLINE_S)
            if "http://jabber.org/protocol/commands" in listed:
                commands = "http://jabber.org/protocol/commands"
                await disco.get_items(jid=domain, node=commands, timeout=DEADLINE_S)
        with world.check("our own account says that it is one"):
            info = (await disco.get_info(jid=world.romeo.jid, timeout=DEADLINE_S))["disco_info"]
            kinds = [identity[:2] for identity in info["identities"]]
            expect(("account", "registered") in kinds, f"identities {kinds}")
        with world.check("what nobody knows is answered with an error"):
            error = await condition(_query(romeo, domain, "example:nobody-knows", ("get", "domain", "query")))
            expect(error in UNKNOWN, f"error {error}")


async def _answered(client, domain, name):
    try:
        await _query(client, domain, name, QUERIES[name])
    except IqError as error:
        if error.iq["error"]["condition"] in UNKNOWN:
            raise Failed(f"{error.iq}") from None


def _query(client, domain, namespace, how):
    kind, whom, element = how
    query = client.make_iq(itype=kind, ito=domain if whom == "domain" else None)
    query.append(ElementTree.Element(f"{{{namespace}}}{element}"))
    return query.send(timeout=DEADLINE_S)


async def server(world):
    domain = world.server.domain
    async with world.romeo.online("orchard", direct=True) as romeo:
        with world.check("ping of the server and of our own account"):
            await romeo.plugin["xep_0199"].send_ping(domain, timeout=DEADLINE_S)
            await romeo.plugin["xep_0199"].send_ping(world.romeo.jid, timeout=DEADLINE_S)
        with world.check("version") as detail:
            answer = await romeo.plugin["xep_0092"].get_version(domain, timeout=DEADLINE_S)
            expect(answer["software_version"]["name"], "no name")
            detail.append(f"{answer['software_version']['name']} {answer['software_version']['version']}")
        with world.check("time"):
            answer = await romeo.plugin["xep_0202"].get_entity_time(domain, timeout=DEADLINE_S)
            # Not by the library, which cannot read a time in UTC.
            utc, tzo = (answer.xml.findtext(f".//{{urn:xmpp:time}}{name}") for name in ("utc", "tzo"))
            apart = xep_0082.parse(utc) - datetime.now(timezone.utc)
            expect(abs(apart.total_seconds()) < 3600 and utc.endswith("Z"), f"utc {utc}")
            expect(re.fullmatch(r"Z|[+-]\d\d:\d\d", tzo), f"tzo {tzo}")
        with world.check("last activity of the server") as detail:
            answer = await romeo.plugin["xep_0012"].get_last_activity(domain, timeout=DEADLINE_S)
            detail.append(f"up for {answer['last_activity']['seconds']} s")
            expect(answer["last_activity"]["seconds"] >= 0, "seconds")


async def last_activity(world):
    """XEP-0012 section 4: of a contact who is away, of nobody else."""
    async with world.juliet.online("balcony") as juliet:
        juliet.send_presence(ptype="unavailable", pstatus="gone to sleep")
    async with world.romeo.online("orchard") as romeo:
        ask = romeo.plugin["xep_0012"].get_last_activity
        with world.check("last activity of a contact who is away"):
            answer = await ask(world.juliet.jid, timeout=DEADLINE_S)
            expect(answer["last_activity"]["seconds"] in range(0, 3600), f"{answer}")
            equal(answer["last_activity"]["status"], "gone to sleep", "status")
        with world.check("last activity of a stranger is not told"):
            error = await condition(ask(f"nobody@{world.server.domain}", timeout=DEADLINE_S))
            expect(error in ("forbidden", "service-unavailable", "subscription-required"), f"error {error}")


class Note(ElementBase):
    """Something to store."""

    name = "note"
    namespace = "example:note"
    plugin_attrib = "note"
    interfaces = {"text"}
    sub_interfaces = interfaces


async def private_storage(world):
    async with world.romeo.online("orchard") as orchard, world.romeo.online("street") as street:
        for client in (orchard, street):
            client.plugin["xep_0049"].register(Note)
        with world.check("private storage is empty at first"):
            answer = await orchard.plugin["xep_0049"].retrieve("note", timeout=DEADLINE_S)
            equal(answer["private"]["note"]["text"], "", "note")
        with world.check("what one resource stores, the other reads; what is stored later replaces it"):
            for text in ("<&> first", "second ❤"):
                note = Note()
                note["text"] = text
                await orchard.plugin["xep_0049"].store(note, timeout=DEADLINE_S)
                answer = await street.plugin["xep_0049"].retrieve("note", timeout=DEADLINE_S)
                equal(answer["private"]["note"]["text"], text, "note")
