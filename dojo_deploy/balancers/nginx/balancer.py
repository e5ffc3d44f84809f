"""nginx on our own hosts: one include file, a reload or a flag, and proof from nginx itself that it took effect."""

from __future__ import annotations

import random
import shlex
import urllib.parse
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from dojo_deploy.balancers.nginx import files
from dojo_deploy.balancers.nginx.change import Change
from dojo_deploy.balancers.nginx.host import Site, identity
from dojo_deploy.balancers.nginx.inspect import inspect
from dojo_deploy.balancers.nginx.prepare import preparations
from dojo_deploy.balancers.nginx.ready import faults
from dojo_deploy.errors import BalancerError, ConfigError, DojoError, FencedError, LostError, RefusedError
from dojo_deploy.interfaces import Answer, Backend, Finding, Page, Preparation
from dojo_deploy.inventory import BLUE, GREEN, Host, Inventory

if TYPE_CHECKING:
    from dojo_deploy.interfaces import Session

T = TypeVar("T")
Act = Callable[[Change], object]


@dataclass(frozen=True)
class Nginx:
    """Keys of `balancer:` for `kind: nginx`. Every host of the group `hosts` is changed, or none is.

    nginx.conf says `include <include>/*.conf;` at http level, the site's `server` says
    `include <include>/<app>-<environment>/server/*.conf;` and passes to `http://$dojo_<app>_<environment>`, with
    `proxy_set_header Host $host`. (One that passes to the upstream by its name, without `$dojo_`, is served too; before
    1.27.4 it pays for each switch of colours with a reload.) `include` belongs to the deploy user, who may run
    `<nginx> -T`, `-v` and `-s reload`; nginx's workers can read it. `url` is how that `server` is asked from its own
    host, in plain HTTP: give it a second `listen 127.0.0.1:…` if it speaks TLS. A `location` with an `add_header` of
    its own hides the identity header that `via: balancer` gates and switches read.
    """

    hosts: str = "lb"
    include: str = "/etc/nginx/dojo"
    nginx: str = "nginx"  # words, such as `sudo -n nginx`
    url: str = "http://127.0.0.1"
    name: str = ""  # Host header to ask with; empty: that of `url`
    pid: str = ""  # nginx's pid file; empty: the one that its configuration names
    trusted: tuple[str, ...] = ("127.0.0.0/8", "::1")  # who is shown the generation and the upstream's address
    effect_within: float = 10.0  # from a reload until nginx answers by the new configuration
    drain_within: float = 30.0  # from then until the last request by the old one has ended

    can_drain = True
    can_switch = True

    def drained(self, session: Session, backends: tuple[Backend, ...]) -> frozenset[str]:
        serving = {backend.host for backend in self.serving(session, backends)}
        return frozenset(backend.host for backend in backends) - serving

    def serving(self, session: Session, backends: tuple[Backend, ...]) -> frozenset[Backend]:
        live = _each(Change.live, self._changes(session, backends))
        return frozenset(backend for backend in backends if any(one.serves(backend) for one in live))

    def drain(self, session: Session, backend: Backend, pool: tuple[Backend, ...]) -> None:
        """Returns once the workers that knew it are gone: until then a kept-alive connection may still reach it.

        Raises RefusedError when no other host of `pool` would be left (an empty one allows it), FencedError when a
        newer run has changed an nginx since, BalancerError when it was put back.
        """
        spare = _other(session, backend)
        rows = files.rows("down", (backend,), pool, spare)
        self._everywhere(
            session,
            f"drain {backend.host}",
            self._changes(session, (backend, *pool, *spare)),
            lambda change: change.write("drain", rows, may_empty=not pool),
            lambda change: change.await_complete(self.drain_within),
        )

    def restore(self, session: Session, backend: Backend, pool: tuple[Backend, ...]) -> None:
        """Replaces another slot of the same host. Raises BalancerError when what was there before was put back."""
        spare = _other(session, backend)
        rows = files.rows("up", (backend,), pool, spare)
        self._everywhere(
            session,
            f"restore {backend.host}",
            self._changes(session, (backend, *pool, *spare)),
            lambda change: change.write("restore", rows),
            lambda change: change.await_handover(self.effect_within),
        )

    def switch(self, session: Session, to: tuple[Backend, ...], away: tuple[Backend, ...]) -> None:
        """By whichever way loses nothing: a reload where nginx keeps connections over it, else a flag file.

        Repeatable. Raises RefusedError (nothing in `to`), FencedError, BalancerError when it was put back.
        """
        if not to:
            raise RefusedError("a switch to nothing would leave the site without a backend")
        spare = away or _other(session, to[0])
        rows = (*files.rows("up", to, (), spare), "only")
        self._everywhere(
            session,
            f"switch to {to[0].slot}",
            self._changes(session, (*to, *spare)),
            lambda change: change.write("switch", rows),
            lambda change: change.await_handover(self.effect_within),
            lambda change: change.verify(to, session.inventory.app.health),
        )

    def settle(self, session: Session, within: float) -> None:
        """Raises UnsettledError after `within` seconds, BalancerError where nobody could say."""
        _each(lambda change: change.settle(within), self._changes(session, ()))

    def close(self, session: Session, page: Page) -> None:
        """Raises BalancerError when what was there before was put back, FencedError."""
        content = {**files.page(page), "BODY": page.body}

        def shut(change: Change) -> None:
            with session.guard(f"balancer:{change.host}"):
                change.shut(content, self.effect_within)

        self._everywhere(
            session,
            "close",
            self._changes(session, ()),
            lambda change: change.write("close", page=content),
            lambda change: change.await_handover(self.effect_within),
            shut,
            lambda change: change.await_handover(self.effect_within),
            lambda change: change.verify_closed(page),
        )

    def open(self, session: Session) -> None:
        """Raises BalancerError when the page is up again, FencedError."""
        self._everywhere(session, "open", self._changes(session, ()), Change.unclose, Change.verify_open)

    def closed(self, session: Session) -> bool:
        return any(live.closed for live in _each(Change.live, self._changes(session, ())))

    def preview(self, verb: str, *backends: Backend) -> tuple[str, ...]:
        if verb == "open":
            return (f"{self.hosts}: the maintenance page is taken down", f"{self.hosts}: until {self.url} shows it")
        what = {"close": "the maintenance page", "switch": "only these serve"}.get(verb, "")
        lines = [f"{one.host} ({one.slot}): {files.line(one.address, up=verb != 'drain')}" for one in backends]
        told = f"{self.nginx} -s reload"
        if verb == "switch":
            told += ", or a flag file where that would cut kept-alive connections"
        wait = f", then until the old workers are gone, at most {self.drain_within:g} s" if verb == "drain" else ""
        return (
            *(f"{self.hosts}: {line}" for line in ([what] if what else []) + lines),
            f"{self.hosts}: {self.nginx} -T",
            f"{self.hosts}: {told}",
            f"{self.hosts}: until {self.url} answers by it, at most {self.effect_within:g} s{wait}",
        )

    def answer(self, session: Session, path: str = "/", *, within: float = 10.0) -> Answer | None:
        change = random.choice(self._changes(session, ()))
        found = change.ask(path, within=within)
        field = session.inventory.app.release_field
        release = found.field(field) if field else None
        upstream = (identity(found) or ("",))[-1]
        if upstream:
            backends = [one for slot in (BLUE, GREEN) for one in session.inventory.backends(slot)]
            upstream = change.names(tuple(one.address for one in backends)).get(upstream, upstream)
        return Answer(found.status, upstream, release or "", found.body, found.headers.get("location", ""))

    def preparations(self, site: Inventory, host: Host, programs: Mapping[str, str]) -> tuple[Preparation, ...]:
        ours = host in site.group(self.hosts)
        return tuple(preparations(self, host.ssh.user, site.scope, site.url, programs)) if ours else ()

    def faults(self, session: Session) -> tuple[Finding, ...]:
        return tuple(one for found in _each(faults, self._changes(session, ())) for one in found)

    def warnings(self, session: Session) -> tuple[str, ...]:
        """What makes a reload lose requests or a drain wait for ever, per balancer host, in words."""
        known = frozenset(session.inventory.hosts)
        return tuple(text for change in self._changes(session, ()) for text in inspect(change, known))

    def _everywhere(self, session: Session, what: str, changes: list[Change], write: Act, *proofs: Act) -> None:
        """Written on every host at once, then proven on every one; when that fails on any, put back on all."""

        def begin(change: Change) -> None:
            with session.guard(f"balancer:{change.host}"):
                write(change)
                change.await_effect(self.effect_within)

        def put_back(change: Change) -> str:
            try:
                with session.guard(f"balancer:{change.host}"):
                    change.put_back(self.effect_within)
            except DojoError as exc:
                return exc.message
            return ""

        try:
            for act in (begin, *proofs):
                _each(act, changes)
        except FencedError:
            raise  # what is there now is the newer run's
        except DojoError as exc:
            made = [change for change in changes if change.written]
            stuck = [text for text in _each(put_back, made) if text]
            if stuck:
                raise BalancerError(f"{exc.message}; not put back: {'; '.join(stuck)}", hint=exc.hint) from exc
            if isinstance(exc, (RefusedError, LostError, BalancerError)):
                raise
            raise BalancerError(f"{what}: {exc.message}", hint=exc.hint) from exc

    def _changes(self, session: Session, backends: tuple[Backend, ...]) -> list[Change]:
        site = self._site(session, backends)
        return [Change(session, host.name, site) for host in session.inventory.group(self.hosts)]

    def _site(self, session: Session, backends: tuple[Backend, ...]) -> Site:
        parts = urllib.parse.urlsplit(self.url)
        if parts.scheme != "http" or not parts.hostname:
            raise ConfigError(
                f"nginx is asked in plain HTTP from its own host, not at {self.url!r}",
                hint="give the site's server a second `listen 127.0.0.1:8081;` and name that",
            )
        scope = session.inventory.scope
        files.check(self.include, scope, self.trusted, backends)
        return Site(
            scope=scope,
            include=self.include,
            words=tuple(shlex.split(self.nginx)),
            url=self.url.rstrip("/"),
            address=(parts.hostname, parts.port or 80),
            name=self.name or parts.netloc,
            pid=self.pid,
            trusted=self.trusted,
        )


def _each(act: Callable[[Change], T], changes: list[Change]) -> list[T]:
    """On all at once; raises what one raised, a FencedError before others."""
    with ThreadPoolExecutor(max(1, len(changes))) as lanes:
        pending = [lanes.submit(act, change) for change in changes]
    failures = [failure for failure in (one.exception() for one in pending) if failure]
    for failure in sorted(failures, key=lambda one: not isinstance(one, FencedError)):
        raise failure
    return [one.result() for one in pending]


def _other(session: Session, backend: Backend) -> tuple[Backend, ...]:
    """The other colour, as far as there is one: loaded beside the one that serves, a switch to it needs no reload."""
    slot = {BLUE: GREEN, GREEN: BLUE}.get(backend.slot, "")
    backends = session.inventory.backends(slot) if slot else ()
    return tuple(one for one in backends if not one.address.endswith(":0"))
