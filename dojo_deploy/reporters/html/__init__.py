"""A run as one HTML file that needs nothing else: a pure function of its events.

No script is needed to read it and nothing is loaded. Whatever came from hosts is text; were it ever not, the page's own
policy keeps it from doing anything.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Sequence
from importlib.resources import files

from dojo_deploy.events import Event
from dojo_deploy.reporters.html.axis import Axis
from dojo_deploy.reporters.html.markup import Markup, Part, element, joined
from dojo_deploy.reporters.html.names import names_of
from dojo_deploy.reporters.html.story import Session, read
from dojo_deploy.reporters.html.tables import census_table, log, plan_list, steps_table
from dojo_deploy.reporters.html.timeline import flags, lanes, legend
from dojo_deploy.reporters.html.traffic import answered, charts, course_table, stripes
from dojo_deploy.reporters.html.words import Told, clock, day, top
from dojo_deploy.reporters.text import counted, seconds

MOST_SESSIONS = 6  # drawn: the first, and the last ones
# Paper has no button to open anything with.
SCRIPT = "addEventListener('beforeprint',()=>document.querySelectorAll('details.paper').forEach(one=>one.open=true))"


def page(events: Iterable[Event], *, missing: Sequence[str] = (), inventory: str = "") -> str:
    """The report; `missing` says in sentences what of the run is not known here, `inventory` is what -i takes.

    Raises ValueError without an event.
    """
    sessions = read(events)
    if not sessions:
        raise ValueError("a run without an event has no report")
    told = Told(sessions, names_of(sessions), inventory)
    tone, mark, headline = told.tone
    title = f"{headline}: {told.started.strategy} {told.names.brief(told.started.release)} on {told.started.scope}"
    first = [top(told), *_missing(missing), _facts(told)]
    body = [
        stripes(),
        _head(told),
        element("section", *first, class_=f"card first {tone}", aria_label="What happened"),
        *_pictures(told),
        *_tables(told),
        element("footer", f"run {told.started.run} · {counted(len(_events(told)), 'event')} · times are UTC"),
    ]
    return _document(f"{mark} {title}", joined(body))


def _document(title: str, body: Markup) -> str:
    style = Markup(files(__package__).joinpath("report.css").read_text(encoding="utf-8"))
    allowed = base64.b64encode(hashlib.sha256(SCRIPT.encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{allowed}'; base-uri 'none'"
    head = (
        element("meta", charset="utf-8"),
        element("meta", http_equiv="Content-Security-Policy", content=policy),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="color-scheme", content="light dark"),
        element("meta", name="referrer", content="no-referrer"),
        element("title", title),
        element("style", style),
    )
    main = element("body", element("main", body), element("script", Markup(SCRIPT)))
    return f"<!doctype html>\n{element('html', element('head', *head), main, lang='en')}\n"


def _head(told: Told) -> Markup:
    started, first, last = told.started, told.sessions[0], told.last
    tone, mark, headline = told.tone
    end = last.zero + last.end
    heading = element("h1", element("span", element("span", mark), class_="mark", aria_hidden="true"), headline)
    what = f"{started.strategy} {told.names.brief(started.release)} on {started.scope}"
    took = f" to {clock(end)} UTC, {seconds(end - first.zero)}" if end > first.zero else " UTC"
    times = f"{clock(first.zero)}{took}"
    line = element("p", element("strong", what), f" · {times}", class_="line")
    return element("header", heading, line, class_=tone)


def _facts(told: Told) -> Markup:
    started, last = told.started, told.last
    known = last.finished and last.finished.exit_code >= 0
    facts = (
        ("release", started.release),
        ("began", f"{day(told.sessions[0].zero)}, {clock(told.sessions[0].zero)} UTC"),
        ("by", started.by or "not recorded"),
        ("ended", f"{told.verdict}, exit {last.finished.exit_code}" if last.finished and known else "not recorded"),
        ("run", started.run),
    )
    rows = (element("div", element("dt", label), element("dd", value)) for label, value in facts)
    return element("dl", *rows, class_="facts")


def _missing(missing: Sequence[str]) -> list[Markup]:
    if not missing:
        return []
    lines = (element("li", line) for line in missing)
    return [element("div", element("strong", "Not everything is known here"), element("ul", *lines), class_="missing")]


def _pictures(told: Told) -> list[Markup]:
    sessions = list(enumerate(told.sessions, 1))
    shown = sessions if len(sessions) <= MOST_SESSIONS else [sessions[0], *sessions[1 - MOST_SESSIONS :]]
    many = len(sessions) > 1
    return [_picture(told, session, number if many else 0) for number, session in shown if session.end]


def _picture(told: Told, session: Session, number: int) -> Markup:
    names = told.names
    axis = Axis(max(session.end, 1.0))
    verdict = session.finished.verdict if session.finished else "no end is recorded"
    heading = f"Session {number}, from {clock(session.zero)}: {verdict}" if number else "Second by second"
    plot = element(
        "div",
        axis.lines(),
        flags(session, axis, told.trouble),
        element("div", element("div", "", class_="who"), axis.scale(), class_="row"),
        lanes(session, axis),
        charts(session, axis, names),
        class_="rows",
    )
    parts: list[Part] = [element("h2", heading), legend()]
    parts += [
        element("div", plot, class_="scroll", tabindex=0, role="group", aria_label=f"{heading}; as a table below")
    ]
    load = session.load
    parts.append(answered(session, names))
    if load and not load.course:
        parts.append(element("p", "How the requests went over time is not recorded, only their sums.", class_="dim"))
    parts += [_folded("The same as a table: every step and gate", steps_table(session), paper=True)]
    if load and load.course:
        parts.append(_folded("The requests in figures", element("div", course_table(session, names), class_="scroll")))
    warnings = [element("li", f"{seconds(at)}: {text}") for at, text in session.warnings[:40]]
    if warnings:
        parts.append(element("div", element("h3", "Warnings"), element("ul", *warnings), class_="warnings"))
    return element("section", *parts, class_="card")


def _tables(told: Told) -> list[Markup]:
    census = told.last.census
    plan = next((session.plan for session in reversed(told.sessions) if session.plan), None)
    parts = []
    if census:
        heading = element("h2", f"The fleet at the end: {census.verdict}")
        parts.append(element("section", heading, census_table(census, told.names), class_="card"))
    more = [_folded("The plan", plan_list(plan), paper=True)] if plan else []
    more.append(_folded(f"The log, {counted(len(_events(told)), 'event')}", log(_events(told))))
    return [*parts, element("section", element("h2", "To look up"), *more, class_="card")]


def _folded(heading: str, content: Part, *, paper: bool = False) -> Markup:
    """`paper`: opened for a print."""
    return element("details", element("summary", heading), content, class_="paper" if paper else False)


def _events(told: Told) -> list[Event]:
    return [event for session in told.sessions for event in session.events]
