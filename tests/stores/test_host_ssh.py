"""The host store over a real SSH connection."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from dojo_deploy.clock import SystemClock
from dojo_deploy.errors import ConflictError, StoreError
from dojo_deploy.interfaces import Shell
from dojo_deploy.inventory import Host
from dojo_deploy.stores.host import HostStore
from tests.sshd import Server, any_server

Opener = Callable[[Host], Shell]


@pytest.fixture
def store(sshd: Server, shell_to: Opener, tmp_path: Path) -> HostStore:
    return HostStore(shell_to(sshd.host), str(tmp_path / "store"), SystemClock())


def test_compare_and_swap_over_ssh(store: HostStore) -> None:
    etag = store.put("lock.json", bytes(range(256)), absent=True)
    found = store.get("lock.json")
    assert found is not None
    assert (found.data, found.etag) == (bytes(range(256)), etag)
    store.put("lock.json", b"two", etag=etag)
    with pytest.raises(ConflictError):
        store.put("lock.json", b"three", etag=etag)
    assert store.list("") == ("lock.json",)
    store.close()
    assert store.get("none") is None


def test_of_eight_connections_exactly_one_wins(sshd: Server, shell_to: Opener, tmp_path: Path) -> None:
    stores = [HostStore(shell_to(sshd.host), str(tmp_path / "store"), SystemClock()) for _ in range(8)]

    def create(number: int, key: str) -> bool:
        try:
            stores[number].put(key, str(number).encode(), absent=True)
        except ConflictError:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        for round_ in range(10):
            won = list(pool.map(lambda number, k=f"k{round_}": create(number, k), range(8)))
            assert won.count(True) == 1


def test_questions_asked_side_by_side_get_each_their_own_answer(store: HostStore) -> None:
    def ask(number: int) -> bytes:
        # Sizes differ, and no body ends a line, so that answers stand close together.
        store.put(f"k{number}", b"%d " % number * (1 + number * 997))
        found = store.get(f"k{number}")
        assert found is not None
        return found.data

    with ThreadPoolExecutor(12) as pool:
        assert list(pool.map(ask, range(48))) == [b"%d " % number * (1 + number * 997) for number in range(48)]


def test_large_things_over_ssh_are_byte_exact(store: HostStore, tmp_path: Path) -> None:
    (tmp_path / "sent").write_bytes(os.urandom(20 << 20))
    store.upload("runs/a/artifact", tmp_path / "sent")
    assert store.download("runs/a/artifact", tmp_path / "got")
    assert (tmp_path / "got").read_bytes() == (tmp_path / "sent").read_bytes()
    store.put("header.json", b"x" * 2_000_000)
    assert len(store.get("header.json").data) == 2_000_000  # type: ignore[union-attr]


def test_a_server_that_dies_is_a_store_error_in_bounded_time(shell_to: Opener, tmp_path: Path) -> None:
    with any_server(tmp_path) as server:
        store = HostStore(shell_to(server.host), str(tmp_path / "store"), SystemClock())
        store.put("lock.json", b"x")
    began = time.monotonic()
    with pytest.raises(StoreError):
        store.get("lock.json")
    assert time.monotonic() - began < 30
