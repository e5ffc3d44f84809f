"""A host job as text: one POSIX-sh script that runs a lane's steps under the host's fence, and what launches it.

GNU coreutils and util-linux are expected on hosts; sh may be dash or bash. Besides its steps a job starts seven
processes, and two more in the first job of a run; a step starts two, a question none.
"""

from __future__ import annotations

import re
import string
from dataclasses import dataclass

from dojo_deploy.command import Command, quote
from dojo_deploy.engine.jobshell import JOB, LAUNCH
from dojo_deploy.release import Layout

KEPT = 20  # runs that a host remembers


@dataclass(frozen=True)
class JobStep:
    """`id` is unique in the run. `undoes`: run only if the host's record says that the step of that id began.

    `artifact`: its commands find the run's artifact in the file `$ARTIFACT`, which goes with the job. `ask`: a
    question, asked anew each time, whose exit status is an answer and no failure; its text ends by itself in time.
    `guarded`: one that is not idempotent is told by `$DOJO_BEGUN` that it began before, and decides by itself.
    """

    id: str
    commands: tuple[Command, ...]
    deadline: float
    idempotent: bool = True
    artifact: bool = False
    undoes: str = ""
    ask: bool = False
    guarded: bool = False


@dataclass(frozen=True)
class Job:
    """What one host does without asking back. `close`: if all of it ended well, the run is over on this host.

    Raises ValueError for names that would not survive the host's files.
    """

    run: str
    generation: int
    store_id: str
    scope: str
    layout: Layout
    steps: tuple[JobStep, ...]
    close: bool = False

    def __post_init__(self) -> None:
        for value in (self.run, self.store_id, self.scope):
            if not re.fullmatch(r"[\w.:@+-]+", value):
                raise ValueError(f"{value!r} cannot stand in a fence")
        for step in self.steps:
            if not re.fullmatch(r"\S(?:.*\S)?", step.id) or not step.id.isprintable() or step.deadline <= 0:
                raise ValueError(f"{step.id!r} cannot be a step of a host job")
        if sum(step.artifact for step in self.steps) > 1:
            raise ValueError("only one step of a host job can read the artifact")


def script(job: Job, *, nonce: str, at: str, size: int = 0, wait: float = 60.0) -> bytes:
    """The job's script, secrets included. It speaks in frames that begin with `nonce`.

    `at` is the time that steps see as `$AT`. `size` is the artifact's, in bytes; after it standard input ends with the
    nonce. `wait` bounds the wait for another job on the same host, in seconds.
    """
    ids = list(dict.fromkeys([*(step.id for step in job.steps), *(step.undoes for step in job.steps if step.undoes)]))
    numbers = {name: number for number, name in enumerate(ids, 1)}
    return (
        _Template(JOB)
        .substitute(
            NONCE=nonce,
            STATE=quote(job.layout.state),
            RUN_DIR=quote(job.layout.run(job.run)),
            RUN=job.run,
            STORE=job.store_id,
            SCOPE=job.scope,
            GENERATION=job.generation,
            WAIT=f"{max(wait, 0.1):.1f}",
            CLOSE="1" if job.close else "",
            KEPT=KEPT,
            AT=quote(at),
            TEXTS="\n".join(f"{numbers[step.id]}) {_text(step, size)} ;;" for step in job.steps if not step.ask),
            IDS="\n".join(f"{quote(name)}) v={number} ;;" for name, number in numbers.items()),
            STEPS="\n".join(_call(step, numbers) for step in job.steps),
        )
        .encode()
    )


def launch(job: Job, *, nonce: str, length: int) -> str:
    """The text to execute: it stores a script of `length` bytes from standard input and runs it, whoever hangs up."""
    return _Template(LAUNCH).substitute(
        NONCE=nonce,
        LENGTH=length,
        ROOT=quote(job.layout.root),
        STATE=quote(job.layout.state),
        RUN_DIR=quote(job.layout.run(job.run)),
    )


class _Template(string.Template):
    delimiter = "@"


def _text(step: JobStep, size: int) -> str:
    # By eval, so that a line with an open quote or bracket ends its own step and not the whole script. The last one
    # needs no shell of its own: its step ends with it.
    *early, last = [f"eval {quote(command.render())}" for command in step.commands] or [":"]
    parts = [*(f"( {part} )" for part in early), last]
    if step.artifact:
        # What follows the artifact on the input is the job's own.
        parts = [f'(umask 077; exec head -c {size} >"$ARTIFACT")', "exec </dev/null", *parts]
    # Joined by `&&` every command but the last would run as if it had never said `set -e`.
    return "\ncase $? in 0) ;; *) exit ;; esac\n".join(parts)


def _call(step: JobStep, numbers: dict[str, int]) -> str:
    if step.ask:
        number, text = numbers[step.id], _text(step, 0)
        return f'ask {number} && ( exec </dev/null 8<&- 9>&-; umask "$u"; {text}\n)\ntell {number}'
    undoes = numbers[step.undoes] if step.undoes else ""
    repeat = "again" if step.idempotent else "guarded" if step.guarded else "once"
    return (
        f"go {numbers[step.id]} {quote(step.id)} {repeat} {step.deadline:.3f} "
        f"{'artifact' if step.artifact else '-'} {undoes}"
    )
