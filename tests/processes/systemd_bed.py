"""A user's systemd and a journal of its own, in a mount namespace: the machine's own manager is not touched."""

from __future__ import annotations

import http.client
import json
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pm2_machine import until

from dojo_deploy.command import Command, quote
from dojo_deploy.interfaces import Completed
from dojo_deploy.inventory import App, Host, Process, Processes
from dojo_deploy.processes.systemd import Systemd
from dojo_deploy.release import Placement
from dojo_deploy.transports.local import LocalShell

PROGRAMS = ("unshare", "nsenter", "setpriv", "systemctl", "journalctl")
MANAGER = Path("/usr/lib/systemd/systemd")
JOURNAL = Path("/usr/lib/systemd/systemd-journald")
BED = """\
set -eu
mount -t cgroup2 none /sys/fs/cgroup
mkdir -p "/sys/fs/cgroup/$GROUP"
chown -R "$ID" "/sys/fs/cgroup/${GROUP%%/*}"
mount -t tmpfs none /run
mkdir -p /run/systemd/system /run/systemd/journal /run/systemd/journald.conf.d /run/node "/run/user/$ID"
mount --bind "$NODE" /run/node
chown "$ID" "/run/user/$ID"; chmod 700 "/run/user/$ID"
mount -t tmpfs none /var/log; mkdir /var/log/journal; touch /run/systemd/journal/flushed
mount -t tmpfs none /var/lib/systemd; mkdir /var/lib/systemd/linger; touch /var/lib/systemd/linger/bed
printf '[Journal]\\nReadKMsg=no\\nAudit=no\\n' > /run/systemd/journald.conf.d/bed.conf
mount --bind "$ETC/machine-id" /etc/machine-id
mount --bind "$ETC/passwd" /etc/passwd
exec "$JOURNAL"
"""
TRIED = """\
mount -t cgroup2 none /sys/fs/cgroup && mkdir "/sys/fs/cgroup/$MADE" && rmdir "/sys/fs/cgroup/$MADE" &&
  mount -t tmpfs none /run
"""
SERVER = """
const fs = require('fs');
if (fs.existsSync('BROKEN')) { console.error('boom: a broken release'); process.exit(1); }
const server = require('http').createServer((request, response) => response.end(JSON.stringify(
  { code: fs.readFileSync('VERSION', 'utf8'), pid: process.pid, args: process.argv.slice(2), env: process.env })));
server.listen({ port: Number(process.env.PORT), host: '127.0.0.1', reusePort: true });
process.on('SIGTERM', () => server.close(() => process.exit(0)));
"""
WORKER = "console.log('worker', process.env.INSTANCE, 'of', process.env.RELEASE); setInterval(() => {}, 1000);"


@dataclass
class Bed:
    """`home` is the folder of a user of its own; what is run here sees that user's manager and journal."""

    home: Path
    uid: int
    journal: subprocess.Popen[bytes]
    group: str
    manager: subprocess.Popen[bytes] | None = None

    def boot(self) -> None:
        into = f'echo $$ > "/sys/fs/cgroup/{self.group}/cgroup.procs"'
        self.manager = self._popen(f"{into}; exec {self._as} {MANAGER} --user --log-target=journal")
        socket = Path(f"/proc/{self.journal.pid}/root/run/user/{self.uid}/systemd/private")
        until(socket.exists)
        up = f"XDG_RUNTIME_DIR=/run/user/{self.uid} systemctl --user is-system-running"
        until(lambda: self.run(up).stdout.strip() in ("running", "degraded"))

    def shut_down(self) -> None:
        if self.manager:
            self.manager.terminate()
            self.manager.wait(20)
            self.as_root(f"rm -rf /run/user/{self.uid}/*")  # as logind does, once nothing of the user runs
        self.manager = None

    def run(self, text: str, *, within: float = 30) -> subprocess.CompletedProcess[str]:
        """As sshd without PAM would run it: no XDG_RUNTIME_DIR."""
        return subprocess.run(
            ["/bin/sh", "-c", self.inside(text)],
            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=within,
        )  # fmt: skip

    def inside(self, text: str) -> str:
        """What runs `text` as the bed's user, in its namespace."""
        user = f"cd / && exec env -i HOME={self.home} PATH=/run/node:/usr/bin:/bin {self._as} /bin/sh -c {quote(text)}"
        return f"exec {' '.join(self._enter)} /bin/sh -c {quote(user)}"

    def as_root(self, text: str) -> None:
        subprocess.run([*self._enter, "/bin/sh", "-c", text], check=True, timeout=10)

    def _popen(self, text: str) -> subprocess.Popen[bytes]:
        inside = f"cd / && export HOME={self.home} XDG_RUNTIME_DIR=/run/user/{self.uid} && {text}"
        return subprocess.Popen([*self._enter, "/bin/sh", "-c", inside], stdin=subprocess.DEVNULL)

    @property
    def _enter(self) -> list[str]:
        return ["nsenter", "--mount", "--target", str(self.journal.pid)]

    @property
    def _as(self) -> str:
        return f"setpriv --reuid {self.uid} --regid {self.uid} --clear-groups"


@dataclass(frozen=True)
class BedShell(LocalShell):
    """What carries host jobs to a bed."""

    bed: Bed | None = None

    def run(self, command: Command, *, within: float, stdin: bytes = b"") -> Completed:
        assert self.bed
        return super().run(Command.shell(self.bed.inside(command.render())), within=within, stdin=stdin)

    def stream(self, text: str, **options: Any) -> int:
        assert self.bed
        return super().stream(self.bed.inside(text), **options)


