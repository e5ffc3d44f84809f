"""What is known of a release's migrations, wherever it is kept: values only."""

from __future__ import annotations

from dataclasses import dataclass

# Kinds of findings that need a person's word before they may run, and after which no older release can.
GRAVE = ("contract", "data loss", "unreadable")


@dataclass(frozen=True)
class Finding:
    """What a person should know of one statement of a migration. `kind` is one of dojo_deploy.migrations' KINDS."""

    line: int
    kind: str
    reason: str
    instead: str = ""


@dataclass(frozen=True)
class Migration:
    """One file of a release that changes the schema: its path in the release, and what was found in it."""

    name: str
    sha256: str
    findings: tuple[Finding, ...] = ()

    @property
    def grave(self) -> tuple[Finding, ...]:
        """What an older release cannot live with."""
        return tuple(found for found in self.findings if found.kind in GRAVE)


@dataclass(frozen=True)
class Tool:
    """How a release migrates: keys of its `migrate:`, for whoever asks the database later. No `run`: it does not."""

    run: str = ""
    folder: str = ""
    applied: str = ""
