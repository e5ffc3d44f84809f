"""What flows into a store and out of it: whole, or not there; on every kind, and through a line that breaks."""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from dojo_deploy.errors import StoreError
from dojo_deploy.interfaces import Store
from dojo_deploy.stores import s3_parts
from dojo_deploy.stores.s3 import S3

from .conftest import s3_options
from .line import Line
from .sites import Site

DATA = os.urandom(5 << 20) * 4 + b"the end"  # three parts


@pytest.mark.parametrize("size", [0, 1, len(DATA)])
def test_what_flows_in_flows_out(store: Store, size: int) -> None:
    with store.incoming("a/dump") as sink:
        for at in range(0, size, 700_000):
            sink(DATA[at : min(at + 700_000, size)])
        assert store.list("a") == ()
    with store.outgoing("a/dump") as source:
        assert source is not None
        assert hashlib.sha256(source.read()).digest() == hashlib.sha256(DATA[:size]).digest()
    assert store.list("a") == ("a/dump",)


def test_a_block_that_fails_leaves_nothing(store: Store) -> None:
    with pytest.raises(ZeroDivisionError), store.incoming("a/dump") as sink:
        sink(DATA)
        raise ZeroDivisionError
    assert store.list("") == ()
    with store.outgoing("a/dump") as source:
        assert source is None


@pytest.fixture
def line(s3_endpoint: str) -> Iterator[Line]:
    address, _, port = s3_endpoint.removeprefix("http://").partition(":")
    server = Line((address, int(port)))
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def distant(line: Line, site: Site, tmp_path: Any) -> Iterator[Any]:
    host, port = line.server_address
    store = S3(**s3_options(f"http://{host}:{port}", tmp_path.name)).open(site)  # type: ignore[arg-type]
    yield store
    store.close()


@pytest.mark.parametrize(("fault", "times"), [("500", 2), ("reset", 2), ("lost", 1), ("cut", 2)])
def test_a_line_that_breaks_now_and_then_changes_nothing(line: Line, distant: Any, fault: str, times: int) -> None:
    line.fault, line.times = fault, times
    with distant.incoming("dump") as sink:
        sink(DATA)
    with distant.outgoing("dump") as source:
        assert hashlib.sha256(source.read()).digest() == hashlib.sha256(DATA).digest()
    assert line.met == times


@pytest.mark.parametrize("fault", ["500", "reset"])
def test_a_line_that_stays_broken_is_an_error_and_leaves_no_part(line: Line, distant: Any, fault: str) -> None:
    line.fault, line.times = fault, 1000
    with pytest.raises(StoreError, match="could not be uploaded"), distant.incoming("dump") as sink:
        sink(DATA)
    line.fault = ""
    assert distant.list("") == ()
    assert _open_uploads(distant) == []


def test_a_download_that_breaks_again_and_again_is_an_error(line: Line, distant: Any) -> None:
    with distant.incoming("dump") as sink:
        sink(DATA)
    line.fault, line.times = "cut", 1000
    with distant.outgoing("dump") as source, pytest.raises(StoreError, match="could not be downloaded"):
        source.read()


def test_what_a_killed_process_left_is_ended_a_day_later(distant: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    name = {"Bucket": distant.settings.bucket, "Key": f"{distant.base}left"}
    distant.client.create_multipart_upload(**name)
    with distant.incoming("dump") as sink:
        sink(b"x")
    assert _open_uploads(distant) == [name["Key"]]
    monkeypatch.setattr(s3_parts, "STALE_SECONDS", -60.0)
    with distant.incoming("dump") as sink:
        sink(b"x")
    assert _open_uploads(distant) == []


def _open_uploads(store: Any) -> list[str]:
    answer = store.client.list_multipart_uploads(Bucket=store.settings.bucket, Prefix=store.base)
    return [item["Key"] for item in answer.get("Uploads", ())]
