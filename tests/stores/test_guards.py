"""Encryption is asked for, and what is to be kept is under Object Lock where the bucket has it, and nowhere else."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from botocore.stub import Stubber
from moto.server import ThreadedMotoServer

from dojo_deploy.errors import StoreError
from dojo_deploy.secrets import Secret
from dojo_deploy.stores.s3 import S3

from .sites import Site

WORDS = {"region_name": "us-east-1", "aws_access_key_id": "a", "aws_secret_access_key": "b"}


@pytest.fixture(scope="module")
def cloud() -> Iterator[str]:
    # What SeaweedFS makes of a lock depends on its version; this knows what Amazon documents.
    server = ThreadedMotoServer("127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    endpoint = f"http://{host}:{port}"
    client = boto3.client("s3", endpoint_url=endpoint, **WORDS)
    client.create_bucket(Bucket="plain")
    client.create_bucket(Bucket="locked", ObjectLockEnabledForBucket=True)
    yield endpoint
    server.stop()


@pytest.fixture
def opened(cloud: str, site: Site, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("GUARD_TEST", "a")
    key = Secret("env", "GUARD_TEST")

    def open_(bucket: str, encryption: str = "") -> Any:
        settings = S3(bucket, endpoint=cloud, region="us-east-1", encryption=encryption, access_key=key, secret_key=key)
        return settings.open(site)  # type: ignore[arg-type]

    return open_


def head(store: Any, key: str) -> dict[str, Any]:
    return dict(store.client.head_object(Bucket=store.settings.bucket, Key=store.base + key))


@pytest.mark.parametrize("bucket", ["plain", "locked"])
def test_what_is_to_be_kept_is_locked_where_that_is_possible(opened: Any, bucket: str) -> None:
    store = opened(bucket, "AES256")
    sent: list[str] = []
    begins = "before-send.s3.CreateMultipartUpload"
    store.client.meta.events.register(begins, lambda request, **_: sent.extend(map(str.lower, request.headers)))
    with store.incoming("a/dump", keep=3600.0) as sink:
        sink(b"x")
    store.put("a/manifest", b"y", absent=True, keep=3600.0)
    store.put("a/begun", b"z")
    # moto forgets what an upload in parts was begun with.
    assert ("x-amz-object-lock-retain-until-date" in sent) is (bucket == "locked")
    assert "x-amz-server-side-encryption" in sent
    for key, is_kept in (("a/manifest", True), ("a/begun", False)):
        found = head(store, key)
        assert found["ServerSideEncryption"] == "AES256"
        assert ("ObjectLockRetainUntilDate" in found) is (is_kept and bucket == "locked"), key
    store.delete("a/dump")
    assert store.list("a") == ("a/begun", "a/manifest")
    store.close()


def test_a_lock_that_may_not_be_asked_for_is_not_taken_for_none(opened: Any) -> None:
    store = opened("locked")
    with Stubber(store.client) as answers:
        answers.add_client_error("get_object_lock_configuration", "AccessDenied", http_status_code=403)
        with pytest.raises(StoreError, match=r"s3:GetBucketObjectLockConfiguration[\s\S]*locked_for: 0"):
            store.put("b/manifest", b"y", keep=3600.0)
    assert store.list("b/manifest") == ()
    store.put("b/manifest", b"y")
    store.close()


def test_a_key_of_kms_is_named(opened: Any) -> None:
    store = opened("plain", "arn:aws:kms:us-east-1:1:key/k")
    store.put("a/one", b"x")
    found = head(store, "a/one")
    assert (found["ServerSideEncryption"], found["SSEKMSKeyId"]) == ("aws:kms", "arn:aws:kms:us-east-1:1:key/k")
    store.close()
