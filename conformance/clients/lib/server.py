"""The server under test, as the arguments and the environment of `run` describe it."""

import dataclasses
import os
import pathlib
import socket
import ssl
import sys

from checks import DEADLINE_S


@dataclasses.dataclass(frozen=True)
class Server:
    host: str
    # STARTTLS.
    port: int
    # Direct TLS.
    tls_port: int
    domain: str
    # For whatever is kept between runs, and for logs.
    cache: pathlib.Path
    # What it shows for `domain`, PEM.
    certificate: str

    @classmethod
    def from_arguments(cls):
        """Reads `ADDR DOMAIN` and the environment; the contract is in `conformance/README.md`."""
        if len(sys.argv) != 3 or "TLS_ADDR" not in os.environ or "CACHE" not in os.environ:
            sys.exit("usage: TLS_ADDR=HOST:PORT CACHE=FOLDER run HOST:PORT DOMAIN")
        host, port = sys.argv[1].rsplit(":", 1)
        tls_port = os.environ["TLS_ADDR"].rsplit(":", 1)[1]
        domain = sys.argv[2]
        cache = pathlib.Path(os.environ["CACHE"]).resolve()
        cache.mkdir(parents=True, exist_ok=True)
        certificate = _certificate(host, int(tls_port), domain)
        return cls(host, int(port), int(tls_port), domain, cache, certificate)

    def trust(self):
        """A TLS context that trusts the certificate of the direct TLS port, no other, and checks its names.

        It is self-signed or made by a development CA that nobody knows: so it is pinned, as a user would do.
        """
        context = ssl.create_default_context(cadata=self.certificate)
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
        return context


def _certificate(host, port, domain):
    unchecked = ssl.create_default_context()
    unchecked.check_hostname = False
    unchecked.verify_mode = ssl.CERT_NONE
    plain = socket.create_connection((host, port), DEADLINE_S)
    with unchecked.wrap_socket(plain, server_hostname=domain) as secured:
        return ssl.DER_cert_to_PEM_cert(secured.getpeercert(binary_form=True))
