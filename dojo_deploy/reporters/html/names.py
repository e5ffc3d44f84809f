"""What releases are called in a report: by branch or tag where one is known, and as short as tells them apart."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from dojo_deploy.events import CensusTaken, LoadMeasured
from dojo_deploy.reporters.html.story import Session

HUES = 6  # the style sheet knows so many; further releases share the last


@dataclass(frozen=True)
class Names:
    """`order`: the release that this run is about first, then the others as they were met."""

    order: tuple[str, ...]
    refs: Mapping[str, str] = field(default_factory=dict)

    def short(self, release: str) -> str:
        """`4f3a9c1` where nothing else begins so."""
        parts = release.split("-")
        for size in range(1, len(parts)):
            head = "-".join(parts[:size])
            if not any(other != release and other.startswith(f"{head}-") for other in self.order):
                return head
        return release

    def full(self, release: str) -> str:
        """`v2 (4f3a9c1)`."""
        ref = self.refs.get(release, "")
        return f"{ref} ({self.short(release)})" if ref else self.short(release)

    def brief(self, release: str) -> str:
        """`v2`, unless another release goes by the same name."""
        ref = self.refs.get(release, "")
        return ref if ref and list(self.refs.values()).count(ref) == 1 else self.full(release)

    def hue(self, release: str) -> int:
        return min(self.order.index(release), HUES - 1) if release in self.order else HUES - 1


def names_of(sessions: Iterable[Session]) -> Names:
    found: dict[str, None] = {}
    refs: dict[str, str] = {}
    for session in sessions:
        if session.started:
            found[session.started.release] = None
            refs |= session.started.refs
        found |= dict.fromkeys(_met(session.load, session.census))
    return Names(tuple(name for name in found if name), refs)


def _met(load: LoadMeasured | None, census: CensusTaken | None) -> list[str]:
    answers = sorted(load.answers, key=lambda name: load.answers[name][0]) if load else []
    linked = [row.get("current", "") for row in census.rows.values()] if census else []
    standby = census.standby.get("release", "") if census else ""
    return [*answers, *(name for name in (*linked, standby) if name not in ("–", "?", ""))]
