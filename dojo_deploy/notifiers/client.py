"""JSON over HTTP with a token: bounded in time, never redirected, and what was told already is found again."""

from __future__ import annotations

import json
import queue
import threading
import urllib.parse
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dojo_deploy import http1
from dojo_deploy.errors import ConfigError, DojoError, NoticeError
from dojo_deploy.secrets import Redactor, Secret

if TYPE_CHECKING:
    from dojo_deploy.interfaces import Session

TRIES = 3
PAUSE = 0.5  # seconds before the second try, twice as long before the third
MOST = 1 << 20  # bytes of an answer
SHOWN = 200
NOT_LISTED = (404, 405, 501)  # of a page that cannot be asked what is on it
AGAIN = (408, 425, 429)


@dataclass(frozen=True)
class Client:
    """One collection of a page: `POST url` makes an entry, `PATCH url/ID` changes it, `GET url` lists them."""

    url: str
    scheme: str  # of the Authorization header: Bearer, OAuth
    token: Secret
    within: float  # seconds, for all tries together

    def put(self, session: Session, entry: Mapping[str, Any], reference: str, known: str) -> str:
        """The id of the entry that is like this now: `known`, the one in which `reference` stands, or a new one.

        Raises NoticeError when that cannot be said.
        """
        end = session.clock.monotonic() + self.within
        for attempt in range(1, TRIES + 1):
            try:
                return self._put(_Call(self, session, end), entry, reference, known)
            except _TryAgain as exc:
                pause = PAUSE * 2 ** (attempt - 1)
                if attempt == TRIES or session.clock.monotonic() + pause >= end:
                    raise NoticeError(str(exc)) from exc
                session.clock.sleep(pause, session.cancelled)
        raise AssertionError("the last try returns or raises")

    def _put(self, ask: _Call, entry: Mapping[str, Any], reference: str, known: str) -> str:
        if known and ask("PATCH", known, entry, missing=(404,)) is not None:
            return known
        # It may be there without an id of it here: an answer was lost.
        listed = ask("GET", missing=NOT_LISTED)
        there = next((one for one in _entries(listed) if reference in json.dumps(one)), None)
        if there is not None:
            ask("PATCH", _id_of(there), entry)
            return _id_of(there)
        return _id_of(ask("POST", "", entry, key=reference))


class _TryAgain(Exception):
    """Another try may go better."""


@dataclass(frozen=True)
class _Call:
    """Requests with one deadline for all of them."""

    client: Client
    session: Session
    end: float

    def __call__(
        self, method: str, where: str = "", entry: Any = None, *, missing: tuple[int, ...] = (), key: str = ""
    ) -> Any:
        """The answer, parsed; None for a status of `missing`."""
        url = self.client.url + (f"/{urllib.parse.quote(where, safe='')}" if where else "")
        try:
            found = _bounded(lambda within: self._fetch(url, method, entry, key, within), self._rest())
        except OSError as exc:
            raise _TryAgain(f"{url} gives no answer: {exc}") from exc
        if 200 <= found.status < 300:
            return _parsed(found.body)
        if found.status in missing:
            return None
        if 300 <= found.status < 400:
            # The token goes where the inventory says, and nowhere else.
            raise NoticeError(f"{url} redirects to {found.headers.get('location', 'nowhere')}, which is not followed")
        said = f"{url} answers {found.status}: {self._excerpt(found)}"
        raise (_TryAgain if found.status >= 500 or found.status in AGAIN else NoticeError)(said)

    def _fetch(self, url: str, method: str, entry: Any, key: str, within: float) -> http1.Response:
        body = b"" if entry is None else json.dumps(entry).encode()
        headers = {
            "Authorization": f"{self.client.scheme} {self._token()}",
            "Accept": "application/json",
            **({"Content-Type": "application/json"} if body else {}),
            **({"Idempotency-Key": key} if key else {}),
        }
        return http1.fetch_url(
            url, clock=self.session.clock, within=within, method=method, headers=headers, body=body, most=MOST
        )

    def _rest(self) -> float:
        return self.end - self.session.clock.monotonic()

    def _token(self) -> str:
        token = self.client.token.reveal().strip()
        if not token.isprintable() or not token.isascii():
            raise NoticeError(f"the token of {self.client.url} has characters that no header can carry")
        return token

    def _excerpt(self, found: http1.Response) -> str:
        text = " ".join(found.body.decode("utf-8", "replace").split())
        return Redactor([self._token()])(text)[:SHOWN] or "nothing"


def check_url(url: str) -> None:
    """Raises ConfigError for what is no address, or one to which a token would go for all to read."""
    parts = urllib.parse.urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.username or parts.query:
        raise ConfigError(
            f"{url!r} is no address of a status page", key="url", hint="https://status.example.org/api/incidents"
        )
    if parts.scheme == "http" and parts.hostname not in ("localhost", "127.0.0.1", "::1"):
        raise ConfigError("the token would go there unencrypted", key="url", hint=f"https://{parts.netloc}{parts.path}")


def _bounded(call: Callable[[float], http1.Response], within: float) -> http1.Response:
    """Names are looked up, and TLS is agreed on, without a deadline that could be set: whoever waits has one."""
    answers: queue.Queue[http1.Response | Exception] = queue.Queue()
    within = max(0.1, within)

    def run() -> None:
        try:
            answers.put(call(within))
        except (OSError, DojoError) as exc:
            answers.put(exc)

    threading.Thread(target=run, daemon=True, name="notice").start()
    try:
        answer = answers.get(timeout=within + 0.5)  # its own deadline says more
    except queue.Empty:
        raise TimeoutError("timed out") from None
    if isinstance(answer, Exception):
        raise answer
    return answer


def _parsed(body: bytes) -> Any:
    try:
        return json.loads(body) if body.strip() else {}
    except (ValueError, RecursionError) as exc:
        raise NoticeError(f"the answer is no JSON: {exc}") from exc


def _id_of(entry: Any) -> str:
    """`id` of an entry, or of the only thing in it."""
    while isinstance(entry, dict) and "id" not in entry and len(entry) == 1:
        (entry,) = entry.values()
    found = entry.get("id") if isinstance(entry, dict) else None
    if not isinstance(found, (str, int)) or found in ("", False, True):
        raise NoticeError("the answer has no id")
    return str(found)


def _entries(answer: Any) -> Iterator[Any]:
    """Those of a list, or of the first list in a mapping."""
    if isinstance(answer, dict):
        answer = next((value for value in answer.values() if isinstance(value, list)), [])
    yield from answer if isinstance(answer, list) else []
