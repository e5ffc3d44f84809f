"""An S3 bucket, or what speaks its protocol and honours conditional writes; the only module here that knows boto3."""

from __future__ import annotations

import logging
import math
import os
import random
import uuid
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from functools import cached_property, partial
from pathlib import Path
from typing import Any, BinaryIO

from dojo_deploy.errors import ConflictError, StoreError
from dojo_deploy.interfaces import Clock, Session, Stored
from dojo_deploy.secrets import Secret
from dojo_deploy.stores import s3_guards, s3_parts
from dojo_deploy.stores.envelope import LONGEST_LINE, Sealed, checked, is_key, length_of, seal, unseal
from dojo_deploy.streams import Sink

CONNECT_SECONDS = 5
READ_SECONDS = 30
ATTEMPTS = 4
PART = s3_parts.PART  # s3transfer grows it for files of more than 10,000 parts
CHECKSUMS = ("request_checksum_calculation", "response_checksum_validation")


@dataclass(frozen=True)
class S3:
    """Settings. Without keys, boto3 looks in its usual places; `endpoint` is for what is not Amazon's own."""

    bucket: str
    prefix: str = ""
    endpoint: str = ""
    region: str = ""
    encryption: str = ""  # at rest: AES256, aws:kms, or the id of a KMS key; empty: AES256 at Amazon's, else none asked
    access_key: Secret | None = None
    secret_key: Secret | None = None

    def open(self, session: Session) -> S3Store:
        base = "/".join(part for part in (self.prefix.strip("/"), session.inventory.scope) if part)
        clients = self._clients(ATTEMPTS, 1)
        return S3Store(self, f"{base}/", session.clock, *clients)

    def preview(self) -> str:
        return f"s3://{self.bucket}/{self.prefix}".rstrip("/") + (f" at {self.endpoint}" if self.endpoint else "")

    def _clients(self, *attempts: int) -> tuple[Any, ...]:
        import boto3
        from botocore.config import Config

        for name in ("botocore", "boto3", "s3transfer", "urllib3"):  # at DEBUG they log credentials
            logger = logging.getLogger(name)
            logger.setLevel(max(logging.WARNING, logger.level))
        config = Config(connect_timeout=CONNECT_SECONDS, read_timeout=READ_SECONDS)
        if self.endpoint:  # others stumble over virtual hosts, and over checksums that they did not ask for
            strict: Any = dict.fromkeys(CHECKSUMS, "when_required")
            config = config.merge(Config(s3={"addressing_style": "path"}, **strict))
        with _told("opened", self.preview()):
            # A session of its own: boto3.client() would share the process's default one, which is not thread-safe.
            session = boto3.Session(
                aws_access_key_id=self.access_key.reveal() if self.access_key else None,
                aws_secret_access_key=self.secret_key.reveal() if self.secret_key else None,
                region_name=self.region or ("us-east-1" if self.endpoint else None),
            )
            retries: list[Any] = [{"total_max_attempts": count, "mode": "standard"} for count in attempts]
            return tuple(
                session.client("s3", endpoint_url=self.endpoint or None, config=config.merge(Config(retries=each)))
                for each in retries
            )


