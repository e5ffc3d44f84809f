"""A process that tries to take the lock whenever a line on its standard input says so; answers in JSON lines.

argv: kind, options as JSON (secrets as references), root.
A line: {run, ttl, purpose, open}, or one of {renew}, {release}, {check}.
"""

from __future__ import annotations

import json
import sys
from functools import partial
from importlib import import_module
from typing import Any

from sites import Site, WallClock

from dojo_deploy.engine.holder import Holder
from dojo_deploy.engine.lock import Lease, take
from dojo_deploy.errors import DojoError
from dojo_deploy.secrets import Secret
from dojo_deploy.stores import KINDS


def main(kind: str, options: str, root: str) -> None:
    values = {
        name: Secret(*next(iter(value.items()))) if isinstance(value, dict) else value
        for name, value in json.loads(options).items()
    }
    module, name = KINDS[kind].split(":")
    store = getattr(import_module(module), name)(**values).open(Site(root))
    store.list("")  # connections are made before the race, not in it
    lease: Lease | None = None
    _say(ready=True)
    for line in sys.stdin:
        order = json.loads(line)
        try:
            if order.get("check"):
                assert lease
                _say(checked=_outcome(lease.check), opened=_outcome(partial(lease.open, "zombie")))
                continue
            if order.get("renew") and lease:
                _say(renewed=_outcome(lease.renew))
                continue
            if order.get("release") and lease:
                _say(released=_outcome(partial(lease.release, closed=True)))
                continue
            lease = take(
                store, WallClock(), run=order["run"], ttl=order["ttl"], holder=Holder.here(),
                purpose=order.get("purpose", "deploy"),
            )  # fmt: skip
            if order.get("open"):
                lease.open(order["run"])
            _say(got=lease.generation, open_run=lease.open_run)
        except DojoError as exc:
            _say(error=type(exc).__name__, message=str(exc))


def _outcome(call: Any) -> str:
    try:
        call()
    except DojoError as exc:
        return type(exc).__name__
    return "fine"


def _say(**values: object) -> None:
    print(json.dumps(values), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
