"""Objects too large for memory, to and from S3: uploads in parts, downloads that go on where they broke."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from typing import Any, BinaryIO

from dojo_deploy.errors import StoreError
from dojo_deploy.streams import Sink

PART = 6 << 20
GROWS = 1000  # parts of one size: with 10,000 of them an object may have 340 GB
LANES = 3
ATTEMPTS = 4
STALE_SECONDS = 86400.0  # an upload that is older was left by a killed process


@dataclass(frozen=True)
class Place:
    """One object. `client` is boto3's, and `told(verb)` turns its errors into StoreError."""

    client: Any
    bucket: str
    name: str
    told: Callable[[str], AbstractContextManager[None]]

    @property
    def words(self) -> dict[str, str]:
        return {"Bucket": self.bucket, "Key": self.name}


@contextmanager
def incoming(place: Place, extra: dict[str, Any]) -> Iterator[Sink]:
    with place.told("uploaded"):
        upload = _Upload(place, extra)

    def take(data: bytes) -> None:
        with place.told("uploaded"):
            upload.write(data)

    try:
        yield take
        with place.told("uploaded"):
            upload.finish()
    except BaseException:
        # A store that cannot even be told so is asked again by `abandon`, a day later.
        with suppress(StoreError), place.told("given up"):
            upload.abort()
        raise


@contextmanager
def outgoing(place: Place) -> Iterator[BinaryIO | None]:
    with place.told("downloaded"):
        try:
            body = _Download(place)
        except place.client.exceptions.NoSuchKey:
            body = None
    try:
        yield body
    finally:
        if body:
            body.close()


def abandon(place: Place, *, before: float) -> None:
    """Ends uploads of keys that begin as the place's, and that began `before`, in seconds since 1970."""
    with place.told("cleared"):
        pages = place.client.get_paginator("list_multipart_uploads").paginate(Bucket=place.bucket, Prefix=place.name)
        for item in [each for page in pages for each in page.get("Uploads", ())]:
            if item["Initiated"].timestamp() < before:
                words = {"Bucket": place.bucket, "Key": item["Key"], "UploadId": item["UploadId"]}
                place.client.abort_multipart_upload(**words)


class _Upload:
    """Nothing can be seen of it before `finish`; `abort` leaves nothing behind. The key is a new one."""

    def __init__(self, place: Place, extra: dict[str, Any]) -> None:
        self._place = place
        self._id = str(place.client.create_multipart_upload(**place.words, **extra)["UploadId"])
        self._pool = ThreadPoolExecutor(LANES, thread_name_prefix="part")
        self._sent: list[Future[str]] = []
        self._buffer = bytearray()
        self._size = 0

    def write(self, data: bytes) -> None:
        """Waits while as many parts are under way as there are lanes. Raises what a part failed with."""
        self._buffer += data
        self._size += len(data)
        while len(self._buffer) >= (size := PART * (1 + len(self._sent) // GROWS)):
            self._send(size)

    def finish(self) -> None:
        if self._buffer or not self._sent:
            self._send(len(self._buffer))
        parts = [{"PartNumber": number, "ETag": part.result()} for number, part in enumerate(self._sent, 1)]
        self._pool.shutdown()
        try:
            with self._place.told("uploaded"):
                self._place.client.complete_multipart_upload(
                    **self._place.words, UploadId=self._id, MultipartUpload={"Parts": parts}
                )
        except StoreError:
            # The answer may have been lost after the commit: then there is no upload any more, but an object.
            if self._is_there():
                return
            raise

    def abort(self) -> None:
        self._pool.shutdown(cancel_futures=True)
        self._place.client.abort_multipart_upload(**self._place.words, UploadId=self._id)

    def _is_there(self) -> bool:
        with suppress(StoreError), self._place.told("found"):
            return bool(self._place.client.head_object(**self._place.words)["ContentLength"] == self._size)
        return False

    def _send(self, size: int) -> None:
        if len(self._sent) >= LANES:
            self._sent[-LANES].result()
        data = bytes(memoryview(self._buffer)[:size])
        del self._buffer[:size]
        self._sent.append(self._pool.submit(self._put, len(self._sent) + 1, data))

    def _put(self, number: int, data: bytes) -> str:
        words = {**self._place.words, "UploadId": self._id}
        return str(self._place.client.upload_part(**words, PartNumber=number, Body=data)["ETag"])


class _Download(io.RawIOBase, BinaryIO):
    """A connection that breaks is made again, for the rest of the very same version."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._tries = ATTEMPTS
        self._at = 0
        answer = place.client.get_object(**place.words)
        self._body, self._etag = answer["Body"], answer["ETag"]

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        while True:
            try:
                with self._place.told("downloaded"):
                    data = bytes(self._body.read(None if size < 0 else size))
            except StoreError:
                self._tries -= 1
                if not self._tries:
                    raise
                self._again()
            else:
                self._at += len(data)
                return data

    def close(self) -> None:
        self._body.close()
        super().close()

    def _again(self) -> None:
        self._body.close()
        rest = {"Range": f"bytes={self._at}-", "IfMatch": self._etag}
        with self._place.told("downloaded"):
            self._body = self._place.client.get_object(**self._place.words, **rest)["Body"]
