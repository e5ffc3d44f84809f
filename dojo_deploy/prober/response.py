"""One HTTP/1.x response, taken in as it comes: strict about its end, indifferent to all that is not asked for."""

from __future__ import annotations

import json

MOST_HEAD = 64 * 1024
MOST_CHUNK = 8 * 1024 * 1024
MOST_KEPT = 64 * 1024  # of a body; more is counted, not kept


class Response:
    """`feed` it until it says that it is whole. Raises ValueError for what is no HTTP."""

    def __init__(self) -> None:
        self.status = 0
        self.keeps = True  # whether the connection may carry another request
        self.begun = False
        self._head: dict[bytes, bytes] = {}
        self._body = b""
        self._buffer = b""
        self._left = 0  # bytes of the body still to come; -1: until the connection ends; -2: chunked

    def feed(self, data: bytes) -> bool:
        """Whether the response is whole now."""
        self.begun = True
        self._buffer += data
        if not self.status and not self._read_head():
            return False
        if self._left == -2:
            return self._read_chunks()
        taken = self._buffer if self._left < 0 else self._buffer[: self._left]
        self._keep(taken)
        self._left -= len(taken) if self._left > 0 else 0
        self._buffer = self._buffer[len(taken) :]
        return self._left == 0 and self._end()

    def is_whole_at_eof(self) -> bool:
        return bool(self.status) and self._left == -1

    def release(self, field: tuple[str, ...], header: bytes) -> str:
        """Who answered: a field of the JSON body, else a header; empty when neither is there."""
        if field:
            try:
                value = json.loads(self._body)
                for name in field:
                    value = value[name]
            except (ValueError, KeyError, TypeError, IndexError):
                value = None
            if isinstance(value, (str, int)):
                return str(value)[:100]
        return self._head.get(header, b"").decode("latin-1")[:100] if header else ""

    def _read_head(self) -> bool:
        head, end, rest = self._buffer.partition(b"\r\n\r\n")
        if not end:
            if len(head) > MOST_HEAD or b"HTTP/1."[: len(head)] != head[:7]:
                raise ValueError("not HTTP")
            return False
        first, *lines = head.split(b"\r\n")
        version, _, status = first.partition(b" ")
        if version[:7] != b"HTTP/1." or not status[:3].isdigit():
            raise ValueError("not HTTP")
        if status[:1] == b"1":
            self._buffer = rest
            return bool(rest) and self._read_head()
        self._head = {
            name.strip().lower(): value.strip() for name, _, value in (line.partition(b":") for line in lines)
        }
        self.status = int(status[:3])
        self._buffer = rest
        connection = self._head.get(b"connection", b"").lower()
        self.keeps = connection == b"keep-alive" if version == b"HTTP/1.0" else connection != b"close"
        self._left = self._length()
        return True

    def _length(self) -> int:
        if self.status in (204, 304):
            return 0
        if self._head.get(b"transfer-encoding", b"").lower().endswith(b"chunked"):
            return -2
        if b"content-length" in self._head:
            if not self._head[b"content-length"].isdigit():
                raise ValueError("bad Content-Length")
            return int(self._head[b"content-length"])
        self.keeps = False
        return -1

    def _read_chunks(self) -> bool:
        while True:
            line, end, rest = self._buffer.partition(b"\r\n")
            if not end:
                return False
            size = int(line.partition(b";")[0], 16)
            if size > MOST_CHUNK:
                raise ValueError("chunk too large")
            if not size:
                _, end, surplus = (b"\r\n" + rest).partition(b"\r\n\r\n")
                if end:
                    self._buffer = surplus
                return bool(end) and self._end()
            if len(rest) < size + 2:
                return False
            self._keep(rest[:size])
            self._buffer = rest[size + 2 :]

    def _keep(self, data: bytes) -> None:
        if len(self._body) < MOST_KEPT:
            self._body += data

    def _end(self) -> bool:
        # More than was announced: where the next response begins is anyone's guess.
        self.keeps = self.keeps and not self._buffer
        return True
