"""A restore while users ask and somebody writes: a page for seconds, no wrong answer, every committed row somewhere."""

from __future__ import annotations

import json
import re
import subprocess
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import pytest

from dojo_deploy import app
from dojo_deploy.app import backups, restores
from dojo_deploy.databases.postgres import Postgres
from dojo_deploy.sandbox import toolchain
from tests.e2e.colours import OTHER, Colours
from tests.e2e.fleet import Fleet
from tests.e2e.looking import watch

HASTE = {"gate.every": "100ms", "gate.in_a_row": "2", "gate.grace": "3s", "gate.within": "20s"}


@dataclass
class Seen:
    """Answers as (second, status, Retry-After, release), and the ids of rows whose commit was confirmed."""

    answers: list[tuple[float, int, str, str]] = field(default_factory=list)
    rows: list[int] = field(default_factory=list)
    over: threading.Event = field(default_factory=threading.Event)


def psql(site: Fleet, sql: str, *, name: str = "", within: float = 20.0) -> subprocess.CompletedProcess[str]:
    database = site.site.database
    assert isinstance(database, Postgres) and database.password
    return subprocess.run(
        [toolchain.postgres() / "psql", "-XAtq", "-v", "ON_ERROR_STOP=1", "-c", sql],
        env={
            "PGHOST": database.address,
            "PGPORT": str(database.port),
            "PGUSER": database.user,
            "PGDATABASE": name or database.name,
            "PGPASSWORD": database.password.reveal(),
        },
        capture_output=True,
        text=True,
        timeout=within,
    )


def ids(site: Fleet, name: str = "") -> set[int]:
    done = psql(site, "SELECT id FROM orders", name=name)
    assert done.returncode == 0, done.stderr
    return set(map(int, done.stdout.split()))


@contextmanager
def busy(site: Fleet) -> Iterator[Seen]:
    seen = Seen()
    threads = [threading.Thread(target=each, args=(site, seen)) for each in (_ask, _write)]
    for thread in threads:
        thread.start()
    try:
        yield seen
    finally:
        seen.over.set()
        for thread in threads:
            thread.join(60)


def _ask(site: Fleet, seen: Seen) -> None:
    url = f"{site.site.url}/health"
    while not seen.over.is_set():
        began = time.monotonic()
        try:
            with urllib.request.urlopen(url, timeout=10) as answer:
                seen.answers.append((began, answer.status, "", json.load(answer)["release"]))
        except urllib.error.HTTPError as exc:
            seen.answers.append((began, exc.code, exc.headers.get("Retry-After", ""), ""))
        except OSError as exc:
            seen.answers.append((began, 0, "", str(exc)))
        seen.over.wait(0.02)


def _write(site: Fleet, seen: Seen) -> None:
    while not seen.over.is_set():
        done = psql(site, "INSERT INTO orders DEFAULT VALUES RETURNING id")
        if done.returncode == 0:
            seen.rows.append(int(done.stdout))


@pytest.mark.soak
def test_users_see_a_page_for_seconds_and_every_committed_row_is_somewhere(site: Fleet) -> None:
    release = site.release("v1")
    # Rows of one database must not look like another's.
    made = psql(
        site, "DROP TABLE IF EXISTS orders; CREATE TABLE orders (id bigint PRIMARY KEY DEFAULT (random() * 1e15))"
    )
    assert made.returncode == 0, made.stderr
    assert psql(site, "INSERT INTO orders SELECT generate_series(1, 1000)").returncode == 0
    backups.back_up(site.inventory)
    assert backups.drill(site.inventory).wrong == ()
    name = site.site.database.name  # type: ignore[union-attr]

    with busy(site) as seen:
        time.sleep(2)
        ended = restores.restore(site.inventory, restores.Wanted(), confirm=name, overrides=HASTE)
        time.sleep(2)

    assert (ended.verdict, ended.exit_code) == ("done", 0), ended.reason
    assert {status for _, status, _, _ in seen.answers} == {200, 503}, seen.answers
    assert all(retry for _, status, retry, _ in seen.answers if status == 503)
    assert {found for _, status, _, found in seen.answers if status == 200} == {release}
    closed = [second for second, status, _, _ in seen.answers if status == 503]
    served = [second for second, status, _, _ in seen.answers if status == 200]
    assert not [second for second in served if closed[0] < second < closed[-1]], "it opened too early"
    print(f"the page was up for {closed[-1] - closed[0]:.1f} s, {len(seen.answers)} answers, {len(seen.rows)} rows")

    (old,) = (found.name for found in backups.prune(site.inventory).kept)
    assert psql(site, f"ALTER DATABASE {old} ALLOW_CONNECTIONS true", name="postgres").returncode == 0
    live, was = ids(site), ids(site, old)
    assert len(seen.rows) > 20
    assert set(seen.rows) <= live | was
    assert set(range(1, 1001)) <= live
    assert site.census().verdict == "consistent"
    assert psql(site, f"DROP DATABASE {old}", name="postgres").returncode == 0


@pytest.mark.soak
def test_a_standby_stands_by_a_restored_database_and_can_serve_it(pair: Colours) -> None:
    pair.alone("v1")
    live, first = pair.record.live, pair.release("v1")
    there = pair.bring("v2")
    assert there.result.verdict == "done", there.output
    second = there.result.release
    backups.back_up(pair.inventory)
    assert backups.drill(pair.inventory).wrong == ()
    name = pair.site.database.name  # type: ignore[union-attr]

    watched = watch(
        pair,
        lambda wishes: restores.restore(
            pair.inventory, restores.Wanted(), confirm=name, overrides=HASTE, wishes=wishes
        ),
    )

    assert (watched.result.verdict, watched.result.exit_code) == ("done", 0), watched.output
    assert re.search(r"page: users saw it for \d", watched.output), watched.output[-3000:]
    pair.stand(OTHER[live], second, standby=first)
    assert pair.back().result.verdict in ("done", "served")
    pair.at_rest()
    pair.stand(live, first, standby=second)
    retired = app.retire(pair.inventory, now=True)
    assert retired.verdict == "done", retired.reason
    assert pair.census().verdict == "consistent"
    for kept in backups.prune(pair.inventory).kept:
        assert psql(pair, f"DROP DATABASE {kept.name}", name="postgres").returncode == 0
