"""The small fleet with two colours: processes are files that name their release, the balancer a file of addresses."""

# ruff: noqa: ARG002 - the protocols name the arguments
from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dojo_deploy.balancers.none import NoBalancer
from dojo_deploy.engine import ledger
from dojo_deploy.errors import BalancerError, UnsettledError
from dojo_deploy.interfaces import Answer, Backend, Reading, Session
from dojo_deploy.plan import Gate, Target
from dojo_deploy.release import Release, Standby
from dojo_deploy.runs.conduct import Result
from dojo_deploy.strategies import BlueGreen, Hook, Migrate, Retire, Rollback
from tests.engine.rig import Fleet

OLD, NEW = Release("v1", commit="c1", sha256="ab"), Release("v2", commit="c2", sha256="ab")
GATE = Gate(probes=("up",), every=0.01, grace=0.0, within=20.0, in_a_row=1)
# A worker that begins while one of the other colour runs would take its jobs a second time; `lame-COLOUR` begins none.
WEB = {
    "port": 3000,
    "start": 'echo "$RELEASE" > "$SHARED_DIR/../web-$COLOUR"; echo "${WORKERS:-}" > "$SHARED_DIR/../env-$COLOUR"',
    "stop": 'rm -f "$SHARED_DIR/../web-$COLOUR"',
}
WORKER = {
    "start": 'cd "$SHARED_DIR/.." && [ ! -e "lame-$COLOUR" ] || exit 1; '
    'touch "worker-$COLOUR"; set -- worker-*; [ $# = 1 ] || echo "$*" >> both',
    "stop": 'rm -f "$SHARED_DIR/../worker-$COLOUR"',
}


@dataclass(frozen=True)
class Signpost(NoBalancer):
    """`folder/sent` has the addresses that get requests; `fault-switch-COLOUR` there fails one.

    `liar` there is an answer; `endless` connections settle never, and of `mute` ones nobody knows.
    """

    folder: str
    can_drain = True
    can_switch = True

    def serving(self, session: Session, backends: tuple[Backend, ...]) -> frozenset[Backend]:
        return frozenset(one for one in backends if one.address in self._sent())

    def drained(self, session: Session, backends: tuple[Backend, ...]) -> frozenset[str]:
        return frozenset(one.host for one in backends if one.address not in self._sent())

    def switch(self, session: Session, to: tuple[Backend, ...], away: tuple[Backend, ...]) -> None:
        self._log(f"switch {to[0].slot}")
        if (Path(self.folder) / f"fault-switch-{to[0].slot}").exists():
            raise BalancerError(f"no switch to {to[0].slot}")
        self._write({one.address for one in to})

    def settle(self, session: Session, within: float) -> None:
        for name, error in (("endless", UnsettledError), ("mute", BalancerError)):
            if (Path(self.folder) / name).exists():
                raise error(f"{name} connections")
        roots = [Path(host.root) for host in session.inventory.of_slot("green")]
        self._log(f"settle, green on {sum((root / 'web-green').exists() for root in roots)}")

    def drain(self, session: Session, backend: Backend, pool: tuple[Backend, ...]) -> None:
        with session.guard("signpost"):
            self._write(self._sent() - {backend.address})

    def restore(self, session: Session, backend: Backend, pool: tuple[Backend, ...]) -> None:
        with session.guard("signpost"):
            self._write(self._sent() | {backend.address})

    def preview(self, verb: str, *backends: Backend) -> tuple[str, ...]:
        return (f"{verb} {' '.join(one.address for one in backends)}",)

    def answer(self, session: Session, path: str = "/", *, within: float = 10.0) -> Answer | None:
        site = session.inventory
        for slot in ("blue", "green"):
            for one in site.backends(slot):
                if one.address in self._sent():
                    file = Path(site.hosts[one.host].root) / f"web-{slot}"
                    said = file.read_text().strip() if file.exists() else ""
                    lies = said == NEW.id and (Path(self.folder) / "liar").exists()
                    return Answer(200 if said else 502, one.address, "somebody" if lies else said)
        return Answer(503)

    def _sent(self) -> set[str]:
        return set((Path(self.folder) / "sent").read_text().split())

    def _write(self, addresses: Iterable[str]) -> None:
        fresh = Path(self.folder) / "sent.new"
        fresh.write_text("\n".join(sorted(addresses)))
        fresh.rename(Path(self.folder) / "sent")

    def _log(self, text: str) -> None:
        with (Path(self.folder) / "log").open("a") as log:
            log.write(f"{text}\n")


