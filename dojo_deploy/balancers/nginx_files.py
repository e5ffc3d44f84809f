"""The text of the files that nginx includes, and what its private location answers.

<include>/<scope>.conf                 http level: who is trusted, and the upstream
<include>/<scope>/servers/<host>.conf  one backend
<include>/<scope>/server/dojo.conf     server level: the private location `/.dojo/<scope>`, the identity header
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from dojo_deploy.errors import ConfigError
from dojo_deploy.interfaces import Backend

IDENTITY = "X-Dojo-Upstream"
GENERATION, STATE = "@GENERATION@", "@STATE@"  # the host fills them in: only there is the lock held

# `max_fails=0` would send a share of all requests into the connect timeout for as long as a machine is off; the
# default, 1 in 10 s, hides a backend for 10 s because of a single refused connection. Gates decide who is out.
PATIENCE = "max_fails=3 fail_timeout=3s"

_HOST = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_ADDRESS = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9][A-Za-z0-9._-]*):[0-9]{1,5}")
_PATH = re.compile(r"/[A-Za-z0-9._/@+-]*")
_NETWORK = re.compile(r"[0-9A-Fa-f.:/]+")


@dataclass(frozen=True)
class Live:
    """What nginx serves now, as it says itself: `servers` is host -> (`up` or `down`, address)."""

    generation: int = 0
    servers: Mapping[str, tuple[str, str]] | None = None

    def at(self, host: str) -> tuple[str, str]:
        return (self.servers or {}).get(host, ("down", ""))

    def serves(self, backend: Backend) -> bool:
        return self.at(backend.host) == ("up", backend.address)


def read_live(status: int, body: bytes) -> Live:
    """Anything but our own answer (a site's catch-all page, say) means that nginx knows nothing of us yet."""
    lines = body.decode("ascii", "replace").splitlines()
    if status != 200 or not lines or not re.fullmatch(r"generation [0-9]+", lines[0]):
        return Live()
    rows = [line.split() for line in lines[1:]]
    return Live(int(lines[0].split()[1]), {row[0]: (row[1], row[2]) for row in rows if len(row) == 3})


def upstream(scope: str) -> str:
    return re.sub(r"\W", "_", scope, flags=re.ASCII)


def http_level(include: str, scope: str, trusted: tuple[str, ...]) -> str:
    name = upstream(scope)
    addresses = "".join(f"    {network} 1;\n" for network in trusted)
    return (
        f"# {scope}: written by dojo_deploy\n"
        f"geo $dojo_{name}_trusted {{\n    default 0;\n{addresses}}}\n"
        f'map $dojo_{name}_trusted $dojo_{name}_upstream {{\n    default "";\n    1 $upstream_addr;\n}}\n'
        f"upstream {name} {{\n    include {include}/{scope}/servers/*.conf;\n    keepalive 32;\n}}\n"
    )


def server_level(scope: str) -> str:
    """`return` answers before `allow` and `deny` are looked at, so the location asks for itself who is trusted."""
    name = upstream(scope)
    return (
        f"# generation {GENERATION}\n"
        f"add_header {IDENTITY} $dojo_{name}_upstream always;\n"
        f"location = {private(scope)} {{\n"
        f"    if ($dojo_{name}_trusted = 0) {{ return 404; }}\n"
        f"    access_log off;\n    default_type text/plain;\n"
        f'    set $dojo_state "generation {GENERATION}\\n";\n{STATE}\n'
        f"    return 200 $dojo_state;\n}}\n"
    )


def private(scope: str) -> str:
    return f"/.dojo/{scope}"


def line(address: str, *, up: bool) -> str:
    return f"server {address} {PATIENCE if up else 'down'};"


def check(include: str, scope: str, trusted: tuple[str, ...], backends: tuple[Backend, ...]) -> None:
    """Nothing that nginx could read as more than a word gets into its files. Raises ConfigError."""
    for what, pattern, values in (
        ("folder for nginx's includes", _PATH, [include]),
        ("application and environment", _HOST, [scope]),
        ("address or network", _NETWORK, list(trusted)),
        ("host name", _HOST, [backend.host for backend in backends]),
        ("`address:port`", _ADDRESS, [backend.address for backend in backends]),
    ):
        for value in values:
            if not pattern.fullmatch(value):
                raise ConfigError(f"{value!r} cannot be written into nginx's configuration as a {what}")
