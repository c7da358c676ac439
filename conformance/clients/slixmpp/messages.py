"""Messages: live both ways, and kept while the addressee is away (XEP-0160)."""

from datetime import timedelta

from checks import DEADLINE_S, equal, expect

# Enough to show an order that was lost.
AWAY_COUNT = 20

TEXTS = [
    "Art thou not Romeo, and a Montague?",
    "Neither, fair saint: <b>&amp;\"quoted\"</b> ]]> 'so'",
    "two\nlines\n\n  and spaces  ",
    "ελληνικά 中文 עברית 👩‍👩‍👧‍👦 \U0001f9c0",
    "long " * 2000,
]


async def chat(world):
    async with world.juliet.online("balcony") as juliet, world.romeo.online("orchard") as romeo:
        for one, other, name in ((romeo, juliet, "romeo to juliet"), (juliet, romeo, "juliet to romeo")):
            with world.check(f"chat from {name}, to the bare and the full address"):
                for address in (other.boundjid.bare, other.boundjid.full):
                    for text in TEXTS:
                        sent = one.make_message(address, text, mtype="chat")
                        sent["thread"] = "t1"
                        sent["chat_state"] = "active"
                        sent.send()
                        await _arrives(sent, one, other)
        with world.check("a message to ourselves comes back"):
            note = "remember the balcony"
            romeo.send_message(romeo.boundjid.bare, note, mtype="chat")
            await romeo.next("note", lambda s: s.name == "message" and s["body"] == note)
        with world.check("one client asks the other and is answered"):
            answer = await romeo.plugin["xep_0092"].get_version(juliet.boundjid, timeout=DEADLINE_S)
            equal(answer["software_version"]["name"], "Slixmpp", "software")
            equal(answer["from"], juliet.boundjid, "from")
        with world.check("a message to nobody is bounced"):
            romeo.send_message(f"nobody@{world.server.domain}", "hello?", mtype="chat")
            bounced = await romeo.next("bounce", lambda s: s.name == "message" and s["type"] == "error")
            equal(bounced["error"]["condition"], "service-unavailable", "error")


async def _arrives(sent, one, other):
    came = await other.next("message", lambda s: s.name == "message" and s["id"] == sent["id"])
    equal(came["body"], sent["body"], "body")
    equal(came["from"], one.boundjid, "from")
    equal((came["type"], came["thread"], came["chat_state"]), ("chat", "t1", "active"), "message")


async def away(world):
    expected = [f"while you were away, {number}" for number in range(1, AWAY_COUNT + 1)]
    async with world.romeo.online("orchard") as romeo:
        for body in expected:
            romeo.send_message(world.juliet.jid, body, mtype="chat")
        await romeo.settle()
        sender = romeo.boundjid
    async with world.juliet.online("balcony") as juliet:
        with world.check(f"{AWAY_COUNT} messages to one who is away come at her login, in order, once"):
            last = expected[-1]
            await juliet.next("last", lambda s: s.name == "message" and s["body"] == last, leave=True)
            await juliet.settle()
            kept = juliet.messages()
            equal([stanza["body"] for stanza in kept], expected, "bodies")
            equal({stanza["from"].full for stanza in kept}, {sender.full}, "from")
        with world.check("each tells when it was sent and who kept it"):
            stamps = [stanza["delay"]["stamp"] for stanza in kept]
            expect(kept and all(stamps), "no delay stamp")
            expect(all(stamp.utcoffset() == timedelta(0) for stamp in stamps), f"not UTC: {stamps}")
            equal(stamps, sorted(stamps), "stamps")
            keepers = {stanza["delay"]["from"].full for stanza in kept}
            expect(keepers <= {world.server.domain, world.juliet.jid}, f"kept by {keepers}")
    with world.check("they do not come a second time"):
        async with world.juliet.online("balcony") as juliet:
            await juliet.settle()
            equal([stanza["body"] for stanza in juliet.messages()], [], "messages")
