"""The text of the files that nginx includes, and what its private location answers.

<include>/<scope>.conf                 http level: who is trusted, who serves, and the other colour at hand
<include>/<scope>/server/dojo.conf     server level: which of the two serves, the page, the private location
<include>/<scope>/flags/<generation>   there: the upstream `…_spare` serves
<include>/<scope>/closed, page/        there: the maintenance page is up
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from dojo_deploy.errors import ConfigError
from dojo_deploy.interfaces import Backend, Page

IDENTITY = "X-Dojo-Upstream"
AS = "X-Dojo-As"  # `inside` passes the maintenance page, for trusted clients; `stranger` sees it in spite of `allow`

# `max_fails=0` would send a share of all requests into the connect timeout for as long as a machine is off; the
# default, 1 in 10 s, hides a backend for 10 s because of a single refused connection. Gates decide who is out.
PATIENCE = "max_fails=3 fail_timeout=3s"

_HOST = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_ADDRESS = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9][A-Za-z0-9._-]*):[0-9]{1,5}")
_PATH = re.compile(r"/[A-Za-z0-9._/@+-]*")
_NETWORK = re.compile(r"[0-9A-Fa-f.:/]+")
_TYPE = re.compile(r"[a-z]+/[A-Za-z0-9.+-]+(; ?charset=[A-Za-z0-9-]+)?")


@dataclass(frozen=True)
class Live:
    """What nginx serves now, as it says itself: `up` are (host, address)."""

    generation: int = 0
    up: frozenset[tuple[str, str]] = frozenset()
    closed: bool = False

    def serves(self, backend: Backend) -> bool:
        return (backend.host, backend.address) in self.up


def read_live(status: int, body: bytes) -> Live:
    """Anything but our own answer (a site's catch-all page, say) means that nginx knows nothing of us yet."""
    lines = body.decode("ascii", "replace").splitlines()
    if status != 200 or len(lines) < 4 or not re.fullmatch(r"generation [0-9]+", lines[0]) or lines[-1] != "end":
        return Live()
    front, door = (line.partition(" ")[2] for line in lines[1:3])
    rows = [line.split() for line in lines[3:-1]]
    up = frozenset((row[1], row[2]) for row in rows if len(row) == 3 and row[0] == front)
    return Live(int(lines[0].split()[1]), up, door == "closed")


def upstream(scope: str) -> str:
    return re.sub(r"\W", "_", scope, flags=re.ASCII)


def variable(scope: str) -> str:
    """What a site passes to, so that a switch needs no reload: `proxy_pass http://$dojo_shop_production;`."""
    return f"$dojo_{upstream(scope)}"


def http_level(include: str, scope: str, trusted: tuple[str, ...]) -> str:
    """The host adds the rows and the upstreams, and fills in @GENERATION@: only there is the lock held.

    `volatile`: the page is an internal redirect, for which admittance is asked a second time.
    """
    dojo, page = variable(scope), f"{include}/{scope}/page"
    addresses = "".join(f"    {network} 1;\n" for network in trusted)
    own = "".join(f'    "{path}" 1;\n' for path in (private(scope), f"{private(scope)}/page"))
    return (
        f"# {scope}: written by dojo_deploy\n# generation @GENERATION@\n"
        f"geo {dojo}_trusted {{\n    default 0;\n{addresses}}}\n"
        f"geo {dojo}_allowed {{\n    default 0;\n    include {page}/allow.conf;\n}}\n"
        f"map $uri {dojo}_exempt {{\n    volatile;\n    default 0;\n{own}    include {page}/exempt.conf;\n}}\n"
        f'map "$http_{AS.lower().replace("-", "_")} {dojo}_trusted" {dojo}_guest {{\n    default {dojo}_allowed;\n'
        f'    "stranger 0" 0;\n    "stranger 1" 0;\n    "inside 1" 1;\n}}\n'
        f'map "{dojo}_exempt{dojo}_guest" {dojo}_admitted {{\n    volatile;\n    default 1;\n    "00" 0;\n}}\n'
        f'map {dojo}_trusted {dojo}_upstream {{\n    default "";\n    1 $upstream_addr;\n}}\n'
        f'map "" {dojo}_generation {{\n    default "@GENERATION@";\n}}\n'
        f'map "" {dojo}_flag {{\n    default "{include}/{scope}/flags/@GENERATION@";\n}}\n'
    )


def server_level(include: str, scope: str) -> str:
    """`return` answers before `allow` and `deny` are looked at, so the location asks for itself who is trusted."""
    dojo, name, place, folder = variable(scope), upstream(scope), private(scope), f"{include}/{scope}"
    return (
        f"# {scope}: written by dojo_deploy\n"
        f"set {dojo} {name};\nif (-f {dojo}_flag) {{ set {dojo} {name}_spare; }}\n"
        f"set {dojo}_door open;\nif (-f {folder}/closed) {{ set {dojo}_door closed; }}\n"
        f"set {dojo}_turn {dojo}_door;\nif ({dojo}_admitted) {{ set {dojo}_turn open; }}\n"
        f"if ({dojo}_turn = closed) {{ rewrite ^ {place}/closed last; }}\n"
        f"add_header {IDENTITY} {dojo}_upstream always;\n"
        f"location = {place} {{\n    if ({dojo}_trusted = 0) {{ return 404; }}\n"
        f"    access_log off;\n    default_type text/plain;\n"
        f'    return 200 "generation {dojo}_generation\\nfront {dojo}\\ndoor {dojo}_door\\n{dojo}_rows";\n}}\n'
        f"location = {place}/closed {{\n    internal;\n    error_page 503 {place}/page;\n    return 503;\n}}\n"
        f"location = {place}/page {{\n    internal;\n    types {{ }}\n"
        f"    include {folder}/page/head.conf;\n    alias {folder}/page/body;\n}}"
    )


def private(scope: str) -> str:
    return f"/.dojo/{scope}"


def line(address: str, *, up: bool) -> str:
    return f"server {address} {PATIENCE if up else 'down'};"


def rows(
    verb: str, changed: tuple[Backend, ...], known: tuple[Backend, ...], spare: tuple[Backend, ...]
) -> tuple[str, ...]:
    """What a change is told on standard input, a line per backend."""
    each = (("know", known), (verb, changed), ("spare", spare))
    return tuple(f"{word} {one.host} {one.address} {one.slot}" for word, backends in each for one in backends)


def page(page: Page) -> dict[str, str]:
    """The parts of nginx's configuration that the page brings. Raises ConfigError."""
    for what, pattern, values in (
        ("address or network", _NETWORK, page.allow),
        ("path", _PATH, page.exempt),
        ("content type", _TYPE, (page.content_type,)),
    ):
        _all(what, pattern, values)
    later = f"{max(0.0, page.retry_after):.0f}"
    return {
        "ALLOW": "".join(f"{network} 1;\n" for network in page.allow),
        "EXEMPT": "".join(f'"{path}" 1;\n' for path in page.exempt),
        "HEAD": f'default_type "{page.content_type}";\nadd_header Retry-After {later} always;\n'
        "add_header Cache-Control no-store always;\n",
    }


def check(include: str, scope: str, trusted: tuple[str, ...], backends: tuple[Backend, ...]) -> None:
    """Nothing that nginx could read as more than a word gets into its files. Raises ConfigError."""
    for what, pattern, values in (
        ("folder for nginx's includes", _PATH, (include,)),
        ("application and environment", _HOST, (scope,)),
        ("address or network", _NETWORK, trusted),
        ("host name", _HOST, tuple(backend.host for backend in backends)),
        ("slot", _HOST, tuple(backend.slot for backend in backends)),
        ("`address:port`", _ADDRESS, tuple(backend.address for backend in backends)),
    ):
        _all(what, pattern, values)


def _all(what: str, pattern: re.Pattern[str], values: tuple[str, ...]) -> None:
    for value in values:
        if not pattern.fullmatch(value):
            raise ConfigError(f"{value!r} cannot be written into nginx's configuration as a {what}")
