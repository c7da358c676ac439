"""Two users of slixmpp live on a server: everything a client of RFC 6121 does, one story after the other."""

import asyncio
import logging
import sys

import accounts
import contacts
import messages
import services
from checks import CannotGoOn, Checks
from server import Server
from user import User

STORIES = [
    accounts.register,
    accounts.log_in_every_way,
    contacts.roster,
    contacts.subscribe,
    contacts.presence,
    messages.chat,
    messages.away,
    services.features,
    services.server,
    services.last_activity,
    services.private_storage,
    contacts.part,
    contacts.subscribe,
    accounts.change_password,
    accounts.remove,
]


class World:
    def __init__(self, server, checks):
        self.server = server
        self.check = checks.check
        self.romeo = User(server, "romeo")
        self.juliet = User(server, "juliet")


async def main():
    server = Server.from_arguments()
    transcript = server.cache / "transcript.log"
    transcript.write_text("", encoding="utf-8")
    # What the library itself complains about is kept beside what was on the wire.
    logging.basicConfig(filename=server.cache / "library.log", filemode="w", level=logging.INFO)
    checks = Checks()
    world = World(server, checks)
    for story in STORIES:
        name = f"{story.__module__}.{story.__name__}"
        print(name, flush=True)
        try:
            await story(world)
        except CannotGoOn:
            break
        except Exception as error:
            logging.exception("%s", name)
            checks.broke_off(name, error)
    print(f"  what was on the wire: {transcript}")
    return checks.end()


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
