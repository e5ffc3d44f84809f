"""The app's repository: the same on every machine, and free of any machine's or registry's address."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from dojo_deploy.sandbox import repository


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("repositories") / "tcgdojo"
    repository.make(target, "tcgdojo")
    return target


def test_ids_are_the_same_every_time(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_AUTHOR_NAME", "Somebody")
    repository.make(tmp_path / "again", "tcgdojo")
    tags = git(made, "show-ref")
    assert tags == git(tmp_path / "again", "show-ref")
    assert [line.split("/")[-1] for line in tags.splitlines() if "tags" in line] == [f"v{n}" for n in range(1, 7)]


def test_main_is_v2_and_clean(made: Path) -> None:
    assert git(made, "rev-parse", "main") == git(made, "rev-parse", "v2") == git(made, "rev-parse", "HEAD")
    assert git(made, "status", "--porcelain") == ""
    for tag in ("v3", "v4", "v5", "v6"):
        assert git(made, "diff", "--name-only", "main", tag).split() == ["faults.json"]
    assert git(made, "diff", "--name-only", "v1", "v2").split() == ["migrations/0002_rarity.sql", "public/index.html"]


def test_no_address_of_a_registry_or_machine(made: Path) -> None:
    text = "".join(git(made, "show", f"v{n}:package-lock.json") for n in range(1, 7))
    assert "://" not in text
    assert '"resolved"' not in text


def test_another_app_has_another_name(tmp_path: Path) -> None:
    repository.make(tmp_path / "other", "other")
    assert '"name": "other"' in (tmp_path / "other" / "package.json").read_text()
    assert "tcgdojo" not in git(tmp_path / "other", "grep", "-h", "-i", "-e", "o", "main")


def git(folder: Path, *words: str) -> str:
    return subprocess.run(["git", "-C", folder, *words], check=True, capture_output=True, text=True, timeout=30).stdout
