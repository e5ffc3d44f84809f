"""A run as a page of Markdown: what a job's summary shows of it, or a comment, or a chat."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from dojo_deploy.events import CensusTaken, Event, LoadMeasured, PlanMade, RunFinished, RunStarted, Warned
from dojo_deploy.reporters.cases import Case, cases, last
from dojo_deploy.reporters.crowds import COLUMNS, HEADS, crowds
from dojo_deploy.reporters.sentences import answers_line, hints, load_line, page_line
from dojo_deploy.reporters.text import counted, inert, inert_lines, named, seconds, standing_by, typed

MOST_TROUBLES = 20
MARKS = {0: "✅", 20: "↩️", 130: "⏸️"}
SPECIAL = re.compile(r"([\\`*_{}\[\]<>#|~&])")


def markdown(events: Sequence[Event]) -> str:
    """The verdict first; then why, what to type next, how the fleet is, and what users saw."""
    return "\n".join(_lines(events)) + "\n"


def _lines(events: Sequence[Event]) -> Iterator[str]:
    started, finished = last(events, RunStarted), last(events, RunFinished)
    yield _head(started, finished)
    if finished:
        yield from _why(finished)
    wrong = [case for case in cases(events)[:-1] if case.is_wrong] if finished else []
    name = finished.inventory if finished else ""
    for case in wrong[:MOST_TROUBLES]:
        yield from _trouble(case)
    if len(wrong) > MOST_TROUBLES:
        more = counted(len(wrong) - MOST_TROUBLES, "other trouble")
        yield from ("", f"… and {more}: `{typed('report', name)}` shows them.")
    yield from _fleet(last(events, CensusTaken))
    yield from _figures(finished, last(events, LoadMeasured))
    yield from _said(events)


def _head(started: RunStarted | None, finished: RunFinished | None) -> str:
    mark = MARKS.get(finished.exit_code, "❌") if finished else "❔"
    end = finished.verdict if finished else "no end was told"
    if not started:
        return f"### {mark} {_plain(end)}"
    ref = started.refs.get(started.release, "")
    what = f"{started.strategy} {f'{ref} ({started.release})' if ref else started.release}".rstrip()
    took = f" in {seconds(finished.seconds)}" if finished else ""
    about = f"by {started.by} · " if started.by else ""
    head = f"### {mark} {_plain(end)}: {_plain(what)} on {_plain(started.scope)}"
    return f"{head}\n\n{_plain(about)}run `{started.run}`{' resumed, and ended' if started.resumed else ''}{took}"


def _why(finished: RunFinished) -> Iterator[str]:
    if finished.exit_code:
        yield from ("", f"Exit code **{finished.exit_code}**.")
    if finished.reason.strip():
        yield from ("", *_fenced(finished.reason))
    if lines := hints(finished):
        yield from ("", "What to type next:", "", *(f"- `{line}`: {means}" for line, means in lines))


def _trouble(case: Case) -> Iterator[str]:
    head = f"<b>{_plain(case.stage)} · {_plain(case.name)}</b>: {_plain(case.title)}"
    yield from ("", f"<details><summary>{head}</summary>", "", *_fenced(case.text or case.title), "", "</details>")


def _fleet(census: CensusTaken | None) -> Iterator[str]:
    if not census or not census.rows:
        return
    yield from ("", f"| host | {' | '.join(HEADS)} |", f"|{'---|' * (len(HEADS) + 1)}")
    for hosts, values in crowds(census.rows):
        cells = [named(hosts, most=1), *(values.get(column, "") for column in COLUMNS)]
        yield f"| {' | '.join(map(_plain, cells))} |"
    total = sum(census.through_balancer.values())
    parts = ", ".join(f"{release} {count:,}" for release, count in census.through_balancer.items())
    through = f"; through the balancer {parts} of {total:,}" if total else ""
    beside = f"; {standing_by(census.standby)}" if census.standby else ""
    yield from ("", _plain(f"The fleet is {census.verdict}{through}{beside}."))


def _figures(finished: RunFinished | None, load: LoadMeasured | None) -> Iterator[str]:
    if load:
        answers = f" ({answers_line(load)})" if load.answers else ""
        yield from ("", _plain(f"Requests: {load_line(load)}{answers}"))
    if finished and finished.stage_seconds:
        times = " · ".join(f"{name} {seconds(took)}" for name, took in finished.stage_seconds.items())
        yield from ("", _plain(f"Time: {times}"))
        if told := page_line(finished):
            yield from ("", f"Maintenance page: {told}")


def _said(events: Sequence[Event]) -> Iterator[str]:
    plan = last(events, PlanMade)
    notes = [str(note) for note in plan.plan.get("notes", ())] if plan else []
    notes += [event.text for event in events if isinstance(event, Warned)]
    if notes:
        yield from ("", *(f"- {_plain(note.partition(chr(10))[0])}" for note in notes))


def _fenced(text: str) -> list[str]:
    """In a fence that the text cannot close."""
    lines = inert_lines(text)
    longest = max((len(run) for line in lines for run in re.findall("`+", line)), default=0)
    fence = "`" * max(3, longest + 1)
    return [f"{fence}text", *lines, fence]


def _plain(text: str) -> str:
    """In which nothing is markup."""
    return SPECIAL.sub(r"\\\1", inert(text))
