"""What a person sees: finished facts scroll by and stay, the stage that is on moves below them."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable
from typing import Any, TextIO

from rich import console as rich_console
from rich.console import RenderableType
from rich.live import Live
from rich.text import Text

from dojo_deploy.events import CensusTaken, Event, LoadMeasured, RunFinished
from dojo_deploy.reporters.board import Board
from dojo_deploy.reporters.facts import Facts
from dojo_deploy.reporters.live import draw
from dojo_deploy.reporters.summary import closing, measured
from dojo_deploy.reporters.text import Redact, redactor

REFRESH = 0.1  # seconds between two pictures
HOLDS = 500  # lines that may wait for the next picture before the writer has to help


class Console:
    """A subscriber for a terminal. `close` gives the terminal back as it was; it may be called at any time, and again.

    `redact` is applied to every text that comes from an event. With `verbose`, each line of output is shown.
    """

    def __init__(
        self,
        stream: TextIO | None = None,
        *,
        redact: Redact = str,
        verbose: bool = False,
        console: rich_console.Console | None = None,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._console = console or rich_console.Console(file=stream, markup=False, highlight=False, emoji=False)
        self._redacted = redactor(redact)
        self._now = now
        self._board = Board(now)
        self._facts = Facts(self._board, verbose=verbose)
        self._census: CensusTaken | None = None
        self._load: LoadMeasured | None = None
        self._lock = threading.Lock()  # a leaf: nothing is printed while it is held
        self._printing = threading.Lock()  # lines are printed in the order in which they were taken
        self._pending: list[Text] = []
        self._live: Live | None = None
        self._ended = threading.Event()
        self._painter = threading.Thread(target=self._paint, name="console", daemon=True)
        if self._console.is_terminal and not self._console.is_dumb_terminal:
            self._live = Live(get_renderable=self._picture, console=self._console, auto_refresh=False, transient=True)
            self._live.start()
        self._painter.start()

    def __call__(self, event: Event) -> None:
        event = self._redacted(event)
        with self._lock:
            self._pending += self._facts.tell(event, self._console.width)
            self._board.take(event)
            waiting = len(self._pending)
        if isinstance(event, CensusTaken):
            self._census = event
        elif isinstance(event, LoadMeasured):
            self._load = event
        elif isinstance(event, RunFinished):
            self._finish(event)
        if waiting >= HOLDS or self._ended.is_set():
            self._flush()

    def close(self) -> None:
        """Leaves what was said on the screen, and nothing that moves."""
        self._ended.set()
        if self._painter.is_alive():
            self._painter.join()
        if self._live:
            self._live.stop()
            self._live = None
        self._flush()
        if self._census or self._load:  # of a run that did not come to its end
            self._console.print(measured(self._census, self._load))
            self._census = self._load = None

    def _finish(self, event: RunFinished) -> None:
        report = closing(event, self._census, self._load)
        self._census = self._load = None
        self.close()
        self._console.print(report)

    def _paint(self) -> None:
        with contextlib.suppress(OSError):  # a terminal that is gone; the run goes on without it
            while not self._ended.wait(REFRESH):
                self._flush()
                if self._live:
                    self._live.refresh()

    def _flush(self) -> None:
        with self._printing:
            with self._lock:
                lines, self._pending = self._pending, []
            if lines:
                self._console.print(Text("\n").join(lines), overflow="fold")

    def _picture(self) -> RenderableType:
        size: Any = self._console.size
        with self._lock:
            return draw(self._board, now=self._now(), width=size.width, height=max(size.height - 2, 3))
