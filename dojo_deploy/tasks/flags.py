"""Flags that all tasks share: their short forms, their help, and how a task ends."""

from __future__ import annotations

import json as json_
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from invoke import Argument, Context, Exit, Task, task

SHORT = {"inventory": "i", "limit": "l", "dry-run": "C", "strategy": "s", "verbose": "v", "json": "j"}
HELP = {
    "inventory": "inventory: a name (production), a path, or $DOJO_INVENTORY; default: the only one, or the sandbox",
    "strategy": "strategy: a name (rolling), a file in strategies/, or package.module:Class",
    "ref": "what to build: branch, tag or commit; default: the tip of the default branch",
    "artifact": "take this .tar.gz of CI's instead of building",
    "to": "release to go back to: id, commit or ref; default: the last one that passed its gates",
    "now": "before it is due",
    "migration": "which migration: its name, or its number; default: the newest",
    "path": "a folder of .sql files, or one of them; default: prisma/migrations, migrations or db/migrations",
    "allow-contract": "also what no older release can live with, or what loses data: with a proven backup, or --reason",
    "limit": "only these hosts: web1,web2  'web*'  'all:!web3'  ~regex",
    "user": "an administrator there: root, or one who may use sudo without a password",
    "key": "the administrator's private key; default: the inventory's, and the agent's",
    "fingerprint": "SHA256:… of a host's key, as its own console shows it (repeatable)",
    "dry-run": "print what would be done, and change nothing",
    "json": "JSON instead of text",
    "verbose": "every line that hosts print",
    "set": "a strategy's key for this run only: --set bake.first=3s (repeatable)",
    "destroy": "remove its data, too",
    "wait": "also for what goes on once users are served: queue workers, older connections; in CI it always does",
    "probe": "measure what users see during the run, by a steady load through the balancer",
    "no-probe": "do not, even where the inventory says so",
    "reason": "why, for the record",
    "report": "write the run's HTML report to this file when it has ended",
    "junit": "write the run as JUnit XML to this file: a case per step and gate",
    "summary": "write the run as Markdown to this file; default: $GITHUB_STEP_SUMMARY, where it is set",
    "checkout": "the folder on the hosts that git pull and PM2 were used in so far: /srv/app, ~/app",
    "allow-gap": "also where nothing else serves meanwhile",
    "graph": "groups and their hosts as a tree",
    "host": "of this one alone",
    "run": "which run: its id, or the part that history shows; default: the newest",
    "kind": "systemd (timers of this user), or cron",
    "install": "install it for this user; without, it is only shown",
    "undo": "take back the database that the last restore replaced",
    "cluster": "restore into this cluster (its system identifier), which is not the one that was dumped",
    "backup": "which backup: its id, or the beginning of it; default: the newest",
    "file": "the runbook, in Markdown",
    "query": "one statement; - for what standard input has",
    "analyze": "run it, to measure; in a transaction that is rolled back",
    "within": "how long the server gives one statement: 30s, 10m, 6h",
    "lock-within": "how long each lock is waited for",
    "table": "shop.cards, or cards where that is on the search path",
    "columns": "names, or expressions in parentheses, each with its order: 'price desc, lower(name)'",
    "name": "what to call it; default: made of the table's and the columns' names",
    "using": "access method: btree, gin, gist, brin, hash",
    "unique": "no two rows may be alike in it",
    "include": "columns that are only carried along",
    "where": "condition of the rows that are in it",
    "index": "its name",
    "all": "of every table that is not the system's",
    "throttle": "cost limit per 2 ms, as vacuum_cost_limit; 0: as fast as it goes",
    "top": "how many",
    "terminate": "end the forgotten sessions, and no others",
    "confirm": "do it; without, it is only shown",
    "at": "when it begins: 2026-12-01T02:00, UTC unless it names an offset",
    "lasts": "how long it is to last: 2h, 90m; default: that of the strategy",
    "title": "what the status page calls it",
    "text": "what users read; the times are added",
    "by": "how much longer: 30m, 1h",
    "out": "where to write it; - for standard output; default: beside the run's journal",
}


class FlaggedTask(Task[Any]):
    """A task whose short flags are the same everywhere, and no others."""

    def get_arguments(self, ignore_unknown_help: bool | None = None) -> list[Argument]:
        found: list[Argument] = super().get_arguments(ignore_unknown_help)
        for argument in found:
            name = str(argument.name).replace("_", "-")
            argument.names = (argument.names[0], *([SHORT[name]] if name in SHORT else []))
        return found


def command(*flags: str, iterable: tuple[str, ...] = (), optional: tuple[str, ...] = ()) -> Callable[[Any], Any]:
    """Declares a task with the shared flags that it takes."""
    decorate: Callable[[Any], Any] = task(
        klass=FlaggedTask,
        help={name: HELP[name] for name in (flag.replace("_", "-") for flag in flags)},
        iterable=list(iterable),
        optional=list(optional),
        auto_shortflags=False,
    )
    return decorate


@contextmanager
def ended(*, json: bool = False) -> Iterator[None]:
    """Turns errors raised on purpose, and signals before or after a run, into their message and their exit code."""
    from dojo_deploy.errors import DojoError
    from dojo_deploy.signals import INTERRUPTED, interrupting

    try:
        with interrupting():
            yield
    except KeyboardInterrupt:
        what, hint = "interrupted, not within a run", "invoke status   tells whether one is open"
        if json:
            print(_as_json("InterruptedRunError", what, hint, INTERRUPTED))
        raise Exit(f"{what}\n  → {hint}", code=INTERRUPTED) from None
    except DojoError as exc:
        if json:
            place = {name: found for name in ("where", "key") if (found := getattr(exc, name, ""))}
            print(_as_json(type(exc).__name__, exc.message, exc.hint, exc.exit_code, **place))
        raise Exit(f"{exc}", code=exc.exit_code) from None


def _as_json(error: str, message: str, hint: str, code: int, **more: str) -> str:
    return json_.dumps({"error": error, "message": message, "hint": hint, **more, "exit_code": code})


def is_dry(context: Context, flag: bool) -> bool:
    """`--dry-run`, or Invoke's own `--dry`."""
    return bool(flag or context.config.run.dry)


def overrides(pairs: list[str]) -> Mapping[str, str]:
    """`key=value` pairs. Raises Exit for anything else."""
    bad = [pair for pair in pairs if "=" not in pair]
    if bad:
        raise Exit(f"--set {bad[0]}: wants key=value, such as bake.first=3s", code=2)
    return dict(pair.split("=", 1) for pair in pairs)


def seconds(flag: str, text: str) -> float:
    """Of `90m`, or of nothing. Raises Exit for anything else."""
    from dojo_deploy.config import duration

    found = duration(text) if text else 0.0
    if found is None:
        raise Exit(f"--{flag} {text}: wants a duration like 30m, 2h or 1h30m", code=2)
    return found


def allowed(flag: bool, reason: str, *, under: str = "") -> Mapping[str, str]:
    """The same for `--allow-contract` and `--reason`, which are keys of a strategy, too. Raises Exit for half of it."""
    if reason and not flag:
        raise Exit("--reason says why for --allow-contract", code=2)
    return {f"{under}allow_contract": "true", f"{under}reason": json_.dumps(reason)} if flag else {}


def measured(*, probe: bool, no_probe: bool) -> bool | None:
    """Whether to make requests during the run; None: as the inventory says. Raises Exit for both flags at once."""
    if probe and no_probe:
        raise Exit("--probe and --no-probe: one of them", code=2)
    return True if probe else False if no_probe else None