@dataclass(frozen=True)
class S3Store:
    """`client` retries by itself; `once` never does: a conditional write sent twice is refused by its own effect."""

    settings: S3
    base: str
    clock: Clock
    client: Any = field(repr=False)
    once: Any = field(repr=False)

    def get(self, key: str) -> Stored | None:
        with _told("read", key):
            found = self._read(key)
        return found and Stored(found.data, found.etag)

    def put(self, key: str, data: bytes, *, etag: str | None = None, absent: bool = False, keep: float = 0.0) -> str:
        sealed = seal(data)
        if etag is None and not absent:
            with _told("written", key):
                return self._write(self.client, checked(key), sealed, self._kept(keep))
        with _told("written", key):
            if self._ignored:
                raise StoreError(
                    f"{self.settings.preview()} ignores {self._ignored}: a lock there would have two holders",
                    hint="use Amazon S3, SeaweedFS or another server with conditional writes, or a host store",
                )
            # An empty If-Match is none at all to some servers.
            condition = {"IfNoneMatch": "*"} if absent else {"IfMatch": etag or "none"}
            return self._swap(checked(key), sealed, condition, self._kept(keep))

    def delete(self, key: str) -> None:
        with _told("deleted", key):
            self.client.delete_object(Bucket=self.settings.bucket, Key=self.base + checked(key))

    def list(self, prefix: str) -> tuple[str, ...]:
        with _told("listed", prefix or "/"):
            pages = self.client.get_paginator("list_objects_v2").paginate(
                Bucket=self.settings.bucket, Prefix=self.base + prefix
            )
            found = [item["Key"].removeprefix(self.base) for page in pages for item in page.get("Contents", ())]
        return tuple(sorted(key for key in found if is_key(key)))

    def upload(self, key: str, path: Path) -> None:
        name, size = self.base + checked(key), path.stat().st_size
        with _told("uploaded", key):
            self.client.upload_file(
                str(path), self.settings.bucket, name, ExtraArgs=self._extra, Config=_parts()
            )  # aborts its parts itself when it fails
            stored = self.client.head_object(Bucket=self.settings.bucket, Key=name)["ContentLength"]
        if stored != size:
            raise StoreError(f"{key} was uploaded with {stored} of {size} bytes")

    def download(self, key: str, path: Path) -> bool:
        with _told("downloaded", key):
            try:
                answer = self.client.get_object(Bucket=self.settings.bucket, Key=self.base + checked(key))
            except self.client.exceptions.NoSuchKey:
                return False
            with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
                first = answer["Body"].read(PART)
                file.write(first[length_of(first[:LONGEST_LINE]) :])
                for chunk in answer["Body"].iter_chunks(PART):
                    file.write(chunk)
        return True

    def incoming(self, key: str, *, keep: float = 0.0) -> AbstractContextManager[Sink]:
        s3_parts.abandon(self._place(""), before=self.clock.now() - s3_parts.STALE_SECONDS)
        with _told("uploaded", key):
            return s3_parts.incoming(self._place(checked(key)), self._extra | self._kept(keep))

    def abandon(self, prefix: str) -> None:
        s3_parts.abandon(self._place(prefix), before=math.inf)

    def outgoing(self, key: str) -> AbstractContextManager[BinaryIO | None]:
        return s3_parts.outgoing(self._place(checked(key)))

    def close(self) -> None:
        self.client.close()
        self.once.close()

    def _swap(self, key: str, sealed: Sealed, condition: dict[str, str], kept: dict[str, Any]) -> str:
        from botocore.exceptions import BotoCoreError, ClientError

        for attempt in range(ATTEMPTS):
            try:
                return self._write(self.once, key, sealed, condition | kept)
            except (ClientError, BotoCoreError) as exc:
                status = _status(exc)
                if status and status < 500 and status not in (404, 409, 412):
                    raise
                # Refused or without an answer: the object itself says whether this very write is the one that won.
                found = self._read(key)
                if found and found.write == sealed.etag:
                    return found.etag
                if status in (404, 412) or not _may_still(condition, found):
                    raise ConflictError(f"{key} is not in the store as it was expected") from exc
                if attempt + 1 == ATTEMPTS:
                    raise
                self.clock.sleep(random.uniform(0.05, 0.2) * 2**attempt)
        raise AssertionError("unreachable: the last attempt returns or raises")

    def _write(self, client: Any, key: str, sealed: Sealed, more: dict[str, Any]) -> str:
        # With a lock it is refused without a checksum.
        extra: Any = {**self._extra, **more} | ({"ChecksumAlgorithm": "CRC32"} if "ObjectLockMode" in more else {})
        answer = client.put_object(Bucket=self.settings.bucket, Key=self.base + key, Body=sealed.raw, **extra)
        return str(answer["ETag"])

    def _read(self, key: str) -> _Found | None:
        try:
            answer = self.client.get_object(Bucket=self.settings.bucket, Key=self.base + checked(key))
        except self.client.exceptions.NoSuchKey:
            return None
        stored = unseal(key, answer["Body"].read())
        return _Found(stored.data, answer["ETag"], write=stored.etag)

    @cached_property
    def _ignored(self) -> str:
        key = f"{self.base}.probe-{uuid.uuid4().hex}"
        return s3_guards.ignored(self.client, self.settings.bucket, key, seal(b"probe").raw)

    def _place(self, key: str) -> s3_parts.Place:
        return s3_parts.Place(self.client, self.settings.bucket, self.base + key, partial(_told, what=key))

    @property
    def _extra(self) -> dict[str, str]:
        return s3_guards.encryption(self.settings.encryption or ("" if self.settings.endpoint else "AES256"))

    def _kept(self, seconds: float) -> dict[str, Any]:
        return s3_guards.retention(self.clock.now() + seconds) if seconds and self._locks else {}

    @cached_property
    def _locks(self) -> bool:
        return s3_guards.has_lock(self.client, self.settings.bucket)


@dataclass(frozen=True)
class _Found(Stored):
    write: str = ""


def _may_still(condition: dict[str, str], found: _Found | None) -> bool:
    return condition.get("IfMatch") == found.etag if found else "IfNoneMatch" in condition


def _parts() -> Any:
    from boto3.s3.transfer import TransferConfig

    return TransferConfig(multipart_threshold=PART, multipart_chunksize=PART, max_concurrency=4)


def _status(exc: Exception) -> int:
    """Of the answer; 0 when none came."""
    answer = getattr(exc, "response", None) or {}
    return int(answer.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))


@contextmanager
def _told(verb: str, what: str) -> Iterator[None]:
    from boto3.exceptions import Boto3Error
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        yield
    except ClientError as exc:
        code = exc.response.get("Error", {}).get("Code", "")
        hint = "this machine's clock is wrong by more than 15 minutes" if code == "RequestTimeTooSkewed" else ""
        raise StoreError(f"{what} could not be {verb}: {exc}", hint=hint) from exc
    except (BotoCoreError, Boto3Error, OSError) as exc:
        raise StoreError(f"{what} could not be {verb}: {exc}") from exc
