"""What of an nginx makes reloads lose requests, or drains wait for ever."""

from __future__ import annotations

from dojo_deploy.balancers.nginx import files, waits
from dojo_deploy.balancers.nginx.change import LOSSLESS
from dojo_deploy.balancers.nginx.host import NginxHost
from dojo_deploy.errors import BalancerError


def inspect(nginx: NginxHost, known: frozenset[str]) -> tuple[str, ...]:
    """Warnings, one line each. Raises BalancerError when nginx refuses its configuration as it is."""
    site = nginx.site
    name = files.upstream(site.scope)
    env = {"INCLUDE": site.include, "SCOPE": site.scope, "NAME": name, "PID": site.pid, "LOSSLESS": LOSSLESS}
    done = nginx.run(waits.INSPECT, env, within=30.0)
    if not done.ok:
        raise BalancerError(f"{nginx.host}: nginx refuses its configuration as it is: {done.text or done.complaint}")
    rows = [row.partition(" ")[::2] for row in done.text.splitlines()]
    found = dict(rows)
    version, way = found.get("version", ""), found.get("way", "")
    texts = []
    if _numbers(version) < _numbers(LOSSLESS):
        texts.append(
            f"nginx {version or 'of an unknown version'}: a reload may cut a kept-alive connection under a request "
            f"(measured: 40 of 178,000){', a switch between colours does without one' * (way == 'flag')}; "
            f"{LOSSLESS} and later can be told not to, with keepalive_min_timeout"
        )
    elif not found.get("keepalive_min_timeout"):
        texts.append(
            f"nginx {version}: say `keepalive_min_timeout 3s;` at http level, "
            "or a reload may cut a kept-alive connection under a request"
        )
    if way == "lossy":
        texts.append(
            "nginx: a switch between colours costs such a reload; it needs none once each site says "
            f"`proxy_pass http://{files.variable(site.scope)};` and nothing says `open_file_cache`"
        )
    if not found.get("worker_shutdown_timeout"):
        texts.append(
            "nginx: no `worker_shutdown_timeout`: a connection that never ends, such as a websocket, fails a drain"
        )
    strangers = sorted(name for key, name in rows if key == "server" and name not in known)
    if strangers:
        texts.append(f"nginx: still sends requests to hosts that the inventory does not know: {', '.join(strangers)}")
    return tuple(f"{nginx.host}: {text}" for text in texts)


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".") if part.isdigit())
