"""What hosts showed of their keys, as text; rows are those of `Shown.as_dict`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from dojo_deploy.reporters.text import inert

SAID = {
    "new": "not known yet",
    "known": "known",
    "changed": "ANOTHER KEY THAN THE ONE THAT IS RECORDED",
    "revoked": "A REVOKED KEY",
    "away": "could not be asked",
}


def lines(rows: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Every host that needs a look, its keys beneath it as ssh-keygen prints them; those that are known in a line."""
    wide = max((len(row["host"]) for row in rows), default=0)
    for row in rows:
        yield f"{inert(row['host']).ljust(wide)}  {inert(row['place'])}  {SAID[row['standing']]}"
        if row["standing"] in ("changed", "revoked"):
            yield from (f"    recorded  {_key(key)}" for key in row["recorded"])
            yield from (f"    shown     {_key(key)}" for key in row["keys"])
        elif row["standing"] == "new":
            yield from (f"    {_key(key)}" for key in row["keys"])
        if row["trouble"]:
            yield f"    {inert(row['trouble'])}"
        if row["then"]:
            yield f"    → {inert(row['then'])}"


def _key(key: Mapping[str, str]) -> str:
    kind = key["kind"].removeprefix("ssh-").partition("-")[0].upper()
    return f"{kind.ljust(7)}  {key['fingerprint']}"
