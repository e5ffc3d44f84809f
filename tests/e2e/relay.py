"""A wire that can be cut: a relay in front of one host's SSH port."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path

from dojo_deploy import load_inventory
from dojo_deploy.config import inventory_from_document
from dojo_deploy.inventory import Inventory
from tests.e2e.crash import Ground

RESET = struct.pack("ii", 1, 0)  # SO_LINGER: an end that nobody announces


class Relay:
    """Passes bytes between its own port and another's, until it is told not to."""

    def __init__(self, target: int) -> None:
        self._target = target
        self._ends: list[socket.socket] = []
        self._lock = threading.Lock()
        self._listener: socket.socket | None = None
        self.port = 0
        self.listen()

    def listen(self) -> None:
        """Takes connections, as it did before."""
        self._listener = socket.create_server(("127.0.0.1", self.port))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, args=(self._listener,), daemon=True).start()

    def cut(self) -> None:
        """Every connection is gone at once; new ones are taken."""
        with self._lock:
            ends, self._ends = self._ends, []
        for end in ends:
            with contextlib.suppress(OSError):
                end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
                end.shutdown(socket.SHUT_RDWR)
            end.close()

    def die(self) -> None:
        """Every connection is gone, and none is taken any more."""
        if self._listener:
            with contextlib.suppress(OSError):
                self._listener.shutdown(socket.SHUT_RDWR)
            self._listener.close()
            self._listener = None
        self.cut()

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                near, _ = listener.accept()
            except OSError:
                return
            far = socket.create_connection(("127.0.0.1", self._target))
            with self._lock:
                self._ends += [near, far]
            for source, sink in ((near, far), (far, near)):
                threading.Thread(target=_pump, args=(source, sink), daemon=True).start()


@contextlib.contextmanager
def relayed(ground: Ground, host: str) -> Iterator[tuple[Inventory, Relay]]:
    """The fleet's inventory with a relay in front of `host`, whose key is known under the relay's port as well."""
    path = ground.here
    site = load_inventory(path)
    port = site.hosts[host].ssh.port
    relay = Relay(port)
    known = ground.work / "known_hosts"
    lines = Path(site.hosts[host].ssh.known_hosts).read_text().splitlines()
    own = [line.replace(f":{port} ", f":{relay.port} ") for line in lines if f":{port} " in line]
    assert own, f"no key of port {port} in {lines}"
    known.write_text("\n".join([*lines, *own]) + "\n")
    document = deepcopy(dict(site.document))
    next(entry for entry in document["hosts"]["web"] if entry["name"] == host)["port"] = relay.port
    document["ssh"] = {**document["ssh"], "known_hosts": str(known)}
    try:
        yield inventory_from_document(document, path=str(path)), relay
    finally:
        relay.die()


def _pump(source: socket.socket, sink: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            sink.sendall(data)
    for end in (source, sink):
        with contextlib.suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)
