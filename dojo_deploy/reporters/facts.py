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
    Warned,
)
from dojo_deploy.reporters.board import UNDO, Board
from dojo_deploy.reporters.styled import line
from dojo_deploy.reporters.text import Redact, counted, fit, inert, inert_lines, named, seconds

WIDEST = 110


class Facts:
    """Turns an event into the lines that stay. `board` is as it was before the event."""

    def __init__(self, board: Board, *, redact: Redact, verbose: bool) -> None:
        self._board = board
        self._redact = redact
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
            CensusTaken: self._undone,
            RunFinished: self._undone,
        }

    def tell(self, event: Event, width: int) -> list[Text]:
        teller = self._tellers.get(type(event))
        return teller(event, width) if teller else []

    def _run_started(self, event: RunStarted, _: int) -> list[Text]:
        head = line((self._safe(event.strategy), "bold"), "  ", (self._safe(event.release), "bold cyan"))
        head.append_text(line(("  →  ", "dim"), (self._safe(event.scope), "bold")))
        if event.resumed:
            head.append("  resumed", "yellow")
        by = f"by {self._safe(event.by)} · " if event.by else ""
        return [Text(), head, Text(f"{by}run {self._safe(event.run)}", "dim"), Text()]

    def _plan_made(self, event: PlanMade, _: int) -> list[Text]:
        notes = [line(("! ", "yellow"), self._safe(str(note))) for note in event.plan.get("notes", ())]
        return [*notes, Text()] if notes else []

    def _stage_finished(self, event: StageFinished, width: int) -> list[Text]:
        mark, style = ("✓", "green") if event.ok else ("✗", "bold red")
        pad = min(max(map(len, [*self._board.stages, event.stage])), 28)
        width = min(width, WIDEST)
        row = line((f"{mark} ", style), (fit(self._safe(event.stage), pad).ljust(pad), ""), "  ")
        took = seconds(event.seconds)
        hosts = named(map(inert, self._board.stages.get(event.stage, {})))
        row.append(fit(hosts, max(width - len(row) - len(took) - 2, 0)), "dim")
        row.append(" " * max(width - row.cell_len - len(took), 1) + took, "dim")
        return [row]

    def _step_finished(self, event: StepFinished, _: int) -> list[Text]:
        if event.outcome not in ("failed", "unknown") or event.step in self._explained:
            return []
        undo = "undo: " if event.step.endswith(UNDO) else ""
        how = "failed" if event.outcome == "failed" else "may or may not have run: its answer was lost"
        return self._trouble(event.step, event.host, f"{undo}{event.name}", how, event.seconds, event.detail)

    def _gate_failed(self, event: GateFailed, _: int) -> list[Text]:
        name = event.step.rpartition("/")[2].removesuffix(UNDO)
        return self._trouble(event.step, event.host, name, "the gate did not pass", event.seconds, event.cause)

    def _output_written(self, event: OutputWritten, _: int) -> list[Text]:
        if not self._verbose:
            return []
        return [line((f"{inert(event.host)} │ ", "dim"), self._safe(event.line))]

    def _undo_started(self, event: UndoStarted, _: int) -> list[Text]:
        return [Text(), line(("↩ Undoing  ", "bold yellow"), (self._safe(event.reason), "yellow")), Text()]

    def _warned(self, event: Warned, _: int) -> list[Text]:
        first, *rest = inert_lines(self._redact(event.text))
        return [line(("! ", "bold yellow"), (first, "yellow")), *(line(f"  {part}") for part in rest)]

    def _undone(self, _: Event, __: int) -> list[Text]:
        steps = self._board.undone
        if self._undo_told or not steps:
            return []
        self._undo_told = True
        text = f"{counted(sum(steps.values()), 'step')} undone on {named(map(inert, steps))}"
        return [line(("↩ ", "yellow"), (text, ""))]

    def _trouble(self, step: str, host: str, name: str, how: str, took: float, cause: str) -> list[Text]:
        self._explained.add(step)
        head = line(("✗ ", "bold red"), (inert(host), "bold"), " · ", self._safe(name), (f"  {how}", "red"))
        head.append(f" after {seconds(took)}" if took else "", "dim")
        block = inert_lines(self._redact(cause)) if cause.strip() else []
        return [head, *(line(("  │ ", "red"), part) for part in block)]

    def _safe(self, text: str) -> str:
        return inert(self._redact(text))
