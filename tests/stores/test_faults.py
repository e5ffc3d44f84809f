"""What goes wrong between a controller and its store, and what a caller is told."""

from __future__ import annotations

import io
import logging
import os
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from socketserver import BaseRequestHandler, ThreadingTCPServer
from typing import Any, BinaryIO

import pytest

from dojo_deploy.errors import ConfigError, ConflictError, LostError, StoreError, UnreachableError
from dojo_deploy.stores import shorthand
from dojo_deploy.stores.directory import Directory
from dojo_deploy.stores.host import HostStore, PrimaryHost
from dojo_deploy.stores.s3 import S3

from .conftest import s3_options
from .sites import LocalShell, Site


@pytest.fixture
def host(tmp_path: Path, site: Site) -> HostStore:
    return PrimaryHost(path=str(tmp_path / "store")).open(site)  # type: ignore[arg-type]


# --- a host ---


def test_a_put_whose_answer_was_lost_is_found_and_done(host: HostStore) -> None:
    etag = host.put("lock.json", b"one", absent=True)
    host.shell.lose = 1  # type: ignore[attr-defined]
    new = host.put("lock.json", b"two", etag=etag)
    found = host.get("lock.json")
    assert found is not None
    assert (found.data, found.etag) == (b"two", new)
    host.shell.lose = 2  # type: ignore[attr-defined]
    host.put("other.json", b"x", absent=True)


def test_a_lost_put_that_another_writer_has_replaced_since_is_a_conflict(host: HostStore, tmp_path: Path) -> None:
    class Overtaken(LocalShell):
        def stream(self, text: str, **options: Any) -> int:
            try:
                return super().stream(text, **options)
            except LostError:
                _over(LocalShell(self.host), host).put("lock.json", b"theirs")
                raise

    etag = host.put("lock.json", b"one")
    with pytest.raises(ConflictError):
        _over(Overtaken(host.shell.host, lose=1), host).put("lock.json", b"mine", etag=etag)
    assert (tmp_path / "store" / "shop-test" / "lock.json").read_bytes().endswith(b"theirs")


def test_a_link_that_never_answers_is_an_error_and_not_an_endless_retry(host: HostStore) -> None:
    host.shell.lose = 100  # type: ignore[attr-defined]
    with pytest.raises(StoreError, match="web1"):
        host.put("lock.json", b"x", absent=True)
    assert host.shell.lose > 90  # type: ignore[attr-defined]


def test_an_unreachable_host_is_a_store_error_that_names_it(host: HostStore) -> None:
    class Down(LocalShell):
        def stream(self, *_: object, **__: object) -> int:
            raise UnreachableError("connection refused", host=self.host.name)

    with pytest.raises(StoreError, match="web1: connection refused"):
        _over(Down(host.shell.host), host).get("lock.json")


def test_a_half_received_put_is_never_published(host: HostStore, tmp_path: Path) -> None:
    class Cut(LocalShell):
        def stream(self, text: str, *, stdin: BinaryIO, **options: Any) -> int:
            return super().stream(text, stdin=io.BytesIO(stdin.read(65536)[:3000]), **options)

    cut = _over(Cut(host.shell.host), host)
    with pytest.raises(StoreError, match="ended 1"):
        cut.put("lock.json", b"x" * 5000)
    (tmp_path / "file").write_bytes(b"x" * 5000)
    with pytest.raises(StoreError, match="no whole answer"):
        cut.upload("artifact", tmp_path / "file")
    assert host.list("") == ()
    host.close()
    deadline = time.monotonic() + 5
    while list(Path(host.base).glob(".unfinished/*")):  # the list's own goes after its answer
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_the_host_says_why_it_could_not_write(host: HostStore) -> None:
    host.put("runs", b"a file")
    with pytest.raises(StoreError, match=r"runs/a/1.json: mkdir.*runs"):
        host.put("runs/a/1.json", b"x")
    host.put("after", b"x")


def test_a_lost_conversation_is_opened_again(host: HostStore) -> None:
    host.put("a", b"1")
    host.close()
    found = host.get("a")
    assert found is not None
    assert found.data == b"1"


