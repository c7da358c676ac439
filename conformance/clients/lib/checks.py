"""Checks of a client: one line for each, a summary in the last line, an exit code."""

import contextlib
import secrets

# How long anything may take that a check waits for; nothing takes as long unless it is broken.
DEADLINE_S = 15


class Failed(Exception):
    """What was expected, and what came instead."""


class CannotGoOn(Exception):
    """A check failed that all that follows builds upon."""


class Checks:
    def __init__(self):
        self.passed = 0
        self.failed = 0

    @contextlib.contextmanager
    def check(self, what, needed=False):
        """One check: passed when its block ends, failed when it raises. `detail.append` adds to the line.

        One that is `needed` for all that follows raises `CannotGoOn` when it fails.
        """
        detail = []
        try:
            yield detail
        except Exception as error:
            self.failed += 1
            why = str(error) if isinstance(error, Failed) else f"{type(error).__name__}: {error}"
            self._tell("FAILED", what, why)
            if needed:
                raise CannotGoOn from None
        else:
            self.passed += 1
            self._tell("passed", what, ", ".join(str(part) for part in detail))

    def broke_off(self, story, error):
        """A story ended with an error outside of any check."""
        self.failed += 1
        self._tell("FAILED", f"{story} broke off", f"{type(error).__name__}: {error}")

    def end(self):
        """Prints the summary; the exit code."""
        print(f"{self.passed} passed, {self.failed} failed", flush=True)
        return 0 if self.failed == 0 and self.passed > 0 else 1

    @staticmethod
    def _tell(outcome, what, why):
        print(f"  {outcome}  {what}{': ' if why else ''}{why}", flush=True)


def expect(truth, why):
    """Fails with `why` unless it is true."""
    if not truth:
        raise Failed(why)


def equal(got, wanted, what="got"):
    """Fails unless both are equal."""
    if got != wanted:
        raise Failed(f"{what} {got!r} instead of {wanted!r}")


def fresh_name(name):
    """A user name that no earlier run has taken."""
    return f"{name}-{secrets.token_hex(4)}"
