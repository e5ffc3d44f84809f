"""What is to be told, kept in the store until it was told: a page that is down delays nothing, and misses nothing.

There is one outbox for each thing that is told of. Its letters go to each notifier in their order; the far side's ids
are kept beside them.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING

from dojo_deploy.clock import utc
from dojo_deploy.errors import ConfigError, ConflictError, NoticeError, StoreError
from dojo_deploy.notices import Notice

if TYPE_CHECKING:
    from dojo_deploy.interfaces import Session, Store

PREFIX = "notices/"
TRIES = 20
BUSY = 120.0  # seconds after which whoever was delivering is taken for dead


@dataclass(frozen=True)
class Letter:
    """One notice to one notifier. `sent`: when (UTC); empty while it waits. `trouble`: what the last try met."""

    to: str
    notice: Notice
    at: str
    sent: str = ""
    trouble: str = ""


@dataclass(frozen=True)
class Outbox:
    """`ids`: notifier -> the far side's id of what `of` names. `courier` is delivering, until `busy` (UTC)."""

    of: str
    letters: tuple[Letter, ...] = ()
    ids: Mapping[str, str] = field(default_factory=dict)
    courier: str = ""
    busy: str = ""

    @property
    def waiting(self) -> tuple[Letter, ...]:
        return tuple(letter for letter in self.letters if not letter.sent)

    def told(self, to: str) -> str:
        """When the notifier was first told; empty when it never was."""
        return next((letter.sent for letter in self.letters if letter.to == to and letter.sent), "")


def post(session: Session, notice: Notice) -> Outbox:
    """Puts the notice into the outbox, for every notifier of the site, and delivers what can be delivered now.

    A notifier whose last letter is this very notice gets no second one. Raises StoreError only.
    """
    at = utc(session.clock.now())

    def add(box: Outbox) -> Outbox:
        last = {letter.to: letter.notice for letter in box.letters}
        fresh = [Letter(name, notice, at) for name in session.inventory.notifiers if last.get(name) != notice]
        return replace(box, letters=(*box.letters, *fresh))

    if not session.inventory.notifiers:
        return Outbox(notice.of)
    change(session.store, notice.of, add)
    return deliver(session, notice.of)


def deliver(session: Session, of: str) -> Outbox:
    """Sends what waits; what cannot be sent goes on waiting. Of two at once, one delivers. Raises StoreError only."""
    store, clock, courier = session.store, session.clock, secrets.token_hex(8)
    failed: set[str] = set()

    def take(box: Outbox) -> Outbox:
        if box.courier not in ("", courier) and box.busy > utc(clock.now()):
            return box
        return replace(box, courier=courier, busy=utc(clock.now() + BUSY))

    box = read(store, of)
    while any(letter.to not in failed for letter in box.waiting):
        box = change(store, of, take)
        if box.courier != courier:
            return box
        number, letter = next((n, one) for n, one in enumerate(box.letters) if not one.sent and one.to not in failed)
        done, known = _told(session, letter, box.ids.get(letter.to, ""))
        failed |= set() if done.sent else {letter.to}

        def mark(box: Outbox, at: int = number, done: Letter = done, known: str = known) -> Outbox:
            letters = (*box.letters[:at], done, *box.letters[at + 1 :])
            return replace(box, letters=letters, ids={**box.ids, **({done.to: known} if known else {})})

        box = change(store, of, mark)
    if box.courier == courier:
        box = change(store, of, lambda box: replace(box, courier="", busy="") if box.courier == courier else box)
    return box


def waiting(store: Store) -> tuple[Outbox, ...]:
    """Outboxes from which something is still to be sent."""
    boxes = (read(store, key.removeprefix(PREFIX).removesuffix(".json")) for key in store.list(PREFIX))
    return tuple(box for box in boxes if box.waiting)


def read(store: Store, of: str) -> Outbox:
    """Empty when nothing was ever told. Raises StoreError."""
    found = store.get(_key(of))
    return _decoded(found.data, of) if found else Outbox(of)


def change(store: Store, of: str, by: Callable[[Outbox], Outbox]) -> Outbox:
    """Writes what `by` makes of it, however many do so at once. Raises StoreError."""
    for attempt in range(TRIES):
        found = store.get(_key(of))
        box = _decoded(found.data, of) if found else Outbox(of)
        fresh = by(box)
        if fresh == box:
            return box
        try:
            store.put(_key(of), _encoded(fresh), etag=found.etag if found else None, absent=found is None)
        except ConflictError:
            if attempt + 1 == TRIES:
                raise
        else:
            return fresh
    raise AssertionError("the last try returns or raises")


def _told(session: Session, letter: Letter, known: str) -> tuple[Letter, str]:
    notifier = session.inventory.notifiers.get(letter.to)
    if notifier is None:
        return replace(letter, trouble=f"the inventory has no notifier {letter.to} any more"), known
    try:
        known = notifier.tell(session, letter.notice, known)
    except (NoticeError, ConfigError) as exc:
        return replace(letter, trouble=exc.message), known
    return replace(letter, sent=utc(session.clock.now()), trouble=""), known


def _key(of: str) -> str:
    return f"{PREFIX}{of}.json"


def _encoded(box: Outbox) -> bytes:
    return json.dumps(asdict(box), indent=1).encode()


def _decoded(data: bytes, of: str) -> Outbox:
    try:
        values = json.loads(data)
        letters = tuple(Letter(**{**letter, "notice": Notice(**letter["notice"])}) for letter in values["letters"])
        return Outbox(**{**values, "letters": letters})
    except (ValueError, KeyError, TypeError) as exc:
        raise StoreError(f"{_key(of)} in the store cannot be read: {exc}", hint="was it edited by hand?") from exc
