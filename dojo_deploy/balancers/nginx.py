"""nginx on our own hosts: one include file per backend, a reload, and proof from nginx itself that it took effect."""

from __future__ import annotations

import random
import shlex
import urllib.parse
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dojo_deploy.balancers import nginx_files as files
from dojo_deploy.balancers.nginx_change import Change, Site
from dojo_deploy.balancers.nginx_inspect import inspect
from dojo_deploy.errors import BalancerError, ConfigError, DojoError, FencedError, LostError, RefusedError
from dojo_deploy.interfaces import Answer, Backend

if TYPE_CHECKING:
    from dojo_deploy.interfaces import Session


@dataclass(frozen=True)
class Nginx:
    """Keys of `balancer:` for `kind: nginx`. Every host of the group `hosts` is changed, or none is.

    nginx.conf says `include <include>/*.conf;` at http level, the site's `server` says
    `include <include>/<app>-<environment>/server/*.conf;` and passes to `http://<app>_<environment>`. `include` belongs
    to the deploy user, who may run `<nginx> -T`, `-v` and `-s reload`. `url` is how that `server` is asked from its own
    host, in plain HTTP: give it a second `listen 127.0.0.1:…` if it speaks TLS. A `location` with an `add_header` of
    its own hides the identity header that `via: balancer` gates read.
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
        live = [change.live() for change in self._changes(session, backends)]
        serving = {backend.host for backend in backends for one in live if one.serves(backend)}
        return frozenset(backend.host for backend in backends) - serving

    def drain(self, session: Session, backend: Backend, pool: tuple[Backend, ...]) -> None:
        """Returns once the workers that knew it are gone: until then a kept-alive connection may still reach it.

        Raises RefusedError when no other host of `pool` would be left (an empty one allows it), FencedError when a
        newer run has changed an nginx since, BalancerError when it was put back.
        """
        self._everywhere(session, "drain", backend, pool)

    def restore(self, session: Session, backend: Backend, pool: tuple[Backend, ...]) -> None:
        """Replaces another slot of the same host. Raises BalancerError when what was there before was put back."""
        self._everywhere(session, "restore", backend, pool)

    def serving(self, session: Session, backends: tuple[Backend, ...]) -> frozenset[Backend]:
        live = [change.live() for change in self._changes(session, backends)]
        return frozenset(backend for backend in backends if any(one.serves(backend) for one in live))

    def switch(self, session: Session, to: tuple[Backend, ...], away: tuple[Backend, ...]) -> None:
        """Raises RefusedError when `to` is empty."""
        if not to:
            raise RefusedError("nothing to switch to")
        for backend in to:
            self.restore(session, backend, to)
        for backend in away:
            self.drain(session, backend, to)

    def settle(self, session: Session, within: float) -> None:
        """Nothing: `switch` has waited."""

    def preview(self, verb: str, *backends: Backend) -> tuple[str, ...]:
        backend = backends[0]
        line = files.line(backend.address, up=verb == "restore")
        wait = "" if verb == "restore" else f", then until the old workers are gone, at most {self.drain_within:g} s"
        return (
            f"{self.hosts}: servers/{backend.host}.conf: {line}",
            f"{self.hosts}: {self.nginx} -T",
            f"{self.hosts}: {self.nginx} -s reload",
            f"{self.hosts}: until {self.url} answers by it, at most {self.effect_within:g} s{wait}",
        )

    def answer(self, session: Session, path: str = "/", *, within: float = 10.0) -> Answer | None:
        site = self._site(session, ())
        change = random.choice(self._changes(session, ()))
        try:
            found = change.ask(path, within=within)
        except OSError as exc:
            raise BalancerError(f"{change.host}: {site.url}{path}: {exc}") from exc
        tried = [part.strip() for part in found.headers.get(files.IDENTITY.lower(), "").split(",")]
        field = session.inventory.app.release_field
        release = found.field(field) if field else None
        return Answer(found.status, tried[-1], release or "", found.body, found.headers.get("location", ""))

    def warnings(self, session: Session) -> tuple[str, ...]:
        """What makes a reload lose requests or a drain wait for ever, per balancer host, in words."""
        known = frozenset(session.inventory.hosts)
        return tuple(text for change in self._changes(session, ()) for text in inspect(change, known))

    def _everywhere(self, session: Session, verb: str, backend: Backend, pool: tuple[Backend, ...]) -> None:
        changes = self._changes(session, (backend, *pool))
        made: list[Change] = []
        try:
            for change in changes:
                with session.guard(f"balancer:{change.host}"):
                    change.write(verb, backend, pool)
                    made.append(change)
                    change.await_effect(self.effect_within)
            for change in changes:
                if verb == "drain":
                    change.await_complete(self.drain_within)
                else:
                    change.await_handover(self.effect_within)
        except FencedError:
            raise  # what is there now is the newer run's
        except DojoError as exc:
            stuck = [text for change in reversed(made) if (text := _put_back(session, change, backend, self))]
            if stuck:
                raise BalancerError(f"{exc.message}; not put back: {'; '.join(stuck)}", hint=exc.hint) from exc
            if isinstance(exc, (RefusedError, LostError, BalancerError)):
                raise
            raise BalancerError(f"{verb} {backend.host}: {exc.message}", hint=exc.hint) from exc

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


def _put_back(session: Session, change: Change, backend: Backend, settings: Nginx) -> str:
    """What kept it from being put back; empty when it is as it was."""
    try:
        with session.guard(f"balancer:{change.host}"):
            change.put_back(backend, settings.effect_within)
    except DojoError as exc:
        return exc.message
    return ""
