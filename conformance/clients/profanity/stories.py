"""Two people use profanity on a server, at their keyboards: accounts, contacts, presence, chat, absence."""

import re
import sys

import registration
from checks import CannotGoOn, Checks, equal, expect, fresh_name
from profanity import Person
from server import Server
from terminal import Terminals


def register(world):
    if not world.romeo.can_register:
        print("  SKIPPED  /register: we may not mount a file of hosts, so that it finds the domain")
        for person in (world.romeo, world.juliet):
            registration.register(world.server, person.name, person.password)
        return
    for person in (world.romeo, world.juliet):
        with world.check(f"{person.name} registers", needed=True):
            window = person.open()
            equal(window.register(), "Registration successful", "answer")
            window.quit()
    with world.check("a name that is taken is refused") as detail:
        window = world.romeo.open()
        answer = window.register()
        detail.append(answer)
        expect("success" not in answer, answer)
        window.quit()


def log_in(world):
    with world.check("login by STARTTLS, after a look at the certificate", needed=True):
        world.his = world.romeo.open()
        expect(world.his.connect("force"), "the certificate was not asked about")
    with world.check("login by STARTTLS with a certificate that is trusted blindly", needed=True):
        world.hers = world.juliet.open()
        world.hers.connect("trust")


def ask_the_server(world):
    with world.check("ping of the server"):
        # It has to have heard that the server knows pings, before it sends one.
        world.his.see(r"Ping response from .*: \d+ms", again="/ping")
    with world.check("the server's features are shown"):
        world.his.clear()
        world.his.type("/disco info")
        world.his.see("^.*urn:xmpp:ping$")


def subscribe(world):
    pairs = [
        ("romeo asks juliet", world.his, world.hers),
        ("juliet asks romeo", world.hers, world.his),
    ]
    for what, one, other in pairs:
        with world.check(f"{what} for a subscription, which is allowed"):
            one.type(f"/sub request {other.person.jid}")
            other.see(f"Received authorization request from {re.escape(one.person.jid)}")
            other.type(f"/sub allow {one.person.jid}")
            one.see(f"Subscription received from {re.escape(other.person.jid)}")
    with world.check("both rosters tell so"):
        for one, other in ((world.his, world.hers), (world.hers, world.his)):
            one.see(rf"{re.escape(other.person.jid)}.* - both", again="/roster")
    with world.check("a nickname and a group are kept"):
        world.his.type(f"/roster nick {world.juliet.jid} Julia")
        world.his.type(f"/roster group add Capulets {world.juliet.jid}")
        world.his.see(rf"{re.escape(world.juliet.jid)} \(Julia\) - both - Capulets", again="/roster")


def presence(world):
    for what, one, other in (("romeo", world.his, world.hers), ("juliet", world.hers, world.his)):
        for show in ("away", "dnd", "online"):
            with world.check(f"{what} is {show}, and the other sees it"):
                status = fresh_name(f"being {show}")
                one.type(f'/status set {show} "{status}"')
                other.see(rf'({re.escape(one.person.jid)}|Julia).* is {show}.*"{status}"')


def chat(world):
    world.his.type(f"/msg {world.juliet.jid}")
    world.hers.type(f"/msg {world.romeo.jid}")
    for what, one, other in (("romeo", world.his, world.hers), ("juliet", world.hers, world.his)):
        with world.check(f"what {what} says, the other sees"):
            for text in ("But soft!", "<b>&amp;</b> ]]>", "ελληνικά ❤ 中文"):
                said = fresh_name(text)
                one.type(said)
                other.see(re.escape(said))


def away(world):
    lines = [fresh_name(f"line {number} of five") for number in range(1, 6)]
    with world.check("one who quits is seen as offline"):
        world.hers.quit()
        world.his.see("Julia has left the conversation")
    with world.check("what was said meanwhile is there at the next login, over direct TLS, in order"):
        for line in lines:
            world.his.type(line)
            world.his.see(re.escape(line))
        world.hers = world.juliet.open()
        world.hers.connect("legacy")
        world.hers.see("<< chat message")
        world.hers.type(f"/msg {world.romeo.jid}")
        world.hers.see(r"[\s\S]*".join(map(re.escape, lines)))
    with world.check("it is not there a second time"):
        screen = world.hers.terminal.screen()
        equal([screen.count(line) for line in lines], [1] * len(lines), "times seen")
        world.hers.quit()
        world.hers = world.juliet.open()
        world.hers.connect("legacy")
        # An answer to what came after the login shows that nothing else is to come.
        world.hers.see("Ping response", again="/ping")
        expect("<< chat message" not in world.hers.terminal.screen(), world.hers.terminal.screen())


def change_password(world):
    with world.check("the password is changed, and only the new one is good"):
        world.hers.type("/changepassword")
        world.juliet.password = fresh_name("wherefore art thou")
        for prompt in ("Enter password:", "Confirm password:"):
            world.hers.see(prompt)
            world.hers.type(world.juliet.password)
        world.hers.see("Password successfully changed")
        world.hers.quit()
        world.hers = world.juliet.open()
        world.hers.connect("force")


def part(world):
    with world.check("a contact who is removed is gone from the roster"):
        world.hers.type(f"/roster remove {world.romeo.jid}")
        world.hers.see("Roster item removed")
    with world.check("and so are the subscriptions"):
        world.his.type("/win 1")
        world.his.see(rf"{re.escape(world.juliet.jid)}.* - none", again="/roster")
    with world.check("both quit"):
        world.his.quit()
        world.hers.quit()


STORIES = [register, log_in, ask_the_server, subscribe, presence, chat, away, change_password, part]


class World:
    def __init__(self, server, checks, terminals):
        self.server = server
        self.check = checks.check
        self.romeo = Person(server, terminals, "romeo")
        self.juliet = Person(server, terminals, "juliet")
        # Their open windows.
        self.his = self.hers = None


def main():
    server = Server.from_arguments()
    checks = Checks()
    terminals = Terminals()
    try:
        world = World(server, checks, terminals)
        for story in STORIES:
            print(story.__name__, flush=True)
            try:
                story(world)
            except CannotGoOn:
                break
            except Exception as error:
                checks.broke_off(story.__name__, error)
    finally:
        terminals.close()
    print(f"  what was on the wire: {server.cache}/*.log")
    return checks.end()


if __name__ == "__main__":
    sys.exit(main())
