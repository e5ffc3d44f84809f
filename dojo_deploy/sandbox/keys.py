"""SSH keys: one for the user, one per host, and the known_hosts that vouches for those."""

from __future__ import annotations

from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from .files import write, write_secret
from .fleet import USER, Fleet
from .layout import Layout


def make(layout: Layout, fleet: Fleet) -> None:
    """Make the keys that are missing, and write known_hosts and the public halves anew."""
    _ensure(layout.key, USER)
    known = []
    for host in fleet.hosts:
        public = _ensure(layout.host_key(host.name), host.name)
        known.append(f"[127.0.0.1]:{host.port} {public.rsplit(' ', 1)[0]}\n")
    write(layout.known_hosts, "".join(known))


def _ensure(path: Path, comment: str) -> str:
    public = path.with_suffix(".pub")
    if not path.is_file() or not public.is_file():
        key = Ed25519PrivateKey.generate()
        path.parent.mkdir(parents=True, exist_ok=True)
        write_secret(path, key.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()).decode())
        line = key.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()
        write(public, f"{line} {comment}\n")
    return public.read_text().strip()
