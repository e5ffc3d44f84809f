"""What of a run stays on the screen: one line per finished stage, and everything that went wrong, in full."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rich.text import Text

from dojo_deploy.events import (
    CensusTaken,
    Event,
    GateFailed,
    OutputWritten,
    PlanMade,
    RunFinished,
    RunStarted,
    StageFinished,
    StepFinished,
    UndoStarted,
    UsersServed,
    Warned,
)
from dojo_deploy.reporters.board import UNDO, Board
from dojo_deploy.reporters.sentences import served_line
from dojo_deploy.reporters.styled import line, paragraph, quoted
from dojo_deploy.reporters.text import counted, fit, inert, inert_lines, named, seconds

WIDEST = 110


class Facts:
    """Turns an event into the lines that stay. `board` is as it was before the event."""

    def __init__(self, board: Board, *, verbose: bool) -> None:
        self._board = board
        self._verbose = verbose
        self._explained: set[str] = set()  # steps whose failure has been told
        self._undo_told = False
        self._tellers: dict[type[Event], Callable[[Any, int], list[Text]]] = {
            RunStarted: self._run_started,
            PlanMade: self._plan_made,
            StageFinished: self._stage_finished,
            StepFinished: self._step_finished,
            GateFailed: self._gate_failed,
            OutputWritten: self._output_written,
            UndoStarted: self._undo_started,
            Warned: self._warned,
            UsersServed: self._users_served,
            CensusTaken: self._undone,
            RunFinished: self._undone,
        }

    def tell(self, event: Event, width: int) -> list[Text]:
        teller = self._tellers.get(type(event))
        return teller(event, width) if teller else []

    def _run_started(self, event: RunStarted, _: int) -> list[Text]:
        head = line((inert(event.strategy), "bold"), "  ", (inert(event.release), "bold cyan"))
        head.append_text(line(("  →  ", "dim"), (inert(event.scope), "bold")))
        if event.resumed:
            head.append("  resumed", "yellow")
        by = f"by {inert(event.by)} · " if event.by else ""
        return [Text(), head, Text(f"{by}run {inert(event.run)}", "dim"), Text()]

    def _plan_made(self, event: PlanMade, width: int) -> list[Text]:
        notes = [
            row
            for note in event.plan.get("notes", ())
            for row in paragraph(("! ", "yellow"), inert(str(note)), "", width)
        ]
        return [*notes, Text()] if notes else []

    def _stage_finished(self, event: StageFinished, width: int) -> list[Text]:
        mark, style = ("✓", "green") if event.ok else ("✗", "bold red")
        pad = min(max(map(len, [*self._board.stages, event.stage])), 28)
        width = min(width, WIDEST)
        row = line((f"{mark} ", style), (fit(inert(event.stage), pad).ljust(pad), ""), "  ")
        took = seconds(event.seconds)
        hosts = named(map(inert, self._board.stages.get(event.stage, {})))
        if self._board.proofs:
            hosts += f" · identified by {' and '.join(map(inert, self._board.proofs))}"
        row.append(fit(hosts, max(width - len(row) - len(took) - 2, 0)), "dim")
        row.append(" " * max(width - row.cell_len - len(took), 1) + took, "dim")
        return [row]

    def _users_served(self, event: UsersServed, width: int) -> list[Text]:
        return [Text(), *paragraph(("✓ ", "bold green"), inert(served_line(event)), "", width)]

    def _step_finished(self, event: StepFinished, width: int) -> list[Text]:
        if event.outcome not in ("failed", "unknown") or event.step in self._explained:
            return []
        undo = "undo: " if event.step.endswith(UNDO) else ""
        how = "failed" if event.outcome == "failed" else "may or may not have run: its answer was lost"
        return self._trouble(event.step, event.host, f"{undo}{event.name}", how, event.seconds, event.detail, width)

    def _gate_failed(self, event: GateFailed, width: int) -> list[Text]:
        name = event.step.rpartition("/")[2].removesuffix(UNDO)
        return self._trouble(event.step, event.host, name, "the gate did not pass", event.seconds, event.cause, width)

    def _output_written(self, event: OutputWritten, width: int) -> list[Text]:
        return quoted(f"{inert(event.host)} │ ", "dim", inert(event.line), width) if self._verbose else []

    def _undo_started(self, event: UndoStarted, width: int) -> list[Text]:
        # The first line will do: what went wrong was told in full where it did.
        return [Text(), *paragraph(("↩ Undoing  ", "bold yellow"), inert_lines(event.reason)[0], "yellow", width)]

    def _warned(self, event: Warned, width: int) -> list[Text]:
        first, *rest = inert_lines(event.text)
        told = paragraph(("! ", "bold yellow"), first, "yellow", width)
        return told + [row for part in rest for row in quoted("  ", "", part, width)]

    def _undone(self, _: Event, __: int) -> list[Text]:
        steps = self._board.undone
        if self._undo_told or not steps:
            return []
        self._undo_told = True
        text = f"{counted(sum(steps.values()), 'step')} undone on {named(map(inert, steps))}"
        return [line(("↩ ", "yellow"), (text, ""))]

    def _trouble(self, step: str, host: str, name: str, how: str, took: float, cause: str, width: int) -> list[Text]:
        self._explained.add(step)
        head = line(("✗ ", "bold red"), (inert(host), "bold"), " · ", inert(name), (f"  {how}", "red"))
        head.append(f" after {seconds(took)}" if took else "", "dim")
        block = inert_lines(cause) if cause.strip() else []
        return [head, *(row for part in block for row in quoted("  │ ", "red", part, width))]
