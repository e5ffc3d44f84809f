"""Where a probe's question goes, and what is shown of the answer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dojo_deploy.errors import ConfigError, HostKeyError, TransportError
from dojo_deploy.interfaces import Reading
from dojo_deploy.release import Placement

if TYPE_CHECKING:
    from dojo_deploy.interfaces import Session
    from dojo_deploy.plan import Target

SHOWN = 200  # characters of an answer


def place(session: Session, target: Target) -> Placement:
    """Raises ConfigError for a host that the inventory does not know."""
    try:
        host = session.inventory.hosts[target.host]
    except KeyError:
        raise ConfigError(f"a gate looks at {target.host!r}, which is no host of the inventory") from None
    return Placement(host, target.slot, target.release, session.inventory.app, target.only)


def port_of(place: Placement, *, process: str = "", port: int = 0) -> int:
    """`port`, or that of the target's slot. Raises ConfigError when there is none."""
    name = process or place.app.processes.web
    found = port or place.host.port(name, place.slot)
    if not found:
        raise ConfigError(
            f"{name or 'no process'} has no port in slot {place.slot} of {place.host.name} to probe",
            hint="name a `port` in the probe, or one for the process",
        )
    return found


def lost(exc: TransportError) -> Reading:
    """A host that cannot be asked is a failed reading; a changed host key is nobody's sickness, and goes on up."""
    if isinstance(exc, HostKeyError):
        raise exc
    return Reading(False, f"host unreachable: {exc.message}")


def excerpt(data: bytes) -> str:
    """The beginning of what came, with nothing in it that could steer a terminal."""
    text = data[: SHOWN * 4].decode("utf-8", "backslashreplace")
    clean = "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)
    return clean if len(clean) <= SHOWN else clean[: SHOWN - 1] + "…"
