"""Every error that dojo_deploy raises on purpose, and the exit code that each one ends a command with.

DojoError
├── ConfigError        2    a file, a flag or a value is wrong: names file, line and key, and what to type instead
├── RefusedError      10    nothing was changed, and this is why
│   └── OpenRunError  10    an earlier run never ended: resume it or abort it first
├── LockedError       11    another run holds the lock: names the holder and the lock's age
├── FencedError       12    a newer run took over while this one slept: this one changes nothing any more
├── GateFailedError   20    a gate did not pass; `cause` holds the last readings and what the host said
├── RunFailedError    20    failed, undone, and the fleet is consistent again
├── InterruptedRunError 130 stopped by a signal between two steps; `resume` or `abort` goes on from there
├── TransportError          a host could not be asked (the runner turns it into one of the above)
│   ├── UnreachableError    never connected: nothing was started there
│   ├── HostKeyError        unknown or changed host key: refused before authentication
│   ├── LoginError          the host took none of what was offered
│   └── LostError           the connection went away after something was sent: it MAY have run
├── StoreError              the store could not be read or written
│   └── ConflictError       a conditional write lost its race
├── BackupError       20    a backup was not made, or not proven; the database is as it was
│   └── DamagedError  20    what is stored is not what was dumped
├── DatabaseError     20    the database refused what was asked of it, or stopped half-way; what it left is told
├── NoticeError             somebody could not be told; it waits in the outbox, and stops nothing
└── BalancerError           the balancer refused, or does not do what it reported
    └── UnsettledError      older requests were waited for, and some have not ended
"""

from __future__ import annotations


class DojoError(Exception):
    """Base of all errors raised on purpose."""

    exit_code = 30

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message}\n  → {self.hint}" if self.hint else self.message


class ConfigError(DojoError):
    """A file, a flag or a value is wrong; `where` is `file:line` and `key` the dotted key, when there are any."""

    exit_code = 2

    def __init__(self, message: str, *, where: str = "", key: str = "", hint: str = "") -> None:
        place = ": ".join(part for part in (where, key) if part)
        super().__init__(f"{place}: {message}" if place else message, hint=hint)
        self.where = where
        self.key = key


class RefusedError(DojoError):
    """Refused before any change."""

    exit_code = 10


class OpenRunError(RefusedError):
    """An earlier run never ended, so the fleet may be half way between two releases."""


class LockedError(DojoError):
    """Another run holds the lock."""

    exit_code = 11


class FencedError(DojoError):
    """A newer generation took over: nothing that this process still wants to do may happen."""

    exit_code = 12


class GateFailedError(DojoError):
    """A gate did not pass. `cause` is for people: last readings, process state, log tail; many lines."""

    exit_code = 20

    def __init__(self, message: str, *, cause: str = "", hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.cause = cause


class RunFailedError(DojoError):
    """The run failed and was undone; every host is back on what it ran before."""

    exit_code = 20


class InterruptedRunError(DojoError):
    """Stopped by a signal at a step's edge; resumable."""

    exit_code = 130


class TransportError(DojoError):
    """A host could not be asked. `host` is its inventory name."""

    def __init__(self, message: str, *, host: str = "", hint: str = "") -> None:
        super().__init__(f"{host}: {message}" if host else message, hint=hint)
        self.host = host


class UnreachableError(TransportError):
    """No connection, so nothing was started on the host."""

    exit_code = 10


class HostKeyError(UnreachableError):
    """The host's key is unknown or has changed."""


class LoginError(UnreachableError):
    """The host is there, and lets nobody in with what was offered."""


class LostError(TransportError):
    """The connection went away, or no exit status came: whether the command ran is UNKNOWN."""


class StoreError(DojoError):
    """The store could not be read or written."""


class ConflictError(StoreError):
    """A conditional write found something else than it expected; nothing was written."""


class NoticeError(DojoError):
    """Whether a notice was told is not known, or it was not; it is to be told again."""


class BalancerError(DojoError):
    """The balancer refused a change, or what it serves is not what it was told."""


class UnsettledError(BalancerError):
    """Requests or connections of before a change were waited for, and some have not ended; a websocket may never."""


class BackupError(DojoError):
    """A backup could not be made, read or proven; the database is as it was."""

    exit_code = 20


class DamagedError(BackupError):
    """What is stored is not what was dumped."""


class DatabaseError(DojoError):
    """The database said no. `passes`: what was in the way may be gone later, so that trying again is no folly."""

    exit_code = 20

    def __init__(self, message: str, *, passes: bool = False, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.passes = passes