@dataclass(frozen=True)
class Up:
    """The colour's process runs the release; `sick` in a root speaks against the new one, `ill` once it has workers."""

    def check(self, session: Session, target: Target, *, within: float) -> Reading:
        root = Path(session.inventory.hosts[target.host].root)
        file = root / f"web-{target.slot}"
        runs = file.read_text().strip() if file.exists() else "nothing"
        new = target.release == NEW.id
        ill = new and (root / "ill").exists() and (root / f"worker-{target.slot}").exists()
        sick = ill or (new and (root / "sick").exists())
        return Reading(runs == target.release and not sick, f"{runs}, {'sick' if sick else 'well'}")


class Duo(Fleet):
    """OLD serves in blue on each host; green is empty."""

    def prepare(self) -> None:
        web = [{"name": name, "address": name, "root": str(self.base / name)} for name in self.names]
        self.document["app"] |= {"processes": {"kind": "command", "web": WEB, "worker": WORKER}}
        self.document["hosts"] = {"web": web}
        self.document["balancer"] = {"kind": "tests.engine.duo:Signpost", "folder": str(self.doors)}
        self.document["probes"] = {"up": {"kind": "tests.engine.duo:Up"}, "health": {"kind": "tests.engine.duo:Up"}}

    def _make(self) -> None:
        super()._make()
        for name in self.names:
            (self.base / name / "shared").mkdir()
            (self.base / name / "web-blue").write_text(OLD.id)
            (self.base / name / "worker-blue").touch()
        self.send("blue")

    def send(self, slot: str) -> None:
        """What the balancer has, without a run."""
        (self.doors / "sent").write_text("\n".join(one.address for one in self.site().backends(slot)))

    def begin(self, strategy: Any = None, **options: Any) -> Result:
        """A blue-green deployment of NEW, a rollback to OLD, or a retirement."""
        if strategy is Rollback:
            return self.deploy(Rollback(gate=GATE, **options), OLD)
        if strategy is Retire:
            return self.deploy(Retire(**options), Release(""))
        return self.bring(NEW, **options)

    def bring(self, release: Release, **options: Any) -> Result:
        """A blue-green deployment."""
        hook = Hook(f"echo x >> {self.doors}/hook", name="hook", idempotent=False)
        migrate = Migrate('echo x >> "$SHARED_DIR/../migrated"')
        values = {"gate": GATE, "migrate": migrate, "watch": 0.02, "hooks": (hook,), **options}
        return self.deploy(BlueGreen(**values), release)

    def sent(self) -> str:
        """The colour that gets requests; both, or neither, in words."""
        sent = (self.doors / "sent").read_text().split()
        slots = {slot for slot in ("blue", "green") for one in self.site().backends(slot) if one.address in sent}
        whole = len(sent) == len(self.names)
        return slots.pop() if len(slots) == 1 and whole else f"{sorted(slots)} of {sent}"

    def served(self) -> set[str]:
        """Releases that users get: one answer of each address that gets requests."""
        files = [self.base / name / f"web-{self.sent()}" for name in self.names]
        return {file.read_text().strip() if file.exists() else "nothing" for file in files}

    def stands(self) -> dict[str, str]:
        """Per host: what each colour runs, with a star where its workers do."""
        return {
            name: " ".join(filter(None, (self._shown(name, slot) for slot in ("blue", "green")))) for name in self.names
        }

    def doubled(self) -> list[str]:
        """Hosts on which workers of both colours have run at once."""
        return [name for name in self.names if (self.base / name / "both").exists()]

    def standby(self) -> tuple[str, Standby | None]:
        record = ledger.read_record(self.store())
        return record.live, record.standby

    def _shown(self, name: str, slot: str) -> str:
        file = self.base / name / f"web-{slot}"
        works = "*" if (self.base / name / f"worker-{slot}").exists() else ""
        return f"{slot}={file.read_text().strip()}{works}" if file.exists() or works else ""
