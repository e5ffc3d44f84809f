"""What was found -> the text of strategies/rolling.yml, with the keys that people change first."""

from __future__ import annotations

from collections.abc import Iterator

from dojo_deploy.command import quote
from dojo_deploy.init.project import Project
from dojo_deploy.init.words import noted, plain, word

WIDE = 29
HEAD = """\
# HOW WE CHANGE IT: every host gets the release first, it is migrated once, then it enters service batch by batch:
#   stage everywhere → migrate once → per batch: prove → drain → switch → gate → restore → bake
# For one run only: `--set bake.first=3s`. Where a file wants an `if`, write a class and name it here.
strategy: rolling

batches: [1, 50%]            # numbers or percents of all hosts; the last one repeats. The first is the canary

"""
REST = """
gate:                        # what must hold before a host gets traffic again
  probes: [release, health]  # which release do the processes run; does the health path answer well
  grace: 10s                 # failures before this do not count
  within: 60s                # deadline of the whole
  in_a_row: 3                # so many successes pass, so many failures end it

bake: {first: 30s}           # how long the gate must go on holding after the first batch
on_failure: rollback         # or halt: everything stays as it is, for a look at it
"""


def strategy(project: Project) -> str:
    return HEAD + "".join(f"{line}\n" for line in (*_migration(project), "", *_proof(project))) + REST


def _migration(project: Project) -> Iterator[str]:
    mark = "" if project.prisma else "# "
    run, folder = _prisma(project) if project.prisma else ("npm run migrate", "")
    yield noted(
        f"{mark}migrate:", "once per run; it must only expand the schema, for the old release runs on it", wide=WIDE
    )
    yield f"{mark}  run: {word(run)}"
    yield noted(f"{mark}  deadline: 10m", "then all that it started is killed", wide=WIDE)
    if folder:
        yield f"  folder: {word(folder)}"


def _prisma(project: Project) -> tuple[str, str]:
    """The line, and the folder of the migrations where it is not the usual one."""
    usual = project.prisma == "prisma"
    apart = bool(project.server.folder) and not project.server.is_member
    into = f"cd {quote(project.server.folder)} && " if apart and not usual else ""
    schema = "" if usual or apart else f" --schema {quote(f'{project.prisma}/schema.prisma')}"
    return f"{into}npx --no-install prisma migrate deploy{schema}", "" if usual else f"{project.prisma}/migrations"


def _proof(project: Project) -> Iterator[str]:
    if project.said.ignores_port:
        at = plain(project.said.port_at)
        yield noted("prove: off", f"{at} listens on a number of its own. Once it reads $PORT: on,", wide=WIDE)
        yield noted("", "and each release is tried on a side port before its host is drained", wide=WIDE)
    else:
        yield noted("prove: on", "each release is tried on a side port before its host is drained", wide=WIDE)
