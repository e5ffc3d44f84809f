"""What was found in a repository."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from dojo_deploy.init.ecosystem import Managed, read_ecosystem
from dojo_deploy.init.packages import Package, read_packages
from dojo_deploy.init.sources import Said, read_sources

EXAMPLES = (".env.example", ".env.sample", ".env.template", "env.example", ".env.dist")
PUBLIC = ("VITE_", "REACT_APP_", "NEXT_PUBLIC_", "PUBLIC_", "NUXT_PUBLIC_")  # baked into what browsers load


@dataclass(frozen=True)
class Project:
    """All that the files are written from."""

    folder: str  # its own name
    packages: tuple[Package, ...]
    server: Package
    ecosystem: str = ""  # the file's name
    managed: tuple[Managed, ...] = ()
    said: Said = Said()
    prisma: str = ""  # folder, relative to the repository
    provider: str = ""  # of Prisma's datasource
    example: str = ""  # the file that names the variables
    variables: Mapping[str, str] = field(default_factory=dict)

    @property
    def own(self) -> Package | None:
        """The repository's own package."""
        return next((package for package in self.packages if not package.folder), None)

    @property
    def clients(self) -> tuple[Package, ...]:
        return tuple(package for package in self.packages if package.bundles and package is not self.server)

    @property
    def private(self) -> tuple[str, ...]:
        """Variables of the server."""
        return tuple(name for name in self.variables if not name.startswith(PUBLIC) and name not in ("PORT",))

    @property
    def public(self) -> Mapping[str, str]:
        """Variables that a build bakes in, with the example's values."""
        return {name: value for name, value in self.variables.items() if name.startswith(PUBLIC)}


def look(root: Path) -> Project:
    """Reads, and runs nothing. Raises ConfigError where there is no package.json, or for one that is no JSON."""
    packages = read_packages(root)
    server = _server(packages)
    ecosystem, managed = read_ecosystem(root)
    if not ecosystem and server.folder:
        ecosystem, managed = read_ecosystem(root / server.folder)
    example, variables = _variables(root, server, packages)
    prisma, provider = _prisma(root, server)
    return Project(
        folder=root.resolve().name,
        packages=packages,
        server=server,
        ecosystem=ecosystem,
        managed=managed,
        said=read_sources(root, server.folder),
        prisma=prisma,
        provider=provider,
        example=example,
        variables=variables,
    )


def _server(packages: tuple[Package, ...]) -> Package:
    serving = [package for package in packages if package.serves]
    starting = [package for package in serving if "start" in package.scripts]
    return next(iter((*starting, *serving)), packages[0])


def _variables(root: Path, server: Package, packages: tuple[Package, ...]) -> tuple[str, Mapping[str, str]]:
    first, found = "", dict[str, str]()
    for folder in dict.fromkeys(("", server.folder, *(package.folder for package in packages if package.bundles))):
        path = next((root / folder / name for name in EXAMPLES if (root / folder / name).is_file()), None)
        if path is None:
            continue
        first = first or path.relative_to(root).as_posix()
        for hit in re.finditer(r"^(?:export )?([A-Za-z_]\w*)=(.*)$", path.read_text("utf-8", "replace"), re.MULTILINE):
            found.setdefault(hit[1], hit[2].partition(" #")[0].strip().strip("'\""))
    return first, found


def _prisma(root: Path, server: Package) -> tuple[str, str]:
    for folder in dict.fromkeys(("", server.folder)):
        schema = root / folder / "prisma" / "schema.prisma"
        if schema.is_file():
            hit = re.search(r"datasource[^}]*?provider\s*=\s*\"(\w+)\"", schema.read_text("utf-8", "replace"))
            return schema.parent.relative_to(root).as_posix(), hit[1] if hit else ""
    return "", ""
