"""Runbooks: those that people wrote, judged; the one of a site, written."""

from __future__ import annotations

import json as json_
from collections import Counter
from dataclasses import asdict
from pathlib import Path

from invoke import Context, Exit

from dojo_deploy.tasks.flags import command, ended

REFUSED = 10


@command("file", "json")
def lint(context: Context, file: str, json: bool = False) -> None:
    """What is dangerous, useless or unclear in a runbook.

    Each line with the reason and the safe form. Nothing is run. Ends 10 when a line is dangerous.
    """
    from dojo_deploy.errors import ConfigError
    from dojo_deploy.runbooks.lint import lint as judge

    with ended(json=json):
        try:
            found = judge(Path(file).read_text("utf-8"))
        except (OSError, UnicodeDecodeError) as exc:
            raise ConfigError(f"cannot be read: {exc}", where=file, hint="a Markdown or text file") from exc
    if json:
        print(json_.dumps([asdict(fault) for fault in found], indent=2))
    else:
        for fault in found:
            print(f"{file}:{fault.line}: {fault.kind}: {fault.text}\n    {fault.reason} [{fault.rule}]")
            print(f"    → {fault.instead}")
        counted = Counter(fault.kind for fault in found)
        print(", ".join(f"{count} {kind}" for kind, count in counted.most_common()) or "nothing found")
    if any(fault.kind == "dangerous" for fault in found):
        raise Exit(code=REFUSED)


@command("inventory", "out")
def render(context: Context, inventory: str = "", out: str = "-") -> None:
    """Write the site's runbook for people, from its plans.

    Each procedure with its commands, why, how it is verified and how it is undone. No host is asked.
    """
    from dojo_deploy.app.runbooks import render as written
    from dojo_deploy.errors import ConfigError

    with ended():
        text = written(inventory or None)
        if out != "-":
            try:
                Path(out).write_text(text, "utf-8")
            except OSError as exc:
                raise ConfigError(f"the runbook cannot be written to {out}: {exc.strerror}", key="--out") from exc
    print(text if out == "-" else f"{out}: the runbook; read it with `dojo runbook.lint {out}` after every change")
