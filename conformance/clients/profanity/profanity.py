"""profanity in a terminal, with a home of its own: the commands that the stories need."""

import os
import re
import shlex
import subprocess

from checks import expect, fresh_name

# No decoration, and nothing that asks the network.
SETTINGS = """[ui]
splash=false
vercheck=false
beep=false
roster=false
[notifications]
message=off
"""


class Person:
    """A user with an account of this run, who may open profanity several times."""

    def __init__(self, server, terminals, name):
        self.server = server
        self.name = fresh_name(name)
        self.password = fresh_name("O Romeo Romeo")
        self.jid = f"{self.name}@{server.domain}"
        self._terminals = terminals
        self._home = terminals.folder / name
        self._opened = 0
        self._with_hosts = _where_the_domain_is_known(server, terminals.folder)
        # `/register` goes to the address of the domain, and takes no other.
        self.can_register = self._with_hosts != []
        config = self._home / "config/profanity"
        config.mkdir(parents=True)
        (config / "profrc").write_text(SETTINGS, encoding="utf-8")

    def open(self):
        """Starts profanity; it is not connected yet."""
        self._opened += 1
        log = self.server.cache / f"{self.name.split('-')[0]}-{self._opened}.log"
        log.unlink(missing_ok=True)
        environment = {
            "HOME": self._home,
            "XDG_CONFIG_HOME": self._home / "config",
            "XDG_DATA_HOME": self._home / "data",
            "XDG_CACHE_HOME": self._home / "cache",
        }
        command = [*self._with_hosts, "profanity", "--log", "DEBUG", "--logfile", str(log)]
        terminal = self._terminals.open(f"{self.name}-{self._opened}", command, environment)
        terminal.see(r"\[offline\]")
        return Profanity(self, terminal)


class Profanity:
    def __init__(self, person, terminal):
        self.person = person
        self.terminal = terminal
        self.type, self.see = terminal.type, terminal.see

    def register(self):
        """Makes the account; profanity cannot connect well in the same run, so it has to be opened again."""
        server = self.person.server
        self.type(f"/register {self.person.name} {server.domain} port {server.port} tls trust")
        self.see("Enter password:")
        self.type(self.person.password)
        self.see("Confirm password:")
        self.type(self.person.password)
        return self.see("Registration successful", "error.*", "failed.*", "[Aa]lready.*").group()

    def connect(self, security):
        """Logs in by STARTTLS (`force`, `trust`) or direct TLS (`legacy`).

        Tells whether profanity asked about the certificate.
        """
        server = self.person.server
        port = server.tls_port if security == "legacy" else server.port
        self.type(f"/connect {self.person.jid} server {server.host} port {port} tls {security}")
        self.see("Enter password:")
        self.type(self.person.password)
        came = self.see(self._logged_in(), "Use '/tls always'", "Login failed.*").group()
        asked = "always" in came
        if asked:
            self.type("/tls always")
            came = self.see(self._logged_in(), "Login failed.*").group()
        expect("logged in" in came, came)
        return asked

    def _logged_in(self):
        return rf"{re.escape(self.person.jid)}/\S+ logged in successfully"

    def clear(self):
        """Empties the window, so that what is seen is new."""
        self.type("/clear")

    def quit(self):
        self.type("/quit")
        self.terminal.ended()


def _where_the_domain_is_known(server, folder):
    """A prefix for commands, with which they find the domain, that no DNS knows; empty when not permitted."""
    hosts = folder / "hosts"
    hosts.write_text(f"{server.host} localhost {server.domain}\n", encoding="utf-8")
    script = f'mount --bind {shlex.quote(str(hosts))} /etc/hosts && exec "$@"'
    as_whom = [] if os.geteuid() == 0 else ["--map-root-user"]
    prefix = ["unshare", "--mount", *as_whom, "sh", "-c", script, "sh"]
    works = subprocess.run([*prefix, "true"], capture_output=True, check=False).returncode == 0
    return prefix if works else []
