"""What every kind of store promises, held against the real thing: files, sh on a host, an S3 server."""

from __future__ import annotations

import pytest

from dojo_deploy.testing.stores import StoreContract

ROUNDS = {"directory": 10, "host": 10, "s3": 2}  # SeaweedFS itself sleeps whole seconds when eight write one key


class TestEveryStore(StoreContract):
    """Settings are those of the folder's fixtures, of each kind."""

    @pytest.fixture
    def rounds(self, kind: str) -> int:
        return ROUNDS[kind]
