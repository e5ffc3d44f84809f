"""What runs of a sandbox."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from . import services, state
from .fleet import parse
from .layout import Layout
from .start import running


def status(home: Path) -> list[dict[str, Any]]:
    """`name`, `pid` (None when it does not run), `alive` and `address` of each service; empty where there is none."""
    layout = Layout(home.resolve())
    known = state.load(layout)
    if known is None:
        return []
    found = [(service, running(layout, service)) for service in services.every(layout, parse(known))]
    return [
        {
            "name": service.name,
            "pid": process.pid if process else None,
            "alive": process is not None,
            "address": service.address,
        }
        for service, process in found
    ]
