"""Terminals of a tmux of our own, in which programs are typed at and read from as a person would."""

import os
import pathlib
import re
import shutil
import subprocess
import tempfile
import time

from checks import DEADLINE_S, Failed

# How often the screen is looked at.
POLL_S = 0.05

# How many lines of a screen are shown when it is not as it should be.
SHOWN_MAX = 20


class Terminals:
    """A private tmux server in a temporary folder; ended as a whole."""

    def __init__(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="hearth-terminals-"))
        self._socket = self.folder / "tmux"
        # Nobody else's settings; and it stays when the last program has ended.
        self._settings = self.folder / "tmux.conf"
        self._settings.write_text("set -g exit-empty off\n", encoding="utf-8")
        # The locale decides whether anything but ASCII is shown.
        self._environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.folder),
            "LANG": "C.UTF-8",
            "TERM": "screen-256color",
        }

    def open(self, name, command, environment):
        """Runs a command in a new terminal."""
        variables = [part for key, value in environment.items() for part in ("-e", f"{key}={value}")]
        self.tmux("new-session", "-d", "-s", name, "-x", "160", "-y", "60", *variables, *command)
        return Terminal(self, name)

    def close(self):
        """Ends tmux and all that runs in it."""
        subprocess.run(self._command("kill-server"), env=self._environment, capture_output=True, check=False)
        shutil.rmtree(self.folder)

    def tmux(self, *arguments):
        """Runs a command of tmux; what it prints."""
        done = subprocess.run(
            self._command(*arguments), env=self._environment, capture_output=True, text=True, check=False
        )
        if done.returncode != 0:
            raise Failed(f"tmux {arguments[0]}: {done.stderr.strip()}")
        return done.stdout

    def _command(self, *arguments):
        return ["tmux", "-u", "-S", str(self._socket), "-f", str(self._settings), *arguments]


class Terminal:
    def __init__(self, terminals, name):
        self._terminals = terminals
        self.name = name

    def type(self, line):
        """Types a line and the return key."""
        self._terminals.tmux("send-keys", "-t", self.name, "-l", "--", line)
        self._terminals.tmux("send-keys", "-t", self.name, "Enter")

    def screen(self):
        """What is to be seen now, without empty lines."""
        lines = self._terminals.tmux("capture-pane", "-p", "-t", self.name).splitlines()
        return "\n".join(line.rstrip() for line in lines if line.strip())

    def see(self, *patterns, again=None):
        """Waits until one of these expressions is on the screen: its match.

        `again` is a line to type each second, when what it shows depends on what has come.
        """
        deadline = time.monotonic() + DEADLINE_S
        typed = 0.0
        while True:
            if again is not None and time.monotonic() > typed + 1:
                self.type(again)
                typed = time.monotonic()
            screen = self.screen()
            for pattern in patterns:
                found = re.search(pattern, screen, re.MULTILINE)
                if found:
                    return found
            if time.monotonic() > deadline:
                end = "\n".join(screen.splitlines()[-SHOWN_MAX:])
                raise Failed(f"{self.name} does not see {patterns} within {DEADLINE_S} s, but\n{end}")
            time.sleep(POLL_S)

    def ended(self):
        """Waits until what runs here has ended."""
        deadline = time.monotonic() + DEADLINE_S
        while self.name in self._terminals.tmux("list-sessions", "-F", "#{session_name}").splitlines():
            if time.monotonic() > deadline:
                raise Failed(f"{self.name} does not end; it shows\n{self.screen()}")
            time.sleep(POLL_S)
