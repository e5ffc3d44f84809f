"""What the SSH transport promises, against real servers."""

from __future__ import annotations

import contextlib
import logging
import re
import signal
import socket
import threading
import time
import tracemalloc
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from dojo_deploy.command import Command
from dojo_deploy.errors import ConfigError, HostKeyError, LostError, UnreachableError
from dojo_deploy.inventory import Host
from dojo_deploy.secrets import Secret
from dojo_deploy.transports.shells import SshShell
from tests.sshd import SSHD, Server, any_server, make_key, openssh, sandbox, until

Opener = Callable[[Host], SshShell]
needs_openssh = pytest.mark.skipif(not SSHD.exists(), reason="no OpenSSH server here")


@pytest.fixture(scope="module")
def strict(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """OpenSSH with its own limits: ten sessions per connection, few connections that are not logged in."""
    with openssh(tmp_path_factory.mktemp("strict"), "MaxSessions 10") as server:
        yield server


def with_ssh(host: Host, **values: object) -> Host:
    return replace(host, ssh=replace(host.ssh, **values))  # type: ignore[arg-type]


def test_tells_status_stdout_and_stderr_apart(sshd: Server, shell_to: Opener) -> None:
    done = shell_to(sshd.host).run(Command.shell("echo out; echo err >&2; exit 3"), within=5)
    assert (done.status, done.stdout, done.stderr) == (3, b"out\n", b"err\n")


def test_a_command_killed_by_a_signal_is_not_a_lost_connection(sshd: Server, shell_to: Opener) -> None:
    shell = shell_to(sshd.host)
    assert shell.run(Command.of("sh", "-c", "kill -9 $$"), within=5).status == 128 + 9
    assert shell.run(Command.shell("sh -c 'kill -15 $$'", cwd="/"), within=5).status == 128 + 15


def test_a_login_shell_that_dies_is_unknown_never_a_status(sshd: Server, shell_to: Opener) -> None:
    with pytest.raises(LostError):
        shell_to(sshd.host).run(Command.shell("kill -9 $$"), within=5)


def test_a_reader_without_input_ends_at_once(sshd: Server, shell_to: Opener) -> None:
    started = time.monotonic()
    assert shell_to(sshd.host).run(Command.of("cat"), within=5).stdout == b""
    assert time.monotonic() - started < 2


def test_input_arrives_whole(sshd: Server, shell_to: Opener) -> None:
    data = bytes(range(256)) * 20_000
    assert shell_to(sshd.host).run(Command.of("cat"), within=20, stdin=data).stdout == data


def test_a_command_that_reads_none_of_its_input_still_ends(sshd: Server, shell_to: Opener) -> None:
    assert shell_to(sshd.host).run(Command.of("true"), within=10, stdin=b"x" * 20_000_000).ok


def test_a_background_child_does_not_keep_the_call(sshd: Server, shell_to: Opener) -> None:
    started = time.monotonic()
    done = shell_to(sshd.host).run(Command.shell("sleep 6 & echo on"), within=10)
    assert done.text == "on"
    assert time.monotonic() - started < 3


def test_what_the_login_shell_says_at_its_start_is_no_output(tmp_path: Path, shell_to: Opener) -> None:
    noisy = tmp_path / "noisy"
    noisy.write_text('#!/bin/sh\necho "Welcome!"; exec /bin/sh "$@"\n')
    noisy.chmod(0o755)
    with sandbox(tmp_path / "s", shell=str(noisy)) as server:
        assert shell_to(server.host).run(Command.of("echo", "mine"), within=5).stdout == b"mine\n"


def test_a_login_shell_that_ends_first_started_nothing(tmp_path: Path, shell_to: Opener) -> None:
    with sandbox(tmp_path / "s", shell="/bin/false") as server, pytest.raises(UnreachableError, match="login shell"):
        shell_to(server.host).run(Command.of("true"), within=5)


def test_more_output_than_fits_is_refused_not_swallowed(sshd: Server, shell_to: Opener) -> None:
    with pytest.raises(LostError, match="8 MiB"):
        shell_to(sshd.host).run(Command.of("head", "-c", "20000000", "/dev/zero"), within=20)


def test_a_100_mb_stream_takes_bounded_memory(sshd: Server, shell_to: Opener) -> None:
    seen = 0

    def count(data: bytes) -> None:
        nonlocal seen
        seen += len(data)

    shell = shell_to(sshd.host)
    shell.run(Command.of("true"), within=5)
    tracemalloc.start()
    try:
        assert shell.stream("head -c 100000000 /dev/zero", within=50, on_output=count) == 0
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert seen == 100_000_000
    assert peak < 24_000_000


def test_a_deadline_is_kept_even_by_one_who_talks_without_end(sshd: Server, shell_to: Opener) -> None:
    shell = shell_to(sshd.host)
    for line in ("yes", "sleep 30"):
        started = time.monotonic()
        with pytest.raises(LostError):
            shell.stream(f"timeout 20 {line}", within=1, on_output=lambda _: None)
        assert time.monotonic() - started < 2.5
    assert shell.run(Command.of("true"), within=5).ok
    assert shell.connects == 3


@needs_openssh
def test_timed_out_commands_do_not_use_up_the_sessions(strict: Server, shell_to: Opener) -> None:
    shell = shell_to(strict.host)
    assert shell.run(Command.of("true"), within=20).ok
    for _ in range(12):
        with pytest.raises(LostError):
            shell.run(Command.of("sleep", "15"), within=0.2)
    assert shell.run(Command.of("true"), within=5).ok


@needs_openssh
def test_many_threads_share_a_connection_within_the_servers_limit(strict: Server, shell_to: Opener) -> None:
    shell, answers = shell_to(strict.host), []
    threads = [
        threading.Thread(target=lambda n=n: answers.append(shell.run(Command.of("echo", str(n)), within=20).text))
        for n in range(40)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert sorted(answers, key=int) == [str(n) for n in range(40)]
    assert shell.connects == 1


@needs_openssh
def test_quick_commands_side_by_side_do_not_end_their_connection(strict: Server, shell_to: Opener) -> None:
    def quick(shell: SshShell) -> None:
        for _ in range(50):
            assert shell.run(Command.of("true"), within=20).ok

    for _ in range(4):
        shell = shell_to(strict.host)
        with ThreadPoolExecutor(8) as pool:
            for future in [pool.submit(quick, shell) for _ in range(8)]:
                future.result()
        assert shell.connects == 1


def test_a_killed_connection_is_unknown_and_the_next_call_connects_again(tmp_path: Path, shell_to: Opener) -> None:
    with any_server(tmp_path / "s") as server:
        shell = shell_to(server.host)
        assert shell.run(Command.of("true"), within=5).ok
        if not server.sessions():
            pytest.skip("this server has no process per connection")
        threading.Timer(0.5, server.signal_sessions, (signal.SIGKILL,)).start()
        with pytest.raises(LostError):
            shell.run(Command.of("sleep", "5"), within=20)
        assert shell.run(Command.of("true"), within=5).ok
        assert shell.connects == 2


def test_a_connection_that_ends_while_its_output_is_taken_is_lost(tmp_path: Path, shell_to: Opener) -> None:
    with any_server(tmp_path) as server:
        shell = shell_to(server.host)
        shell.open()

        def refuse(_: object) -> None:
            raise EOFError

        def cut(_: bytes) -> None:
            link: Any = shell._link
            link._transport.packetizer.send_message = refuse  # as of a socket that is gone, before anybody noticed

        with pytest.raises(LostError, match="output was taken"):
            shell.stream("head -c 4000000 /dev/zero; sleep 5", within=10, on_output=cut)


@needs_openssh
def test_a_frozen_server_is_lost_at_the_deadline(tmp_path: Path, shell_to: Opener) -> None:
    with openssh(tmp_path / "s") as server:
        shell = shell_to(server.host)
        assert shell.run(Command.of("true"), within=5).ok
        server.signal_sessions(signal.SIGSTOP)
        started = time.monotonic()
        with pytest.raises((LostError, UnreachableError)):
            shell.run(Command.of("cat"), within=1.5, stdin=b"x" * 30_000_000)
        assert time.monotonic() - started < 4


def test_a_server_that_never_speaks_is_unreachable_in_time(sshd: Server, shell_to: Opener) -> None:
    with socket.create_server(("127.0.0.1", 0)) as mute:
        started = time.monotonic()
        with pytest.raises(UnreachableError):
            shell = shell_to(with_ssh(sshd.host, port=mute.getsockname()[1], connect_within=1))
            shell.run(Command.of("true"), within=20)
        assert time.monotonic() - started < 3


def test_a_connection_dropped_before_login_is_tried_again(sshd: Server, shell_to: Opener) -> None:
    """As sshd drops them when MaxStartups is reached."""
    with socket.create_server(("127.0.0.1", 0)) as front:
        known = sshd.folder / "known_front"
        port = front.getsockname()[1]
        known.write_text((sshd.folder / "known_hosts").read_text().replace(str(sshd.port), str(port)))
        threading.Thread(target=_drop_then_forward, args=(front, sshd.port), daemon=True).start()
        shell = shell_to(with_ssh(sshd.host, port=port, known_hosts=str(known), connect_within=10))
        assert shell.run(Command.of("true"), within=15).ok


def test_a_closed_port_is_unreachable_at_once(sshd: Server, shell_to: Opener) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with pytest.raises(UnreachableError, match="refused"):
        shell_to(with_ssh(sshd.host, port=port)).run(Command.of("true"), within=5)


@needs_openssh
@pytest.mark.parametrize("known", ["unknown", "changed"])
def test_a_host_key_is_refused_before_any_login(known: str, tmp_path: Path, shell_to: Opener) -> None:
    with openssh(tmp_path / "s") as server:
        path = tmp_path / "known"
        other = f"[127.0.0.1]:{server.port} {make_key(tmp_path / 'other')}\n"
        path.write_text(other if known == "changed" else "")
        with pytest.raises(HostKeyError) as refused:
            shell_to(with_ssh(server.host, known_hosts=str(path))).run(Command.of("true"), within=5)
        line = (server.folder / "known_hosts").read_text().strip()
        assert line in str(refused.value)
        assert "SHA256:" in str(refused.value) and known in str(refused.value) and "h1" in str(refused.value)
        until(lambda: "onnection closed by" in server.log or "reset by" in server.log, what=server.log)
        assert "publickey" not in server.log and "userauth" not in server.log
        # The same line in the file lets it in, and shows that a login would have been seen.
        corrected = tmp_path / "corrected"
        corrected.write_text(line + "\n")
        shell = shell_to(with_ssh(server.host, known_hosts=str(corrected)))
        assert shell.run(Command.of("true"), within=5).ok
        assert "Accepted publickey" in server.log


@needs_openssh
def test_a_host_with_several_keys_is_asked_for_one_that_is_known(tmp_path: Path, shell_to: Opener) -> None:
    import subprocess

    folder = tmp_path / "s"
    folder.mkdir()
    for kind in ("ecdsa", "rsa"):
        subprocess.run(["ssh-keygen", "-q", "-t", kind, "-N", "", "-f", folder / kind], check=True)
    with openssh(folder, f"HostKey {folder}/ecdsa\nHostKey {folder}/rsa") as server:
        known = tmp_path / "known"
        public = " ".join((folder / "rsa.pub").read_text().split()[:2])
        known.write_text(f"[127.0.0.1]:{server.port} {public}\n")
        assert shell_to(with_ssh(server.host, known_hosts=str(known))).run(Command.of("true"), within=10).ok


def test_a_refused_login_is_not_tried_again(tmp_path: Path, sshd: Server, shell_to: Opener) -> None:
    make_key(tmp_path / "stranger")
    shell = shell_to(with_ssh(sshd.host, key=str(tmp_path / "stranger")))
    started = time.monotonic()
    with pytest.raises(UnreachableError, match="refused the login"):
        shell.run(Command.of("true"), within=10)
    assert time.monotonic() - started < 3


def test_a_missing_key_file_is_a_configuration_error(sshd: Server, shell_to: Opener) -> None:
    with pytest.raises(ConfigError, match="nowhere"):
        shell_to(with_ssh(sshd.host, key="/nowhere/id")).run(Command.of("true"), within=5)


def behind(bastion: Server, server: Server, tmp_path: Path) -> Host:
    """The server's host, through a bastion that lets its user in."""
    known = tmp_path / "known"
    known.write_text((server.folder / "known_hosts").read_text() + (bastion.folder / "known_hosts").read_text())
    with (bastion.folder / "authorized_keys").open("a") as file:
        file.write((server.folder / "authorized_keys").read_text())
    gateway = f"{server.host.ssh.user}@127.0.0.1:{bastion.port}"
    return with_ssh(server.host, gateway=gateway, known_hosts=str(known))


def test_hosts_behind_a_bastion_share_one_connection_to_it(tmp_path: Path, sshd: Server, shell_to: Opener) -> None:
    with any_server(tmp_path / "bastion") as bastion:
        host = behind(bastion, sshd, tmp_path)
        shells = [shell_to(host) for _ in range(3)]
        assert all(shell.run(Command.of("true"), within=10).ok for shell in shells)
        if bastion.sessions():
            assert len(bastion.sessions()) == 1


def test_closing_what_went_through_a_lost_bastion_is_no_error(tmp_path: Path, sshd: Server, shell_to: Opener) -> None:
    with any_server(tmp_path / "bastion") as bastion:
        host = behind(bastion, sshd, tmp_path)
        shells = [shell_to(host) for _ in range(8)]
        assert all(shell.run(Command.of("true"), within=10).ok for shell in shells)
        bastion.signal_sessions(signal.SIGKILL)
        for shell in shells:
            shell.close()


def test_bastions_that_differ_by_address_alone_are_not_taken_for_each_other(sshd: Server, shell_to: Opener) -> None:
    for address in ("127.0.0.3", "127.0.0.4"):
        with pytest.raises(UnreachableError, match=re.escape(address)):
            shell_to(with_ssh(sshd.host, gateway=f"ops@{address}:1")).run(Command.of("true"), within=5)


def test_a_bastion_with_an_unknown_key_is_refused(tmp_path: Path, sshd: Server, shell_to: Opener) -> None:
    with any_server(tmp_path / "bastion") as bastion, pytest.raises(HostKeyError):
        gateway = f"{sshd.host.ssh.user}@127.0.0.1:{bastion.port}"
        shell_to(with_ssh(sshd.host, gateway=gateway)).run(Command.of("true"), within=10)


def test_dial_connects_from_the_host(sshd: Server, shell_to: Opener) -> None:
    shell = shell_to(sshd.host)
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        tunnel = shell.dial("127.0.0.1", port, within=5)
        peer, _ = server.accept()
        with peer:
            tunnel.sendall(b"ping")
            assert peer.recv(10) == b"ping"
            tunnel.settimeout(0.2)
            with pytest.raises(TimeoutError):
                tunnel.recv(10)
            tunnel.close()
    with pytest.raises(OSError, match=r"cannot reach .* refused"):
        shell.dial("127.0.0.1", port, within=5)


def test_a_secret_is_in_no_command_line_of_the_host(
    sshd: Server, shell_to: Opener, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CANARY", "canary-5f1a93")
    command = Command.shell('sleep 1; printf %s "$TOKEN"', env={"TOKEN": Secret("env", "CANARY")})
    found: list[str] = []
    stop = threading.Event()
    sampler = threading.Thread(target=_sample, args=(b"canary-5f1a93", found, stop))
    sampler.start()
    assert shell_to(sshd.host).run(command, within=10).text == "canary-5f1a93"
    stop.set()
    sampler.join()
    assert found == []


def test_paramiko_stays_silent_below_warnings(sshd: Server, shell_to: Opener, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    assert shell_to(sshd.host).run(Command.of("true"), within=5).ok
    assert [record for record in caplog.records if record.levelno < logging.WARNING and "paramiko" in record.name] == []


def _sample(needle: bytes, found: list[str], stop: threading.Event) -> None:
    while not stop.wait(0.01):
        for path in Path("/proc").glob("[0-9]*/cmdline"):
            try:
                if needle in path.read_bytes():
                    found.append(str(path))
            except OSError:
                continue


def _drop_then_forward(front: socket.socket, port: int) -> None:
    for _ in range(2):
        front.accept()[0].close()

    def pump(source: socket.socket, sink: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)

    client, _ = front.accept()
    with client, socket.create_connection(("127.0.0.1", port)) as server:
        there = threading.Thread(target=pump, args=(client, server), daemon=True)
        there.start()
        pump(server, client)
        there.join()