def test_a_store_that_never_answers_is_an_error_at_the_deadline(
    host: HostStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Mute(LocalShell):
        def stream(self, text: str, *, on_output: object, **options: Any) -> int:  # noqa: ARG002
            return super().stream(text, on_output=lambda _: None, **options)

    monkeypatch.setattr("dojo_deploy.stores.host.ASK_SECONDS", 0.2)
    began = time.monotonic()
    with pytest.raises(StoreError, match="no answer before the deadline"):
        _over(Mute(host.shell.host), host).get("a")
    assert time.monotonic() - began < 3


def test_many_threads_ask_one_store(host: HostStore) -> None:
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda number: host.put(f"k{number}", str(number).encode() * 999), range(40)))
        got = list(pool.map(lambda number: host.get(f"k{number}"), range(40)))
    assert [found and found.data for found in got] == [str(number).encode() * 999 for number in range(40)]


def test_a_host_that_cannot_write_says_so(tmp_path: Path, site: Site) -> None:
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(StoreError, match="web1"):
        PrimaryHost(path=str(tmp_path / "file")).open(site).put("lock.json", b"x")  # type: ignore[arg-type]


def test_noise_of_a_login_shell_does_not_pass_for_an_answer(host: HostStore) -> None:
    class Noisy(LocalShell):
        def stream(self, text: str, **options: Any) -> int:
            return super().stream(f"printf 'Welcome!\n0 found 3\nabc'\n{text}", **options)

    noisy = _over(Noisy(host.shell.host), host)
    noisy.put("lock.json", b"x")
    found = noisy.get("lock.json")
    assert found is not None
    assert found.data == b"x"


def _over(shell: LocalShell, host: HostStore) -> HostStore:
    return HostStore(shell, host.base, host.clock)


def test_a_path_with_blanks_and_quotes_is_one_word(tmp_path: Path, site: Site) -> None:
    folder = tmp_path / "it's $(touch pwned) here"
    PrimaryHost(path=str(folder)).open(site).put("lock.json", b"x")  # type: ignore[arg-type]
    assert (folder / "shop-test" / "lock.json").is_file()


def test_what_the_host_store_keeps_is_private(host: HostStore) -> None:
    host.put("runs/a/1.json", b"x")
    base = Path(host.base)
    assert {path.stat().st_mode & 0o077 for path in (base, *base.rglob("*"))} == {0}


def test_by_default_the_first_host_of_the_release_group_keeps_the_store(tmp_path: Path, site: Site) -> None:
    PrimaryHost().open(site).put("lock.json", b"x")  # type: ignore[arg-type]
    assert (tmp_path / "root" / ".dojo" / "store" / "shop-test" / "lock.json").is_file()
    with pytest.raises(ConfigError, match="no host 'db9'"):
        PrimaryHost(host="db9").open(site)  # type: ignore[arg-type]


# --- a directory ---


def test_of_several_processes_exactly_one_creates_each_key(tmp_path: Path, site: Site) -> None:
    store = Directory(str(tmp_path / "store")).open(site)  # type: ignore[arg-type]
    script = (
        "import sys, time; from pathlib import Path; from dojo_deploy.clock import SystemClock\n"
        "from dojo_deploy.stores.directory import DirectoryStore; from dojo_deploy.errors import ConflictError\n"
        "store = DirectoryStore(Path(sys.argv[1]), SystemClock()); print('ready', flush=True); sys.stdin.readline()\n"
        "for number in range(30):\n"
        "    try: store.put(f'k{number}', sys.argv[2].encode(), absent=True); print(number)\n"
        "    except ConflictError: pass\n"
    )
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", script, store.base, str(number)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for number in range(4)
    ]
    for each in processes:
        assert each.stdout is not None
        assert each.stdout.readline() == "ready\n"
    for each in processes:
        assert each.stdin is not None
        each.stdin.write("go\n")
        each.stdin.flush()
    won = [each.communicate(timeout=30)[0].split() for each in processes]
    assert sorted(int(key) for keys in won for key in keys) == list(range(30))
    for number, keys in enumerate(won):
        assert all(store.get(f"k{key}").data == str(number).encode() for key in keys)  # type: ignore[union-attr]


def test_a_folder_that_went_away_is_an_error_and_not_an_empty_store(tmp_path: Path, site: Site) -> None:
    store = Directory(str(tmp_path / "store")).open(site)  # type: ignore[arg-type]
    store.put("lock.json", b"x")
    shutil.rmtree(tmp_path / "store")
    for call in (lambda: store.put("lock.json", b"x", absent=True), lambda: store.list("")):
        with pytest.raises(StoreError):
            call()


