"""Which keys a known_hosts file vouches for. Text only: reading it costs nothing for the lines of other hosts."""

from __future__ import annotations

import base64
import binascii
import fnmatch
import hashlib
import hmac
from pathlib import Path

from dojo_deploy.command import quote
from dojo_deploy.errors import ConfigError, HostKeyError
from dojo_deploy.inventory import Host

SSH_PORT = 22


Key = tuple[str, str]  # type and base64 text, as they stand in the file


def entry(address: str, port: int) -> str:
    """How a line for this address begins."""
    return address if port == SSH_PORT else f"[{address}]:{port}"


def fingerprint(key: bytes) -> str:
    """As ssh-keygen -l prints it."""
    return "SHA256:" + base64.b64encode(hashlib.sha256(key).digest()).decode().rstrip("=")


def refusal(host: Host, kind: str, key: bytes, *, changed: bool) -> HostKeyError:
    """Why the key that `host` showed is not taken, and what to type once it has been compared."""
    name, path = entry(host.address, host.ssh.port), host.ssh.known_hosts
    line = f"{name} {kind} {base64.b64encode(key).decode()}"
    remove = f"ssh-keygen -R {quote(name)} -f {quote(path)} && " if changed else ""
    return HostKeyError(
        f"{'changed' if changed else 'unknown'} host key of {name}: {kind} {fingerprint(key)} is not in {path}",
        host=host.name,
        hint=f"if the host's own console shows that fingerprint: {remove}echo {quote(line)} >> {quote(path)}",
    )


class KnownHosts:
    """One known_hosts file, read once. A file that does not exist vouches for nobody."""

    def __init__(self, path: str) -> None:
        """Raises ConfigError when the file is there but cannot be read."""
        self.path = path
        try:
            text = Path(path).read_text("utf-8", "replace")
        except FileNotFoundError:
            text = ""
        except OSError as exc:
            raise ConfigError(f"{path}: {exc.strerror}", hint="known_hosts must be readable") from exc
        self._lines = [fields for line in text.splitlines() if (fields := line.split()) and fields[0][0] != "#"]

    def vouch(self, address: str, port: int) -> tuple[Key, ...]:
        """The keys that `address` may have, revoked ones left out. Certificate authorities vouch for nothing here."""
        name = entry(address, port)
        keys: list[Key] = []
        revoked: set[Key] = set()
        for fields in self._lines:
            marker = fields[0] if fields[0].startswith("@") else ""
            names, *rest = fields[1:] if marker else fields
            if len(rest) < 2 or not _matches(names, name):
                continue
            if not marker:
                keys.append((rest[0], rest[1]))
            elif marker == "@revoked":
                revoked.add((rest[0], rest[1]))
        return tuple(key for key in keys if key not in revoked)


def _matches(names: str, name: str) -> bool:
    if names.startswith("|1|"):
        return _matches_hash(names, name)
    found = False
    for pattern in names.split(","):
        # fnmatch knows [sets], which known_hosts does not have, and there brackets belong to the port.
        literal = pattern.lstrip("!").replace("[", "[[]")
        if fnmatch.fnmatchcase(name.lower(), literal.lower()):
            if pattern.startswith("!"):
                return False
            found = True
    return found


def _matches_hash(names: str, name: str) -> bool:
    try:
        _, _, salt, digest = names.split("|")
        wanted = base64.b64decode(digest)
        made = hmac.new(base64.b64decode(salt), name.encode(), hashlib.sha1).digest()
    except (ValueError, binascii.Error):
        return False
    return hmac.compare_digest(made, wanted)
