"""Runbooks that people wrote, judged."""

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
