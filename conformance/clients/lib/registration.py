"""In-band registration (XEP-0077) by hand, for clients that cannot register themselves."""

import socket
from xml.etree import ElementTree
from xml.sax.saxutils import escape, quoteattr

from checks import DEADLINE_S, Failed

HEADER = "<?xml version='1.0'?><stream:stream to={} version='1.0' xmlns='jabber:client' xmlns:stream='{}'>"
STREAMS = "http://etherx.jabber.org/streams"


def register(server, name, password):
    """Makes an account, over direct TLS."""
    query = (
        "<iq type='set' id='register'><query xmlns='jabber:iq:register'>"
        f"<username>{escape(name)}</username><password>{escape(password)}</password></query></iq>"
    )
    plain = socket.create_connection((server.host, server.tls_port), DEADLINE_S)
    with server.trust().wrap_socket(plain, server_hostname=server.domain) as stream:
        stream.sendall((HEADER.format(quoteattr(server.domain), STREAMS) + query).encode())
        answer = _answer(stream)
        stream.sendall(b"</stream:stream>")
    if answer.get("type") != "result":
        raise Failed(f"registration: {ElementTree.tostring(answer, encoding='unicode')}")


def _answer(stream):
    parser = ElementTree.XMLPullParser(["end"])
    while received := stream.recv(4096):
        parser.feed(received)
        for _, element in parser.read_events():
            if element.tag in ("{jabber:client}iq", f"{{{STREAMS}}}error"):
                return element
    raise Failed("registration: the connection was closed")
