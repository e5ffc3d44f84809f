"""One nginx as its own host sees it: asked over fresh connections, and read. Changes nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dojo_deploy import http1
from dojo_deploy.balancers.nginx import files, waits
from dojo_deploy.command import Command
from dojo_deploy.errors import BalancerError, UnsettledError

if TYPE_CHECKING:
    from dojo_deploy.interfaces import Backend, Completed, Page, Session

ASK_WITHIN = 5.0
ENDLESS = (
    "more time, or `worker_shutdown_timeout 20s;` in nginx.conf for connections that never end, such as websockets"
)


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


class NginxHost:
    """One balancer host. What it raises is a BalancerError, or the TransportError of its shell."""

    def __init__(self, session: Session, host: str, site: Site) -> None:
        self.session = session
        self.host = host
        self.site = site

    def live(self) -> files.Live:
        """What nginx serves now."""
        found = self.ask(files.private(self.site.scope), within=ASK_WITHIN)
        return files.read_live(found.status, found.body)

    def ask(self, path: str, *, within: float = ASK_WITHIN, seen_as: str = "") -> http1.Response:
        """One request on a fresh connection."""
        headers = {"Host": self.site.name, **({files.AS: seen_as} if seen_as else {})}
        try:
            tunnel = self.session.shell(self.host).dial(*self.site.address, within=within)
            return http1.fetch(tunnel, path, clock=self.session.clock, within=within, headers=headers)
        except OSError as exc:
            raise BalancerError(f"{self.host}: nginx does not answer at {self.site.url}{path}: {exc}") from exc

    def verify(self, to: tuple[Backend, ...], path: str) -> None:
        """That fresh connections are answered by `to` and nobody else: max(10, 3 * len(to)) of them."""
        wanted = frozenset(self.names(tuple(backend.address for backend in to)))
        number = max(10, 3 * len(to))
        for count in range(1, number + 1):
            found = self.ask(path, seen_as="inside")
            tried = identity(found)
            if not tried:
                name = files.variable(self.site.scope)
                raise BalancerError(
                    f"{self.host}: {self.site.url}{path} does not say who answers",
                    hint="a `location` with an add_header of its own hides it: "
                    f"say there `add_header {files.IDENTITY} {name}_upstream always;`",
                )
            if found.status in (502, 504) or not wanted.issuperset(tried):
                raise BalancerError(
                    f"{self.host}: {path} is answered {found.status} by {', '.join(tried)}, on fresh connection "
                    f"{count} of {number}, and should be by {', '.join(sorted(wanted))}"
                )

    def verify_closed(self, page: Page) -> None:
        """That the page answers, and not where it must not."""
        path = next(one for one in ("/", f"{files.private(self.site.scope)}/nowhere") if one not in page.exempt)
        found = self.ask(path, seen_as="stranger")
        if found.status != 503 or found.body != page.body.encode()[: http1.BODY] or "retry-after" not in found.headers:
            raise BalancerError(f"{self.host}: the page is up, and {path} is answered {found.status} without it")
        for path in page.exempt:
            found = self.ask(path, seen_as="stranger")
            if found.status == 503 and "retry-after" in found.headers and not identity(found):
                raise BalancerError(f"{self.host}: {path} is let through, and is answered by the page")

    def verify_open(self) -> None:
        """That requests pass."""
        found = self.ask("/", seen_as="stranger")
        if self.live().closed or (found.status == 503 and "retry-after" in found.headers and not identity(found)):
            raise BalancerError(f"{self.host}: the page was taken down, and still answers")

    def settle(self, within: float) -> None:
        """Until nothing of before the last change is under way, whoever made it."""
        env = {"INCLUDE": self.site.include, "SCOPE": self.site.scope, "WITHIN": f"{within:.0f}"}
        done = self.run(waits.SETTLE, env, within=within + ASK_WITHIN)
        if not done.ok and not (done.status == 1 and done.text):
            raise BalancerError(f"{self.host}: what is under way could not be asked: {done.complaint or done.status}")
        if not done.ok:
            raise UnsettledError(f"{self.host}: after {within:g} s: {done.text}", hint=ENDLESS)

    def names(self, addresses: tuple[str, ...]) -> Mapping[str, str]:
        """What nginx calls each of them, `ip:port` -> address, as this host resolves names."""
        if all(_is_number(address) for address in addresses):
            return {address: address for address in addresses}
        text = "".join(f"{address}\n" for address in addresses)
        done = self.run(waits.NAMES, {}, within=ASK_WITHIN, stdin=text.encode())
        return {found: address for address, _, found in (row.partition(" ") for row in done.text.splitlines())}

    def run(self, script: str, env: Mapping[str, str], *, within: float, stdin: bytes = b"") -> Completed:
        command = Command.of("/bin/sh", "-c", script, "dojo-nginx", *self.site.words, env=env)
        return self.session.shell(self.host).run(command, within=within, stdin=stdin)


def identity(found: http1.Response) -> tuple[str, ...]:
    """Who was asked for the answer, the one who gave it last; empty when nginx does not say."""
    return tuple(part.strip() for part in found.headers.get(files.IDENTITY.lower(), "").split(",") if part.strip())


def _is_number(address: str) -> bool:
    return address.startswith("[") or address.replace(".", "").replace(":", "").isdigit()
