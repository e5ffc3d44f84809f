"""What a strategy wants to know beside what every look finds: its own lines, asked of the first host."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor

from dojo_deploy.command import Command
from dojo_deploy.errors import RefusedError
from dojo_deploy.interfaces import Session
from dojo_deploy.release import Observed, Placement

WITHIN = 30.0
SHOWN = 500_000  # characters of an answer
LINE = '[ ! -f "$RELEASE_DIR/.dojo/env.sh" ] || . "$RELEASE_DIR/.dojo/env.sh"\ncd "$RELEASE_DIR" || exit 1\n'


def ask(session: Session, seen: Observed, questions: Mapping[str, str]) -> Mapping[str, str]:
    """Name -> what the line printed, run in what serves on the first host that has anything; nothing on a bare fleet.

    Raises RefusedError for a line that fails, TransportError for a host that cannot be asked.
    """
    site = session.inventory
    host = next((name for name in seen.hosts if seen.current(name)), "")
    if not host:
        return {}
    place = Placement(site.hosts[host], seen.live, seen.current(host), site.app)
    with ThreadPoolExecutor(max_workers=max(len(questions), 1), thread_name_prefix="ask") as executor:
        lines = {name: Command.shell(LINE + line, env=place.variables) for name, line in questions.items()}
        asked = {name: executor.submit(session.shell(host).run, line, within=WITHIN) for name, line in lines.items()}
    found = {}
    for name, future in asked.items():
        done = future.result()
        if not done.ok:
            raise RefusedError(f"{host} could not be asked for {name}: {done.complaint}")
        if len(done.text) > SHOWN:
            raise RefusedError(f"{host}: the answer about {name} has more than {SHOWN:,} characters")
        found[name] = done.text
    return found
