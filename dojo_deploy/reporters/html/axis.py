"""The seconds of a session along the width of its picture."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from dojo_deploy.reporters.html.markup import Markup, element, number

STEPS = (0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 43200, 86400)
MOST_TICKS = 9


@dataclass(frozen=True)
class Axis:
    """From second 0 to `end`."""

    end: float

    def at(self, second: float) -> float:
        """Percent of the width."""
        return 100 * min(max(second, 0.0), self.end) / self.end

    def place(self, begin: float, end: float) -> str:
        """The style of something that lasts."""
        left = self.at(begin)
        return f"left:{number(left)}%;width:{number(self.at(end) - left)}%"

    def ticks(self) -> Iterator[tuple[float, str]]:
        step = next((step for step in STEPS if self.end / step <= MOST_TICKS), self.end / MOST_TICKS)
        count = int(self.end / step)
        for index in range(count + 1):
            yield index * step, _label(index * step, step)

    def lines(self) -> Markup:
        """A line through all rows for each tick."""
        lines = (element("i", style=f"left:{number(self.at(second))}%") for second, _ in self.ticks())
        return element("div", *lines, class_="lines", aria_hidden="true")

    def scale(self) -> Markup:
        labels = (
            element(
                "span", text, style=f"left:{number(self.at(second))}%", class_="last" if self.at(second) > 97 else ""
            )
            for second, text in self.ticks()
        )
        return element("div", *labels, class_="track scale")


def _label(second: float, step: float) -> str:
    if step < 1:
        return f"{second:g} s"
    whole = int(second)
    if step < 60 and whole < 120:
        return f"{whole} s"
    hours, rest = divmod(whole, 3600)
    minutes, left = divmod(rest, 60)
    return f"{hours}:{minutes:02}:{left:02}" if hours else f"{minutes}:{left:02}"
