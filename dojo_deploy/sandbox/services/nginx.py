"""nginx on the balancer's host: started here, and from then on driven over SSH as in production."""

from __future__ import annotations

import signal
import subprocess
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from dojo_deploy.errors import RefusedError

from .. import nginx_site, proc, toolchain
from ..daemons import Command
from ..files import write_script
from ..fleet import Fleet
from ..layout import Layout
from ..proc import Process
from ..waiting import Watched, answers


@dataclass(frozen=True)
class Nginx:
    layout: Layout
    fleet: Fleet
    name: str = "nginx"
    stop_signal: signal.Signals = signal.SIGTERM
    grace: float = 1.0

    @property
    def address(self) -> str:
        return " ".join(f"{app.name}=127.0.0.1:{app.listen}" for app in self.fleet.apps)

    def configure(self) -> bool:
        changed = nginx_site.write_all(self._folder, self.fleet)
        words = " ".join(f'"{word}"' for word in self._words)
        write_script(self.layout.host("lb1") / "bin" / "nginx", f'exec {words} "$@"')
        return changed

    def command(self) -> Command:
        test = subprocess.run([*self._words, "-t"], capture_output=True, text=True, timeout=15)
        if test.returncode:
            raise RefusedError("nginx refuses its configuration", hint=test.stderr.strip())
        env = {"PATH": "/usr/bin:/bin", "HOME": str(self.layout.host("lb1")), "LANG": "C.UTF-8"}
        return Command((*self._words, "-g", "daemon off;"), env)

    def adopt(self) -> Process | None:
        """An nginx stopped and started again over SSH. It writes its title over its environment: only that tells."""
        try:
            process = proc.find(int((self._folder / "nginx.pid").read_text()))
        except (OSError, ValueError):
            return None
        return process if process and str(self._conf) in proc.command_line(process) else None

    def settle(self, watched: Watched) -> None:
        for app in self.fleet.apps:
            watched.until(partial(answers, app.listen), 10, f"{app.name}'s site")

    @property
    def _folder(self) -> Path:
        return self.layout.nginx

    @property
    def _conf(self) -> Path:
        return self._folder / "nginx.conf"

    @property
    def _words(self) -> tuple[str, ...]:
        log = self._folder / "logs" / "error.log"
        return (str(toolchain.nginx()), "-p", f"{self._folder}/", "-c", str(self._conf), "-e", str(log))
