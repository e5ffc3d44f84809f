"""What every store promises: subclass `StoreContract` in a test, and say in a fixture how yours is set up."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from dojo_deploy.errors import ConfigError, ConflictError
from dojo_deploy.interfaces import Store, StoreKind
from dojo_deploy.testing.places import Site

ANY_BYTES = bytes(range(256)) + b"\r\n\x00'\"$(id)`\\\n"


class StoreContract:
    """To be given: a fixture `settings`, the store's settings (a StoreKind), empty at first and of this test alone."""

    @pytest.fixture
    def rounds(self) -> int:
        """How often eight writers race for one key."""
        return 10

    @pytest.fixture
    def site(self, tmp_path: Path) -> Site:
        return Site(str(tmp_path / "root"))

    @pytest.fixture
    def store(self, settings: StoreKind, site: Site) -> Iterator[Store]:
        opened = settings.open(site)  # type: ignore[arg-type]
        yield opened
        opened.close()

    def test_a_key_never_written_is_absent(self, store: Store) -> None:
        assert store.get("lock.json") is None

    @pytest.mark.parametrize("data", [b"", b"\n", b"no newline", ANY_BYTES, b"x" * 300_000], ids=len)
    def test_what_was_put_is_got_byte_for_byte(self, store: Store, data: bytes) -> None:
        etag = store.put("a/b/c.json", data)
        found = store.get("a/b/c.json")
        assert found is not None
        assert (found.data, found.etag) == (data, etag)

    def test_put_absent_conflicts_where_something_is_and_leaves_it(self, store: Store) -> None:
        store.put("lock.json", b"first", absent=True)
        with pytest.raises(ConflictError):
            store.put("lock.json", b"second", absent=True)
        assert _data(store, "lock.json") == b"first"

    def test_put_with_an_etag_replaces_that_version_only(self, store: Store) -> None:
        old = store.put("lock.json", b"one")
        new = store.put("lock.json", b"two", etag=old)
        with pytest.raises(ConflictError):
            store.put("lock.json", b"three", etag=old)
        assert _data(store, "lock.json") == b"two"
        store.put("lock.json", b"four", etag=new)
        assert _data(store, "lock.json") == b"four"

    def test_put_with_an_etag_conflicts_where_nothing_is(self, store: Store) -> None:
        etag = store.put("lock.json", b"one")
        store.delete("lock.json")
        with pytest.raises(ConflictError):
            store.put("lock.json", b"two", etag=etag)
        assert store.get("lock.json") is None

    def test_an_empty_etag_is_a_condition_and_not_the_lack_of_one(self, store: Store) -> None:
        store.put("lock.json", b"one")
        with pytest.raises(ConflictError):
            store.put("lock.json", b"two", etag="")
        assert _data(store, "lock.json") == b"one"

    def test_the_same_content_written_again_is_another_version(self, store: Store) -> None:
        first = store.put("lock.json", b"A")
        second = store.put("lock.json", b"B")
        third = store.put("lock.json", b"A")
        assert len({first, second, third}) == 3
        with pytest.raises(ConflictError):
            store.put("lock.json", b"mine", etag=first)

    def test_of_eight_writers_with_one_etag_exactly_one_wins(
        self, rounds: int, settings: StoreKind, site: Site
    ) -> None:
        stores = [settings.open(site) for _ in range(8)]  # type: ignore[arg-type]
        etag = stores[0].put("lock.json", b"start", absent=True)
        start = threading.Barrier(8)

        def write(number: int, round_: int, etag: str) -> str:
            start.wait(20)
            try:
                return stores[number].put("lock.json", f"{round_} {number}".encode(), etag=etag)
            except ConflictError:
                return ""

        with ThreadPoolExecutor(8) as pool:
            for round_ in range(rounds):
                got = list(pool.map(lambda number, r=round_, e=etag: write(number, r, e), range(8)))
                winners = [number for number, new in enumerate(got) if new]
                assert len(winners) == 1
                found = stores[0].get("lock.json")
                assert found is not None
                assert found.data == f"{round_} {winners[0]}".encode()
                etag = found.etag
                assert etag == got[winners[0]]

    def test_of_eight_creators_exactly_one_wins(self, rounds: int, settings: StoreKind, site: Site) -> None:
        stores = [settings.open(site) for _ in range(8)]  # type: ignore[arg-type]
        start = threading.Barrier(8)

        def create(number: int, key: str) -> bool:
            start.wait(20)
            try:
                stores[number].put(key, str(number).encode(), absent=True)
            except ConflictError:
                return False
            return True

        with ThreadPoolExecutor(8) as pool:
            for round_ in range(rounds):
                key = f"runs/new{round_}/header.json"
                won = list(pool.map(lambda number, k=key: create(number, k), range(8)))
                assert won.count(True) == 1
                assert _data(stores[0], key) == str(won.index(True)).encode()

    def test_list_is_sorted_and_by_prefix(self, store: Store) -> None:
        for key in ("runs/b/2.json", "runs/a/10.json", "runs/a/9.json", "runs2/x", "lock.json"):
            store.put(key, b"x")
        assert store.list("runs/") == ("runs/a/10.json", "runs/a/9.json", "runs/b/2.json")
        assert store.list("runs/a/1") == ("runs/a/10.json",)
        assert store.list("") == ("lock.json", "runs/a/10.json", "runs/a/9.json", "runs/b/2.json", "runs2/x")
        assert store.list("none") == ()

    def test_a_deleted_key_is_gone_and_deleting_nothing_is_no_error(self, store: Store) -> None:
        store.put("runs/a/1.json", b"x")
        store.delete("runs/a/1.json")
        store.delete("runs/a/1.json")
        store.delete("never/was")
        assert store.get("runs/a/1.json") is None
        assert store.list("") == ()

    def test_a_large_file_comes_back_byte_for_byte_and_is_private(self, store: Store, tmp_path: Path) -> None:
        sent, got = tmp_path / "sent", tmp_path / "got"
        sent.write_bytes(os.urandom(20 << 20))
        store.upload("runs/a/artifact", sent)
        assert store.download("runs/a/artifact", got)
        assert got.read_bytes() == sent.read_bytes()
        assert got.stat().st_mode & 0o777 == 0o600
        assert store.list("runs/") == ("runs/a/artifact",)

    @pytest.mark.parametrize("data", [b"", b"{}", b"dojo-store/1 but not really\n"], ids=len)
    def test_a_small_file_comes_back_byte_for_byte(self, store: Store, tmp_path: Path, data: bytes) -> None:
        (tmp_path / "sent").write_bytes(data)
        store.upload("a", tmp_path / "sent")
        assert store.download("a", tmp_path / "got")
        assert (tmp_path / "got").read_bytes() == data
        assert _data(store, "a") == data

    def test_what_was_put_can_be_downloaded(self, store: Store, tmp_path: Path) -> None:
        store.put("a", ANY_BYTES)
        assert store.download("a", tmp_path / "got")
        assert (tmp_path / "got").read_bytes() == ANY_BYTES

    def test_an_uploaded_file_is_not_overwritten_by_put_absent(self, store: Store, tmp_path: Path) -> None:
        (tmp_path / "sent").write_bytes(b"file")
        store.upload("a", tmp_path / "sent")
        with pytest.raises(ConflictError):
            store.put("a", b"x", absent=True)

    def test_download_of_a_missing_key_is_false_and_leaves_no_file(self, store: Store, tmp_path: Path) -> None:
        assert store.download("none", tmp_path / "got") is False
        assert not (tmp_path / "got").exists()

    def test_two_applications_share_a_store_without_meeting(self, settings: StoreKind, site: Site) -> None:
        shop = settings.open(site)  # type: ignore[arg-type]
        blog = settings.open(Site(site.root, app="blog"))  # type: ignore[arg-type]
        shop.put("lock.json", b"shop", absent=True)
        blog.put("lock.json", b"blog", absent=True)
        assert _data(shop, "lock.json") == b"shop"
        assert blog.list("") == ("lock.json",)

    @pytest.mark.parametrize("key", ["", "/etc/passwd", "../up", "a//b", "a/", ".lock", "a/.b", "a b", "a\nb", "é"])
    def test_what_cannot_be_a_key_everywhere_is_one_nowhere(self, store: Store, key: str) -> None:
        with pytest.raises(ConfigError):
            store.put(key, b"x")
        with pytest.raises(ConfigError):
            store.get(key)

    def test_an_operation_takes_a_moment(self, store: Store) -> None:
        etag = store.put("lock.json", b"x", absent=True)
        began = time.monotonic()
        for beat in range(10):
            etag = store.put("lock.json", str(beat).encode(), etag=etag)
        assert (time.monotonic() - began) / 10 < 0.5


def _data(store: Store, key: str) -> bytes | None:
    found = store.get(key)
    return found.data if found else None
