"""What is wrong with hosts, as text: host, fault, and under it the line to paste, which is never wrapped."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from rich.console import Group, RenderableType
from rich.text import Text

from dojo_deploy.reporters.text import inert, seconds


def findings_text(rows: Sequence[Mapping[str, object]], hosts: Sequence[str], took: float) -> RenderableType:
    """`rows` have fault, host, what, fix and note; `hosts` are those that were asked."""
    faulty = {row["host"] for row in rows if not row["note"]}
    faults = sum(not row["note"] for row in rows)
    wide = max((len(str(row["host"])) for row in rows), default=0)
    lines = [line for row in rows for line in _lines(row, wide)]
    asked = f"{len(hosts)} host{'s' * (len(hosts) != 1)} asked in {seconds(took)}, nothing changed"
    if faults:
        found = f"{faults} fault{'s' * (faults != 1)} on {len(faulty)} of them" if faulty <= set(hosts) else ""
        verdict = Text.assemble((found or f"{faults} fault{'s' * (faults != 1)}", "bold red"), (f"; {asked}", "dim"))
    else:
        verdict = Text.assemble(("nothing is wrong", "green"), (f"; {asked}", "dim"))
    return Group(*lines, *([Text()] if lines else []), verdict)


def _lines(row: Mapping[str, object], wide: int) -> Iterator[Text]:
    host, note = inert(str(row["host"])), bool(row["note"])
    mark = ("· ", "dim") if note else ("✗ ", "bold red")
    first, *rest = str(row["what"]).strip().splitlines() or [""]
    yield Text.assemble(mark, (host.ljust(wide), "" if note else "bold"), "  ", (inert(first), "dim" if note else ""))
    for line in rest:
        yield Text(f"{' ' * (wide + 4)}{inert(line)}", "dim")
    if row["fix"]:
        yield Text.assemble(f"{' ' * (wide + 4)}", ("→ ", "dim"), (inert(str(row["fix"])), "cyan"))
