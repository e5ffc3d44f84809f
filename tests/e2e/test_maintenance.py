"""A maintenance window on real servers: what users see of it, and what is left when its work fails.

The last tests type the runbook's own lines, and show what they lose.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dojo_deploy import app
from dojo_deploy.app import backups, windows
from dojo_deploy.clock import utc
from dojo_deploy.command import Command
from dojo_deploy.errors import RefusedError
from dojo_deploy.prober import Prober
from dojo_deploy.runs.wishes import Wishes
from dojo_deploy.sandbox import toolchain
from dojo_deploy.session import opened
from tests.e2e.fleet import Fleet
from tests.e2e.looking import serves, told, variant, watch
from tests.e2e.sessions import Order, Session
from tests.e2e.visitors import visiting
from tests.notifiers.page import TOKEN, Page, status_page

BODY = "We are back in a moment.\n"
GATE = {"probes": ["release", "health"], "every": "100ms", "grace": "2s", "within": "20s", "in_a_row": 2}
NOTICE = 1.5
DATABASE = '. "$RELEASE_DIR/.dojo/env.sh" && PSQL "$DATABASE_URL" -XAtq -v ON_ERROR_STOP=1 '


@pytest.fixture
def page() -> Iterator[Page]:
    with status_page() as page:
        yield page


def psql(sql: str) -> str:
    return f"{DATABASE.replace('PSQL', str(toolchain.postgres() / 'psql'))} -c {json.dumps(sql)}"


@pytest.fixture
def closing(site: Fleet, page: Page, tmp_path: Path) -> Iterator[Fleet]:
    """The fleet with a status page, and no window left over."""
    (tmp_path / "token").write_text(TOKEN)

    def own(document: dict[str, Any]) -> None:
        document["notifiers"] = {
            "status": {"kind": "status_page", "url": page.url, "token": {"file": str(tmp_path / "token")}, "within": 2}
        }
        document["strategies"]["maintenance"] = {
            "notice": f"{NOTICE}s",
            "page": {"body": BODY, "retry_after": "90s"},
            "gate": GATE,
            "watch": "500ms",
        }

    mine = variant(site, tmp_path / "inventories" / "sandbox.yml", own)
    windows.abort(mine.inventory)
    sql(mine, "CREATE TABLE IF NOT EXISTS visits (n serial); TRUNCATE visits")
    yield mine
    windows.abort(mine.inventory)


def sql(fleet: Fleet, text: str) -> str:
    first = fleet.site.group(fleet.site.web)[0]
    line = f'export RELEASE_DIR={first.root}/slots/blue/current; cd "$RELEASE_DIR"; {psql(text)}'
    return told(fleet.site, line, [first.name])[first.name]


def with_work(fleet: Fleet, **settings: Any) -> Fleet:
    document = json.loads(fleet.inventory.read_text())
    document["strategies"]["maintenance"] |= settings
    fleet.inventory.write_text(json.dumps(document))
    return fleet


def scheduled(fleet: Fleet) -> None:
    """A window whose notice has run."""
    view = windows.schedule(fleet.inventory, at=utc(time.time() + NOTICE + 0.5), lasts=600.0, title="Upgrade")
    told = time.time()
    with pytest.raises(RefusedError, match="users have known of it"):
        windows.start(fleet.inventory)
    assert view.window
    while time.time() < max(view.window.starts_at, told + NOTICE + 0.1):
        time.sleep(0.05)


def test_users_are_turned_away_during_the_window_and_only_then(closing: Fleet, page: Page, tmp_path: Path) -> None:
    release = closing.release("v1")
    asked = (
        "require('http').get(process.env.SITE,a=>{console.log(a.statusCode,a.headers['retry-after']);process.exit()})"
    )
    site = with_work(
        closing,
        work=[
            {"name": "closed", "on": "once", "run": f'SITE={closing.site.url}/ node -e "{asked}" > "$SHARED_DIR/seen"'},
            {"name": "upgrade", "on": "once", "run": psql("INSERT INTO visits DEFAULT VALUES")},
            {"name": "elsewhere", "on": "lb", "run": 'echo "$HOST $RELEASE" > ~/worked'},
        ],
        verify=[
            {"name": "there", "on": "once", "run": f'[ "$({psql("SELECT count(*) FROM visits")})" = 1 ]'},
            {"name": "reads only", "on": "once", "run": f"! {{ {psql('DELETE FROM visits')}; }}"},
        ],
    )
    scheduled(site)

    with visiting(site.site.url) as visitors:
        prober = Prober.start(f"{site.site.url}/jobs", rate=100, work=tmp_path / "load")
        try:
            watched = watch(site, lambda wishes: windows.start(site.inventory, wishes=wishes))
        finally:
            load = prober.stop()

    assert (watched.result.verdict, watched.result.exit_code) == ("done", 0), watched.output
    assert visitors.spans == [200, 503, 200], visitors.spans
    assert {(one.retry_after, one.body) for one in visitors.turned_away} == {("90", BODY.encode())}
    assert set(load.errors) == {"status 503"} and 0 < load.failures < load.requests, load
    assert set(told(site.site, 'cat "$(echo ~)/srv/tcgdojo-sandbox/shared/seen"', ["web1"]).values()) == {"503 90"}
    assert told(site.site, "cat ~/worked", ["lb1"]) == {"lb1": f"lb1 {release}"}, "a host without a release of its own"
    assert page.course == ["scheduled", "in_progress", "verifying", "completed"] and page.one["title"] == "Upgrade"
    assert sql(site, "SELECT count(*) FROM visits") == "1"
    (newest, *_) = backups.listed(site.inventory).backups
    assert newest.manifest and newest.manifest.rows["public.visits"] == 0, "taken before the work"
    assert backups.verify(site.inventory).id == newest.id
    serves(site, release)


def test_work_that_fails_leaves_the_page_up_until_the_window_is_aborted(closing: Fleet, page: Page) -> None:
    release = closing.release("v1")
    marks = '"$SHARED_DIR/../marks"'
    site = with_work(
        closing,
        work=[
            {"name": "first", "on": "each", "run": f"echo did >> {marks}", "undo": f"echo undid >> {marks}"},
            {"name": "second", "run": "echo no room left on the device >&2; exit 7"},
        ],
    )
    told(site.site, 'rm -f "$(echo ~)/srv/tcgdojo-sandbox/marks"')
    scheduled(site)
    known = len(backups.listed(site.inventory).backups)

    with visiting(site.site.url) as visitors:
        ended = site.invoke("maintenance.start")
        assert ended.returncode == 20, ended.stdout + ended.stderr
        assert "no room left on the device" in ended.stdout
        assert "the site stays in maintenance" in ended.stdout and "invoke maintenance.abort" in ended.stdout
        assert visitors.spans == [200, 503]
        assert set(told(site.site, 'cat "$(echo ~)/srv/tcgdojo-sandbox/marks"').values()) == {"did\nundid"}
        assert page.course == ["scheduled", "in_progress", "in_progress"] and "problem" in page.one["message"]
        assert len(backups.listed(site.inventory).backups) == known + 1
        assert site.invoke("backup.verify").returncode == 0
        assert "users get the maintenance page" in site.invoke("status").stdout
        shown = site.invoke("maintenance.status")
        assert "closed" in shown.stdout and "page       up: users get 503" in shown.stdout
        assert {row["running"] for row in site.census().rows.values()} == {f"{release} ×1"}, "workers stay paused"

        back = site.invoke("maintenance.abort", "--reason", "the disk is full")
        assert back.returncode == 0, back.stdout + back.stderr
        time.sleep(0.3)

    assert visitors.spans == [200, 503, 200]
    assert page.course[-2:] == ["verifying", "completed"] and "ended early" in page.one["message"]
    view = windows.status(site.inventory)
    assert view.window is None and view.before[-1].outcome == "aborted" and not view.closed
    assert app.abort(site.inventory).verdict == "nothing to do"
    serves(site, release)


@pytest.mark.soak
def test_work_by_hand_is_framed_by_start_and_finish_while_the_status_page_is_down(closing: Fleet, page: Page) -> None:
    release = closing.release("v1")
    page.down()

    begun = windows.start(closing.inventory, reason="the certificate has expired")
    assert begun.verdict == "done", begun.reason
    assert windows.status(closing.inventory).closed
    assert [letter.notice.status for letter in windows.status(closing.inventory).waiting] == ["in_progress"]
    page.up()

    ended = windows.finish(closing.inventory)

    assert ended.verdict == "done", ended.reason
    assert page.course == ["in_progress", "verifying", "completed"]
    (*_, window) = windows.status(closing.inventory).before
    assert [one.reason for one in window.course if one.reason] == ["the certificate has expired"]
    serves(closing, release)


KILLED = [
    "StepFinished work: first/first",
    "StepStarted backup/backup",
    "StepFinished announce/announce",
    "StepStarted close/close",
    "StepFinished close/close",
    "StepStarted pause workers/pause workers",
    "StepFinished stay closed/stay closed",
    "StepStarted open/open",
    "GateRead watch/watch",
    "StepFinished over/over",
]


@pytest.mark.soak
@pytest.mark.parametrize("after", KILLED)
def test_a_controller_that_is_killed_is_replaced_by_another(closing: Fleet, tmp_path: Path, after: str) -> None:
    marks = '"$SHARED_DIR/../marks"'
    site = with_work(closing, work=[{"name": "first", "on": "each", "run": f"echo did >> {marks}"}])
    told(site.site, 'rm -f "$(echo ~)/srv/tcgdojo-sandbox/marks"')
    elsewhere = tmp_path / "elsewhere" / "inventories" / "sandbox.yml"
    elsewhere.parent.mkdir(parents=True)
    elsewhere.write_text(site.inventory.read_text())

    with visiting(site.site.url) as visitors:
        killed = Session(Order("maintenance", str(site.inventory), after=after), tmp_path).ended()
        assert killed.was_killed, killed
        resumed = app.resume(elsewhere)
        time.sleep(0.2)

    assert (resumed.verdict, resumed.exit_code) == ("done", 0), resumed.reason
    assert visitors.spans == [200, 503, 200]
    assert set(told(site.site, 'cat "$(echo ~)/srv/tcgdojo-sandbox/marks"').values()) == {"did"}
    assert windows.status(site.inventory).before[-1].outcome == "done"
    serves(site, site.release("v1"))


@pytest.mark.soak
def test_the_runbooks_backup_before_its_maintenance_mode_loses_what_is_written_in_between(closing: Fleet) -> None:
    """features 4.11: step 2 is the dump, step 3 the maintenance mode; users go on writing from one to the other."""
    early = backups.back_up(closing.inventory)  # step 2
    sql(closing, "INSERT INTO visits DEFAULT VALUES")  # a user, who is told that it is kept
    with visiting(closing.site.url) as visitors:  # step 3
        assert windows.start(closing.inventory, reason="to compare").verdict == "done"
        kept = sql(closing, "SELECT count(*) FROM visits")

    assert visitors.spans == [200, 503]
    assert (early.rows["public.visits"], kept) == (0, "1"), "the runbook's backup lacks the row"
    (ours, *_) = backups.listed(closing.inventory).backups
    assert ours.manifest and ours.manifest.rows["public.visits"] == 1
    assert windows.abort(closing.inventory, wishes=Wishes()).verdict == "done"


@pytest.mark.soak
def test_the_runbooks_maintenance_mode_is_kept_by_pm2_and_needs_restarts(closing: Fleet) -> None:
    """features 4.11: `MAINTENANCE_MODE=true` reaches a process only when it restarts, and PM2 keeps it afterwards."""
    host = closing.site.group(closing.site.web)[0]
    name = f"{closing.site.scope}-blue-web"
    asks = f'pm2 jlist --silent | node -e "{_MODE.replace("NAME", name)}"'

    def typed(line: str) -> str:
        with opened(closing.site) as session:
            done = session.shell(host.name).run(Command.shell(line), within=60)
        assert done.ok, done.complaint
        return done.text

    assert typed(f"export MAINTENANCE_MODE=true; {asks}") == "unset", "set, as the runbook says, and in no process"
    typed(f"MAINTENANCE_MODE=true pm2 restart {name} --update-env --silent")
    assert typed(asks) == "true"
    typed(f"unset MAINTENANCE_MODE; pm2 restart {name} --update-env --silent")
    try:
        assert typed(asks) == "true", "unset, as the runbook says, and still on"
    finally:
        typed(f"pm2 delete {name} --silent")
        assert app.restart(closing.inventory, overrides={"gate.every": "100ms", "bake.first": "0s"}).verdict == "done"
    assert typed(asks) == "unset"
    serves(closing, closing.release("v1"))


_MODE = (
    "let t='';process.stdin.on('data',d=>t+=d).on('end',()=>{const p=JSON.parse(t).find(p=>p.name==='NAME');"
    "console.log(p.pm2_env.MAINTENANCE_MODE??'unset')})"
)
