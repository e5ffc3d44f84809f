"""Building on this machine: a clean tree, a clean environment, the recipe's lines one after the other."""

from __future__ import annotations

import os
import platform
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path

from dojo_deploy.builds.lines import Line, run_lines
from dojo_deploy.builds.platform import PLATFORM_COMMAND, parse_platform
from dojo_deploy.builds.source import Source
from dojo_deploy.errors import RefusedError
from dojo_deploy.interfaces import Clock
from dojo_deploy.inventory import Build
from dojo_deploy.release import Platform, Release
from dojo_deploy.secrets import Redactor, Secret

PASSED = (
    "PATH", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "TERM", "CI", "SSH_AUTH_SOCK", "NODE_EXTRA_CA_CERTS", "SSL_CERT_FILE",
    "SSL_CERT_DIR", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy",
)  # fmt: skip


class Local:
    """This machine."""

    def platform(self) -> Platform:
        done = subprocess.run(
            ("/bin/sh", "-c", PLATFORM_COMMAND.render()), stdin=subprocess.DEVNULL, capture_output=True, timeout=30
        )
        return (
            parse_platform(done.stdout.decode()) if done.returncode == 0 else Platform(system=platform.system().lower())
        )

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
        """The built tree, in `private`. Raises RefusedError for a line that failed or took too long."""
        source.checkout(release.commit, private / "source")
        for folder in ("home", "tmp"):
            (private / folder).mkdir(mode=0o700)
        tree = private / "source" / path
        environment = self._environment(recipe, release, private)
        masked = Redactor([value.reveal() for value in recipe.env.values() if isinstance(value, Secret)])
        run_lines(
            recipe,
            lambda line, left, heard: Line(line, tree, environment).run(left=left, heard=heard, clock=clock),
            masked=masked,
            say=say,
            clock=clock,
        )
        if not tree.is_dir():
            raise RefusedError(f"the build removed its own folder {path}")
        return tree

    def _environment(self, recipe: Build, release: Release, private: Path) -> Mapping[str, str]:
        passed = {
            name: value
            for name, value in os.environ.items()
            if name in PASSED or name.lower().startswith("npm_config_")
        }
        real = Path.home()
        npm = {"npm_config_cache": str(real / ".npm")}
        if (real / ".npmrc").is_file():
            npm["npm_config_userconfig"] = str(real / ".npmrc")
        own = {
            "HOME": str(private / "home"),
            "TMPDIR": str(private / "tmp"),
            "RELEASE": release.id,
            "COMMIT": release.commit,
        }
        wanted = {
            name: value.reveal() if isinstance(value, Secret) else str(value) for name, value in recipe.env.items()
        }
        return {**npm, **passed, **own, **wanted}
