"""`dojo`: the same tasks as a program of its own, from the folder that holds inventories/, or with a path.

What is typed wrong ends 2, with what was meant.
"""

from __future__ import annotations

import gc
import os
import re
import signal
import sys

from invoke import Exit, ParseError, Program

import dojo_deploy
from dojo_deploy.tasks import keep_compiled, namespace

USAGE = 2
HELP = """\
Deploys Node apps to your own machines: gated, undoable, resumable.

  dojo deploy --dry-run       what would be done, and nothing else
  dojo deploy --ref v2        -i production names another inventory
  dojo TASK --help            what a task does, and its flags
"""


class Dojo(Program):
    """Invoke's program, but for what it says of a mistyped line."""

    def print_help(self) -> None:
        """Without arguments, and for a bare --help."""
        print(HELP)
        self.list_tasks()

    def parse_core(self, argv: list[str] | None) -> None:
        super().parse_core(argv)
        keep_compiled()

    def parse_tasks(self) -> None:
        try:
            super().parse_tasks()
        except ParseError as exc:
            raise Exit(self._explained(exc), code=USAGE) from None

    def _explained(self, error: ParseError) -> str:
        from dojo_deploy.configuration.problems import suggestion

        name = error.context.name if error.context else ""
        more = f"dojo {name} --help" if name else "dojo --list"
        unknown = re.fullmatch(r"No idea what '(.*)' is!", str(error), re.DOTALL)
        if unknown:
            flags = [flag for flag in error.context.flags if flag.startswith("--")] if name and error.context else []
            known = flags if unknown[1].startswith("-") else list(self.collection.task_names)
            kind = "flag" if unknown[1].startswith("-") else "task"
            return f"no {kind} {unknown[1]!r}; {suggestion(unknown[1], known)}\n  → {more}"
        bare = re.fullmatch(r"Flag <Argument: (\S+).*> needed value and was not given one!", str(error))
        if bare:
            return f"--{bare[1].replace('_', '-')} wants a value\n  → {more}"
        return f"{error}\n  → {more}"


program = Dojo(name="dojo", binary="dojo", version=dojo_deploy.__version__, namespace=namespace)


def _help_first(words: list[str]) -> list[str]:
    """`dojo --help TASK` for `dojo TASK --help`: a task's positional argument would take that for its value."""
    is_asked = len(words) > 2 and not words[1].startswith("-") and {"--help", "-h"} & set(words[2:])
    return [words[0], "--help", words[1]] if is_asked else words


def main() -> None:
    try:
        program.run(_help_first(sys.argv))
    except BrokenPipeError:  # `dojo history | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(128 + signal.SIGPIPE)
    finally:
        # Nobody waits for the interpreter to take apart what the system lets go of at once.
        gc.freeze()
