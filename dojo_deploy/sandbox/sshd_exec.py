"""One command of an SSH session, with pipes as sshd gives it: exit status, signals, and what a lost channel means."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from asyncio.subprocess import PIPE, Process, SubprocessStreamProtocol
from collections.abc import Mapping

import asyncssh

CHUNK = 256 * 1024
# Without a subsystem or a shell behind it, the status of a command not found.
UNKNOWN = 127

Channel = asyncssh.SSHServerProcess[bytes]


async def run(channel: Channel, shell: str, home: str, env: Mapping[str, str], *, kill_on_close: bool) -> None:
    """Run the channel's command and report its end; returns when the command is gone, if need be after the channel."""
    if channel.subsystem:
        channel.exit(UNKNOWN)
        return
    words = [shell, "-l"] if channel.command is None else [shell, "-c", channel.command]
    try:
        process, transport = await _start(words, home, env)
    except OSError as error:
        channel.stderr.write(f"{error}\n".encode())
        channel.exit(UNKNOWN)
        return
    closed = asyncio.create_task(channel.channel.wait_closed())
    feeder = asyncio.create_task(_feed(channel, process))
    output = asyncio.create_task(_until_silent(channel, process))
    await asyncio.wait({output, closed}, return_when=asyncio.FIRST_COMPLETED)
    if closed.done() or output.exception():
        output.cancel()
        feeder.cancel()
        if kill_on_close:
            _kill(process, signal.SIGHUP)
        for descriptor in (0, 1, 2):
            if pipe := transport.get_pipe_transport(descriptor):
                pipe.close()
    with contextlib.suppress(asyncio.CancelledError, OSError):
        await output
    code = await process.wait()
    feeder.cancel()
    if not closed.done():
        _report(channel, code)
    closed.cancel()


async def _start(words: list[str], home: str, env: Mapping[str, str]) -> tuple[Process, asyncio.SubprocessTransport]:
    # What create_subprocess_exec does; it keeps the transport to itself, and only that can close one pipe at a time.
    loop = asyncio.get_running_loop()
    transport, protocol = await loop.subprocess_exec(
        lambda: SubprocessStreamProtocol(limit=CHUNK, loop=loop), *words,
        stdin=PIPE, stdout=PIPE, stderr=PIPE, cwd=home, env=dict(env), start_new_session=True,
    )  # fmt: skip
    return Process(transport, protocol, loop), transport


async def _feed(channel: Channel, process: Process) -> None:
    assert process.stdin
    while True:
        try:
            data = await channel.stdin.read(CHUNK)
            if not data:
                break
            process.stdin.write(data)
            await process.stdin.drain()
        except asyncssh.SignalReceived as request:
            _kill(process, getattr(signal, f"SIG{request.signal}", signal.SIGTERM))
        except asyncssh.BreakReceived:
            _kill(process, signal.SIGINT)
        except asyncssh.TerminalSizeChanged:
            continue
        except (asyncssh.Error, OSError):
            break
    process.stdin.close()


async def _until_silent(channel: Channel, process: Process) -> None:
    """As with sshd, the channel lives as long as anything holds the command's output, a forgotten child included."""
    assert process.stdout and process.stderr
    await asyncio.gather(_pump(process.stdout, channel.stdout), _pump(process.stderr, channel.stderr), process.wait())


async def _pump(source: asyncio.StreamReader, sink: asyncssh.SSHWriter[bytes]) -> None:
    while data := await source.read(CHUNK):
        sink.write(data)
        await sink.drain()


def _kill(process: Process, number: int) -> None:
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, number)


def _report(channel: Channel, code: int) -> None:
    with contextlib.suppress(asyncssh.Error, OSError):
        if code < 0:
            channel.exit_with_signal(signal.Signals(-code).name.removeprefix("SIG"))
        else:
            channel.exit(code)
