"""What each host did when: one lane for each, and for a crowd that did the same one lane together."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from dojo_deploy.reporters.html.axis import Axis
from dojo_deploy.reporters.html.markup import Markup, element, escaped, joined, number
from dojo_deploy.reporters.html.story import Session, Span, Trouble, hosts_of
from dojo_deploy.reporters.text import counted, seconds

MOST_LANES = 24
MOST_TICKS = 40  # bad readings drawn in one gate
MARKS = {"failed": "✗ ", "unknown": "? ", "open": "… ", "skipped": "– ", "replayed": "= "}
SAYS = {
    "done": "done",
    "failed": "failed",
    "unknown": "its answer was lost",
    "open": "no end is recorded",
    "skipped": "there was nothing to undo",
    "replayed": "an earlier session had done it",
}
LEGEND = (
    ("step done", "step"),
    ("gate done", "gate held"),
    ("step failed", "✗ failed"),
    ("undo done", "↩ undo"),
    ("step open", "… no end recorded"),
)


def lanes(session: Session, axis: Axis) -> Markup:
    """Rows for the stages and for the hosts: of a crowd, those first where something went wrong."""
    shown, crowd = _chosen(session)
    rows = [_row("stages", "stages", "", [_bar(span, axis) for span in session.stages], "stages")]
    domain = _domain(shown)
    for host in shown:
        spans = [span for span in session.spans if span.host == host]
        mark = "✗ " if any(span.state in ("failed", "unknown") for span in spans) else ""
        rows.append(_row(host, host.removesuffix(domain), mark, [_bar(span, axis) for span in spans], "host"))
    if crowd:
        rows.append(_crowd(session, crowd, axis))
    return joined(rows)


def flags(session: Session, axis: Axis, main: tuple[Session, Trouble] | None) -> Markup:
    """A line through all rows where the run failed: at what ended it, or else at the first failure."""
    mine = main[1] if main and main[0] is session else None
    first = mine or next((trouble for trouble in session.troubles if not trouble.undoing), None)
    if not first:
        return Markup()
    at = axis.at(first.at)
    side = "left" if at < 50 else "right"
    label = element("b", f"✗ {first.host} {first.name}, {seconds(first.at)}", class_=side)
    return element("div", element("i", label, style=f"left:{number(at)}%"), class_="flags")


def legend() -> Markup:
    keys = (element("li", element("i", class_=f"bar {name}"), text) for name, text in LEGEND)
    return element("ul", *keys, class_="legend")


def _chosen(session: Session) -> tuple[list[str], list[str]]:
    hosts = hosts_of(session.spans)
    if len(hosts) <= MOST_LANES:
        return hosts, []
    odd = {span.host for span in session.spans if span.state in ("failed", "unknown", "open")}
    odd |= {span.host for span in session.spans if span.bad}
    ordered = sorted(hosts, key=lambda host: host not in odd)
    return ordered[:MOST_LANES], ordered[MOST_LANES:]


def _domain(hosts: Sequence[str]) -> str:
    """What all these names end with, from a dot on: it would take the room of what tells them apart."""
    ends = {host[host.find(".") :] if "." in host else "" for host in hosts}
    return ends.pop() if len(ends) == 1 else ""


def _crowd(session: Session, hosts: Sequence[str], axis: Axis) -> Markup:
    """For each stage from the first that began to the last that ended."""
    among = set(hosts)
    parts: dict[tuple[str, str], list[Span]] = {}
    for span in session.spans:
        if span.host in among:
            parts.setdefault((span.stage, span.kind if span.kind == "undo" else "step"), []).append(span)
    bars = []
    for (stage, kind), spans in parts.items():
        begin, end = min(span.begin for span in spans), max(span.end for span in spans)
        many = counted(len(hosts_of(spans)), "host")
        whole = Span(kind, "", f"{many}: {stage}", stage, begin, end, "done")
        bars.append(_bar(whole, axis))
    name = f"{len(hosts):,} more"
    return _row(name, name, "", bars, "host crowd")


def _row(name: str, short: str, mark: str, bars: Sequence[Markup], kind: str) -> Markup:
    who = element("div", element("b", mark) if mark else "", element("span", short, title=name), class_="who")
    return element("div", who, element("div", *bars, class_="track"), class_=f"row {kind}")


def _bar(span: Span, axis: Axis) -> Markup:
    ticks = joined(_ticks(span)) if span.kind == "gate" else Markup()
    tone = "failed" if span.state == "failed" else "open" if span.state in ("open", "unknown") else "done"
    return element(
        "span",
        ticks,
        element("em", _label(span)),
        class_=f"bar {span.kind} {tone}",
        style=axis.place(span.begin, span.end),
        title=_title(span),
    )


def _label(span: Span) -> str:
    mark = MARKS.get(span.state, "")
    if span.kind == "undo":
        return f"↩ {mark}{span.name}"
    return f"{mark}gate" if span.kind == "gate" else f"{mark}{span.name}"


def _title(span: Span) -> str:
    what = f"gate of {span.name}" if span.kind == "gate" else f"undo: {span.name}" if span.kind == "undo" else span.name
    said = SAYS.get(span.state, span.state)
    where = f" on {span.host}" if span.host else ""
    parts = [f"{what}{where}: {said}, {seconds(span.end - span.begin)}, from {seconds(span.begin)}"]
    if span.kind == "gate":
        parts.append(f"{counted(span.readings, 'reading')}, {len(span.bad)} not ok")
        parts += [f"identified by {' and '.join(span.proofs)}"] if span.proofs else []
    return "; ".join(parts)


def _ticks(span: Span) -> Iterator[Markup]:
    lasting = span.end - span.begin
    if lasting <= 0:
        return
    step = max(1, len(span.bad) // MOST_TICKS)
    for second in span.bad[::step]:
        left = 100 * (second - span.begin) / lasting
        yield Markup(f'<i style="left:{escaped(number(min(max(left, 0.0), 99.5)))}%"></i>')
