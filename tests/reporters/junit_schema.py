"""The rules of JUnit XML that the schema of Ant's reports and Jenkins's own have in common, as a check."""

from __future__ import annotations

import re
from collections.abc import Iterator
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

NUMBER, DECIMAL = r"\d+", r"\d+(\.\d+)?"
TIME, TOKEN = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d", r"\S+( \S+)*"
# Element -> its attributes, all of them required, and what each looks like.
ATTRIBUTES = {
    "testsuites": {},
    "testsuite": {
        **dict.fromkeys(("id", "tests", "failures", "errors", "skipped"), NUMBER),
        **dict.fromkeys(("name", "package", "hostname"), TOKEN),
        "timestamp": TIME,
        "time": DECIMAL,
    },
    "properties": {},
    "property": {"name": TOKEN, "value": "(?s).*"},
    "testcase": {"classname": TOKEN, "name": TOKEN, "time": DECIMAL},
    "failure": {"message": "(?s).*", "type": TOKEN},
    "error": {"message": "(?s).*", "type": TOKEN},
    "skipped": {"message": "(?s).*"},
    "system-out": {},
    "system-err": {},
}
# Element -> its children, one letter each, in order.
LETTERS = {"testsuite": "t", "properties": "p", "property": "q", "testcase": "c", "failure": "f", "error": "e",
           "skipped": "s", "system-out": "o", "system-err": "r"}  # fmt: skip
CHILDREN = {"testsuites": "t*", "testsuite": "pc*or", "properties": "q*", "testcase": "[fes]?"}


def problems(text: str) -> list[str]:
    """What is wrong with a file, in words. Raises ParseError for what is no XML."""
    root = ElementTree.fromstring(text.encode())
    return list(_wrong(root)) if root.tag == "testsuites" else [f"the root is {root.tag}"]


def _wrong(element: Element) -> Iterator[str]:
    known = ATTRIBUTES.get(element.tag)
    if known is None:
        yield f"no element {element.tag}"
        return
    optional = {"message"} if element.tag == "skipped" else set()
    if not set(known) - optional <= set(element.keys()) <= set(known):
        yield f"{element.tag} has {sorted(element.keys())}, not {sorted(known)}"
    for name, value in element.items():
        if not re.fullmatch(known.get(name, ""), value):
            yield f"{element.tag}: {name}={value!r}"
    children = "".join(LETTERS.get(child.tag, "?") for child in element)
    if not re.fullmatch(CHILDREN.get(element.tag, ""), children):
        yield f"{element.tag} holds {children}"
    for child in element:
        yield from _wrong(child)
