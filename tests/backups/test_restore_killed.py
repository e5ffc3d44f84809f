"""A restore whose controller is killed after any record of its journal goes on to its end, or back to its beginning."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from tests.backups.bed import ROLE, Cluster
from tests.backups.shop import CARDS, Shop
from tests.backups.test_restore import cards, kept, mine, more, was_live
from tests.engine.conftest import quick as quick
from tests.engine.killing import Killer, killer

SINCE = 7
MANY = 90  # more records than such a journal has


@pytest.fixture(scope="module")
def kills(cluster: Cluster) -> Iterator[Killer]:
    cluster.settings()  # its password, for the children
    with killer() as one:
        yield one


@pytest.fixture
def again(cluster: Cluster, quick: Path) -> Iterator[Callable[[int], Shop]]:
    """A shop with a proven backup, and rows that came after it; made anew each time."""

    def make(number: int) -> Shop:
        name = f"killed{number}"
        shop = Shop.opened_for(quick / name, cluster, name)
        shop.back_up()
        shop.drill()
        more(cluster, name, SINCE)
        return shop

    yield make
    for name in cluster.databases():
        if name.startswith("killed"):
            cluster.psql(f"DROP DATABASE {name} WITH (FORCE)")


SAMPLE = (21, 57)  # while it restores, and after it has traded places
QUARTERS = [[number for number in range(1, MANY) if number not in SAMPLE][first::4] for first in range(4)]


@pytest.mark.parametrize(
    "points",
    [
        pytest.param(SAMPLE, id="some"),
        *(pytest.param(each, id=f"quarter{n}", marks=pytest.mark.soak) for n, each in enumerate(QUARTERS, 1)),
    ],
)
@pytest.mark.parametrize("abort", [False, True], ids=["resumed", "aborted"])
def test_killed_after_a_record_nothing_is_lost(
    again: Callable[[int], Shop], kills: Killer, cluster: Cluster, abort: bool, points: Sequence[int]
) -> None:
    for after in points:
        shop = again(after)
        was_killed = kills.deploy(shop, after=after)
        ended = shop.go_on(abort=abort)
        where = f"killed after {after}: {ended.verdict} {ended.reason}"
        if not was_killed:  # it had ended before
            assert cards(cluster, shop.name) == CARDS, where
            break
        if ended.verdict == "nothing to do":  # before it began, or after it ended
            done = cards(cluster, shop.name) == CARDS
        else:
            assert ended.verdict == ("aborted" if abort else "done"), where
            done = not abort
        assert cards(cluster, shop.name) == (CARDS if done else CARDS + SINCE), where
        left = mine(cluster, shop)
        if done:
            old = kept(cluster, shop)
            assert left == [shop.name, old], where
            cluster.psql(f"ALTER DATABASE {old} ALLOW_CONNECTIONS true")
            assert int(cluster.psql("SELECT count(*) FROM cards", database=old, user=ROLE)) == CARDS + SINCE, where
        else:
            assert left == [shop.name, *was_live(cluster, shop)], where
        assert shop.serves, where
        assert shop.is_clean(), where
        assert shop.halves() == [], where
