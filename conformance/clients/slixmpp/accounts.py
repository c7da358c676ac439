"""Accounts: made and removed in-band, logged in to in every way that is offered, password changed."""

import asyncio
import ssl

from checks import DEADLINE_S, Failed, equal, expect
from client import Refused, condition

SCRAM = ["SCRAM-SHA-512", "SCRAM-SHA-256", "SCRAM-SHA-1"]


async def register(world):
    """XEP-0077 on the stream that is not authenticated yet, as slixmpp does it; then the login."""
    for user in (world.romeo, world.juliet):
        with world.check(f"{user.name} registers over STARTTLS and logs in", needed=True) as detail:
            client = user.client("first", registers=True)
            client.add_event_handler("register", _fill_in(client))
            await client.log_in()
            mechanism = client.plugin["feature_mechanisms"].mech.name
            detail.extend([mechanism, client.socket.version()])
            expect(mechanism.startswith("SCRAM-"), "logged in without SCRAM")
            equal(client.boundjid.full, f"{user.jid}/first", "bound")
            await client.log_out()
    with world.check("a name that is taken is refused"):
        again = world.romeo.client("again", registers=True)
        problems = []
        again.add_event_handler("register", _fill_in(again, problems))
        await again.log_in(presence=False)
        await again.log_out()
        equal(problems, ["conflict"], "answer")


def _fill_in(client, problems=None):
    async def answer(form):
        missing = {"username", "password"} - set(form["register"]["fields"])
        expect(not missing, f"the form does not ask for {missing}")
        filled = client.make_iq_set()
        filled["register"]["username"] = client.requested_jid.user
        filled["register"]["password"] = client.password
        sent = filled.send(timeout=DEADLINE_S)
        if problems is None:
            await sent
        else:
            problems.append(await condition(sent))

    return answer


async def log_in_every_way(world):
    async with world.romeo.online("here") as romeo:
        offered = romeo.plugin["feature_mechanisms"].mech_list
    for mechanism in SCRAM + ["PLAIN"]:
        if mechanism in offered:
            with world.check(f"login by {mechanism}"):
                async with world.romeo.online("here", mechanism=mechanism):
                    pass
    for name, version in [("1.2", ssl.TLSVersion.TLSv1_2), ("1.3", ssl.TLSVersion.TLSv1_3)]:
        for direct in (False, True):
            with world.check(f"login by {'direct TLS' if direct else 'STARTTLS'} {name}") as detail:
                async with world.romeo.online("here", direct=direct, tls=version) as client:
                    detail.append(client.plugin["feature_mechanisms"].mech.name)
    with world.check("a wrong password is refused"):
        await _refused(world.romeo, "wrong")
    with world.check("two resources at once; a third of the same name replaces one or gets another name"):
        async with world.romeo.online("orchard") as orchard, world.romeo.online("balcony"):
            third = await world.romeo.client("orchard").log_in()
            await third.settle()
            if third.boundjid.full == orchard.boundjid.full:
                await orchard.ended()
                equal([error["condition"] for error in orchard.stream_errors], ["conflict"], "stream error")
            else:
                await orchard.settle()
            await third.log_out()


async def change_password(world):
    """XEP-0077 section 3.3."""
    before, after = world.romeo.password, "a new one, with  spaces and ½"
    with world.check("the password is changed"):
        async with world.romeo.online("here") as client:
            plugin = client.plugin["xep_0077"]
            await plugin.change_password(after, jid=world.server.domain, timeout=DEADLINE_S)
            await client.settle()
    world.romeo.password = after
    with world.check("login with the new password"):
        async with world.romeo.online("here"):
            pass
    with world.check("the old password is refused"):
        await _refused(world.romeo, before)


async def remove(world):
    """XEP-0077 section 3.2: the account is gone, and those who knew it see that."""
    async with world.juliet.online("balcony") as juliet:
        with world.check("an account is removed, and its streams are ended by the server"):
            orchard = await world.romeo.client("orchard").log_in()
            street = await world.romeo.client("street").log_in()
            # No answer is waited for: the end of the stream may be the answer.
            answer = asyncio.ensure_future(orchard.plugin["xep_0077"].cancel_registration(timeout=DEADLINE_S))
            await orchard.ended()
            await street.ended()
            answer.cancel()
        with world.check("its contact sees that it is gone"):
            for resource in ("orchard", "street"):
                await juliet.presence("unavailable", f"{world.romeo.jid}/{resource}")
            await juliet.presence("unsubscribed", world.romeo.jid)
            await juliet.roster_push(world.romeo.jid, "none")
        with world.check("it cannot log in"):
            await _refused(world.romeo, world.romeo.password)
        with world.check("a message to it is bounced"):
            juliet.send_message(world.romeo.jid, "are you there?")
            bounced = await juliet.next("bounce", lambda s: s.name == "message" and s["type"] == "error")
            equal(bounced["error"]["condition"], "service-unavailable", "error")


async def _refused(user, password):
    client = user.client("here", password=password)
    try:
        await client.log_in(presence=False)
    except Refused as refused:
        equal(str(refused), "not-authorized", "refused with")
    else:
        await client.log_out()
        raise Failed("logged in")
