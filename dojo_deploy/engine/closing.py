"""The end of a run on its hosts: each is told, and looked at a last time, in the same round trip."""

from __future__ import annotations

from concurrent.futures import Executor

from dojo_deploy.engine import ledger
from dojo_deploy.engine.hostjob import Frame, Job, Said, carry
from dojo_deploy.engine.jobs import job_of, last_look
from dojo_deploy.engine.lease import Lease
from dojo_deploy.engine.observe import answer
from dojo_deploy.engine.run import Run
from dojo_deploy.engine.runner import Outcome
from dojo_deploy.errors import DojoError, OpenRunError
from dojo_deploy.events import Warned
from dojo_deploy.interfaces import Session
from dojo_deploy.release import HostSeen, Layout, Observed

ENDED = ("done", "partial", "tolerated", "rolled back", "kept", "aborted")


def close_hosts(run: Run, outcome: Outcome, executor: Executor) -> dict[str, HostSeen]:
    """Closes the run on every host that it touched and that is not broken; what each looked like then.

    A host that cannot be told is a warning: its fence stays open, and the next run there says so.
    """
    if not outcome.is_over and outcome.verdict != "mixed":
        return {}
    hosts = [
        host
        for host in run.progress.touched(run.plan)
        if host in run.session.inventory.hosts and host not in outcome.broken and not run.progress.is_closed(host)
    ]
    futures = {host: executor.submit(_close, run, host) for host in hosts}
    for host, future in futures.items():
        try:
            future.result()
        except DojoError as exc:
            run.trail.emit(Warned(text=f"{host} does not know that the run has ended: {exc.message}"))
    return run.progress.looks


def close_forgotten(session: Session, seen: Observed, lease: Lease) -> None:
    """Closes fences that earlier runs left open though they have ended: a host was away when it should have been told.

    Raises OpenRunError for one that never ended.
    """
    for host in (found for found in seen.hosts.values() if found.open_run):
        finished = [note for note in ledger.notes(session.store, host.open_run) if note["kind"] == ledger.FINISHED]
        ended = finished[-1]["verdict"] in ENDED if finished else ledger.was_pruned(session.store, host.open_run)
        if not ended:
            raise OpenRunError(
                f"{host.host}: run {host.open_run} began there and never ended",
                hint="invoke resume   goes on with it; invoke abort   undoes it",
            )
        site = session.inventory
        job = Job(
            run=host.open_run,
            generation=lease.generation,
            store_id=lease.store_id,
            scope=site.scope,
            layout=Layout(site.hosts[host.host].root),
            steps=(),
            close=True,
        )
        carry(session.shell(host.host), job, on_frame=lambda _: None, clock=session.clock)


def _close(run: Run, host: str) -> None:
    site = run.session.inventory
    lines: list[str] = []

    def on_frame(frame: Frame) -> None:
        if isinstance(frame, Said):
            lines.append(frame.line)

    job = job_of(run, host, (last_look(site, host),), close=True)
    (result,) = carry(run.session.shell(host), job, on_frame=on_frame, clock=run.session.clock)
    if result.outcome == "failed":
        raise DojoError(result.tail)
    run.progress.close(host)
    # An earlier session may have closed it, and looked then.
    if result.outcome == "done":
        run.progress.saw(answer(site.hosts[host], "\n".join(lines)))
