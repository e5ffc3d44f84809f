"""The name of a release: the same sources, recipe and platform give the same name, and nothing else does."""

from __future__ import annotations

import hashlib
import hmac
import json

from dojo_deploy.inventory import App, Build
from dojo_deploy.release import Platform
from dojo_deploy.secrets import Secret

FORMAT = 1  # of the artifact: raised when packing changes what is in it


def release_id(app: App, *, commit: str, platform: Platform) -> str:
    """`<commit[:10]>-<hash8>`. A secret enters it by an HMAC of its value. Raises ConfigError if one is missing."""
    recipe = {
        "format": FORMAT,
        "commit": commit,
        "path": app.source.path,
        "run": list(app.build.run),
        "env": {name: _spell(name, value, commit) for name, value in sorted(app.build.env.items())},
        "platform": str(platform),
    }
    digest = hashlib.sha256(json.dumps(recipe, sort_keys=True).encode()).hexdigest()
    return f"{commit[:10]}-{digest[:8]}"


def secret_values(recipe: Build) -> tuple[str, ...]:
    return tuple(value.reveal() for value in recipe.env.values() if isinstance(value, Secret))


def _spell(name: str, value: str | Secret, commit: str) -> list[str]:
    if isinstance(value, Secret):
        key = f"{commit}/{name}".encode()
        return ["secret", hmac.new(key, value.reveal().encode("utf-8", "surrogateescape"), hashlib.sha256).hexdigest()]
    return ["plain", str(value)]
