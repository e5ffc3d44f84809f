"""Where runs coordinate and remember: compare-and-swap by key, and streams for what is large.

Each kind is a frozen dataclass of settings with `open(session) -> Store`; the contract of an open store is in
interfaces.py, and tests/stores/test_contract.py holds every kind to it.
"""

from __future__ import annotations

from collections.abc import Mapping

from dojo_deploy.errors import ConfigError

KINDS = {
    "host": "dojo_deploy.stores.host:PrimaryHost",
    "s3": "dojo_deploy.stores.s3:S3",
    "directory": "dojo_deploy.stores.directory:Directory",
}


def shorthand(text: str) -> Mapping[str, str]:
    """The settings, `kind` among them, that one line stands for.

    `s3://bucket/prefix` · `ssh://host` or `ssh://host/absolute/path` · `/absolute/path`. Raises ConfigError.
    """
    scheme, found, rest = text.partition("://")
    if not found:
        scheme, rest = "", text
    name, _, path = rest.partition("/")
    if scheme == "s3" and name:
        return {"kind": "s3", "bucket": name, "prefix": path.strip("/")}
    if scheme == "ssh" and name:
        return {"kind": "host", "host": name} | ({"path": f"/{path}"} if path else {})
    if scheme in ("", "file") and rest.startswith("/"):
        return {"kind": "directory", "path": rest}
    raise ConfigError(
        f"{text!r} is not a store", hint="s3://bucket/prefix, ssh://host, /absolute/path, or {kind: …} with its keys"
    )
