"""A run as JUnit XML, as Jenkins, GitLab and most other systems of CI read it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from xml.etree import ElementTree
from xml.etree.ElementTree import Element, SubElement

from dojo_deploy.events import Event, RunFinished, RunStarted
from dojo_deploy.reporters.cases import FAILED, SKIPPED, UNKNOWN, Case, cases, last
from dojo_deploy.reporters.sentences import sentences
from dojo_deploy.reporters.text import inert

# What inert text may still hold and XML 1.0 may not.
ILLEGAL = re.compile("[^\t\n\r -\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
NEVER = "1970-01-01T00:00:00"


def junit(events: Sequence[Event]) -> str:
    """One suite, a case per step, per gate, and for the run; what was planned and never came is skipped.

    A step whose answer was lost is an error, all else that went wrong a failure. The log is in `system-out`.
    """
    found = cases(events)
    suite = _suite(events, found)
    for case in found:
        _append(suite, case)
    SubElement(suite, "system-out").text = _legal("".join(
        f"{event.at[11:19]} {inert(line)}\n" for event in events for line in sentences(event, verbose=False)
    ))  # fmt: skip
    SubElement(suite, "system-err")
    root = Element("testsuites")
    root.append(suite)
    ElementTree.indent(root)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{ElementTree.tostring(root, encoding="unicode")}\n'


def _suite(events: Sequence[Event], found: Sequence[Case]) -> Element:
    started, finished = last(events, RunStarted), last(events, RunFinished)
    begun = next((event.at for event in events if event.at), "")
    count = {state: sum(case.state == state for case in found) for state in (FAILED, UNKNOWN, SKIPPED)}
    suite = Element(
        "testsuite",
        {
            "id": "0",
            "name": _legal(inert(f"{started.strategy} on {started.scope}")) if started else "dojo",
            "package": _legal(inert(started.scope)) if started else "dojo",
            "timestamp": begun[:19] or NEVER,
            "hostname": _host(started),
            "tests": str(len(found)),
            "failures": str(count[FAILED]),
            "errors": str(count[UNKNOWN]),
            "skipped": str(count[SKIPPED]),
            "time": f"{finished.seconds if finished else 0.0:.3f}",
        },
    )
    known = {
        "run": started.run if started else "",
        "release": started.release if started else "",
        "verdict": finished.verdict if finished else "",
        "exit code": str(finished.exit_code) if finished else "",
    }
    properties = SubElement(suite, "properties")
    for name, value in known.items():
        if value:
            SubElement(properties, "property", {"name": name, "value": _legal(inert(value))})
    return suite


def _append(suite: Element, case: Case) -> None:
    about = {"classname": _legal(case.stage), "name": _legal(case.name), "time": f"{case.seconds:.3f}"}
    element = SubElement(suite, "testcase", about)
    if case.is_wrong:
        kind = "failure" if case.state == FAILED else "error"
        problem = SubElement(element, kind, {"message": _legal(case.title), "type": case.state})
        problem.text = _legal(case.text or case.title)
    elif case.state == SKIPPED:
        SubElement(element, "skipped", {"message": case.title} if case.title else {})


def _host(started: RunStarted | None) -> str:
    """Of `ana@laptop (pid 7)`."""
    found = re.search(r"@([^\s(]+)", started.by) if started else None
    return _legal(inert(found[1])) if found else "localhost"


def _legal(text: str) -> str:
    return ILLEGAL.sub("\ufffd", text)
