"""The top of a report, in words: what happened, when, why, how the fleet is now, and what to type next."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone

from dojo_deploy.events import LoadMeasured, RunStarted
from dojo_deploy.reporters.html.fleet import standing
from dojo_deploy.reporters.html.markup import Markup, Part, clipped, element, joined, typed
from dojo_deploy.reporters.html.names import Names
from dojo_deploy.reporters.html.story import Session, Trouble
from dojo_deploy.reporters.sentences import MEANS, NEXT
from dojo_deploy.reporters.text import counted, milliseconds, named, seconds

# verdict -> tone, mark, headline
VERDICTS = {
    "done": ("good", "✓", "Done"),
    "partial": ("good", "✓", "Done, on some hosts"),
    "aborted": ("warn", "↩", "Undone, as asked"),
    "rolled back": ("warn", "↩", "Rolled back"),
    "interrupted": ("warn", "‖", "Interrupted"),
    "tolerated": ("bad", "✗", "Done, but not on every host"),
    "kept": ("bad", "✗", "Not undone: the schema has no way back"),
    "halted": ("bad", "✗", "Halted half way"),
    "mixed": ("bad", "✗", "Mixed: the fleet needs a person"),
    "fenced": ("bad", "✗", "Taken over by another session"),
    "": ("bad", "?", "No end is recorded"),
}
MOST_TROUBLES = 4
MOST_LOOKS = 3
MOST_CAUSE = 8000  # characters
OPEN = ("resume", "abort", "status")
# Strategies that bring no other release -> what one that is done has done.
STAYING = {
    "restart": " was restarted, and passed every gate.",
    "retire": " serves alone: what stood by was stopped.",
    "migrate": " serves as before, on the migrated database.",
    "restore": " serves as before, on the restored database.",
    "maintenance": " went through its maintenance as planned.",
    "reopen": " is open to users again, and passed every gate.",
    "index": " serves as before: the index is built, and valid.",
    "reindex": " serves as before: the indexes are rebuilt.",
    "vacuum": " serves as before: the tables are vacuumed.",
    "terminate": " serves as before: the forgotten sessions are ended.",
}


@dataclass(frozen=True)
class Told:
    """The run as a whole."""

    sessions: Sequence[Session]
    names: Names
    inventory: str = ""  # for what is to be typed

    @property
    def started(self) -> RunStarted:
        found = next((session.started for session in reversed(self.sessions) if session.started), None)
        return found or RunStarted(run="", scope="", strategy="", release="")

    @property
    def last(self) -> Session:
        return self.sessions[-1]

    @property
    def verdict(self) -> str:
        return self.last.finished.verdict if self.last.finished else ""

    @property
    def tone(self) -> tuple[str, str, str]:
        tone, mark, headline = VERDICTS.get(self.verdict, ("bad", "✗", self.verdict.capitalize()))
        # It may have been so before the run; whoever is woken must see it all the same.
        if self.is_mixed and tone != "bad":
            return "bad", "✗", f"{headline}, but the fleet is mixed"
        return tone, mark, headline

    @property
    def is_mixed(self) -> bool:
        return self.last.census is not None and self.last.census.verdict == "mixed" and self.verdict != "partial"

    @property
    def trouble(self) -> tuple[Session, Trouble] | None:
        """What ended the run: named by its reason, else the first thing that went wrong."""
        found = [(session, trouble) for session in self.sessions for trouble in session.troubles]
        reason = self.last.finished.reason if self.last.finished else self.last.undo.reason if self.last.undo else ""
        return next((pair for pair in found if reason.startswith(pair[1].step)), found[0] if found else None)


def top(told: Told) -> Markup:
    """The rows of the first card."""
    rows: list[tuple[str, Sequence[Part]]] = [("What", _what(told)), ("When", _when(told))]
    why = list(_why(told))
    rows += [("Why", why)] if why else []
    rows += [("Now", standing(told.last.census, told.names, told.inventory))]
    load = next((session.load for session in reversed(told.sessions) if session.load), None)
    rows += [("Users saw", users(load, told.names))] if load else []
    rows += [("Next", list(_next(told)))]
    return element(
        "dl",
        *(joined((element("dt", label), element("dd", *parts))) for label, parts in rows),
        class_="told",
    )


def clock(at: float) -> str:
    return datetime.fromtimestamp(at, timezone.utc).strftime("%H:%M:%S")


def day(at: float) -> str:
    return datetime.fromtimestamp(at, timezone.utc).strftime("%-d %B %Y")


def users(load: LoadMeasured, names: Names) -> list[Part]:
    """`0 failed of 18,214 requests`, and the slowest of them."""
    if not load.requests:
        return [f"No request was counted: {load.counted_from or 'none was made'}."]
    failed = element("strong", f"{load.failures:,} failed", class_="bad" if load.failures else "good")
    p99 = f", p99 {milliseconds(load.p99_ms)}" if load.p99_ms else ""
    times = f"p50 {milliseconds(load.p50_ms)}, p95 {milliseconds(load.p95_ms)}{p99}"
    kinds = sorted(load.errors.items(), key=lambda item: -item[1])[:MOST_TROUBLES]
    errors = "; ".join(f"{count:,} × {clipped(kind, 120)}" for kind, count in kinds)
    by = ", ".join(f"{names.brief(release)} {count:,}" for release, (_, _, count) in load.answers.items())
    only = f" · only until {load.seconds:.0f} s: {load.cut_short}" if load.cut_short else ""
    tail = "".join((only, f" · {times}", f" · answered by {by}" if by else ""))
    return [failed, f" of {load.requests:,} requests{tail}", *([element("p", errors, class_="bad")] if errors else [])]


def _what(told: Told) -> list[Part]:
    started, finished = told.started, told.last.finished
    release = element("strong", told.names.brief(started.release) or "the release")
    trouble = told.trouble
    failed: list[Part] = []
    if trouble:
        _, found = trouble
        step = element("strong", found.name)
        host = element("strong", found.host)
        said = {
            "gate": [" did not pass the gate of ", step, " on ", host],
            "failed": [" did not get past ", step, ", which failed on ", host],
            "unknown": [" did not get past ", step, " on ", host, ", whose answer was lost (it may have run)"],
        }
        stage = found.step.partition("/")[0]
        failed = [release, *said[found.how], f" ({stage})" if stage != found.name else ""]
    reason = finished.reason.partition("\n")[0] if finished else ""
    kept = _kept(finished.reason) if finished else ""
    undone = [f". {kept}." if kept else ". All of it was undone."]
    ends: dict[str, list[Part]] = {
        "done": [release, STAYING.get(started.strategy, " passed every gate and is in service.")],
        "partial": [release, " passed every gate on the hosts that were asked for (--limit)."],
        "rolled back": [*(failed or [release, f": {reason}"]), *undone],
        "aborted": [release, " was undone at the operator's word", f": {reason}" if reason else "", "."],
        "mixed": [*(failed or [release, f": {reason}"]), "; and undoing it did not succeed on every host."],
        "kept": [*(failed or [release, f": {reason}"]), "; no older release can run on the migrated schema."],
        "halted": [*(failed or [release, f": {reason}"]), "; the run stopped there, nothing was undone."],
        "interrupted": [release, f" was stopped half way: {reason}. Nothing was undone."],
        "tolerated": [release, f" is in service, within max_failures: {reason}."],
        "fenced": [f"Another session took this run over: {reason}. This one changed nothing after that."],
    }
    unended = "the program ended or was killed without a word, or still runs."
    return ends.get(told.verdict) or [*(failed or [release]), "; ", unended]


def _kept(reason: str) -> str:
    """Why undoing stopped where it did, which the reason tells in its last line."""
    found = re.search(r"^\(kept: (.+)\)$", reason, re.MULTILINE)
    if not found:
        return ""
    step, way, _ = found[1].partition(" has no way back;")
    return f"Everything after {step} was undone; {step} has no way back" if way else found[1][:1].upper() + found[1][1:]


def _when(told: Told) -> list[Part]:
    first, last = told.sessions[0], told.last
    begun = f"{day(first.zero)}, {clock(first.zero)} UTC"
    took = last.zero + last.end - first.zero
    ended = (
        f", ended {seconds(took)} later at {clock(last.zero + last.end)}"
        if took
        else "; its end's time is not recorded"
    )
    parts: list[Part] = [f"Began {begun}{ended}."]
    if told.trouble:
        session, trouble = told.trouble
        at = element("strong", clock(session.zero + trouble.at))
        parts = ["Failed at ", at, f" UTC, {seconds(trouble.at)} after it began. ", *parts]
    if len(told.sessions) > 1:
        parts.append(f" In {counted(len(told.sessions), 'session')}: it was taken up again.")
    return parts


def _why(told: Told) -> Iterator[Part]:
    """What ended the run first, in full; others that failed alike in one line each."""
    main = told.trouble[1] if told.trouble else None
    troubles = [trouble for session in told.sessions for trouble in session.troubles]
    ordered = sorted(troubles, key=lambda trouble: trouble is not main)
    for trouble in ordered[:MOST_TROUBLES]:
        first = trouble.cause.strip().partition("\n")[0] or trouble.how
        heads = [f"{probe}: {detail}" for probe, detail in trouble.looks.items()] or [first]
        if main and trouble is not main and (trouble.name, [*trouble.looks]) == (main.name, [*main.looks]):
            heads = [f"{' and '.join(trouble.looks) or first}: as on {main.host}"]
        for head in heads[:MOST_LOOKS]:
            yield element("p", f"{trouble.host} · {trouble.name} ", element("code", clipped(head, 400)), class_="why")
        if trouble.cause.strip() != heads[0]:
            block = element("pre", clipped(trouble.cause.strip("\n"), MOST_CAUSE), tabindex=0)
            paper = "paper" if trouble is main else False
            yield element("details", element("summary", f"All that {trouble.host} had to say"), block, class_=paper)
    if len(ordered) > MOST_TROUBLES:
        hosts = named(dict.fromkeys(trouble.host for trouble in ordered[MOST_TROUBLES:]))
        yield element("p", f"… and {len(ordered) - MOST_TROUBLES} more, on {hosts}: see the log below.")


def _next(told: Told) -> Iterator[Part]:
    finished, census = told.last.finished, told.last.census
    hints = (NEXT.get(finished.verdict, ()) if finished.exit_code else ()) if finished else OPEN
    rows = [(name, MEANS[name]) for name in hints]
    brings = told.started.strategy not in ("rollback", *STAYING)
    if told.verdict == "rolled back":
        look = "see what is wrong with it" if told.is_mixed else "see that it is so"
        rows = [("status", look)]
        if brings:
            rows.append(("deploy --ref …", "bring a corrected one; this is marked bad"))
    elif told.verdict == "done" and brings:
        quick = census and census.standby
        rows = [("rollback", "switches back within seconds, should it be needed" if quick else "the way back")]
    if not rows:
        yield "Nothing is left to do."
        return
    lines = (
        element("li", typed(name, told.inventory), " ", element("span", means, class_="dim")) for name, means in rows
    )
    yield element("ul", *lines, class_="next")
