"""What has begun and what has ended so far: in this process, and in earlier sessions of the same run."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping

from dojo_deploy.plan import Lane, OnHost, Plan, Stage, Step, step_id
from dojo_deploy.release import HostSeen


class Progress:
    """The run's own memory. `began` and `ended` come from the hosts' records and the store's notes, never from intents.

    A step that began and did not end may have done nothing, part or all of its work.
    """

    def __init__(
        self, ended: Mapping[str, int | None] | None = None, *, tolerated: Iterable[str] = (), failed_in: str = ""
    ) -> None:
        self._lock = threading.Lock()
        self._ended = dict(ended or {})
        self._tolerated = set(tolerated)
        self._failed_in = failed_in
        self._lost: dict[str, str] = {}
        self._closed: set[str] = set()
        self._looks: dict[str, HostSeen] = {}

    def begin(self, step: str) -> None:
        with self._lock:
            self._ended.setdefault(step, None)

    def end(self, step: str, status: int) -> None:
        with self._lock:
            self._ended[step] = status

    def began(self, step: str) -> bool:
        with self._lock:
            return step in self._ended

    def succeeded(self, step: str) -> bool:
        with self._lock:
            return self._ended.get(step) == 0

    def has_migrated(self, plan: Plan) -> bool:
        """The plan's migration has run, or part of it, or nobody knows that it has not."""
        steps = [(name, step) for name, stage, _, step in plan.steps() if stage.phase == "migrate"]
        with self._lock:
            return any(
                step.point_of_no_return and name in self._ended and self._ended[name] not in step.harmless
                for name, step in steps
            )

    def is_unknown(self, step: str) -> bool:
        """It began, and nobody knows yet how it ended."""
        with self._lock:
            return step in self._ended and self._ended[step] is None

    def tolerate(self, host: str) -> None:
        """This host failed within `max_failures`: it was undone and takes no further part."""
        with self._lock:
            self._tolerated.add(host)

    @property
    def tolerated(self) -> frozenset[str]:
        with self._lock:
            return frozenset(self._tolerated)

    def lose(self, host: str, why: str) -> None:
        """It gets no requests, and what it runs is not known."""
        with self._lock:
            self._lost[host] = why

    def find(self, host: str) -> None:
        with self._lock:
            self._lost.pop(host, None)

    @property
    def lost(self) -> dict[str, str]:
        """Host -> why it could not be asked."""
        with self._lock:
            return dict(self._lost)

    @property
    def failed_in(self) -> str:
        """The phase whose failure is undone; empty when it is undone for another reason."""
        with self._lock:
            return self._failed_in

    def fail_in(self, phase: str) -> None:
        with self._lock:
            self._failed_in = phase

    def close(self, host: str) -> None:
        """The host knows that this run has ended there."""
        with self._lock:
            self._closed.add(host)

    def reopen(self, host: str) -> None:
        with self._lock:
            self._closed.discard(host)

    def saw(self, look: HostSeen) -> None:
        """What a host was like when it was closed."""
        with self._lock:
            self._looks[look.host] = look

    @property
    def looks(self) -> dict[str, HostSeen]:
        """Of the hosts that are closed."""
        with self._lock:
            return {host: look for host, look in self._looks.items() if host in self._closed}

    def is_closed(self, host: str) -> bool:
        with self._lock:
            return host in self._closed

    def stage_began(self, stage: Stage) -> bool:
        """On a host that still takes part: of one that was left out it may only be feared."""
        lanes = [lane for lane in stage.lanes if lane.host not in self.tolerated]
        return any(self.began(step_id(stage, lane, step)) for lane in lanes for step in lane.steps)

    def touched(self, plan: Plan) -> tuple[str, ...]:
        """Hosts on which any step of the plan, or any undo, began."""
        stages = (*plan.stages, *plan.after_failure)
        lanes = [(stage, lane) for stage in stages for lane in stage.lanes]
        return tuple(
            dict.fromkeys(
                lane.host for stage, lane in lanes if any(self.began(step_id(stage, lane, step)) for step in lane.steps)
            )
        )

    def furthest(self, plan: Plan) -> int:
        """Index of the last stage that began; everything before it is finished. -1 when nothing began."""
        return max((number for number, stage in enumerate(plan.stages) if self.stage_began(stage)), default=-1)

    def reached(self, stage: Stage, lane: Lane) -> int:
        """Index of the lane's last step that began; the gates of all before it have passed. -1 when none did."""
        return max(
            (number for number, step in enumerate(lane.steps) if self.began(step_id(stage, lane, step))), default=-1
        )


def undo_id(step: str) -> str:
    return f"{step}~undo"


def is_on_host(step: Step) -> bool:
    """Whether the step is part of a host job; one without commands is only a gate."""
    return isinstance(step.action, OnHost) and bool(step.action.commands)
