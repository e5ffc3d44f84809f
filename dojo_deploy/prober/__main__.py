"""The prober's own process: `python -m dojo_deploy.prober URL RESULTS`, told what to do on its standard input.

It says `ready` once the first request has ended. Lines it obeys: `mark TEXT`, `stop COUNT SECONDS`. It ends by itself
when its input ends or its parent is another: then nobody is left who would end it.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from dojo_deploy.clock import SystemClock, utc
from dojo_deploy.prober.load import Load, Settings
from dojo_deploy.prober.record import Record

ORPHAN = 0.5


def main(words: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m dojo_deploy.prober", description=__doc__)
    parser.add_argument("url")
    parser.add_argument("results", type=Path)
    parser.add_argument("--field", default=Settings.field)
    parser.add_argument("--header", default=Settings.header)
    parser.add_argument("--rate", type=float, default=Settings.rate)
    parser.add_argument("--connections", type=int, default=Settings.connections)
    parser.add_argument("--fresh-every", type=int, default=Settings.fresh_every)
    parser.add_argument("--within", type=float, default=Settings.within)
    parser.add_argument("--lasting", type=float, default=Settings.lasting)
    parser.add_argument("--from-first-success", action="store_true")
    flags = vars(parser.parse_args(words))
    record = Record(flags.pop("results"), waiting=flags.pop("from_first_success"))
    asyncio.run(_probe(Settings(**flags), record, parent=os.getppid()))
    return 0


async def _probe(settings: Settings, record: Record, *, parent: int) -> None:
    loop = asyncio.get_running_loop()
    load = Load(settings, record, ready=_Once())
    record.begin(utc(SystemClock().now()))
    commands = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(commands), sys.stdin)
    loop.add_signal_handler(signal.SIGTERM, load.stop)
    others = [loop.create_task(part) for part in (load.flush(), _obey(commands, load, record), _mind(parent, load))]
    why = await load.run()
    for other in others:
        other.cancel()
    await asyncio.gather(*others, return_exceptions=True)
    record.close(load.second, why)


async def _obey(commands: asyncio.StreamReader, load: Load, record: Record) -> None:
    while line := (await commands.readline()).decode("utf-8", "backslashreplace"):
        verb, _, rest = line.strip().partition(" ")
        if verb == "mark":
            record.mark(load.second, rest)
        elif verb == "stop":
            count, seconds = rest.split()
            load.stop(at_least=int(count), within=float(seconds))
            return
    load.stop()


async def _mind(parent: int, load: Load) -> None:
    while os.getppid() == parent:
        await asyncio.sleep(ORPHAN)
    load.stop()


class _Once:
    def __init__(self) -> None:
        self._said = False

    def __call__(self) -> None:
        if not self._said:
            self._said = True
            print("ready", flush=True)


if __name__ == "__main__":
    sys.exit(main())
