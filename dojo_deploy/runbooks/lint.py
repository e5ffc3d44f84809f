"""All that is at fault in a runbook, in the order of its lines."""

from __future__ import annotations

from dojo_deploy.runbooks import document
from dojo_deploy.runbooks.fault import Fault
from dojo_deploy.runbooks.reading import lines
from dojo_deploy.runbooks.rules import RULES


def lint(text: str) -> tuple[Fault, ...]:
    """Each line once per rule. Nothing is run, and nothing is asked for."""
    read = lines(text)
    single = (fault for line in read for rule in RULES if (fault := rule.fault(line)))
    return tuple(sorted((*single, *document.faults(read)), key=lambda fault: (fault.line, fault.rule)))
