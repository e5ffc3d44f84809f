"""One change of one nginx: written and told in one round trip, then proven by what nginx itself answers."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from dojo_deploy import http1
from dojo_deploy.balancers import nginx_files as files
from dojo_deploy.balancers import nginx_scripts as scripts
from dojo_deploy.command import Command
from dojo_deploy.errors import BalancerError, FencedError, RefusedError

if TYPE_CHECKING:
    from dojo_deploy.interfaces import Backend, Completed, Session

ASK_WITHIN = 5.0
LOCK_WITHIN = 30.0  # for other writers on the same nginx
SCRIPT_WITHIN = 60.0  # LOCK_WITHIN and three short calls of nginx
POLL = 0.05


@dataclass(frozen=True)
class Site:
    """What is the same on each balancer host."""

    scope: str
    include: str
    words: tuple[str, ...]
    url: str
    address: tuple[str, int]
    name: str
    pid: str
    trusted: tuple[str, ...]


@dataclass(frozen=True)
class Written:
    """What the host reported: `was` is the backend's line before, `old` are the workers of before the reload."""

    generation: int
    was: tuple[str, str]
    old: str
    log: str


class Change:
    """A backend's line in one nginx; `write` first. Raises BalancerError with nginx's own words."""

    def __init__(self, session: Session, host: str, site: Site) -> None:
        self.session = session
        self.host = host
        self.site = site
        self._written: Written | None = None

    def live(self) -> files.Live:
        """What nginx serves now. Raises BalancerError when it does not answer."""
        try:
            found = self.ask(files.private(self.site.scope), within=ASK_WITHIN)
        except OSError as exc:
            raise BalancerError(f"{self.host}: nginx does not answer at {self.site.url}: {exc}") from exc
        return files.read_live(found.status, found.body)

    def ask(self, path: str, *, within: float) -> http1.Response:
        """One request from the balancer's own host. Raises OSError or TransportError."""
        tunnel = self.session.shell(self.host).dial(*self.site.address, within=within)
        return http1.fetch(tunnel, path, clock=self.session.clock, within=within, headers={"Host": self.site.name})

    def write(self, verb: str, backend: Backend, pool: tuple[Backend, ...], *, force: bool = False) -> Written:
        """Files, test and reload; when nginx refuses, the files are as they were and it was told nothing.

        Raises RefusedError for a drain that would leave no other host of `pool`, unless that is empty, and FencedError
        when a newer run has been here.
        """
        site = self.site
        store, generation = self.session.lease
        env = {
            "STORE": store,
            "LEASE": str(generation),
            "INCLUDE": site.include,
            "SCOPE": site.scope,
            "VERB": verb,
            "HOST": backend.host,
            "ADDRESS": backend.address,
            "NOTE": f"{backend.host} {backend.slot}",
            "LINE": files.line(backend.address, up=verb == "restore"),
            "HTTP_LEVEL": files.http_level(site.include, site.scope, site.trusted),
            "SERVER_LEVEL": files.server_level(site.scope),
            "PID": site.pid,
            "FORCE": "1" if force else "",
            "MAY_EMPTY": "" if pool else "1",
            "LOCK_WITHIN": f"{LOCK_WITHIN:.0f}",
        }
        rows = "".join(f"{one.host} {one.address} {one.slot}\n" for one in (backend, *pool))
        done = self.run(scripts.CHANGE, env, within=SCRIPT_WITHIN, stdin=rows.encode())
        if done.status == scripts.WOULD_EMPTY:
            raise RefusedError(f"{self.host}: draining {backend.host} would leave the site without a backend")
        if done.status == scripts.FENCED:
            raise FencedError(f"{self.host}: nginx was not changed: {_words(done)}")
        if not done.ok:
            raise BalancerError(f"{self.host}: {_REASONS.get(done.status, 'failed')}: {_words(done)}")
        rest = dict(row.partition(" ")[::2] for row in done.text.splitlines())
        was, _, address = rest["was"].partition(" ")
        self._written = Written(int(rest["generation"]), (was, address), rest["old"], rest["log"])
        return self._written

    def await_effect(self, within: float) -> None:
        """Until nginx answers by this change, or by a later one, which holds this one."""
        written, clock = self._required(), self.session.clock
        deadline = clock.monotonic() + within
        seen, hint = "", f"the site's server must `include {self.site.include}/{self.site.scope}/server/*.conf;`"
        while True:
            try:
                live = self.live()
            except BalancerError as exc:
                seen = exc.message
            else:
                if live.generation >= written.generation:
                    return
                hint = "" if live.generation else hint
                seen = f"it answers by generation {live.generation}, not {written.generation}"
            if clock.monotonic() >= deadline:
                break
            clock.sleep(POLL)
        raise BalancerError(
            f"{self.host}: nginx took the reload, but it is not in effect after {within:g} s: {seen}{self._log()}",
            hint=hint,
        )

    def await_handover(self, within: float) -> None:
        """Until the workers of before the reload take no new connection."""
        done = self._wait(within, accepting="1")
        if not done.ok:
            raise BalancerError(f"{self.host}: workers {done.text} still take connections {within:g} s after a reload")

    def await_complete(self, within: float) -> None:
        """Until the workers of before the reload are gone."""
        done = self._wait(within)
        if not done.ok:
            raise BalancerError(
                f"{self.host}: requests by the old configuration still run after {within:g} s, in workers {done.text}",
                hint="a larger `drain_within`, or `worker_shutdown_timeout 20s;` in nginx.conf for connections "
                "that never end, such as websockets",
            )

    def put_back(self, backend: Backend, within: float) -> None:
        """The backend's line of before `write`, whatever nginx says to the rest of its configuration."""
        state, address = self._required().was
        before, up = replace(backend, address=address or backend.address), state == "up"
        try:
            self.write("restore" if up else "put", before, (), force=True)
            self.await_effect(within)
            self.await_handover(within)
        except BalancerError:
            # What keeps nginx from taking this may have kept it from taking what is put back.
            if not self._serves(before, up=up):
                raise

    def run(self, script: str, env: dict[str, str], *, within: float, stdin: bytes = b"") -> Completed:
        command = Command.of("/bin/sh", "-c", script, "dojo-nginx", *self.site.words, env=env)
        return self.session.shell(self.host).run(command, within=within, stdin=stdin)

    def _serves(self, backend: Backend, *, up: bool) -> bool:
        try:
            return self.live().serves(backend) == up
        except BalancerError:
            return False

    def _wait(self, within: float, *, accepting: str = "") -> Completed:
        written = self._required()
        env = {"OLD": written.old, "WITHIN": f"{within:.0f}", "ACCEPTING": accepting}
        return self.run(scripts.WAIT, env, within=within + ASK_WITHIN)

    def _required(self) -> Written:
        if self._written is None:
            raise BalancerError(f"{self.host}: nothing was written")
        return self._written

    def _log(self) -> str:
        done = self.run(scripts.EMERGENCIES, {"LOG": self._required().log}, within=ASK_WITHIN)
        return f"\n{done.text}" if done.text else ""


def _words(done: Completed) -> str:
    return done.text[-2000:] or done.complaint


_REASONS = {
    scripts.REFUSED_BEFORE: "nginx refuses its configuration as it is, so nothing was changed",
    scripts.REFUSED: "nginx refused the change, which was taken back",
    scripts.UNTOLD: "nginx could not be told, so the change was taken back",
    scripts.BUSY: "nothing was changed",
}
