"""Building on a host: the sources go there on a stream, the built tree comes back on one."""

from __future__ import annotations

import tarfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, cast

from dojo_deploy.builds.adopted import safe_members
from dojo_deploy.builds.cached import create, measure
from dojo_deploy.builds.lines import run_lines
from dojo_deploy.builds.platform import PLATFORM_COMMAND, parse_platform
from dojo_deploy.builds.source import Source
from dojo_deploy.command import Command, quote
from dojo_deploy.errors import LostError, RefusedError
from dojo_deploy.interfaces import Clock, Completed, Shell
from dojo_deploy.inventory import Build
from dojo_deploy.release import Platform, Release
from dojo_deploy.secrets import Redactor, Secret

ASK_SECONDS = 30.0
SEND_SECONDS = 900.0
KILLED = (124, 137)  # what `timeout` says of a line that it ended

MAKE = 'umask 077 && mkdir -p "$HOME/.cache" && mktemp -d "$HOME/.cache/dojo-build.XXXXXXXX"'
UNPACK = "umask 022 && mkdir {folder}/source {folder}/home {folder}/tmp && tar -x -f - -C {folder}/source"
LINE = "cd {tree} && . {folder}/env && umask 022 && exec timeout -k 5 {seconds} sh -c {line} </dev/null 2>&1"
PACK = "tar -c -z -f {folder}/built --exclude=./.git -C {tree} . && sha256sum {folder}/built"


@dataclass(frozen=True)
class Remote:
    """A host, over its kept connection. Its user's own PATH, npm settings and caches serve the build."""

    shell: Shell

    def platform(self) -> Platform:
        return parse_platform(self._run(PLATFORM_COMMAND).text)

    def build(
        self,
        recipe: Build,
        source: Source,
        *,
        release: Release,
        path: str,
        private: Path,
        say: Callable[[str], None],
        clock: Clock,
    ) -> Path:
        """The built tree, brought into `private`. Raises RefusedError for a line that failed or took too long."""
        folder = self._run(Command.shell(MAKE)).text
        if not folder.startswith("/"):
            raise RefusedError(f"{self.shell.host.name} gave no folder to build in: {folder!r}")
        tree = f"{folder}/source/{path}"

        def run(line: str, left: float, heard: Callable[[bytes], None]) -> int | None:
            text = LINE.format(tree=quote(tree), folder=quote(folder), seconds=f"{left:.0f}", line=quote(line))
            status = self.shell.stream(text, within=left + 10, on_output=heard)
            return None if status in KILLED else status

        try:
            self._send(source, release.commit, folder)
            # On the stream: a command's text is in the argv of the host's shell, where everyone there can read it.
            environment = _environment(recipe, release, folder).encode("utf-8", "surrogateescape")
            self._run(Command.shell('umask 077 && cat > "$FILE"', env={"FILE": f"{folder}/env"}), stdin=environment)
            masked = Redactor([value.reveal() for value in recipe.env.values() if isinstance(value, Secret)])
            run_lines(recipe, run, masked=masked, say=say, clock=clock)
            return self._fetch(tree, folder, private)
        finally:
            self.shell.run(Command.of("rm", "-rf", folder), within=SEND_SECONDS)

    def _send(self, source: Source, commit: str, folder: str) -> None:
        archive = source.archive(commit)
        text = UNPACK.format(folder=quote(folder))
        said: list[bytes] = []
        try:
            status = self.shell.stream(
                text, within=SEND_SECONDS, stdin=cast("BinaryIO", archive.stdout), on_output=said.append
            )
            if archive.wait(timeout=ASK_SECONDS) or status:
                raise RefusedError(
                    f"the sources did not reach {self.shell.host.name}", hint=b"".join(said).decode("utf-8", "replace")
                )
        finally:
            archive.kill()
            archive.wait()
            if archive.stdout:
                archive.stdout.close()

    def _fetch(self, tree: str, folder: str, private: Path) -> Path:
        packed = self._run(Command.shell(PACK.format(tree=quote(tree), folder=quote(folder))), within=SEND_SECONDS)
        wanted = packed.text.split()[0]
        file = private / "built.tar.gz"
        with create(file) as out:

            def take(data: bytes) -> None:
                out.write(data)

            self.shell.stream(f"cat {quote(folder)}/built", within=SEND_SECONDS, on_output=take)
        if measure(file)[0] != wanted:
            raise LostError("the built tree did not arrive whole", host=self.shell.host.name)
        into = private / "source"
        into.mkdir(mode=0o755)
        with tarfile.open(file, "r:gz") as tar:
            for member in safe_members(tar):
                member.uid, member.gid, member.uname, member.gname = 0, 0, "", ""
                tar.extract(member, into, set_attrs=not member.issym())
        file.unlink()
        return into

    def _run(self, command: Command, *, within: float = ASK_SECONDS, stdin: bytes = b"") -> Completed:
        done = self.shell.run(command, within=within, stdin=stdin)
        if not done.ok:
            raise RefusedError(f"{self.shell.host.name}: cannot build there", hint=done.complaint)
        return done


def _environment(recipe: Build, release: Release, folder: str) -> str:
    lines = [
        'export npm_config_cache="${npm_config_cache:-$HOME/.npm}"',
        '[ ! -f "$HOME/.npmrc" ] || export npm_config_userconfig="$HOME/.npmrc"',
    ]
    own = {"HOME": f"{folder}/home", "TMPDIR": f"{folder}/tmp", "RELEASE": release.id, "COMMIT": release.commit}
    words = Command.of(":", env={**own, **recipe.env}).render()
    return "\n".join((*lines, words, ""))
