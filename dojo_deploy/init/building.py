"""What was found -> the lines that build it, once per release."""

from __future__ import annotations

from collections.abc import Iterator

from dojo_deploy.command import quote
from dojo_deploy.init.packages import Package
from dojo_deploy.init.project import Project

INSTALL = {
    "npm": "npm ci",
    "pnpm": "pnpm install --frozen-lockfile",
    "yarn": "yarn install --frozen-lockfile",
    "": "npm install",
}


def build_lines(project: Project) -> tuple[str, ...]:
    """From the repository's own folder."""
    return tuple(dict.fromkeys(_lines(project)))


def _lines(project: Project) -> Iterator[str]:
    own = project.own
    apart = [package for package in project.packages if package.folder and not package.is_member]
    needed = [package for package in apart if package is project.server or package.bundles]
    program = own.lock if own else ""
    if own:
        yield INSTALL[program]
    for package in needed:
        yield _inside(package, INSTALL[package.lock])
    if project.prisma and not _generates(project.server):
        place = project.server if not project.server.is_member else None
        yield _inside(place, f"npx --no-install prisma generate{_schema(project)}")
    tested = own or project.server
    if "no test specified" not in (line := tested.scripts.get("test", "")) and line:
        yield _inside(tested, f"{program or 'npm'} test")
    if own and "build" in own.scripts:
        yield f"{program or 'npm'} run build"
    elif any(package.is_member and "build" in package.scripts for package in project.packages):
        yield {"pnpm": "pnpm -r run build", "yarn": "yarn workspaces run build"}.get(
            program, "npm run build --workspaces --if-present"
        )
    for package in needed:
        if "build" in package.scripts:
            yield _inside(package, f"{package.lock or 'npm'} run build")


def _inside(package: Package | None, line: str) -> str:
    return f"cd {quote(package.folder)} && {line}" if package and package.folder else line


def _generates(package: Package) -> bool:
    return any("prisma generate" in line for name, line in package.scripts.items() if name in ("postinstall", "build"))


def _schema(project: Project) -> str:
    """Where Prisma does not look by itself: in the folder of a workspace."""
    is_usual = not project.server.is_member or project.prisma == "prisma"
    return "" if is_usual else f" --schema {quote(f'{project.prisma}/schema.prisma')}"
