"""Carries a host job over and brings its answer home, whatever becomes of the connection meanwhile."""

from __future__ import annotations

import contextlib
import io
import itertools
import os
import posixpath
import secrets
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

from dojo_deploy.clock import utc
from dojo_deploy.engine.hoststate import Fence, fence, record
from dojo_deploy.engine.jobframes import Began, Ended, Frame, FrameReader, Said
from dojo_deploy.engine.jobscript import Job, JobStep, launch, script
from dojo_deploy.engine.jobstory import StepResult, Story
from dojo_deploy.errors import (
    DojoError,
    FencedError,
    HostKeyError,
    LostError,
    OpenRunError,
    RefusedError,
    TransportError,
    UnreachableError,
)
from dojo_deploy.interfaces import Clock, Shell
from dojo_deploy.streams import Chained

__all__ = [
    "Began", "Ended", "Fence", "Frame", "Job", "JobStep", "Said", "StepResult", "carry", "fence", "record",
]  # fmt: skip

SLACK = 30.0
PAUSES = (0.1, 0.5, 1.0, 2.0, 4.0)


def carry(
    shell: Shell,
    job: Job,
    *,
    artifact: Path | None = None,
    on_frame: Callable[[Frame], None],
    clock: Clock,
    reach: float = 60.0,
) -> tuple[StepResult, ...]:
    """Runs the job and says how each step ended. A job whose answer was lost is asked for again, never run twice.

    Bounded by the sum of the deadlines and half a minute; a host that is lost is tried again for `reach` seconds.

    Raises:
        UnreachableError: nothing was sent.
        FencedError, OpenRunError, RefusedError: the host's fence admits another run, or nothing of this store.
        LostError: how the job ended is not known.
        TransportError: the host could not store the job, or not record its steps; what did not begin never will.
    """
    if any(step.artifact for step in job.steps) and artifact is None:
        raise ValueError("the job has a step for an artifact, and there is none")
    deadline = clock.monotonic() + sum(step.deadline for step in job.steps) + SLACK
    story = Story(job, on_frame)
    lost: TransportError | None = None
    unheard_since = clock.monotonic()
    for attempt in itertools.count():
        try:
            left = deadline - clock.monotonic()
            # A session that says nothing past all deadlines is frozen: what is left then is for another one.
            within = left if attempt else left - SLACK / 2
            _attempt(shell, job, artifact, story, at=utc(clock.now()), wait=left - SLACK / 2, within=within)
        except UnreachableError as exc:
            if lost is None or isinstance(exc, HostKeyError):
                raise (exc if lost is None else _gave_up(shell, exc)) from exc
            lost = exc
        except LostError as exc:
            lost = exc
        if story.refusal:
            raise _refused(shell, job, story.refusal)
        if story.fault:
            raise TransportError(f"the host cannot keep its record of the run: {story.fault}", host=shell.host.name)
        if story.is_over:
            return story.results()
        if story.was_heard or attempt == 0:
            unheard_since = clock.monotonic()
        now = clock.monotonic()
        lost = lost or LostError("the job ended without a word", host=shell.host.name)
        if now >= min(deadline - SLACK / 4, unheard_since + reach):
            raise _gave_up(shell, lost) from lost
        clock.sleep(PAUSES[min(attempt, len(PAUSES) - 1)])
    raise AssertionError("unreachable")


def _attempt(
    shell: Shell, job: Job, artifact: Path | None, story: Story, *, at: str, wait: float, within: float
) -> None:
    nonce = secrets.token_hex(16)
    with _opened(artifact) as (file, size):
        text = script(job, nonce=nonce, at=at, size=size, wait=wait)
        parts: list[BinaryIO] = [io.BytesIO(text), *([file, io.BytesIO(nonce.encode())] if file else [])]
        reader = FrameReader(nonce, story.frame, story.line)
        story.begin()
        status = shell.stream(
            launch(job, nonce=nonce, length=len(text)),
            within=within,
            stdin=Chained(*parts),
            on_output=reader.feed,
        )
        reader.close()
    if status in (73, 74) and not story.was_heard:
        raise TransportError(f"the job could not be stored: {story.loose}", host=shell.host.name)


@contextlib.contextmanager
def _opened(artifact: Path | None) -> Iterator[tuple[BinaryIO | None, int]]:
    if artifact is None:
        yield None, 0
        return
    with artifact.open("rb") as file:
        yield file, os.fstat(file.fileno()).st_size


def _gave_up(shell: Shell, cause: TransportError) -> LostError:
    return LostError(
        f"the host could not be asked how its job ended: {cause.message}",
        host=shell.host.name,
        hint="the job goes on there by itself; resume asks again",
    )


def _refused(shell: Shell, job: Job, words: list[str]) -> DojoError:
    name, file = shell.host.name, posixpath.join(job.layout.state, "fence")
    why, rest = words[0], [*words[1:], "", ""]
    if why == "older":
        return FencedError(f"{name}: run {rest[1]} with generation {rest[0]} has taken over from {job.generation}")
    if why == "open":
        return OpenRunError(
            f"{name}: run {rest[1]} began here and never ended", hint=f"resume or abort {rest[1]} first"
        )
    if why == "busy":
        return LostError("another job is still running on the host", host=name)
    said = {
        "store": f"belongs to the store {rest[0]}, not to {job.store_id}",
        "scope": f"is deployed to as {rest[0]}, not as {job.scope}",
    }.get(why, "has a fence that cannot be read")
    return RefusedError(f"{name}: {job.layout.root} {said}", hint=f"if that is meant to change, remove {file} there")
