"""One change of one nginx: written and told in one round trip, then proven by what nginx itself answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dojo_deploy.balancers.nginx import files, scripts, waits
from dojo_deploy.balancers.nginx.host import ASK_WITHIN, ENDLESS, NginxHost, Site
from dojo_deploy.errors import BalancerError, FencedError, RefusedError

if TYPE_CHECKING:
    from dojo_deploy.interfaces import Completed, Session

LOCK_WITHIN = 30.0  # for other writers on the same nginx
SCRIPT_WITHIN = 60.0  # LOCK_WITHIN and three short calls of nginx
POLL = 0.05
LOSSLESS = "1.27.4"  # the first nginx with keepalive_min_timeout


@dataclass(frozen=True)
class Written:
    """What the host reported.

    `made` is `reload`, `flip on`, `flip off`, `unclosed` or `nothing`; `was` the rows `host up|down address slot` that
    served; `old` the workers of before a reload; `door` was `open` or `closed`.
    """

    generation: int
    made: str
    was: tuple[str, ...]
    old: str
    log: str
    door: str


class Change(NginxHost):
    """A change of one nginx; `write` first. Raises BalancerError with nginx's own words."""

    def __init__(self, session: Session, host: str, site: Site) -> None:
        super().__init__(session, host, site)
        self.written: Written | None = None
        self._verb = ""
        self._asked: tuple[str, ...] = ()

    def write(
        self,
        verb: str,
        asked: Sequence[str] = (),
        *,
        may_empty: bool = True,
        page: Mapping[str, str] | None = None,
        shut: bool = False,
    ) -> Written:
        """Files, test and reload; when nginx refuses, the files are as they were and it was told nothing.

        `asked` are rows: `know`, `up`, `down` or `put` (down whatever the slot) and a backend, `only` (what was put up
        so far), `spare` and a backend. Raises RefusedError for what leaves nothing known up unless that `may_empty`,
        and FencedError when a newer run has been here.
        """
        content = {"ALLOW": "", "EXEMPT": "", "HEAD": "", **(page or {})}
        stdin = content.pop("BODY", "") if verb == "close" else "".join(f"{row}\n" for row in asked)
        live = self.live() if verb == "switch" else files.Live()
        env = {
            **self._base(),
            **content,
            "VERB": verb,
            "LIVE": str(live.generation),
            "LIVE_UP": "\n".join(" ".join(row) for row in sorted(live.up)),
            "LOSSLESS": LOSSLESS,
            "PATIENCE": files.PATIENCE,
            "HTTP_LEVEL": files.http_level(self.site.include, self.site.scope, self.site.trusted),
            "SERVER_LEVEL": files.server_level(self.site.include, self.site.scope),
            "FORCE": "1" if verb in ("back", "unclose") else "",
            "MAY_EMPTY": "1" if may_empty else "",
            "SHUT": "1" if shut else "",
        }
        self._verb, self._asked = verb, tuple(asked)
        try:
            done = self._tell(scripts.CHANGE, env, stdin.encode())
        except BalancerError:
            # With no room to write, or an nginx that takes nothing, what serves already serves on.
            if verb != "switch" or not self._stands(self._asked):
                raise
            self.written = Written(live.generation, "nothing", (), "", "", "")
            return self.written
        rows = [row.partition(" ")[::2] for row in done.text.splitlines()]
        said = {key: row for key, row in rows if key != "was"}
        was = tuple(row for key, row in rows if key == "was")
        old, log, door = (said.get(key, "") for key in ("old", "log", "door"))
        self.written = Written(int(said["generation"]), said["made"], was, old, log, door)
        return self.written

    def turn(self, flag: str, *, on: bool) -> bool:
        """A flag file, there or gone: `closed`, or a generation's, by which the spare serves. Whether it was there."""
        done = self._tell(scripts.TURN, {**self._base(), "FLAG": flag, "ON": "1" if on else ""})
        return done.text.endswith("was 1")

    def shut(self, page: Mapping[str, str], within: float) -> None:
        """Puts a page up that the workers know by now: those of before it would show it without its headers.

        One that is up is replaced already.
        """
        if self._required().door == "open":
            self.write("close", page=page, shut=True)
            self.await_effect(within)

    def unclose(self) -> None:
        """The maintenance page is taken down."""
        was = self.turn("closed", on=False)
        self.written = Written(0, "unclosed" if was else "nothing", (), "", "", "")

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
            text = f"requests by the old configuration still run after {within:g} s, in workers {done.text}"
            raise BalancerError(f"{self.host}: {text}", hint=ENDLESS)

    def put_back(self, within: float) -> None:
        """What was there before `write`, whatever nginx says to the rest of its configuration."""
        written, verb, asked = self._required(), self._verb, self._asked
        if verb == "close" and written.door == "open":
            self.turn("closed", on=False)
        elif written.made == "unclosed":
            self.turn("closed", on=True)
        elif written.made in ("flip on", "flip off"):
            self.turn(str(written.generation), on=written.made == "flip off")
        elif written.made == "reload":
            try:
                self.write(*(("unclose", ()) if verb == "close" else ("back", _back(written.was, asked))))
                self.await_effect(within)
                self.await_handover(within)
            except BalancerError:
                # What keeps nginx from taking this may have kept it from taking what is put back.
                if verb == "close" or not self._serves(_back(written.was, asked)):
                    raise

    def _base(self) -> dict[str, str]:
        store, generation = self.session.lease
        return {
            "STORE": store,
            "LEASE": str(generation),
            "INCLUDE": self.site.include,
            "SCOPE": self.site.scope,
            "NAME": files.upstream(self.site.scope),
            "PID": self.site.pid,
            "LOCK_WITHIN": f"{LOCK_WITHIN:.0f}",
        }

    def _tell(self, script: str, env: Mapping[str, str], stdin: bytes = b"") -> Completed:
        done = self.run(script, env, within=SCRIPT_WITHIN, stdin=stdin)
        words = done.text[-2000:] or done.complaint
        if done.status == scripts.WOULD_EMPTY:
            raise RefusedError(f"{self.host}: this would leave the site without a backend")
        if done.status == scripts.FENCED:
            raise FencedError(f"{self.host}: nginx was not changed: {words}")
        if not done.ok:
            raise BalancerError(f"{self.host}: {_REASONS.get(done.status, 'failed')}: {words}")
        return done

    def _stands(self, asked: tuple[str, ...]) -> bool:
        """Whether a switch is what serves, and what would serve after a restart of nginx."""
        wanted = {tuple(row.split()[1:3]) for row in asked if row.startswith("up ")}
        try:
            done = self.run(waits.STANDS, self._base(), within=ASK_WITHIN)
            return self.live().up == wanted == {tuple(row.split()) for row in done.text.splitlines()}
        except BalancerError:
            return False

    def _serves(self, rows: tuple[str, ...]) -> bool:
        try:
            up = self.live().up
        except BalancerError:
            return False
        parts = [row.split() for row in rows]
        return all(((host, address) in up) == (what == "up") for what, host, address, _ in parts)

    def _wait(self, within: float, *, accepting: str = "") -> Completed:
        env = {"OLD": self._required().old, "WITHIN": f"{within:.0f}", "ACCEPTING": accepting}
        return self.run(waits.WAIT, env, within=within + ASK_WITHIN)

    def _required(self) -> Written:
        if self.written is None:
            raise BalancerError(f"{self.host}: nothing was written")
        return self.written

    def _log(self) -> str:
        done = self.run(waits.EMERGENCIES, {"LOG": self._required().log}, within=ASK_WITHIN)
        return f"\n{done.text}" if done.text else ""


def _back(was: tuple[str, ...], asked: tuple[str, ...]) -> tuple[str, ...]:
    """The rows that undo `asked`: of the hosts it named, or of all if it named who alone may stay."""
    changes = [row for verb, _, row in (one.partition(" ") for one in asked) if verb in ("up", "down", "put")]
    named = {row.split()[0]: row for row in changes}
    before = {parts[0]: parts for parts in (row.split() for row in was)}
    whole = "only" in asked
    rows = [
        f"{'up' if state == 'up' else 'put'} {host} {address} {slot}"
        for host, state, address, slot in before.values()
        if whole or host in named
    ]
    return (*rows, *(f"put {row}" for host, row in named.items() if host not in before))


_REASONS = {
    scripts.REFUSED_BEFORE: "nginx refuses its configuration as it is, so nothing was changed",
    scripts.REFUSED: "nginx refused the change, which was taken back",
    scripts.UNTOLD: "nginx could not be told, so the change was taken back",
    scripts.UNWRITTEN: "its files could not be written, so nothing was changed",
    scripts.BUSY: "nothing was changed",
}
