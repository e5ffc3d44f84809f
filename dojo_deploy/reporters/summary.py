"""The end of a run: what users saw, where the time went, the verdict, and what to type next."""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from dojo_deploy.events import CensusTaken, LoadMeasured, RunFinished
from dojo_deploy.reporters.census import census_table
from dojo_deploy.reporters.sentences import answers_line, hints, load_line, page_line
from dojo_deploy.reporters.styled import line
from dojo_deploy.reporters.text import counted, inert, inert_lines, seconds

SLOWEST = 6
NARROW = 60


def closing(finished: RunFinished, census: CensusTaken | None, load: LoadMeasured | None) -> RenderableType:
    """The closing report."""
    parts = [measured(census, load, finished), _verdict(finished)]
    if lines := hints(finished):
        parts.append(_hints(lines))
    return Padding(Group(*parts), (0, 0, 1, 0))


def measured(
    census: CensusTaken | None, load: LoadMeasured | None, finished: RunFinished | None = None
) -> RenderableType:
    """What is known of the fleet, the requests and the time, where it is known."""
    parts: list[RenderableType] = [Text()]
    if census:
        seen = (census.rows, census.verdict, census.through_balancer, census.live, census.standby)
        parts += [census_table(*seen), Text()]
    table = Table.grid(padding=(0, 2, 0, 0))
    if finished and finished.stage_seconds:
        table.add_row(Text("time", "dim"), _times(finished))
        if told := page_line(finished):
            table.add_row(Text("page", "dim"), Text(told))
    if load:
        table.add_row(Text("requests", "dim"), _load(load))
    if table.row_count:
        parts += [table, Text()]
    return Group(*parts)


def _load(load: LoadMeasured) -> Text:
    text = line((load_line(load), "bold red" if load.failures else ""))
    if load.requests and not load.failures:
        text.stylize("green", 0, text.plain.index("failed") + len("failed"))
    if load.answers:
        answers = answers_line(load)
        text.append("\n" + (answers if len(answers) <= NARROW else answers.replace("), ", ")\n")), "dim")
    for kind, count in sorted(load.errors.items(), key=lambda item: -item[1])[:SLOWEST]:
        text.append(f"\n{count:,} × {inert(kind)}", "red")
    if load.counted_from:
        text.append(f"\ncounted from {inert(load.counted_from)}", "dim")
    return text


def _times(finished: RunFinished) -> Text:
    stages = finished.stage_seconds
    shown = sorted(stages, key=lambda name: -stages[name])[:SLOWEST] if len(stages) > SLOWEST + 2 else list(stages)
    text = Text()
    for name in (name for name in stages if name in shown):
        text.append_text(line(" · " if text else "", f"{inert(name)} ", (seconds(stages[name]), "bold")))
    if len(shown) < len(stages):
        rest = sum(took for name, took in stages.items() if name not in shown)
        text.append(f" · {counted(len(stages) - len(shown), 'quicker stage')} {seconds(rest)}", "dim")
    return text


def _verdict(finished: RunFinished) -> Text:
    good = finished.exit_code == 0
    style = "bold green" if good else "bold yellow" if finished.exit_code in (20, 130) else "bold red"
    text = line((f"{'✓' if good else '✗'} {inert(finished.verdict)}", style), f" in {seconds(finished.seconds)}")
    text.append(f"   exit {finished.exit_code}", "dim")
    if finished.reason:
        first, *rest = inert_lines(finished.reason)
        # What was kept, and what to do about it, comes last, and was not said before.
        is_last = finished.verdict == "kept" or bool(rest and rest[-1].startswith("(kept: "))
        kept = rest.pop() if rest and is_last else ""
        text.append_text(line(f"\n  {first}", (" … in full above" if rest else "", "dim")))
        text.append_text(line((f"\n  {kept}" if kept else "", "yellow")))
    return text


def _hints(lines: tuple[tuple[str, str], ...]) -> Text:
    text = Text("  next: ", "dim")
    wide = max(15, *(len(typed) for typed, _ in lines)) + 1
    for number, (typed, means) in enumerate(lines):
        text.append_text(line("\n        " if number else "", (inert(typed).ljust(wide), "bold"), (means, "dim")))
    return text
