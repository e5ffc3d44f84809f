"""Build once, ship the same bytes everywhere: a commit becomes one artifact, or a CI's artifact is taken as it is."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from dojo_deploy.builds import artifact, cached, identity, local, remote, source
from dojo_deploy.builds.adopted import adopt
from dojo_deploy.builds.cached import Built
from dojo_deploy.builds.platform import PLATFORM, PLATFORM_COMMAND, parse_platform
from dojo_deploy.errors import ConfigError
from dojo_deploy.release import Release

if TYPE_CHECKING:
    from dojo_deploy.interfaces import Clock, Shell
    from dojo_deploy.inventory import Inventory

__all__ = ["PLATFORM", "PLATFORM_COMMAND", "Built", "adopt", "build", "parse_platform"]


def build(
    site: Inventory,
    *,
    ref: str,
    cache: Path,
    say: Callable[[str], None],
    clock: Clock,
    shells: Callable[[str], Shell] | None = None,
    work: Path | None = None,
) -> Built:
    """The artifact of `ref` (or of `app.source.ref`, or of the default branch's tip): from the cache, or built now.

    `work` takes private folders that are gone afterwards; by default they lie beside the cache's artifacts, where the
    result is moved without a copy. `shells` is for `app.build.on: HOST`. Each line that the
    build prints goes to `say`, secrets masked.

    Raises:
        ConfigError: unknown repository, ref, path or host.
        RefusedError: a build command failed or took too long, or the tree must not be shipped.
        LostError: the building host went away.
    """
    recipe = site.app.build
    checkout = source.open_source(site, cache=cache, say=say)
    commit = checkout.resolve(ref or site.app.source.ref)
    path = checkout.folder(commit, site.app.source.path)
    place: local.Local | remote.Remote
    if recipe.on == "local":
        place = local.Local()
    elif shells is None or recipe.on not in site.hosts:
        raise ConfigError(f"no host {recipe.on!r} to build on", key="app.build.on", hint="local, or a host's name")
    else:
        place = remote.Remote(shells(recipe.on))
    platform = place.platform()
    release = Release(
        id=identity.release_id(site.app, commit=commit, platform=platform),
        commit=commit,
        ref=ref or site.app.source.ref or checkout.default,
        platform=platform,
    )
    if found := cached.find(cache, release):
        say(f"{release.id} is built already: {found.release.size} bytes, sha256 {found.release.sha256[:12]}")
        return found
    work = work or cache / "work"
    work.mkdir(parents=True, exist_ok=True, mode=0o700)
    with tempfile.TemporaryDirectory(dir=work, prefix="build-") as private:
        tree = place.build(recipe, checkout, release=release, path=path, private=Path(private), say=say, clock=clock)
        packed = artifact.pack(
            tree,
            Path(private) / "artifact.tar.gz",
            release=release,
            mtime=checkout.time(commit),
            secrets=identity.secret_values(recipe),
            say=say,
        )
        return cached.keep(cache, packed, Path(private) / "artifact.tar.gz")
