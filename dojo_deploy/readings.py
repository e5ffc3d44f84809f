"""What comes back through a seam: a command's end, a stored object, an answer, a reading, a finding. Values only."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Completed:
    """A command that ended and said so. `status` is its exit status (128 + n for one killed by signal n)."""

    status: int
    stdout: bytes
    stderr: bytes = b""

    @property
    def ok(self) -> bool:
        return self.status == 0

    @property
    def text(self) -> str:
        return self.stdout.decode("utf-8", "backslashreplace").strip()

    @property
    def complaint(self) -> str:
        """What it had to say for itself, for a message."""
        said = (self.stderr or self.stdout).decode("utf-8", "backslashreplace").strip()
        return said[-2000:] or f"exit status {self.status}, no output"


@dataclass(frozen=True)
class Stored:
    """A stored object; `etag` changes with every write."""

    data: bytes
    etag: str


@dataclass(frozen=True)
class Answer:
    """One answer through the balancer: who gave it, and what it said."""

    status: int
    upstream: str = ""  # `ip:port`, where the balancer tells it
    release: str = ""
    body: bytes = b""  # its beginning
    location: str = ""  # of a redirect


@dataclass(frozen=True)
class Reading:
    """What a probe saw once. `detail` is for people: status, milliseconds, an excerpt, the redirect's target."""

    ok: bool
    detail: str
    proof: str = ""  # how the release was identified: health, process, upstream


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong on a host (or on the `controller`), and the line that mends it.

    `fault` is its kind, a word for programs. A `note` is told, and is no reason to refuse anything.
    """

    fault: str
    host: str
    what: str
    fix: str = ""
    note: bool = False


@dataclass(frozen=True)
class Preparation:
    """What an administrator does on a host, once: `there` is a shell line that tells whether it is done already.

    Both are run by root with `set -e`; every program in `lines` is named by its absolute path.
    """

    what: str
    there: str
    lines: tuple[str, ...]