@dataclass
class Machine:
    """One app's root on a bed."""

    bed: Bed
    root: Path
    name: str
    ports: Mapping[str, int]
    kind: Systemd = field(default_factory=lambda: Systemd(node="/run/node/node"))
    each: dict[str, Process] = field(
        default_factory=lambda: {
            "web": Process(script="server.js", port=1, stop_within=2),
            "jobs": Process(script="worker.js", instances=2, stop_within=2),
        }
    )

    def release(self, name: str, env: str = "", *, broken: bool = False) -> None:
        folder = self.root / "releases" / name
        (folder / ".dojo").mkdir(parents=True, mode=0o700)
        for file, text in {"server.js": SERVER, "worker.js": WORKER, "VERSION": name}.items():
            (folder / file).write_text(text)
        if broken:
            (folder / "BROKEN").touch()
        (folder / ".dojo" / "complete").write_text("0" * 64)
        (folder / ".dojo" / "env.sh").touch(mode=0o600)
        (folder / ".dojo" / "env.sh").write_text(env)
        self._own()

    def place(
        self, release: str, slot: str = "blue", *, only: tuple[str, ...] = (), workers: str = "running"
    ) -> Placement:
        host = Host("web1", ("web",), "127.0.0.1", str(self.root), ports={"web": self.ports})
        app = App(self.name, environment="test", processes=Processes(kind=self.kind, each=self.each))
        return Placement(host, slot, release, app, only, workers)

    def start(self, place: Placement) -> subprocess.CompletedProcess[str]:
        self.write(place)
        return self.run(*self.kind.start(place))

    def write(self, place: Placement) -> None:
        for name, text in self.kind.files(place).items():
            Path(name).parent.mkdir(parents=True, exist_ok=True)
            Path(name).write_text(text)
        self._own()

    def run(self, *commands: Command) -> subprocess.CompletedProcess[str]:
        for command in commands:
            done = self.bed.run(command.render())
            if done.returncode:
                break
        return done

    def rows(self) -> list[tuple[str, int, str]]:
        done = self.run(self.kind.running(self.place("")))
        assert done.returncode == 0, done.stderr
        rows = [line.split(" ", 2) for line in done.stdout.splitlines()]
        return [(key, int(pid), Path(folder).name) for key, pid, folder in rows]

    def running(self) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        for key, _, release in self.rows():
            found.setdefault(key, []).append(release)
        return found

    def ask(self, slot: str = "blue") -> dict[str, object]:
        """The answer, once it listens."""
        answers: list[dict[str, object]] = []

        def answered() -> bool:
            connection = http.client.HTTPConnection("127.0.0.1", self.ports[slot], timeout=5)
            try:
                connection.request("GET", "/", headers={"Connection": "close"})
                answers.append(dict(json.loads(connection.getresponse().read())))
            finally:
                connection.close()
            return True

        until(answered)
        return answers[-1]

    def _own(self) -> None:
        for path in (self.root, *self.root.rglob("*")):
            os.lchown(path, self.bed.uid, self.bed.uid)


def missing() -> str:
    """Why there can be no bed here; empty when there can."""
    files = (str(path) for path in (MANAGER, JOURNAL) if not path.exists())
    gone = [*(name for name in PROGRAMS if not shutil.which(name)), *files]
    if gone:
        return f"needs systemd: {', '.join(gone)}"
    words = ["unshare", "--mount", "/bin/sh", "-c", TRIED]
    tried = subprocess.run(words, env={**os.environ, "MADE": f"try-{os.getpid()}"}, capture_output=True)
    return "" if os.geteuid() == 0 and not tried.returncode else "mount needs a privilege that is not here"


@contextmanager
def made(node: Path) -> Iterator[Bed]:
    uid = 20_000 + os.getpid() % 30_000  # of its own: another run of these tests may be on
    folder = Path(tempfile.mkdtemp(prefix="dojo-systemd-", dir="/tmp"))
    folder.chmod(0o755)
    (folder / "home").mkdir()
    os.chown(folder / "home", uid, uid)
    (folder / "machine-id").write_text("0123456789abcdef0123456789abcdef\n")
    (folder / "passwd").write_text(f"{Path('/etc/passwd').read_text()}bed:x:{uid}:{uid}::{folder / 'home'}:/bin/sh\n")
    group = f"dojobed{uid}.slice/user.slice/user-{uid}.slice/user@{uid}.service"
    env = {**os.environ, "ID": str(uid), "GROUP": group, "NODE": str(node), "ETC": str(folder), "JOURNAL": str(JOURNAL)}
    journal = subprocess.Popen(["unshare", "--mount", "/bin/sh", "-c", BED], env=env, stderr=subprocess.DEVNULL)
    bed = Bed(folder / "home", uid, journal, group)
    try:
        until(Path(f"/proc/{journal.pid}/root/run/systemd/journal/stdout").exists)
        bed.boot()
        yield bed
    finally:
        bed.shut_down()
        bed.as_root(f"find /sys/fs/cgroup/{group.partition('/')[0]} -depth -type d -exec rmdir {{}} +")
        journal.send_signal(signal.SIGTERM)
        journal.wait(10)
        shutil.rmtree(folder)
