"""Controllers that are killed: one process imports everything once, and forks one of them per kill."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

from dojo_deploy.engine.journal import Journal
from dojo_deploy.events import Event
from tests.engine.rig import Fleet

ROOT = Path(__file__).parents[2]


class Killer:
    """Starts runs that end by SIGKILL."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def deploy(self, fleet: Fleet, *, after: int, **strategy: object) -> bool:
        """A deployment that is killed once its journal has `after` records; False when it ended before."""
        return self._asked("deploy", fleet, after, strategy)

    def go_on(self, fleet: Fleet, *, after: int, abort: bool = False) -> bool:
        """The same for a `resume` or an `abort`."""
        return self._asked("go_on", fleet, after, {"abort": abort})

    def _asked(self, verb: str, fleet: Fleet, after: int, options: dict[str, object]) -> bool:
        assert self._process.stdin and self._process.stdout
        kind = f"{type(fleet).__module__}:{type(fleet).__name__}"
        line = json.dumps([verb, kind, str(fleet.base), len(fleet.names), after, options])
        print(line, file=self._process.stdin, flush=True)
        status = int(self._process.stdout.readline())
        assert status in (0, -signal.SIGKILL)
        return status != 0


@contextmanager
def killer() -> Iterator[Killer]:
    words = [sys.executable, "-c", "from tests.engine.killing import serve; serve()"]
    with subprocess.Popen(words, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        yield Killer(process)
        assert process.stdin
        process.stdin.close()


def serve() -> None:
    """Reads what to do line by line, and prints how each child ended."""
    for line in sys.stdin:
        verb, made, base, hosts, after, options = json.loads(line)
        child = os.fork()
        if not child:
            fleet: Fleet = _named(made)(Path(base), hosts)
            begin = partial(fleet.begin, _named(options.pop("kind", "")), **_tupled(options))
            _run(after, begin if verb == "deploy" else partial(fleet.go_on, **options))
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)


def _named(name: str) -> Any:
    """What `module:Class` names; nothing for nothing."""
    module, _, attribute = name.partition(":")
    return getattr(import_module(module), attribute) if name else None


def _tupled(options: dict[str, Any]) -> dict[str, Any]:
    return {key: tuple(value) if isinstance(value, list) else value for key, value in options.items()}


def _run(after: int, run: Callable[[], object]) -> None:
    write, records = Journal.write, 0

    def counted(journal: Journal, event: Event) -> None:
        nonlocal records
        write(journal, event)
        records += 1
        if records == after:
            os.kill(os.getpid(), signal.SIGKILL)

    Journal.write = counted  # type: ignore[method-assign]
    status = 1
    try:
        run()
        status = 0
    finally:
        os._exit(status)
