"""A chart of a few points as SVG: two panels over the number of hosts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

WIDTH, HEIGHT, PAD = 340, 220, 46
PANELS = (("seconds", "wall time, seconds", "#2f6fdb"), ("mib", "controller memory, MiB", "#c2571a"))


def chart(rows: Sequence[dict[str, Any]]) -> str:
    """One polyline per panel, both axes from zero, every point labelled."""
    body = "".join(
        _panel(rows, key, title, colour, number * WIDTH) for number, (key, title, colour) in enumerate(PANELS)
    )
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH * len(PANELS)} {HEIGHT}"'
    style = 'font-family="system-ui,sans-serif" font-size="11" fill="#444"'
    return f'{head} {style}><rect width="100%" height="100%" fill="#fff"/>{body}</svg>\n'


def _panel(rows: Sequence[dict[str, Any]], key: str, title: str, colour: str, left: int) -> str:
    most_hosts = max(row["hosts"] for row in rows)
    most = max(row[key] for row in rows)

    def x(hosts: float) -> float:
        return left + PAD + hosts / most_hosts * (WIDTH - 2 * PAD)

    def y(value: float) -> float:
        return HEIGHT - PAD + 12 - value / most * (HEIGHT - 2 * PAD)

    points = [(x(row["hosts"]), y(row[key]), row) for row in rows]
    line = " ".join(f"{a:.1f},{b:.1f}" for a, b, _ in points)
    dots = "".join(
        f'<circle cx="{a:.1f}" cy="{b:.1f}" r="3" fill="{colour}"/>'
        f'<text x="{a:.1f}" y="{b - 8:.1f}" text-anchor="middle">{row[key]:g}</text>'
        f'<text x="{a:.1f}" y="{HEIGHT - PAD + 28}" text-anchor="middle">{row["hosts"]}</text>'
        for a, b, row in points
    )
    axis = f'<path d="M{x(0):.1f} {y(most):.1f}V{y(0):.1f}H{x(most_hosts):.1f}" fill="none" stroke="#bbb"/>'
    name = f'<text x="{left + WIDTH / 2}" y="18" text-anchor="middle" font-weight="600">{title}</text>'
    foot = f'<text x="{left + WIDTH / 2}" y="{HEIGHT - 4}" text-anchor="middle">hosts</text>'
    return f'{axis}<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="2"/>{dots}{name}{foot}'
