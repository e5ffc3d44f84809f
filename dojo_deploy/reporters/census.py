"""Tables of what is there: the fleet's census, releases, earlier runs. Pure: plain values in, a table out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from dojo_deploy.reporters.crowds import COLUMNS, HEADS, crowds
from dojo_deploy.reporters.styled import line
from dojo_deploy.reporters.text import fit, inert, named, seconds, standing_by

STYLES = {
    **dict.fromkeys(("consistent", "serving", "done", "ok", "passed"), "green"),
    **dict.fromkeys(
        ("partial", "drained", "halted", "rolled back", "aborted", "interrupted", "open", "running"), "yellow"
    ),
    **dict.fromkeys(("mixed", "kept", "tolerated", "unknown", "sick", "wrong", "bad", "failed", "fenced"), "bold red"),
    **dict.fromkeys(("bare", "none", "empty", "never began", "–"), "dim"),
}


def census_table(
    rows: Mapping[str, Mapping[str, str]],
    verdict: str,
    through_balancer: Mapping[str, int] | None = None,
    live: str = "",
    standby: Mapping[str, str] | None = None,
) -> RenderableType:
    """Which release each host links, runs and answers with; a crowd of equal hosts takes one row.

    `live`, the colour of the rows, is told where there is a `standby` beside it, or where it is the second one.
    """
    table = _table("host", *HEADS)
    for hosts, values in crowds(rows):
        table.add_row(named(map(inert, hosts), most=1), *_cells(values))
    said = line(("the fleet is ", "dim"), (inert(verdict), STYLES.get(verdict, "bold")))
    if standby or live == "green":
        said.append_text(line((" in ", "dim"), (inert(live), "bold")))
    total = sum((through_balancer or {}).values())
    if total:
        parts = ", ".join(f"{inert(name)} {number:,}" for name, number in (through_balancer or {}).items())
        said.append_text(line(("  ·  through the balancer ", "dim"), parts, (f" of {total:,}", "dim")))
    beside = [Text(f"{standing_by(standby)}: `rollback` or `retire`", "dim")] if standby else []
    return Group(table, Text(), said, *beside)


def releases_table(known: Iterable[Mapping[str, str]], current: Mapping[str, str] | None = None) -> Table:
    """The record, in the order given. `known` has id, ref, commit, passed, bad; `current` is host -> release id."""
    table = _table("release", "ref", "commit", *(["on"] if current else []), "gates passed, UTC")
    for release in known:
        hosts = [inert(host) for host, name in (current or {}).items() if name == release["id"]]
        name = Text(inert(release["id"]), "bold green" if hosts else "")
        cells = (inert(release.get("ref", "")), inert(release.get("commit", "")[:7]))
        table.add_row(name, *map(Text, cells), *([Text(named(hosts), "green")] if current else []), _standing(release))
    return table


def history_table(runs: Iterable[Mapping[str, object]]) -> Table:
    """Runs in the order given, a line each: run, at, strategy, release, ref, by, verdict, seconds, open, reason."""
    table = _table("run", "began, UTC", "strategy", "release", "by", "ended", "took", "why")
    for run in runs:
        texts = {key: inert(str(run.get(key) or "")) for key in ("run", "at", "strategy", "release", "ref", "by")}
        verdict = str(run.get("verdict") or "open")
        resumable = " (open)" if run.get("open") and verdict not in ("open", "running") else ""
        took = run.get("seconds")
        reason = inert(str(run.get("reason") or "").strip().partition("\n")[0])
        table.add_row(
            Text(texts["run"].rpartition("-")[2]),
            Text(_minute(texts["at"])),
            Text(texts["strategy"]),
            Text(_release(texts["release"].partition("-")[0], texts["ref"])),
            Text(texts["by"].partition(" (")[0], "dim"),
            Text(inert(verdict) + resumable, _style(verdict)),
            Text(seconds(took) if isinstance(took, (int, float)) else "–", "dim"),
            _rest(reason, "dim"),
        )
    return table


def _release(short: str, ref: str) -> str:
    """`v2 4f3a9c1`; the whole is in the JSON."""
    return f"{fit(ref, 12)} {short[:7]}" if ref else short[:7]


def _standing(release: Mapping[str, str]) -> Text:
    if release.get("bad"):
        return _rest(inert(f"bad: {release['bad']}".partition("\n")[0]), "red")
    return Text(_minute(release["passed"])) if release.get("passed") else Text("never", "dim")


def _minute(at: str) -> str:
    """`11-23 15:31`; the year is in the run's full id and in the JSON."""
    return at[5:16].replace("T", " ")


def _rest(text: str, style: str) -> Text:
    """What gets the room that is left, in one line."""
    return Text(text, style, no_wrap=True, overflow="ellipsis")


def _cells(values: Mapping[str, str]) -> list[Text]:
    cells = []
    link = values.get("current", "")
    for column in COLUMNS:
        value = values.get(column, "")
        release, times, count = value.partition(" ×")
        if column in ("running", "health") and link not in ("", "–") and release == link:
            cells.append(Text(f"same{times}{count}", "dim"))
        else:
            cells.append(Text(inert(value), _style(value)))
    return cells


def _style(value: str) -> str:
    return STYLES.get(value) or STYLES.get(value.partition(":")[0], "")


def _table(*heads: str) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    for head in heads:
        table.add_column(Text(head), overflow="fold")
    return table
