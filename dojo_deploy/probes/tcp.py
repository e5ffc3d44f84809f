"""Whether something listens."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from dojo_deploy.errors import TransportError
from dojo_deploy.interfaces import Reading
from dojo_deploy.probes import aim

if TYPE_CHECKING:
    from dojo_deploy.interfaces import Session
    from dojo_deploy.plan import Target


@dataclass(frozen=True)
class TcpProbe:
    """Keys of a probe with `kind: tcp`; asked from the host itself."""

    port: int = 0  # 0: that of `process` in the target's slot
    process: str = ""  # empty: the one that listens
    address: str = "127.0.0.1"

    def check(self, session: Session, target: Target, *, within: float) -> Reading:
        port = aim.port_of(aim.place(session, target), process=self.process, port=self.port)
        where, started = f"{self.address}:{port}", session.clock.monotonic()
        try:
            session.shell(target.host).dial(self.address, port, within=within).close()
        except TransportError as exc:
            return aim.lost(exc)
        except OSError as exc:
            return Reading(False, f"{where}: {exc}")
        return Reading(True, f"{where} listens, {(session.clock.monotonic() - started) * 1000:.0f} ms")
