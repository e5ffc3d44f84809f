"""What S3 is asked for beside keeping an object: conditions, encryption, and that nobody destroys it for a while."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any

from dojo_deploy.errors import StoreError

UNLOCKED = (400, 404, 405, 501)  # not configured, or not known to the server
FORBIDDEN = 403


def encryption(asked: str) -> dict[str, str]:
    """`asked`: AES256, aws:kms, or the id of a KMS key; empty: nothing is said."""
    if asked in ("", "AES256", "aws:kms"):
        return {"ServerSideEncryption": asked} if asked else {}
    return {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": asked}


def has_lock(client: Any, bucket: str) -> bool:
    """Whether the bucket was made with Object Lock. Raises StoreError where that may not be asked."""
    try:
        answer = client.get_object_lock_configuration(Bucket=bucket)
    except client.exceptions.ClientError as exc:
        status = exc.response.get("ResponseMetadata", {}).get("HTTPStatusCode")
        if status in UNLOCKED:
            return False
        if status == FORBIDDEN:
            raise StoreError(
                f"nobody knows whether {bucket} locks what is to be kept: {exc}",
                hint="allow s3:GetBucketObjectLockConfiguration; or database.backups.locked_for: 0   asks for no lock",
            ) from exc
        raise
    return bool(answer.get("ObjectLockConfiguration", {}).get("ObjectLockEnabled") == "Enabled")


def retention(until: float) -> dict[str, Any]:
    """Until then, in seconds since 1970, only who may bypass governance can destroy that version."""
    moment = datetime.fromtimestamp(until, timezone.utc)
    return {"ObjectLockMode": "GOVERNANCE", "ObjectLockRetainUntilDate": moment}


def ignored(client: Any, bucket: str, key: str, data: bytes) -> str:
    """The condition that the server does not honour: some answer 200 and overwrite. Empty: none."""
    words: dict[str, Any] = {"Bucket": bucket, "Key": key}
    conditions = {"If-None-Match": {"IfNoneMatch": "*"}, "If-Match": {"IfMatch": f'"{"0" * 32}"'}}
    try:
        client.put_object(**words, Body=data)
        return next((name for name, one in conditions.items() if not _refuses(client, {**words, **one}, data)), "")
    finally:
        client.delete_object(**words)


def _refuses(client: Any, words: dict[str, Any], data: bytes) -> bool:
    try:
        client.put_object(**words, Body=data)
    except client.exceptions.ClientError as exc:
        if exc.response.get("ResponseMetadata", {}).get("HTTPStatusCode") == 412:
            return True
        raise
    return False
