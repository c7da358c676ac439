"""Contacts: the roster on several resources, subscriptions with approval, presence both ways (RFC 6121)."""

from checks import equal, expect


async def roster(world):
    stranger = f"benvolio@{world.server.domain}"
    name = 'Ben "B." & <Volio> ❤'
    async with world.romeo.online("orchard") as orchard, world.romeo.online("street") as street:
        with world.check("the roster is empty at first"):
            equal(len((await orchard.ask_roster())["roster"]["items"]), 0, "items")
        with world.check("a contact that is added is pushed to both resources"):
            await orchard.update_roster(stranger, name=name, groups=["Friends", "Men of Verona"])
            for client in (orchard, street):
                item = await client.roster_push(stranger)
                equal(item["name"], name, "name")
                equal(sorted(item["groups"]), ["Friends", "Men of Verona"], "groups")
                equal(item["subscription"], "none", "subscription")
        with world.check("an unchanged roster is not sent again (versions)") as detail:
            if "rosterver" in orchard.features:
                version = (await orchard.ask_roster(""))["roster"]["ver"]
                expect(version, "no version")
                again = await orchard.ask_roster(version)
                expect(not again.get_plugin("roster", check=True), f"sent again: {again}")
            else:
                detail.append("not offered")
        with world.check("a contact that is removed is pushed to both resources"):
            await street.del_roster_item(stranger)
            for client in (orchard, street):
                await client.roster_push(stranger, "remove")
            equal(len((await orchard.ask_roster())["roster"]["items"]), 0, "items")


async def subscribe(world):
    """Romeo asks while Juliet is there, Juliet asks while Romeo is not."""
    async with world.juliet.online("balcony") as juliet:
        async with world.romeo.online("orchard") as romeo:
            with world.check("a subscription request reaches the contact"):
                romeo.send_presence_subscription(pto=world.juliet.jid)
                equal((await romeo.roster_push(world.juliet.jid))["ask"], "subscribe", "ask")
                request = await juliet.presence("subscribe", world.romeo.jid)
                equal(str(request["from"]), world.romeo.jid, "from")
            with world.check("its approval reaches the user, with presence"):
                juliet.send_presence_subscription(pto=world.romeo.jid, ptype="subscribed")
                await juliet.roster_push(world.romeo.jid, "from")
                await romeo.presence("subscribed", world.juliet.jid)
                await romeo.roster_push(world.juliet.jid, "to")
                await romeo.presence("available", juliet.boundjid)
        with world.check("a request to a contact who is away waits for him"):
            juliet.send_presence_subscription(pto=world.romeo.jid)
            equal((await juliet.roster_push(world.romeo.jid))["ask"], "subscribe", "ask")
            await juliet.settle()
            romeo = await world.romeo.client("orchard").log_in()
            await romeo.presence("subscribe", world.juliet.jid)
            await romeo.presence("available", juliet.boundjid)
        with world.check("both are subscribed then and see each other"):
            romeo.send_presence_subscription(pto=world.juliet.jid, ptype="subscribed")
            await romeo.roster_push(world.juliet.jid, "both")
            await juliet.presence("subscribed", world.romeo.jid)
            await juliet.roster_push(world.romeo.jid, "both")
            await juliet.presence("available", romeo.boundjid)
        await romeo.log_out()


async def presence(world):
    juliet = await world.juliet.client("balcony").log_in()
    romeo = await world.romeo.client("orchard").log_in()
    with world.check("both see each other after login"):
        await romeo.presence("available", juliet.boundjid)
        await juliet.presence("available", romeo.boundjid)
    with world.check("changes of presence are seen both ways"):
        for one, other in ((romeo, juliet), (juliet, romeo)):
            one.send_presence(pshow="away", pstatus="bin gleich zurück", ppriority=5)
            seen = await other.next(
                "change of presence",
                lambda s, one=one: s.name == "presence" and s["from"] == one.boundjid and s["status"],
            )
            equal(
                (seen["show"], seen["status"], seen["priority"]), ("away", "bin gleich zurück", 5), "presence"
            )
    with world.check("unavailable presence is seen, once"):
        romeo.send_presence(ptype="unavailable", pstatus="gone to Mantua")
        await romeo.log_out()
        seen = await juliet.presence("unavailable", romeo.boundjid)
        equal(seen["status"], "gone to Mantua", "status")
    with world.check("a connection that is lost is seen as unavailable"):
        romeo = await world.romeo.client("orchard").log_in()
        await juliet.presence("available", romeo.boundjid)
        lost = romeo.boundjid
        again = [str(s) for s in juliet.inbox if s["from"] == lost and s["type"] == "unavailable"]
        equal(again, [], "the last time was told twice")
        romeo.abort()
        await juliet.presence("unavailable", lost)
    await juliet.log_out()


async def part(world):
    """A contact that is removed from the roster is no longer seen, nor sees us (RFC 6121 section 2.5)."""
    async with world.juliet.online("balcony") as juliet, world.romeo.online("orchard") as romeo:
        with world.check("removing a contact ends both subscriptions"):
            await romeo.presence("available", juliet.boundjid)
            await romeo.del_roster_item(world.juliet.jid)
            await romeo.roster_push(world.juliet.jid, "remove")
            await juliet.presence("unsubscribe", world.romeo.jid)
            await juliet.presence("unsubscribed", world.romeo.jid)
            await juliet.roster_push(world.romeo.jid, "none")
        with world.check("each looks unavailable to the other from then on"):
            await juliet.presence("unavailable", romeo.boundjid)
            await romeo.presence("unavailable", juliet.boundjid)
            for one, other in ((romeo, juliet), (juliet, romeo)):
                await one.settle()
                again = [s for s in one.inbox if s["from"] == other.boundjid and s["type"] == "unavailable"]
                equal([str(stanza) for stanza in again], [], "told a second time")
        with world.check("neither sees the other's presence then"):
            for one, other in ((romeo, juliet), (juliet, romeo)):
                one.send_presence(pstatus="who sees this?")
                # It comes back to us when it has been sent to everyone.
                await one.next("own presence", lambda s: s.name == "presence" and s["status"])
                await other.settle()
                equal([str(s) for s in other.inbox if s.name == "presence" and s["status"]], [], "seen")
