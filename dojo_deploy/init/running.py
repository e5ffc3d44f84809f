"""What was found -> processes and ports."""

from __future__ import annotations

import posixpath
import re
import shlex
from collections.abc import Iterable
from dataclasses import dataclass, replace

from dojo_deploy.init.ecosystem import Managed, port_in
from dojo_deploy.init.packages import Package
from dojo_deploy.init.project import Project

PORT = 3000  # when nobody says
WEB = re.compile(r"web|server|api|app|www|http|site|main|backend", re.IGNORECASE)
PROGRAMS = {"next": "node_modules/next/dist/bin/next", "nest": "dist/main.js", "nuxt": ".output/server/index.mjs"}
WORKER = re.compile(r"(?:start[:_-])?(?:worker|queue|jobs?|cron|scheduler)s?(?:[:_-]start)?")


@dataclass(frozen=True)
class Running:
    """One process of `app.processes`; `why` says where it comes from."""

    name: str
    script: str
    args: tuple[str, ...] = ()
    instances: int = 1
    mode: str = ""
    port: int = 0
    ports: tuple[int, int, int] = (0, 0, 0)  # when green and proof cannot follow on `port`
    why: str = ""


def processes(project: Project) -> tuple[Running, ...]:
    """The one that listens first; there is always one."""
    if project.managed:
        found = [_of_pm2(app, project) for app in project.managed]
        if not any(one.port for one in found):
            web = next((one for one in found if WEB.search(one.name) or WEB.search(one.script)), found[0])
            found[found.index(web)] = replace(web, port=project.said.port or PORT)
    else:
        found = [_of_start(project), *_workers(project)]
    return _with_ports(_named(sorted(found, key=lambda one: not one.port)))


def _of_pm2(app: Managed, project: Project) -> Running:
    script, args = app.script, app.args
    if script in ("npm", "yarn", "pnpm", "npx", ""):
        script, args = _entry(project.server, next((word for word in reversed(args) if word != "--"), "start"))
    why = f"{project.ecosystem}{', where it says `max`' if app.spread else ''}"
    if app.interpreter not in ("", "node"):
        why += f", run by {app.interpreter} there; PM2 runs it with node here"
    mode = "fork" if app.mode == "fork" else ""
    return Running(app.name, script, args, app.instances, mode, app.port, why=why)


def _of_start(project: Project) -> Running:
    server = project.server
    script, args = _entry(server, "start")
    line = server.scripts.get("start", "")
    port = port_in(line) or project.said.port or PORT
    why = f"`{line}` of package.json" if line else "its `main`" if server.main else "a guess"
    return Running("web", script, args, instances=2, port=port, why=why)


def _workers(project: Project) -> Iterable[Running]:
    for name, line in project.server.scripts.items():
        if WORKER.fullmatch(name):
            script, args = _entry(project.server, name)
            yield Running(re.sub(r"^start[:_-]|[:_-]start$", "", name), script, args, why=f"`{line}` of package.json")


def _entry(package: Package, script: str) -> tuple[str, tuple[str, ...]]:
    """The file that a script of package.json runs with node, from the repository on, and its arguments."""
    try:
        words = shlex.split(package.scripts.get(script, ""))
    except ValueError:
        words = []
    words = [word for word in words if not re.fullmatch(r"[A-Z_]+=.*|cross-env|exec|npx", word)]
    if words and words[0] in PROGRAMS:
        found = PROGRAMS[words[0]]
        return _below(package, found), tuple(words[1:]) if words[0] == "next" else ()
    if words and words[0] == "node":
        files = [word for word in words[1:] if not word.startswith("-")]
        if files:
            after = words[words.index(files[0]) + 1 :]
            return _below(package, files[0]), tuple(word for word in after if word not in ("&&", ";"))
    return _below(package, package.main or "server.js"), ()


def _below(package: Package, path: str) -> str:
    joined = posixpath.normpath(posixpath.join(package.folder, path))
    if joined.startswith(("/", "..")):
        return "server.js"
    return joined if posixpath.splitext(joined)[1] or "node_modules" in joined else f"{joined}.js"


def _named(found: list[Running]) -> list[Running]:
    """Each under a name that paths and units can bear, and no two under one."""
    taken = {"kind", "all", "controller", "local"}
    named = []
    for one in found:
        plain = name_of(one.name) or ("web" if one.port else "worker")
        name = next(each for each in (plain, *(f"{plain}-{number}" for number in range(2, 999))) if each not in taken)
        taken.add(name)
        named.append(replace(one, name=name))
    return named


def name_of(text: str) -> str:
    """`@shop/Api Server` -> `api-server`; empty when nothing is left."""
    return re.sub(r"[^a-z0-9_.-]+", "-", text.rpartition("/")[2].lower()).strip("-_.")[:60]


def _with_ports(found: list[Running]) -> tuple[Running, ...]:
    """Green and proof follow on each port, unless another process is there."""
    taken: set[int] = set()
    placed = []
    for one in found:  # blue ones are facts; the others make way
        port = one.port
        while port and port in taken:
            port += 10
        taken.add(port)
        placed.append(replace(one, port=port))
    for number, one in enumerate(placed):
        if not one.port:
            continue
        free = [each for each in range(one.port + 1, one.port + 300) if each not in taken][:2]
        taken.update(free)
        if free != [one.port + 1, one.port + 2]:
            placed[number] = replace(one, ports=(one.port, free[0], free[1]))
    return tuple(placed)
