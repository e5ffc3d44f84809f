"""What users saw over time, on the axis of the hosts: answers by release, failures, how long an answer took."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from dojo_deploy.events import LoadMeasured
from dojo_deploy.reporters.html.axis import Axis
from dojo_deploy.reporters.html.markup import Markup, Part, element, joined, number
from dojo_deploy.reporters.html.names import Names
from dojo_deploy.reporters.html.story import Session
from dojo_deploy.reporters.text import counted, milliseconds

WIDE, HIGH, LOW = 1000, 84, 60  # units of the pictures; heights are pixels too
UNNAMED = "not named"
STRIPED = "hue0"  # the release that the run is about, so that it is not told by its colour alone
LATENCIES = ("p50", "p95", "p99")

Slice = Mapping[str, Any]


def charts(session: Session, axis: Axis, names: Names) -> Markup:
    """Rows below the lanes; none where no load was measured, or one without a course."""
    load = session.load
    if not load or not load.course:
        return Markup()
    begin = session.load_begin
    parts = [_moved(part, begin) for part in load.course if part["end"] > part["begin"]]
    return joined((_answers(parts, axis, names, load), _failures(parts, axis), _latencies(parts, axis)))


def answered(session: Session, names: Names) -> Markup:
    """Who answered, from when to when, how often: the legend of the picture."""
    load, begin = session.load, session.load_begin
    if not load or not load.answers:
        return Markup()
    found = sorted(load.answers.items(), key=lambda item: item[1][0])
    rows = [
        element(
            "li",
            element("i", class_=f"key hue{names.hue(release)}"),
            element("strong", names.full(release)),
            f" {first + begin:.1f}–{last + begin:.1f} s, {count:,} answers",
        )
        for release, (first, last, count) in found
    ]
    return element("ul", *rows, class_="legend answered")


def course_table(session: Session, names: Names) -> Markup:
    """The same in figures."""
    parts = [_moved(part, session.load_begin) for part in session.load.course] if session.load else []
    rows = [
        element(
            "tr",
            element("td", f"{part['begin']:.1f}–{part['end']:.1f}"),
            element("td", f"{part['requests']:,}"),
            element("td", f"{part['failures']:,}", class_="bad" if part["failures"] else ""),
            element("td", ", ".join(f"{names.brief(name)} {count:,}" for name, count in part["answers"].items())),
            *(element("td", milliseconds(part[name])) for name in LATENCIES),
        )
        for part in parts
    ]
    heads = ("seconds", "requests", "failed", "answered by", *LATENCIES)
    head = element("tr", *(element("th", text, scope="col") for text in heads))
    return element("table", element("thead", head), element("tbody", *rows))


def stripes() -> Markup:
    """What `stripes` in the style sheet refers to: once in a page. Level lines, which stretching leaves as they are."""
    line = element("path", d="M0 1.5H8", class_="stripe")
    pattern = element("pattern", line, id="stripes", width=8, height=5, patternUnits="userSpaceOnUse")
    return element("svg", element("defs", pattern), width=0, height=0, aria_hidden="true", class_="defs")


def _moved(part: Slice, begin: float) -> Slice:
    return {**part, "begin": part["begin"] + begin, "end": part["end"] + begin}


def _answers(parts: Sequence[Slice], axis: Axis, names: Names, load: LoadMeasured) -> Markup:
    rates = [(part["requests"] - part["failures"]) / (part["end"] - part["begin"]) for part in parts]
    most = max(rates, default=0.0) or 1.0
    order = sorted(load.answers, key=lambda release: load.answers[release][0])
    layers = [(release, f"hue{names.hue(release)}") for release in order] + [(UNNAMED, "unnamed")]
    shapes = []
    floor = [0.0] * len(parts)
    for release, hue in layers:
        top = [
            base + _count(part, release) / (part["end"] - part["begin"]) / most
            for base, part in zip(floor, parts, strict=True)
        ]
        if any(high > low for high, low in zip(top, floor, strict=True)):
            shapes.append(_layer(parts, floor, top, axis, hue))
            if hue == STRIPED:
                shapes.append(_layer(parts, floor, top, axis, "stripes"))
        floor = top
    return _row("answers/s", f"up to {most:,.0f}", _picture(HIGH, shapes, "answers per second, by release"), "tall")


def _count(part: Slice, release: str) -> float:
    if release == UNNAMED:
        return float(part["requests"] - part["failures"] - sum(part["answers"].values()))
    return float(part["answers"].get(release, 0))


def _layer(parts: Sequence[Slice], floor: Sequence[float], top: Sequence[float], axis: Axis, hue: str) -> Markup:
    """From left to right along its upper edge, and back along the lower one."""
    there = [point for part, level in zip(parts, top, strict=True) for point in _edge(part, level, axis)]
    back = [point for part, level in zip(parts, floor, strict=True) for point in _edge(part, level, axis)]
    path = " ".join(f"{number(x)},{number(y)}" for x, y in (*there, *reversed(back)))
    return element("polygon", points=path, class_=hue)


def _edge(part: Slice, level: float, axis: Axis) -> Iterator[tuple[float, float]]:
    for second in (part["begin"], part["end"]):
        yield axis.at(second) * WIDE / 100, HIGH * (1 - level)


def _failures(parts: Sequence[Slice], axis: Axis) -> Markup:
    total = sum(part["failures"] for part in parts)
    most = max((part["failures"] for part in parts), default=0)
    marks = [
        element(
            "span",
            element("em", f"✗ {part['failures']:,}"),
            class_="bar failures",
            style=axis.place(part["begin"], part["end"])
            + f";opacity:{number(0.55 + 0.45 * part['failures'] / max(most, 1))}",
            title=f"{counted(part['failures'], 'failed request')} in {part['end'] - part['begin']:.1f} s",
        )
        for part in parts
        if part["failures"]
    ]
    begin, end = (parts[0]["begin"], parts[-1]["end"]) if parts else (0.0, 0.0)
    none = element("span", element("em", "none"), class_="bar none", style=axis.place(begin, end))
    return _row("failed", f"{total:,}", joined(marks or [none]), "")


def _latencies(parts: Sequence[Slice], axis: Axis) -> Markup:
    # One slow answer must not press everything else to the floor; the figures tell its height.
    highest = sorted(part["p99"] for part in parts)
    most = max(highest[int(0.95 * (len(highest) - 1))] * 1.25, 1.0) if highest else 1.0
    lines = []
    for name in reversed(LATENCIES):
        points = [
            (axis.at((part["begin"] + part["end"]) / 2) * WIDE / 100, LOW - 2 - (LOW - 6) * min(part[name] / most, 1.0))
            for part in parts
        ]
        path = " ".join(f"{number(x)},{number(y)}" for x, y in points)
        lines.append(element("polyline", points=path, class_=name))
    picture = _picture(LOW, lines, "milliseconds until an answer was whole: p50, p95, p99")
    keys = element("span", *(element("i", name, class_=name) for name in LATENCIES), class_="keys")
    return _row("took", f"up to {milliseconds(most)}", picture, "low", keys)


def _picture(height: int, shapes: Sequence[Markup], label: str) -> Markup:
    box = f"0 0 {WIDE} {height}"
    return element("svg", *shapes, viewBox=box, preserveAspectRatio="none", role="img", aria_label=label)


def _row(name: str, scale: str, picture: Markup, kind: str, keys: Part = "") -> Markup:
    who = element("div", element("span", name), element("small", scale), keys, class_="who")
    return element("div", who, element("div", picture, class_="track"), class_=f"row traffic {kind}".rstrip())
