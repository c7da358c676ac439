"""A user: an account of this run, and the resources that log in to it."""

import contextlib

from checks import fresh_name
from client import Client


class User:
    def __init__(self, server, name):
        self.server = server
        self.name = fresh_name(name)
        # Not ASCII alone, so that both sides have to prepare it (RFC 4013).
        self.password = fresh_name("O Romeo, Romeø!")
        self.jid = f"{self.name}@{server.domain}"

    def client(self, resource, *, password=None, **options):
        """A resource that is not logged in yet; for the options see `Client`."""
        return Client(self.server, f"{self.jid}/{resource}", password or self.password, **options)

    @contextlib.asynccontextmanager
    async def online(self, resource, *, presence=True, **options):
        """A resource that is logged in for the length of a block."""
        client = self.client(resource, **options)
        await client.log_in(presence)
        try:
            yield client
        finally:
            if client.is_connected():
                await client.log_out()
