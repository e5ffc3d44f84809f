"""A folder on one of the fleet's own hosts, reached over SSH: a store without anything to set up."""

from __future__ import annotations

import io
import posixpath
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory, TemporaryFile
from typing import IO, BinaryIO

from dojo_deploy.command import Command
from dojo_deploy.errors import ConfigError, ConflictError, LostError, StoreError, TransportError
from dojo_deploy.interfaces import Clock, Session, Shell, Stored
from dojo_deploy.release import Layout
from dojo_deploy.stores.envelope import checked, is_key, seal, unseal
from dojo_deploy.stores.host_channel import Channel
from dojo_deploy.stores.host_script import SCRIPT, Reply, Request, find_reply, new_identity
from dojo_deploy.stores.host_streams import Saved
from dojo_deploy.streams import Chained, Sink

ASK_SECONDS = 30.0
MOVE_SECONDS = 3600.0
TRIES = 3


@dataclass(frozen=True)
class PrimaryHost:
    """Settings: `host`, a name of the inventory (default: the first of the release group), and `path`, absolute."""

    host: str = ""
    path: str = ""

    def open(self, session: Session) -> HostStore:
        name, folder = self.place(session)
        return HostStore(session.shell(name), folder, session.clock)

    def place(self, session: Session) -> tuple[str, str]:
        """The host and the folder. Raises ConfigError."""
        inventory = session.inventory
        name = self.host or inventory.group(inventory.web)[0].name
        if name not in inventory.hosts:
            raise ConfigError(
                f"store: no host {name!r}", where=inventory.path, hint=f"one of: {', '.join(inventory.hosts)}"
            )
        path = self.path or posixpath.join(Layout(inventory.hosts[name].root).state, "store")
        if not path.startswith("/"):
            raise ConfigError(f"store: {path!r} is not absolute", where=inventory.path, key="store.path")
        return name, posixpath.join(path, inventory.scope)

    def preview(self) -> str:
        return f"ssh://{self.host or 'first host'}{self.path or '/<root>/.dojo/store'}"


class HostStore:
    """Every operation is one request to the host's script; a put without an answer is asked again, which is safe."""

    def __init__(self, shell: Shell, base: str, clock: Clock) -> None:
        self.shell = shell
        self.base = base
        self.clock = clock
        self._channel = Channel(shell, self._script, clock)

    def get(self, key: str) -> Stored | None:
        reply, body = self._ask(Request("get", checked(key)))
        return None if reply.status == "absent" else unseal(key, body)

    def put(
        self,
        key: str,
        data: bytes,
        *,
        etag: str | None = None,
        absent: bool = False,
        keep: float = 0.0,  # noqa: ARG002 - who may write there can destroy all of it
    ) -> str:
        sealed = seal(data)
        want = "absent" if absent else "any" if etag is None else etag or "none"
        self._ask(Request("put", checked(key), want, sealed.etag, len(sealed.raw)), sealed.raw)
        return sealed.etag

    def delete(self, key: str) -> None:
        self._ask(Request("delete", checked(key)))

    def list(self, prefix: str) -> tuple[str, ...]:
        _, body = self._ask(Request("list"))
        found = (line.removeprefix("./") for line in body.decode("utf-8", "replace").splitlines())
        return tuple(sorted(key for key in found if is_key(key) and key.startswith(prefix)))

    def upload(self, key: str, path: Path) -> None:
        with _told(key, self.shell), path.open("rb") as file:
            self._send(key, file, path.stat().st_size)

    def download(self, key: str, path: Path) -> bool:
        identity = new_identity()
        with _told(key, self.shell), Saved(path, identity) as saved:
            feed = io.BytesIO(Request("get", checked(key)).line(identity))
            self.shell.stream(self._script(), within=MOVE_SECONDS, stdin=feed, on_output=saved.write)
            reply = _judged(key, saved.reply)
            if saved.size != reply.size:
                raise LostError(f"only {saved.size} of {reply.size} bytes arrived")
        if reply.status == "absent":
            path.unlink()
        return reply.status == "found"

    @contextmanager
    def incoming(self, key: str, *, keep: float = 0.0) -> Iterator[Sink]:  # noqa: ARG002
        # Its script wants to know the size first. A file without a name goes with the process, however that ends.
        with TemporaryFile() as file:

            def take(data: bytes) -> None:
                with _told(key, self.shell):
                    file.write(data)

            yield take
            with _told(key, self.shell):
                size = file.tell()
                file.seek(0)
                self._send(key, file, size)

    def abandon(self, prefix: str) -> None:
        """The host's script removes what it did not receive whole."""

    @contextmanager
    def outgoing(self, key: str) -> Iterator[BinaryIO | None]:
        with TemporaryDirectory(prefix="dojo-") as folder:
            path = Path(folder) / "object"
            if not self.download(key, path):
                yield None
                return
            with path.open("rb") as file:
                path.unlink()
                yield file

    def _send(self, key: str, file: IO[bytes], size: int) -> None:
        identity, output = new_identity(), bytearray()
        feed = Chained(io.BytesIO(Request("put", checked(key), size=size).line(identity)), file)  # type: ignore[arg-type]
        self.shell.stream(self._script(), within=MOVE_SECONDS, stdin=feed, on_output=output.extend)
        reply = find_reply(identity, output)
        _judged(key, reply, bytes(output[reply.start :]) if reply else b"")

    def close(self) -> None:
        """Ends the kept `sh`; the connection is the session's."""
        self._channel.close()

    def _script(self, *first: str) -> str:
        return Command.of("sh", "-c", SCRIPT, "dojo-store", self.base, *first).render()

    def _ask(self, request: Request, data: bytes = b"") -> tuple[Reply, bytes]:
        with _told(request.key, self.shell):
            for left in reversed(range(TRIES)):
                try:
                    reply, body = self._channel.ask(request, data, within=ASK_SECONDS)
                    return _judged(request.key, reply, body), body
                except LostError:
                    if not left:
                        raise
        raise AssertionError("unreachable: the last try returns or raises")


def _judged(key: str, reply: Reply | None, body: bytes = b"") -> Reply:
    if reply is None:
        raise LostError("no whole answer came")
    if reply.status == "conflict":
        raise ConflictError(f"{key} is not in the store as it was expected")
    if reply.status == "busy":
        raise StoreError("another process holds the store's .lock on the host", hint="fuser .lock names it")
    if reply.status == "failed":
        raise StoreError(f"the host could not write {key}: {body.decode('utf-8', 'backslashreplace')}")
    return reply


@contextmanager
def _told(key: str, shell: Shell) -> Iterator[None]:
    try:
        yield
    except TransportError as exc:
        raise StoreError(f"the store on {shell.host.name} could not be asked for {key}: {exc.message}") from exc
    except OSError as exc:
        raise StoreError(f"{key}: {exc.strerror or exc} ({exc.filename})") from exc
