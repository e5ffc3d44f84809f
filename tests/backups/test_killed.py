"""A controller killed in the middle of a backup, a drill or a pruning: the next one ends clean, with nothing left."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

from dojo_deploy.app import backups
from dojo_deploy.backups.kept import forgotten
from dojo_deploy.databases.postgres import Postgres
from dojo_deploy.databases.postgres_scripts import MARKED
from dojo_deploy.stores.directory import DirectoryStore
from tests.backups.bed import Bed, Cluster
from tests.backups.shop import CARDS, Shop
from tests.backups.test_faults import uploads
from tests.backups.test_restore import cards, mine
from tests.engine.conftest import quick as quick

VERBS = {
    "create": lambda shop: backups.back_up(shop.site()),
    "drill": lambda shop: backups.drill(shop.site()),
    "prune": lambda shop: backups.prune(shop.site(), confirmed=True),
}
SAMPLE = (4, 7, 12)
MANY = 80  # more than any of them does


@pytest.fixture
def one(cluster: Cluster, quick: Path) -> Iterator[Callable[[str], Shop]]:
    def make(name: str) -> Shop:
        shop = Shop.opened_for(quick / name, cluster, name)
        for _ in range(2):
            shop.back_up()
        return shop

    yield make
    for name in cluster.databases():
        if name.startswith("half"):
            cluster.psql(f"DROP DATABASE {name} WITH (FORCE)")


def killed(run: Callable[[], object], after: int) -> bool:
    """Whether a child that runs it was killed, at the call of store or database of that number."""
    child = os.fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
    count = 0

    def counted(call: Callable[..., Any]) -> Callable[..., Any]:
        def counting(*args: Any, **options: Any) -> Any:
            nonlocal count
            count += 1
            if count == after:
                os.kill(os.getpid(), signal.SIGKILL)
            return call(*args, **options)

        return counting

    patches = [(DirectoryStore, name) for name in ("put", "delete", "incoming", "_publish", "outgoing")]
    patches += [(Postgres, "run")]  # type: ignore[list-item]
    for kind, name in patches:
        mock.patch.object(kind, name, counted(getattr(kind, name))).start()
    status = 1
    try:
        run()
        status = 0
    finally:
        os._exit(status)


@pytest.mark.parametrize("points", [pytest.param(SAMPLE, id="some"),
                                    pytest.param(range(1, MANY), id="all", marks=pytest.mark.soak)])  # fmt: skip
@pytest.mark.parametrize(
    "verb", [pytest.param("create"), *(pytest.param(v, marks=pytest.mark.soak) for v in ("drill", "prune"))]
)
def test_the_next_one_ends_clean(
    one: Callable[[str], Shop], cluster: Cluster, verb: str, points: tuple[int, ...]
) -> None:
    shop = one(f"half{verb}")
    shop.document["database"]["backups"] = {"daily": 1, "at_least": 1, "weekly": 0, "monthly": 0}
    for after in points:
        if verb == "prune":
            shop.back_up()
        with shop.near():
            was_killed = killed(lambda: VERBS[verb](shop), after)
            VERBS[verb](shop)
            found = backups.listed(shop.site())
            assert found.leftovers == (), after
            assert not [each.damage for each in found.backups if each.damage], after
            if verb == "create":
                assert backups.verify(shop.site()).id == found.backups[0].id
        assert not list((shop.base / "store").rglob(".unfinished/*dump*")), after
        left = [name for name in mine(cluster, shop) if name != shop.name]
        if verb == "drill":  # what another drill may be at work with goes with the first pruning of the day after
            assert forgotten(dict.fromkeys(left, MARKED), shop.name, before=time.time() + 1) == tuple(left), after
            for name in left:
                cluster.psql(f"DROP DATABASE {name}")
        else:
            assert left == [], after
        assert cards(cluster, shop.name) == CARDS
        if not was_killed:
            break


@pytest.mark.soak
def test_a_stream_into_s3_that_ended_with_its_process_is_ended_by_the_next_backup(remote: Bed) -> None:
    def die(*_: object, **__: object) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    assert killed(lambda: backups.back_up(remote.site, tell=die), after=10**6)
    assert uploads(remote) != []
    made = backups.back_up(remote.site)
    assert uploads(remote) == []
    assert [key.split("/")[1] for key in (*remote.keys(),)] == [made.id] * 3
