"""All questions side by side, each with its deadline; what cannot be asked is a finding, and hides no other."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor
from dataclasses import dataclass
from functools import partial

from dojo_deploy.checks import beside
from dojo_deploy.checks.judge import judge
from dojo_deploy.checks.look import examine
from dojo_deploy.checks.wanted import Wanted, engines, wanted
from dojo_deploy.engine.observe import look
from dojo_deploy.errors import DojoError, HostKeyError, LoginError, LostError, TransportError, UnreachableError
from dojo_deploy.interfaces import Session
from dojo_deploy.inventory import Host
from dojo_deploy.paste import invoke, setup, ssh
from dojo_deploy.plan import CONTROLLER
from dojo_deploy.readings import Finding

FAULTS = (
    (HostKeyError, "host-key"),
    (LoginError, "login"),
    (UnreachableError, "unreachable"),
    (LostError, "no-answer"),
)


@dataclass(frozen=True)
class Checked:
    """What was found. `hosts` are those that were asked, in the inventory's order."""

    hosts: tuple[str, ...]
    findings: tuple[Finding, ...]
    seconds: float

    @property
    def faults(self) -> tuple[Finding, ...]:
        """Without what is only told."""
        return tuple(finding for finding in self.findings if not finding.note)


def check(session: Session, executor: Executor, *, read_secrets: Callable[[], object]) -> Checked:
    """Asks every host of the inventory, and what stands beside them. Changes nothing but a scratch key of a store."""

    def secrets() -> tuple[Finding, ...]:
        read_secrets()
        return ()

    site, began = session.inventory, session.clock.monotonic()
    asked = engines(site)
    questions: list[Callable[[], Iterable[Finding]]] = [
        partial(_host, session, host, wanted(site, host, asked)) for host in site.hosts.values()
    ]
    questions += [
        partial(_balancer, session),
        partial(beside.store, session),
        partial(beside.database, session),
        partial(beside.build, session, asked),
        secrets,
    ]
    names = [*site.hosts, "balancer", "store", "database", "build", "secrets"]
    pending = [executor.submit(_told, session, name, ask) for name, ask in zip(names, questions, strict=True)]
    found: dict[tuple[str, str, str], Finding] = {}
    for future in pending:
        for finding in future.result():
            # A host that is away is told once, whoever wanted to ask it.
            key = (finding.fault, finding.host, "" if finding.fault in dict(FAULTS).values() else finding.what)
            found.setdefault(key, finding)
    order = [*site.hosts, *dict.fromkeys(finding.host for finding in found.values())]
    ranked = sorted(found.values(), key=lambda one: (one.note, order.index(one.host)))
    return Checked(tuple(site.hosts), tuple(ranked), session.clock.monotonic() - began)


def _host(session: Session, host: Host, want: Wanted) -> Iterator[Finding]:
    answer = examine(session, host, want)
    seen = look(session, host, platform=False) if want.releases else None
    yield from judge(session.inventory, host, want, answer, seen)


def _balancer(session: Session) -> Iterator[Finding]:
    balancer = session.inventory.balancer
    faults = balancer.faults(session)
    yield from faults
    if not faults:
        for text in balancer.warnings(session):
            yield Finding("balancer", CONTROLLER, text, note=True)


def _told(session: Session, name: str, ask: Callable[[], Iterable[Finding]]) -> tuple[Finding, ...]:
    found: list[Finding] = []
    try:
        found.extend(ask())
    except TransportError as exc:
        found.append(_away(session, exc, name))
    except DojoError as exc:
        found.append(Finding(name, CONTROLLER, exc.message, exc.hint))
    return tuple(found)


def _away(session: Session, exc: TransportError, name: str) -> Finding:
    hosts = session.inventory.hosts
    host = hosts.get(exc.host) or hosts.get(name)
    fault = next((word for kind, word in FAULTS if isinstance(exc, kind)), "no-answer")
    fix = exc.hint
    if host and fault == "login":
        fix = setup(session.inventory, host)
    elif host and fault == "host-key":
        fix = invoke(session.inventory, "hosts.trust", "--limit", host.name)
    elif host and not fix:
        fix = ssh(host, "true").replace("ssh ", "ssh -v ", 1)
    return Finding(fault, exc.host or name, exc.message.removeprefix(f"{exc.host}: "), fix)
