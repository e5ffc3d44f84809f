from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path

import pytest

from dojo_deploy.interfaces import Store, StoreKind
from dojo_deploy.secrets import Secret
from dojo_deploy.stores import KINDS

from . import seaweed
from .sites import Site

Settings = Callable[[], StoreKind]


@pytest.fixture(scope="session")
def s3_endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    os.environ["STORE_TEST_ACCESS"], os.environ["STORE_TEST_SECRET"] = seaweed.ACCESS, seaweed.SECRET
    with seaweed.running(tmp_path_factory.mktemp("seaweed")) as endpoint:
        yield endpoint
    for name in ("STORE_TEST_ACCESS", "STORE_TEST_SECRET"):
        os.environ.pop(name, None)  # another folder's tests may have had it too


@pytest.fixture(params=sorted(KINDS))
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def options(kind: str, tmp_path: Path, request: pytest.FixtureRequest) -> dict[str, object]:
    """The keys of the store's section of an inventory."""
    if kind == "s3":
        return s3_options(request.getfixturevalue("s3_endpoint"), tmp_path.name)
    return {"path": str(tmp_path / "store")}


@pytest.fixture
def settings(kind: str, options: dict[str, object]) -> StoreKind:
    module, name = KINDS[kind].split(":")
    made: StoreKind = getattr(import_module(module), name)(**options)
    return made


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(str(tmp_path / "root"))


@pytest.fixture
def store(settings: StoreKind, site: Site) -> Iterator[Store]:
    opened = settings.open(site)  # type: ignore[arg-type]
    yield opened
    opened.close()


def s3_options(endpoint: str, prefix: str) -> dict[str, object]:
    return {
        "bucket": seaweed.BUCKET,
        "prefix": prefix,
        "endpoint": endpoint,
        "access_key": Secret("env", "STORE_TEST_ACCESS"),
        "secret_key": Secret("env", "STORE_TEST_SECRET"),
    }
