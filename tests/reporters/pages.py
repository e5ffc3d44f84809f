"""A page read back, as strictly as a test wants it."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from html.parser import HTMLParser

VOID = {"meta", "br", "link"}
DRAWN = {"path", "polyline", "polygon"}


@dataclass
class Node:
    name: str
    attributes: dict[str, str] = field(default_factory=dict)
    parts: list[Node | str] = field(default_factory=list)

    @property
    def text(self) -> str:
        return "".join(part if isinstance(part, str) else part.text for part in self.parts)

    def every(self, name: str = "", class_: str = "") -> list[Node]:
        found = []
        for part in self.parts:
            if isinstance(part, Node):
                if name in ("", part.name) and class_ in ("", *part.attributes.get("class", "").split()):
                    found.append(part)
                found += part.every(name, class_)
        return found

    def one(self, name: str = "", class_: str = "") -> Node:
        (found,) = self.every(name, class_)
        return found


class Page(HTMLParser):
    """Raises AssertionError for an element that is closed wrongly, or never."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.root = Node("")
        self._open = [self.root]
        self.feed(text)
        self.close()
        assert self._open == [self.root], f"never closed: {[node.name for node in self._open[1:]]}"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        node = Node(tag, {name: value or "" for name, value in attrs})
        assert len(node.attributes) == len(attrs), f"an attribute twice: {attrs}"
        self._open[-1].parts.append(node)
        if tag not in VOID:
            self._open.append(node)

    def handle_endtag(self, tag: str) -> None:
        assert self._open[-1].name == tag, f"</{tag}> closes {self._open[-1].name}"
        self._open.pop()

    def handle_data(self, data: str) -> None:
        self._open[-1].parts.append(data)


def read(text: str) -> Node:
    return Page(text).root


def told(page: Node) -> dict[str, str]:
    """The rows at the top: label -> words."""
    rows = page.one("dl", "told").parts
    texts = [re.sub(r"\s+", " ", part.text) for part in rows if isinstance(part, Node)]
    return dict(zip(texts[::2], texts[1::2], strict=True))


def place(node: Node) -> tuple[float, float]:
    """Left and width in percent."""
    left, width = re.search(r"left:([\d.]+)%;width:([\d.]+)%", node.attributes["style"]).groups()  # type: ignore[union-attr]
    return float(left), float(width)
