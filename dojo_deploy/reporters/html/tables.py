"""What can be looked up: the census, each step with its times, the plan, the log."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from dojo_deploy.events import CensusTaken, Event, PlanMade
from dojo_deploy.reporters.crowds import COLUMNS, HEADS, crowds
from dojo_deploy.reporters.html.markup import Markup, Part, clipped, element
from dojo_deploy.reporters.html.names import Names
from dojo_deploy.reporters.html.story import Session, Span
from dojo_deploy.reporters.html.timeline import SAYS
from dojo_deploy.reporters.sentences import sentences
from dojo_deploy.reporters.text import counted, named, seconds

MOST_ROWS = 600
MOST_LINES = 2500
HEAD_LINES = 300  # of them from the beginning; the others are the last
MOST_LINE = 600  # characters
BAD = ("wrong", "unknown", "sick", "mixed", "drained", "left out")


def census_table(census: CensusTaken, names: Names) -> Markup:
    rows = []
    for hosts, values in crowds(census.rows):
        cells = [element("th", named(hosts, most=3), scope="row", title=clipped(" ".join(hosts), 2000))]
        for column in COLUMNS:
            value = values.get(column, "")
            release, times, count = value.partition(" ×")
            told = f"{names.full(release)}{times}{count}" if release in names.order else value
            bad = value.partition(":")[0] in BAD
            cells.append(element("td", f"✗ {told}" if bad else told, class_="bad" if bad else False))
        rows.append(element("tr", *cells))
    return _table(("host", *HEADS), rows)


def steps_table(session: Session) -> Markup:
    """Every step and gate in the order of their beginning, those that went wrong never left out."""
    spans = sorted(session.spans, key=lambda span: span.begin)
    kept = _kept(spans)
    rows = [
        element(
            "tr",
            element("td", f"{span.begin:.1f} s"),
            element("td", seconds(span.end - span.begin)),
            element("td", span.host),
            element("td", span.stage),
            element("td", _named(span)),
            element("td", _said(span), class_="bad" if span.state in ("failed", "unknown") else False),
        )
        for span in kept
    ]
    table = _table(("from", "took", "host", "stage", "step", "outcome"), rows)
    left = len(spans) - len(kept)
    return element("div", table, element("p", f"… and {left:,} more that were done." if left else ""))


def plan_list(plan: PlanMade) -> Markup:
    """Stages, and in each what the hosts do; hosts that do the same are told of together."""
    notes = [element("li", element("strong", "! "), note) for note in plan.plan.get("notes", ())]
    stages = [_stage(stage) for stage in plan.plan.get("stages", ())]
    after = [_stage(stage) for stage in plan.plan.get("after_failure", ())]
    parts = [element("ul", *notes)] if notes else []
    parts += [element("ol", *stages, class_="plan")]
    if after:
        parts += [element("p", "After a failure, once everything is undone:"), element("ol", *after, class_="plan")]
    return element("div", *parts, element("p", f"sha256 {plan.hash}", class_="dim"))


def log(events: Sequence[Event]) -> Markup:
    """All that happened, a line each, as a log of the run would show it."""
    told = [(event.at[11:23], line) for event in events for line in sentences(event, verbose=True)]
    cut = len(told) - MOST_LINES
    if cut > 0:
        between = ("", f"… {cut:,} lines are left out here; the run's journal has them …")
        told = [*told[:HEAD_LINES], between, *told[HEAD_LINES + cut :]]
    return element("pre", "\n".join(f"{at:<12}  {clipped(line, MOST_LINE)}" for at, line in told), tabindex=0)


def _kept(spans: list[Span]) -> list[Span]:
    if len(spans) <= MOST_ROWS:
        return spans
    odd = [span for span in spans if span.state not in ("done", "replayed", "skipped")][:MOST_ROWS]
    rest = [span for span in spans if span not in odd][: MOST_ROWS - len(odd)]
    return sorted([*odd, *rest], key=lambda span: span.begin)


def _named(span: Span) -> str:
    return {"gate": f"gate of {span.name}", "undo": f"↩ {span.name}"}.get(span.kind, span.name)


def _said(span: Span) -> str:
    mark = {"done": "✓ ", "failed": "✗ ", "unknown": "? "}.get(span.state, "")
    readings = f"; {counted(span.readings, 'reading')}, {len(span.bad)} not ok" if span.kind == "gate" else ""
    proofs = f"; identified by {' and '.join(span.proofs)}" if span.proofs else ""
    return f"{mark}{SAYS.get(span.state, span.state)}{readings}{proofs}"


def _stage(stage: Mapping[str, Any]) -> Markup:
    alike: dict[tuple[str, ...], list[str]] = {}
    for lane in stage["lanes"]:
        alike.setdefault(tuple(_steps(lane["steps"])), []).append(lane["host"])
    lanes = [
        element("li", element("strong", named(hosts, most=6)), ": ", " → ".join(steps))
        for steps, hosts in alike.items()
    ]
    return element("li", stage["name"], element("ul", *lanes))


def _steps(steps: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    for step in steps:
        marks = [word for word, key in (("once", "once"), ("no return", "point_of_no_return")) if step.get(key)]
        gate = f" [gate: {step['gate']}]" if step.get("gate") else ""
        yield f"{step['name']}{' (' + ', '.join(marks) + ')' if marks else ''}{gate}"


def _table(heads: Sequence[str], rows: Sequence[Markup]) -> Markup:
    head = element("tr", *(element("th", text, scope="col") for text in heads))
    parts: Sequence[Part] = (element("thead", head), element("tbody", *rows))
    return element("div", element("table", *parts), class_="scroll", tabindex=0)
