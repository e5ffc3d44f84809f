"""Which release answers where: by link, by process, by its own health answer, and through the balancer."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from concurrent.futures import Executor
from dataclasses import asdict

from dojo_deploy.engine.observe import look, slots_served
from dojo_deploy.errors import DojoError
from dojo_deploy.events import CensusTaken
from dojo_deploy.interfaces import Session
from dojo_deploy.inventory import BLUE, Host, Inventory
from dojo_deploy.plan import Target
from dojo_deploy.release import HostSeen, Standby

SAMPLES = 12  # answers taken through the balancer
ASK_WITHIN = 5.0


def take_census(
    session: Session,
    hosts: Iterable[Host],
    executor: Executor,
    *,
    live: str,
    looks: Mapping[str, HostSeen] | None = None,
    standby: Standby | None = None,
    samples: int = SAMPLES,
) -> CensusTaken:
    """Looks at every host that is not in `looks`. One that cannot be asked is a row of its own, and makes it mixed.

    `live` is the record's word; the rows are of the slot that the balancer sends to, where that is one.
    `verdict`: consistent (every host runs the one release that its link names), empty (nothing is deployed), or mixed.
    """
    chosen = list(hosts)
    sent, trouble = _sent(session, [host.name for host in chosen])
    used = [slot for slot, names in sent.items() if names]
    slot = used[0] if len(used) == 1 else live
    on_it = {host.name for host in session.inventory.of_slot(slot)}
    chosen = [host for host in chosen if host.name in on_it]
    futures = {host.name: executor.submit(_row, session, host, slot, (looks or {}).get(host.name)) for host in chosen}
    rows = {name: future.result() for name, future in futures.items()}
    for name, row in rows.items():
        row["balancer"] = trouble or _traffic(session.inventory, sent, name, slot)
    return CensusTaken(
        rows=rows,
        verdict=_verdict(rows),
        through_balancer=_sample(session, samples),
        live=slot,
        # While a switch-back goes on, the record still names as a standby what serves.
        standby={key: str(value) for key, value in asdict(standby).items()} if standby and standby.slot != slot else {},
    )


def _sent(session: Session, hosts: list[str]) -> tuple[Mapping[str, tuple[str, ...]], str]:
    """Slot -> hosts that get new requests in it, or why nobody knows."""
    site = session.inventory
    try:
        found = slots_served(session)
        if found or not site.balancer.can_drain:
            return found, ""
        backends = tuple(one for one in site.backends(BLUE) if one.host in hosts)
        drained = site.balancer.drained(session, backends)
        return {BLUE: tuple(one.host for one in backends if one.host not in drained)}, ""
    except DojoError as exc:
        return {}, f"unknown: {exc.message}"


def _traffic(site: Inventory, sent: Mapping[str, tuple[str, ...]], host: str, live: str) -> str:
    if not site.balancer.can_drain:
        return "none"
    slots = [slot for slot, hosts in sent.items() if host in hosts]
    if slots in ([], [live]):
        return "serving" if slots else "drained"
    return f"serving {' and '.join(slots)}"


def _row(session: Session, host: Host, live: str, seen: HostSeen | None) -> dict[str, str]:
    try:
        seen = seen or look(session, host, platform=False, room=False)
    except DojoError as exc:
        return {"current": "?", "running": "?", "health": exc.message, "verdict": "unknown"}
    current = seen.current.get(live, "")
    runs = _runs(seen, live)
    health = _health(session, host, live, current)
    watched = session.inventory.app.processes.watched
    right = (not watched or set(runs) == {current}) and not health.startswith("sick")
    return {
        "current": current or "–",
        "running": ", ".join(f"{release} ×{count}" for release, count in sorted(runs.items()))
        or ("–" if watched else "not asked"),
        "health": health,
        "verdict": ("ok" if right else "wrong") if current else "bare",
    }


def _runs(seen: HostSeen, live: str) -> Counter[str]:
    return Counter(
        release for key, releases in seen.running.items() if key.startswith(f"{live}/") for release in releases
    )


def _health(session: Session, host: Host, live: str, current: str) -> str:
    site = session.inventory
    if not current or not host.port(site.app.processes.web, live):
        return "–"
    reading = site.probes["health"].check(session, Target(host.name, live, current), within=ASK_WITHIN)
    return "ok" if reading.ok else f"sick: {reading.detail}"


def _verdict(rows: dict[str, dict[str, str]]) -> str:
    if all(row["verdict"] == "bare" for row in rows.values()):
        return "empty"
    releases = {row["current"] for row in rows.values()}
    fine = all(row["verdict"] == "ok" and row.get("balancer") in ("serving", "none") for row in rows.values())
    return "consistent" if fine and len(releases) == 1 else "mixed"


def _sample(session: Session, samples: int) -> dict[str, int]:
    site = session.inventory
    answers: Counter[str] = Counter()
    for _ in range(samples):
        try:
            answer = site.balancer.answer(session, site.app.health)
        except DojoError:
            return {}
        if answer is None:
            return {}
        answers[answer.release or f"status {answer.status}"] += 1
    return dict(answers)
