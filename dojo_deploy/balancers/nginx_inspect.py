"""What of an nginx makes reloads lose requests, or drains wait for ever."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dojo_deploy.balancers import nginx_scripts as scripts
from dojo_deploy.errors import BalancerError

if TYPE_CHECKING:
    from dojo_deploy.balancers.nginx_change import Change

LOSSLESS = (1, 27, 4)  # the first with keepalive_min_timeout


def inspect(change: Change, known: frozenset[str]) -> tuple[str, ...]:
    """Warnings, one line each. Raises BalancerError when nginx refuses its configuration as it is."""
    site = change.site
    done = change.run(scripts.INSPECT, {"INCLUDE": site.include, "SCOPE": site.scope, "PID": site.pid}, within=30.0)
    if not done.ok:
        raise BalancerError(f"{change.host}: nginx refuses its configuration as it is: {done.text or done.complaint}")
    rows = [row.partition(" ")[::2] for row in done.text.splitlines()]
    found = dict(rows)
    version = found.get("version", "").split(" ")[0]
    texts = []
    if _numbers(version) < LOSSLESS:
        texts.append(
            f"nginx {version or 'of an unknown version'}: a reload may cut a kept-alive connection under a request "
            "(measured: 40 of 178,000); 1.27.4 and later can be told not to, with keepalive_min_timeout"
        )
    elif not found.get("keepalive_min_timeout"):
        texts.append(
            f"nginx {version}: say `keepalive_min_timeout 3s;` at http level, "
            "or a reload may cut a kept-alive connection under a request"
        )
    if not found.get("worker_shutdown_timeout"):
        texts.append(
            "nginx: no `worker_shutdown_timeout`: a connection that never ends, such as a websocket, fails a drain"
        )
    strangers = sorted(name for key, name in rows if key == "server" and name not in known)
    if strangers:
        texts.append(f"nginx: still sends requests to hosts that the inventory does not know: {', '.join(strangers)}")
    return tuple(f"{change.host}: {text}" for text in texts)


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".") if part.isdigit())
