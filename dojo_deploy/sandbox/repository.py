"""The app's git repository: one commit per template, the same ids on every machine."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from importlib.resources import as_file, files
from pathlib import Path

NAME = "tcgdojo"
# (tag, parent): v3 to v6 are what may be wrong with a release, each on a branch of its own.
COMMITS = (("v1", None), ("v2", "v1"), ("v3", "v2"), ("v4", "v2"), ("v5", "v2"), ("v6", "v2"))
TITLES = {
    "v1": "The first edition",
    "v2": "The second edition: cards have a rarity",
    "v3": "Answer 500 to everything",
    "v4": "Take eight seconds to start",
    "v5": "Never listen",
    "v6": "Claim to be another release",
}
IDENTITY = {"NAME": "Dojo", "EMAIL": "dojo@example.org"}


def make(target: Path, app: str) -> None:
    """Make `target`, checked out at main (v2), unless it is there already."""
    if target.is_dir():
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    fresh = Path(tempfile.mkdtemp(dir=target.parent, prefix=".new-"))
    try:
        with as_file(files(__package__) / "app") as templates:
            _commit_all(fresh, templates, app)
        fresh.chmod(0o755)
        fresh.rename(target)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)


def _commit_all(repository: Path, templates: Path, app: str) -> None:
    _git(repository, 0, "init", "--quiet", "--initial-branch=main")
    for number, (tag, parent) in enumerate(COMMITS):
        if parent and number > 1:
            _git(repository, number, "checkout", "--quiet", "-b", f"fault/{tag}", parent)
        _overlay(templates / tag, repository, app)
        _git(repository, number, "add", "--all")
        _git(repository, number, "commit", "--quiet", "--message", TITLES[tag])
        _git(repository, number, "tag", tag)
    _git(repository, 0, "checkout", "--quiet", "main")


def _overlay(template: Path, repository: Path, app: str) -> None:
    for source in sorted(path for path in template.rglob("*") if path.is_file()):
        target = repository / source.relative_to(template)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(source.read_text().replace(NAME, app))
        target.chmod(0o644)


def _git(repository: Path, number: int, *words: str) -> None:
    when = f"2026-01-{number + 1:02} 12:00:00 +0000"
    env = {
        # The user's own configuration could sign, hook or rename, and so change the ids.
        "PATH": os.environ.get("PATH", os.defpath), "HOME": str(repository), "LC_ALL": "C",
        "GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_AUTHOR_DATE": when, "GIT_COMMITTER_DATE": when,
        **{f"GIT_{role}_{key}": value for role in ("AUTHOR", "COMMITTER") for key, value in IDENTITY.items()},
    }  # fmt: skip
    subprocess.run(
        ["git", "-c", "core.autocrlf=false", "-c", "core.filemode=false", "-C", str(repository), *words],
        env=env, check=True, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, timeout=60,
    )  # fmt: skip
