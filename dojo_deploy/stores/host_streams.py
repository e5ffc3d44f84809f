"""What flows to and from the host's script when it is too large for memory."""

from __future__ import annotations

import os
from pathlib import Path

from dojo_deploy.stores.envelope import LONGEST_LINE, length_of
from dojo_deploy.stores.host_script import Reply, find_reply


class Saved:
    """Writes the body of an answer to a file that is created 0600; the object's own first line is left out."""

    def __init__(self, path: Path, identity: str) -> None:
        self._path = path
        self._identity = identity
        self._head = bytearray()
        self._begun = False
        self.reply: Reply | None = None
        self.size = 0  # of the body so far

    def __enter__(self) -> Saved:
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC
        self._file = os.fdopen(os.open(self._path, flags, 0o600), "wb")
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def write(self, data: bytes) -> None:
        if self._begun:
            self.size += len(data)
            self._file.write(data)
            return
        self._head += data
        self.reply = self.reply or find_reply(self._identity, self._head)
        if self.reply and len(self._head) - self.reply.start >= min(self.reply.size, LONGEST_LINE):
            body = bytes(self._head[self.reply.start :])
            self.size = len(body)
            self._file.write(body[length_of(body) :])
            self._begun = True