def test_a_writer_that_is_stuck_in_its_write_blocks_others_for_a_bounded_time(
    tmp_path: Path, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    import fcntl

    monkeypatch.setattr("dojo_deploy.stores.directory.LOCK_SECONDS", 0.3)
    store = Directory(str(tmp_path / "store")).open(site)  # type: ignore[arg-type]
    store.put("a", b"x")
    stuck = os.open(store.base / ".lock", os.O_RDWR)
    fcntl.flock(stuck, fcntl.LOCK_EX)
    with pytest.raises(StoreError, match="held for"):
        store.put("a", b"y")
    os.close(stuck)
    store.put("a", b"z")


@pytest.mark.parametrize("kind", [Directory, PrimaryHost])
def test_what_killed_writers_left_is_removed_a_day_later(tmp_path: Path, site: Site, kind: Any) -> None:
    kind(path=str(tmp_path / "store")).open(site).put("a", b"x")
    unfinished = tmp_path / "store" / "shop-test" / ".unfinished"
    for name, age in (("old", 3 * 86400), ("new", 3600)):
        (unfinished / name).write_bytes(b"half")
        os.utime(unfinished / name, (time.time() - age, time.time() - age))
    assert kind(path=str(tmp_path / "store")).open(site).list("") == ("a",)
    assert not (unfinished / "old").exists()
    assert (unfinished / "new").exists()


@pytest.mark.parametrize("damage", ["cut", "flip"])
def test_damage_is_noticed(tmp_path: Path, site: Site, damage: str) -> None:
    store = Directory(str(tmp_path / "store")).open(site)  # type: ignore[arg-type]
    store.put("lock.json", b"generation 7")
    path = store.base / "lock.json"
    data = path.read_bytes()
    path.write_bytes(data[:-2] if damage == "cut" else data[:-1] + b"8")
    with pytest.raises(StoreError, match="damaged"):
        store.get("lock.json")


# --- S3 ---


class _Proxy(ThreadingTCPServer):
    """Forwards to a server, and drops the answer of the next `lose` conditional writes after they were carried out."""

    daemon_threads = True
    allow_reuse_address = True
    lose = 0

    def __init__(self, upstream: tuple[str, int]) -> None:
        super().__init__(("127.0.0.1", 0), _Forward)
        self.upstream = upstream


class _Forward(BaseRequestHandler):
    server: _Proxy

    def handle(self) -> None:
        with socket.create_connection(self.server.upstream, timeout=10) as upstream:
            back = threading.Thread(target=self._answers, args=(upstream,), daemon=True)
            self.request_seen = b""
            back.start()
            while data := _received(self.request):
                self.request_seen += data
                upstream.sendall(data)
            upstream.shutdown(socket.SHUT_WR)
            back.join(10)

    def _answers(self, upstream: socket.socket) -> None:
        while data := _received(upstream):
            seen, self.request_seen = self.request_seen.lower(), b""
            if (
                self.server.lose
                and seen.startswith(b"put")
                and b"\r\nif-" in seen
                and not data.startswith(b"HTTP/1.1 100")
            ):
                self.server.lose -= 1
                break
            if data.startswith(b"HTTP/1.1 100"):
                self.request_seen = seen
            self.request.sendall(data)
        self.request.shutdown(socket.SHUT_RDWR)


def _received(from_: socket.socket) -> bytes:
    try:
        return from_.recv(65536)
    except OSError:
        return b""


@pytest.fixture
def proxy(s3_endpoint: str) -> Iterator[_Proxy]:
    address, _, port = s3_endpoint.removeprefix("http://").partition(":")
    with _serving(_Proxy((address, int(port)))) as server:
        yield server


class _serving:
    def __init__(self, server: Any) -> None:
        self.server = server

    def __enter__(self) -> Any:
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()
        return self.server

    def __exit__(self, *_: object) -> None:
        self.server.shutdown()
        self.server.server_close()


def _through(server: Any, site: Site, prefix: str) -> Any:
    host, port = server.server_address
    return S3(**s3_options(f"http://{host}:{port}", prefix)).open(site)  # type: ignore[arg-type]


@pytest.mark.parametrize("lost", [1, 2])
def test_s3_put_whose_answer_was_lost_after_the_commit_is_a_success(
    proxy: _Proxy, site: Site, tmp_path: Path, lost: int
) -> None:
    store = _through(proxy, site, tmp_path.name)
    etag = store.put("lock.json", b"one", absent=True)
    proxy.lose = lost
    new = store.put("lock.json", b"two", etag=etag)
    proxy.lose = lost
    store.put("other.json", b"x", absent=True)
    assert proxy.lose == lost - 1
    assert store.put("lock.json", b"three", etag=new) not in (etag, new)
    assert store.get("lock.json").data == b"three"


@pytest.mark.usefixtures("s3_endpoint")
def test_a_server_that_ignores_conditions_is_refused_before_it_is_trusted(site: Site) -> None:
    with _serving(ThreadingHTTPServer(("127.0.0.1", 0), _Careless)) as server:
        store = _through(server, site, "p")
        with pytest.raises(StoreError, match="ignores If-None-Match"):
            store.put("lock.json", b"x", absent=True)


class _Careless(BaseHTTPRequestHandler):
    """As some servers do: 200 to every PUT."""

    protocol_version = "HTTP/1.1"

    def do_PUT(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self._say(200)

    def do_DELETE(self) -> None:
        self._say(204)

    def _say(self, status: int, body: bytes = b"") -> None:
        self.send_response(status)
        self.send_header("ETag", '"0"')
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None: ...


class _Busy(_Careless):
    """409 to the first conditional writes, as S3 answers to racing ones; 503 to reads when told."""

    conflicts = 0

    def do_PUT(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        if ".probe-" in self.path:
            conditional = "If-None-Match" in self.headers or "If-Match" in self.headers
            return self._say(412 if conditional else 200)
        type(self).conflicts += 1
        return self._say(409 if type(self).conflicts < 3 else 200)

    def do_GET(self) -> None:
        self._say(404, b"<Error><Code>NoSuchKey</Code><Message>none</Message></Error>")


@pytest.mark.usefixtures("s3_endpoint")
def test_409_is_retried(site: Site) -> None:
    with _serving(ThreadingHTTPServer(("127.0.0.1", 0), _Busy)) as server:
        assert _through(server, site, "p").put("lock.json", b"x", absent=True) == '"0"'
        assert _Busy.conflicts == 3


@pytest.mark.usefixtures("s3_endpoint")
def test_a_store_that_is_down_is_an_error_in_bounded_time(site: Site) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    store = S3(**s3_options(f"http://127.0.0.1:{port}", "p")).open(site)  # type: ignore[arg-type]
    for call in (lambda: store.get("a"), lambda: store.put("a", b"x", absent=True)):
        began = time.monotonic()
        with pytest.raises(StoreError):
            call()
        assert time.monotonic() - began < 20


def test_wrong_keys_are_an_error_without_the_keys(
    site: Site, s3_endpoint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STORE_TEST_SECRET", "wrong-secret-value")
    store = S3(**s3_options(s3_endpoint, "p")).open(site)  # type: ignore[arg-type]
    with pytest.raises(StoreError) as caught:
        store.get("lock.json")
    assert "wrong-secret-value" not in str(caught.value) + repr(store)


def test_boto_writes_no_debug_logs_even_when_the_program_does(
    site: Site, s3_endpoint: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    S3(**s3_options(s3_endpoint, "p")).open(site).get("none")  # type: ignore[arg-type]
    assert not [record for record in caplog.records if record.name.startswith(("botocore", "boto3", "urllib3"))]


# --- what a person writes ---


@pytest.mark.parametrize(
    ("text", "settings"),
    [
        ("s3://backups/deploy/x", {"kind": "s3", "bucket": "backups", "prefix": "deploy/x"}),
        ("s3://backups", {"kind": "s3", "bucket": "backups", "prefix": ""}),
        ("ssh://db1", {"kind": "host", "host": "db1"}),
        ("ssh://db1/var/lib/dojo", {"kind": "host", "host": "db1", "path": "/var/lib/dojo"}),
        ("/mnt/shared/dojo", {"kind": "directory", "path": "/mnt/shared/dojo"}),
        ("file:///mnt/shared", {"kind": "directory", "path": "/mnt/shared"}),
    ],
)
def test_one_line_stands_for_a_store(text: str, settings: dict[str, str]) -> None:
    assert shorthand(text) == settings


@pytest.mark.parametrize("text", ["", "relative/path", "s3://", "gs://bucket", "ssh:///path"])
def test_what_is_no_store_is_refused_with_what_to_write(text: str) -> None:
    with pytest.raises(ConfigError, match="s3://bucket"):
        shorthand(text)
