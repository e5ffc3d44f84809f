"""A fleet whose orchestrators die: what must hold of it once somebody has gone on."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dojo_deploy import app, load_inventory
from dojo_deploy.engine import lock
from dojo_deploy.engine.lease import RELEASED
from dojo_deploy.engine.ledger import Record, read_record
from dojo_deploy.sandbox import toolchain
from dojo_deploy.sandbox.inventory import home
from dojo_deploy.sandbox.layout import Layout as Places
from dojo_deploy.sandbox.state import load
from dojo_deploy.session import opened
from tests.e2e.sessions import Ended, Order, Session, run


@dataclass
class Ground:
    """One fleet, its counters of what must run once, and a folder per session that has never heard of any run."""

    inventory: Path
    work: Path
    store: str = "s3"
    app: str = "tcgdojo"
    _folders: int = field(default=0, init=False)

    @property
    def home(self) -> Path:
        return home(self.inventory, {}).resolve()

    @property
    def hosts(self) -> dict[str, Path]:
        """Host name -> where its releases lie."""
        site = load_inventory(self.elsewhere())
        return {host.name: Path(host.root) for host in site.group(site.web)}

    @property
    def here(self) -> Path:
        """Where deployments come from: built artifacts are kept beside the inventory."""
        base = self.inventory.parent.parent
        path = base / f"here-{self.app}-{self.store}" / "inventories" / "sandbox.yml"
        if not path.exists():
            path.parent.mkdir(parents=True)
            path.write_text(self.elsewhere().read_text())
        return path

    def elsewhere(self) -> Path:
        """The inventory of the same fleet in a folder with an empty journal."""
        self._folders += 1
        path = self.work / f"elsewhere-{self._folders}" / "inventories" / "sandbox.yml"
        path.parent.mkdir(parents=True)
        hosts = len([host for host in self._state["hosts"] if host["group"] == "web"])
        path.write_text(f"sandbox: {{home: {self.home}, hosts: {hosts}, store: {self.store}, app: {self.app}}}\n")
        return path

    def deploy(
        self, ref: str, *, after: str | int = "", overrides: Mapping[str, str] | None = None, send: int = 9
    ) -> Ended:
        return self.start("deploy", ref=ref, after=after, overrides=overrides, send=send).ended()

    def go_on(self, verb: str, *, after: str | int = "") -> Ended:
        """`resume` or `abort`, from a machine that knows nothing but the inventory."""
        return run(Order(verb, str(self.elsewhere()), after=after), self.work)

    def start(
        self,
        verb: str,
        *,
        ref: str = "",
        after: str | int = "",
        overrides: Mapping[str, str] | None = None,
        send: int = 9,
    ) -> Session:
        overrides = {**self.hooks(), **(overrides or {})}
        return Session(Order(verb, str(self.here), ref, overrides, after, send), self.work)

    def release(self, ref: str) -> str:
        found = [known.id for known in app.releases(self.elsewhere()) if known.ref == ref]
        return found[0] if found else ""

    def live(self) -> str:
        """The release that the first host's link names."""
        return next(iter(self.hosts.values())).joinpath("slots/blue/current").resolve().name

    def open_run(self) -> str:
        with opened(load_inventory(self.elsewhere())) as session:
            entry = lock.read(session.store)
        return entry.open if entry else ""

    def begun(self, host: str, run: str) -> list[str]:
        """The lines of a host's own record of a run."""
        file = self.hosts[host] / ".dojo/runs" / run / "record"
        return file.read_text().splitlines() if file.exists() else []

    def settle(self, *refs: str) -> str:
        """One of `refs` on every host, serving, and no run open: the first, if it was none of them. Which it is."""
        if self.open_run():
            self.go_on("abort")
        census = app.status(self.elsewhere())
        names = {known.id: known.ref for known in app.releases(self.elsewhere())}
        answering = [names.get(release, "") for release in census.through_balancer]
        if census.verdict == "consistent" and len(answering) == 1 and answering[0] in refs:
            return answering[0]
        ended = self.deploy(refs[0], overrides={"hooks": "[]"})
        assert ended.verdict == "done", ended.message
        return refs[0]

    def record(self) -> Record:
        with opened(load_inventory(self.elsewhere())) as session:
            return read_record(session.store)

    def forget(self, ref: str) -> None:
        """Takes a release off the hosts, so that the next deployment has to bring it again."""
        name = self.release(ref)
        for root in self.hosts.values():
            if name and not str((root / "slots/blue/current").resolve()).endswith(name):
                shutil.rmtree(root / "releases" / name, ignore_errors=True)

    def count_anew(self) -> None:
        """Puts every counter back to nothing."""
        for file in (self._told, *(self._counter(root) for root in self.hosts.values())):
            file.unlink(missing_ok=True)
        self._migrations_before = self._query("SELECT count(*) FROM migration_runs") if self._has_migrated() else 0

    def counted(self) -> dict[str, int]:
        """How often each thing that must not run twice has run since: per host, on the controller, and migrations."""
        files = {name: self._counter(root) for name, root in self.hosts.items()} | {"controller": self._told}
        counts = {name: len(file.read_text().splitlines()) if file.exists() else 0 for name, file in files.items()}
        ran = self._query("SELECT count(*) FROM migration_runs") if self._has_migrated() else 0
        return counts | {"migrations": ran - self._migrations_before}

    def troubles(self, release: str) -> list[str]:
        """What is wrong with a fleet that should run `release` everywhere, with no run open; empty when nothing is."""
        census = app.status(self.elsewhere())
        found = [] if census.verdict == "consistent" else [f"census {census.verdict}: {dict(census.rows)}"]
        if set(census.through_balancer) != {release}:
            found.append(f"through the balancer: {dict(census.through_balancer)}, not {release}")
        found += [f"{name}: {row}" for name, row in census.rows.items() if row["current"] != release]
        found += [f"{name}: {row}" for name, row in census.rows.items() if row["balancer"] != "serving"]
        with opened(load_inventory(self.elsewhere())) as session:
            entry = lock.read(session.store)
        if entry and (entry.state != RELEASED or entry.open):
            found.append(f"lock: {entry}")
        for name, root in self.hosts.items():
            fence = (root / ".dojo/fence").read_text() if (root / ".dojo/fence").exists() else "closed"
            found += [f"{name}: fence {fence}"] if "closed" not in fence else []
            found += [f"{name}: left {path.name}" for path in (root / "releases").glob("*.partial*")]
            found += self._processes(name)
        return found

    def _processes(self, host: str) -> list[str]:
        folder = self.home / "hosts" / host
        wanted = sorted(f"{self.app}-sandbox-blue-{process}" for process in ("web", "worker"))
        listed = json.loads(
            subprocess.run(
                [str(self._tools / "pm2"), "jlist", "--silent"],
                env={"HOME": str(folder), "PM2_HOME": str(folder / ".pm2"), "PATH": f"{self._tools}:/usr/bin:/bin"},
                capture_output=True,
                timeout=60,
                check=True,
            ).stdout
        )
        listed = [each for each in listed if each["pm2_env"]["namespace"] == f"{self.app}-sandbox"]
        running = sorted(each["name"] for each in listed if each["pm2_env"]["status"] == "online")
        dump = json.loads((folder / ".pm2/dump.pm2").read_text())
        saved = sorted(each["name"] for each in dump if each["namespace"] == f"{self.app}-sandbox")
        found = [] if running == wanted and len(listed) == len(wanted) else [f"{host} runs {running} of {len(listed)}"]
        return found + ([] if saved == wanted else [f"{host} saved {saved}"])

    def hooks(self) -> dict[str, str]:
        hooks = [
            {
                "name": "count",
                "phase": "batch",
                "when": "before",
                "on": "each",
                "run": 'echo "$RELEASE" >> "$SHARED_DIR/../counted"',
                "idempotent": False,
            },
            {
                "name": "tell",
                "phase": "run",
                "when": "before",
                "on": "controller",
                "run": f'echo "$RELEASE" >> {self._told}',
                "idempotent": False,
            },
        ]
        return {"hooks": json.dumps(hooks)}

    def _counter(self, root: Path) -> Path:
        return root / "counted"

    def _has_migrated(self) -> bool:
        return bool(self._query("SELECT count(*) FROM pg_tables WHERE tablename = 'migration_runs'"))

    def _query(self, sql: str) -> int:
        postgres = self._state["postgres"]
        done = subprocess.run(
            [str(toolchain.postgres() / "psql"), "-XAtq", "-c", sql],
            env={
                "PGHOST": postgres["host"],
                "PGPORT": str(postgres["port"]),
                "PGUSER": postgres["user"],
                "PGDATABASE": self._state["apps"][0]["database"],
                "PGPASSWORD": Path(postgres["password_file"]).read_text().strip(),
            },
            capture_output=True,
            text=True,
            timeout=30,
            check=True,
        )
        return int(done.stdout)

    @property
    def _told(self) -> Path:
        return self.work / "told-by-the-controller"

    @property
    def _tools(self) -> Path:
        return Path(self._state["tools"]["bin"])

    @property
    def _state(self) -> dict[str, Any]:
        found = load(Places(self.home))
        assert found
        return found
