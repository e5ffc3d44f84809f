"""What a line can be at fault for, and how a rule finds it."""

from __future__ import annotations

import re
from dataclasses import dataclass

from dojo_deploy.runbooks.reading import COMMAND, COMMENT, PROSE, Line

DANGEROUS, USELESS, UNCLEAR = "dangerous", "useless", "unclear"


@dataclass(frozen=True)
class Fault:
    """`kind`: dangerous (it loses data or users), useless (it proves or does nothing), unclear (it decides nothing)."""

    line: int
    rule: str
    kind: str
    text: str
    reason: str
    instead: str = ""


@dataclass(frozen=True)
class Rule:
    """`pattern` is searched in commands, or `where` it says; `unless` in the same line excuses it."""

    name: str
    kind: str
    pattern: str
    reason: str
    instead: str
    unless: str = ""
    under: str = ""  # a pattern for the headings above
    where: tuple[str, ...] = (COMMAND,)

    def fault(self, line: Line) -> Fault | None:
        if line.kind not in self.where or not re.search(self.pattern, line.text, re.IGNORECASE):
            return None
        if self.unless and re.search(self.unless, line.text, re.IGNORECASE):
            return None
        if self.under and not re.search(self.under, line.heading, re.IGNORECASE):
            return None
        return Fault(line.number, self.name, self.kind, line.text.strip(), self.reason, self.instead)


ANYWHERE = (COMMAND, COMMENT, PROSE)
WRITTEN = (COMMENT, PROSE)
