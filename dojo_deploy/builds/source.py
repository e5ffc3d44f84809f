"""Where the sources come from: a repository, the commit that a ref names, and a clean tree of it."""

from __future__ import annotations

import difflib
import hashlib
import os
import posixpath
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from dojo_deploy.errors import ConfigError, RefusedError
from dojo_deploy.inventory import Inventory

GIT_SECONDS = 600.0
# Hooks and an `ext::` address run programs of the repository's choice.
SAFE = ("-c", "core.hooksPath=/dev/null", "-c", "protocol.ext.allow=never", "-c", "core.autocrlf=false")


@dataclass(frozen=True)
class Source:
    """A git directory on this machine; `default` is the ref that is built when none is given."""

    git: Path
    default: str
    name: str  # for people

    def resolve(self, ref: str) -> str:
        """The full commit id. Raises ConfigError for a ref that is not there, naming what is near."""
        wanted = ref or self.default
        for candidate in (wanted, f"refs/remotes/origin/{wanted}"):
            done = _git(self.git, "rev-parse", "--verify", "--quiet", "--end-of-options", candidate + "^{commit}")
            if done.returncode == 0:
                return done.stdout.strip()
        listed = _asked(
            self.git, "for-each-ref", "--format=%(refname:short)", "refs/heads", "refs/tags", "refs/remotes"
        )
        names = [name for name in listed.splitlines() if not name.endswith("HEAD")]
        near = difflib.get_close_matches(wanted, names, n=3, cutoff=0.5) or names[-5:]
        hint = f"near it: {', '.join(near)}" if near else "it has no commits"
        raise ConfigError(f"no commit {wanted!r} in {self.name}", key="--ref", hint=hint)

    def folder(self, commit: str, path: str) -> str:
        """`path` within the commit, normalised. Raises ConfigError when it is not a folder there."""
        folder = posixpath.normpath(path)
        if folder.startswith(("..", "/")):
            raise ConfigError(f"{path!r} is not inside the repository", key="app.source.path")
        if folder != "." and _git(self.git, "cat-file", "-e", f"{commit}:{folder}/").returncode:
            raise ConfigError(f"commit {commit[:10]} has no folder {path!r}", key="app.source.path")
        if _git(self.git, "cat-file", "-e", f"{commit}:.gitmodules").returncode == 0:
            raise RefusedError(
                f"commit {commit[:10]} has submodules, which are not built",
                hint="build it in CI and deploy with --artifact FILE",
            )
        return folder

    def time(self, commit: str) -> int:
        """When it was committed, seconds since 1970 UTC."""
        return int(_asked(self.git, "show", "-s", "--format=%ct", commit))

    def checkout(self, commit: str, into: Path) -> None:
        """A clean tree with a repository of its own, so that builds may ask git who they are."""
        _asked(None, "clone", "--quiet", "--shared", "--no-checkout", "--", str(self.git), str(into))
        _asked(into, "checkout", "--quiet", "--detach", commit)

    def archive(self, commit: str) -> subprocess.Popen[bytes]:
        """`git archive`, its tar on stdout."""
        words = ("git", *SAFE, "-c", "tar.umask=0022", "-C", str(self.git), "archive", "--format=tar", commit)
        return subprocess.Popen(words, env=_environment(), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)


def open_source(site: Inventory, *, cache: Path, say: Callable[[str], None]) -> Source:
    """The repository of `app.source`, fetched when it is a remote one; else the checkout that holds this folder.

    Raises:
        ConfigError: there is none.
        RefusedError: a remote one could not be fetched.
    """
    repository = site.app.source.repository
    if not repository:
        return _checkout(say)
    beside = Path(site.path).parent / Path(repository).expanduser()
    if beside.is_dir():
        return Source(beside, _head(_asked(beside, "rev-parse", "--symbolic-full-name", "HEAD")), repository)
    if "://" not in repository and ":" not in repository:
        raise ConfigError(f"no repository at {beside}", key="app.source.repository")
    return _mirror(repository, cache, say)


def _checkout(say: Callable[[str], None]) -> Source:
    done = _git(Path.cwd(), "rev-parse", "--show-toplevel")
    if done.returncode:
        raise ConfigError(
            f"{Path.cwd()} is in no git checkout", key="app.source.repository", hint="name one, or change to a checkout"
        )
    top = Path(done.stdout.rstrip("\n"))
    if changed := _asked(top, "status", "--porcelain").splitlines():
        say(f"warning: {len(changed)} uncommitted changes in {top} are not part of the release")
    branches = _asked(top, "for-each-ref", "--format=%(refname:short)", "refs/heads").splitlines()
    return Source(top, next((name for name in ("main", "master") if name in branches), "HEAD"), str(top))


def _mirror(repository: str, cache: Path, say: Callable[[str], None]) -> Source:
    mirror = cache / "git" / hashlib.sha256(repository.encode()).hexdigest()[:16]
    cache.mkdir(parents=True, exist_ok=True, mode=0o700)
    _asked(None, "init", "--quiet", "--bare", "--", str(mirror))
    say(f"fetching {repository}")
    told = _asked(None, "ls-remote", "--symref", "--", repository, "HEAD").split()
    refs = ("+refs/heads/*:refs/heads/*", "+refs/tags/*:refs/tags/*")
    _asked(mirror, "fetch", "--quiet", "--prune", "--force", "--no-auto-gc", "--", repository, *refs)
    return Source(mirror, _head(told[1]) if told[:1] == ["ref:"] else "main", repository)


def _head(name: str) -> str:
    return name.strip().removeprefix("refs/heads/")


def _asked(where: Path | None, *words: str) -> str:
    done = _git(where, *words)
    if done.returncode:
        raise RefusedError(f"git {words[0]} failed", hint=done.stderr.strip()[-1500:])
    return done.stdout


def _git(where: Path | None, *words: str) -> subprocess.CompletedProcess[str]:
    place = ("-C", str(where)) if where else ()
    try:
        return subprocess.run(
            ("git", *SAFE, *place, *words), env=_environment(), stdin=subprocess.DEVNULL, capture_output=True,
            encoding="utf-8", errors="surrogateescape", timeout=GIT_SECONDS, umask=0o022,
        )  # fmt: skip
    except subprocess.TimeoutExpired as exc:
        raise RefusedError(f"git {words[0]} did not end within {GIT_SECONDS:.0f} s") from exc
    except FileNotFoundError as exc:
        raise ConfigError("git is not on PATH") from exc


def _environment() -> dict[str, str]:
    # A hook's GIT_DIR would aim every command at the wrong repository.
    kept = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    ssh = os.environ.get("GIT_SSH_COMMAND", "ssh -o BatchMode=yes -o ConnectTimeout=10")
    return {**kept, "LC_ALL": "C", "GIT_TERMINAL_PROMPT": "0", "GIT_SSH_COMMAND": ssh}
