"""PM2's ecosystem file: its apps, as far as they can be read without running it."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dojo_deploy.init.literals import value_of

NAMES = tuple(f"{stem}.{suffix}" for stem in ("ecosystem.config", "pm2.config") for suffix in ("js", "cjs", "json"))
SPREAD = 2  # instances, for `max`: how many processors a host has is not known here


@dataclass(frozen=True)
class Managed:
    """One app of it."""

    name: str
    script: str = ""  # relative to the repository
    args: tuple[str, ...] = ()
    instances: int = 1
    spread: bool = False  # it said `max`
    mode: str = ""
    port: int = 0
    interpreter: str = ""


def read_ecosystem(folder: Path) -> tuple[str, tuple[Managed, ...]]:
    """The file's name and its apps; empty when there is none."""
    for name in (*NAMES, "ecosystem.json"):
        path = folder / name
        if path.is_file():
            apps = value_of(path.read_text("utf-8", "replace"), "apps")
            return name, tuple(_managed(app) for app in apps or () if isinstance(app, Mapping))
    return "", ()


def port_in(words: str) -> int:
    """Of `--port 3000`, `-p 3000`, `PORT=3000`; 0 for none."""
    found = re.search(r"(?:--port[= ]|-p ?|\bPORT=)(\d{2,5})\b", words)
    return _port(found[1]) if found else 0


def _managed(app: Mapping[str, Any]) -> Managed:
    said = app.get("args")
    args = tuple(map(str, said)) if isinstance(said, list) else tuple(said.split()) if isinstance(said, str) else ()
    instances = app.get("instances", 1)
    spread = instances in ("max", "-1", "0", 0, -1)
    count = int(instances) if re.fullmatch(r"[1-9]\d{0,2}", str(instances)) else 1
    environments = [app.get(key) for key in ("env_production", "env")]
    ports = [_port(each.get("PORT")) for each in environments if isinstance(each, Mapping)]
    return Managed(
        name=_text(app.get("name")),
        script=_inside(_text(app.get("cwd")), _text(app.get("script"))),
        args=args,
        instances=SPREAD if spread else count,
        spread=spread,
        mode=_text(app.get("exec_mode")).removesuffix("_mode"),
        port=next((port for port in ports if port), 0) or port_in(" ".join(args)),
        interpreter=_text(app.get("interpreter")),
    )


def _inside(cwd: str, script: str) -> str:
    """`script` from the repository on: an absolute `cwd` is the place on the server, not here."""
    if not script or script in ("npm", "yarn", "pnpm", "npx"):
        return script
    joined = posixpath.normpath(posixpath.join("" if cwd.startswith(("/", "~")) else cwd, script))
    return "" if joined.startswith(("/", "..")) else joined


def _port(value: object) -> int:
    number = int(value) if re.fullmatch(r"\d{2,5}", str(value)) else 0  # type: ignore[call-overload]
    return number if number <= 65533 else 0


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
