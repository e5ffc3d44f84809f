"""Which keys a known_hosts file vouches for. Text only: reading it costs nothing for the lines of other hosts."""

from __future__ import annotations

import base64
import binascii
import fnmatch
import hashlib
import hmac
import os
import secrets
from collections.abc import Iterable, Iterator
from pathlib import Path

from dojo_deploy.command import quote
from dojo_deploy.durable import sync_folder
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


def record(path: str, lines: Iterable[str]) -> None:
    """Adds lines to the file, whole or not at all; its mode stays. Raises ConfigError when it cannot be written."""
    file = Path(path).resolve()
    try:
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        there = file.read_bytes() if file.exists() else b""
        # In a folder that is nobody else's it is private as well.
        mode = (
            file.stat().st_mode & 0o777 if file.exists() else 0o600 if not file.parent.stat().st_mode & 0o77 else 0o644
        )
        text = "".join(f"{line}\n" for line in lines).encode()
        fresh = file.with_name(f".{file.name}.{secrets.token_hex(4)}")
        try:
            with fresh.open("xb") as out:
                os.fchmod(out.fileno(), mode)
                out.write(there + (b"\n" if there and not there.endswith(b"\n") else b"") + text)
                out.flush()
                os.fsync(out.fileno())
            fresh.replace(file)
        finally:
            fresh.unlink(missing_ok=True)
        sync_folder(file.parent)
    except OSError as exc:
        raise ConfigError(f"{path}: {exc.strerror}", key="ssh.known_hosts") from exc


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
        revoked = self.revoked(address, port)
        return tuple(key for key in self._marked("", address, port) if key not in revoked)

    def revoked(self, address: str, port: int) -> frozenset[Key]:
        """The keys that nobody who calls himself `address` may have."""
        return frozenset(self._marked("@revoked", address, port))

    def _marked(self, wanted: str, address: str, port: int) -> Iterator[Key]:
        name = entry(address, port)
        for fields in self._lines:
            marker = fields[0] if fields[0].startswith("@") else ""
            names, *rest = (fields[1:] if marker else fields) or ("",)
            if marker == wanted and len(rest) >= 2 and _matches(names, name):
                yield rest[0], rest[1]


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
