"""One `sh` kept on the store's host while a store is open: a question costs one round trip instead of three."""

from __future__ import annotations

import io
import queue
import threading
from collections.abc import Callable
from typing import BinaryIO

from dojo_deploy.errors import LostError, TransportError
from dojo_deploy.interfaces import Clock, Shell
from dojo_deploy.stores.host_script import Reply, Request, find_reply, new_identity

KEPT_SECONDS = 7 * 86400.0  # longer than any run; each question has its own, short deadline


class Channel:
    """Asks questions, which are answered in their order; opens the conversation again after it was lost."""

    def __init__(self, shell: Shell, script: Callable[..., str], clock: Clock) -> None:
        """`script` is the text that answers questions; its arguments are the words of the first."""
        self._shell = shell
        self._script = script
        self._clock = clock
        self._lock = threading.Lock()
        self._talk: _Talk | None = None

    def ask(self, request: Request, data: bytes, *, within: float) -> tuple[Reply, bytes]:
        """The answer and its body. Raises LostError (it may have been done), or UnreachableError (it was not)."""
        deadline = self._clock.monotonic() + within
        identity = new_identity()
        with self._lock:
            talk = self._talk
            if talk is None or talk.is_over:
                # A first question without bytes travels with the command.
                talk = self._talk = _Talk(self._shell, self._script(*(() if data else request.words(identity))))
                is_sent = not data
            else:
                is_sent = False
            if not is_sent:
                talk.send(request.line(identity) + data)
        try:
            return talk.answer(identity, deadline, self._clock)
        except BaseException:
            # Others that wait for theirs in the same conversation will hear that it has ended.
            talk.end()
            raise

    def close(self) -> None:
        with self._lock:
            if self._talk:
                self._talk.end()
                self._talk = None


class _Talk:
    """One conversation: a thread holds the stream, questions go in by a queue, answers come out of a buffer."""

    def __init__(self, shell: Shell, text: str) -> None:
        self._host = shell.host.name
        self._feed = _Feed()
        self._heard = bytearray()
        self._news = threading.Condition()
        self._over: TransportError | None = None
        self._ended = False
        self._thread = threading.Thread(target=self._hold, args=(shell, text), name="store", daemon=True)
        self._thread.start()

    def send(self, question: bytes) -> None:
        self._feed.put(question)

    def answer(self, identity: str, deadline: float, clock: Clock) -> tuple[Reply, bytes]:
        with self._news:
            while True:
                reply = find_reply(identity, self._heard)
                if reply and len(self._heard) >= reply.start + reply.size:
                    end = reply.start + reply.size
                    body = bytes(self._heard[reply.start : end])
                    # Before it may stand another's answer, which nobody has taken yet.
                    del self._heard[self._heard.index(identity.encode()) : end]
                    return reply, body
                if self._over:
                    raise self._over
                left = deadline - clock.monotonic()
                if left <= 0:
                    raise LostError("the store gave no answer before the deadline", host=self._host)
                self._news.wait(left)

    @property
    def is_over(self) -> bool:
        """Nothing more can be asked; what was asked may still be answered."""
        return self._ended or self._over is not None

    def end(self) -> None:
        self._ended = True
        self._feed.put(b"")

    def _hold(self, shell: Shell, text: str) -> None:
        over: TransportError
        try:
            status = shell.stream(text, within=KEPT_SECONDS, stdin=self._feed, on_output=self._hear)
            said = bytes(self._heard[-500:]).decode("utf-8", "backslashreplace").strip()
            over = LostError(f"the store's sh ended {status}: {said}".rstrip(": "), host=self._host)
        except TransportError as exc:
            over = exc
        self._feed.put(b"")  # whoever still waits for something to send is done
        with self._news:
            self._over = over
            self._news.notify_all()

    def _hear(self, data: bytes) -> None:
        with self._news:
            self._heard += data
            self._news.notify_all()


class _Feed(io.RawIOBase, BinaryIO):
    """Standard input that grows: `read` waits for the next piece, and ends after an empty one."""

    def __init__(self) -> None:
        self._pieces: queue.SimpleQueue[bytes] = queue.SimpleQueue()
        self._rest = b""

    def put(self, piece: bytes) -> None:
        self._pieces.put(piece)

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        if not self._rest:
            self._rest = self._pieces.get()
        cut = len(self._rest) if size < 0 else size
        piece, self._rest = self._rest[:cut], self._rest[cut:]
        return piece
