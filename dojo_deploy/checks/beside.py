"""What stands beside the hosts: the store, the database, the machine that builds."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator, Mapping
from contextlib import suppress

from dojo_deploy.checks.versions import allows, installing
from dojo_deploy.command import Command, Word, quote
from dojo_deploy.errors import ConflictError, StoreError
from dojo_deploy.interfaces import Session, Store
from dojo_deploy.paste import as_admin
from dojo_deploy.plan import CONTROLLER
from dojo_deploy.readings import Finding

BUILD_WITHIN = 45.0
ASK_WITHIN = 20.0
ELSEWHERE = "store: host   # the first web host keeps it; or Amazon S3, SeaweedFS: what refuses a second writer"

NEAREST = """\
here=$FOLDER; while [ ! -d "$here" ] && [ "$here" != / ]; do here=${here%/*}; here=${here:-/}; done
echo "$here"; [ -w "$here" ]
"""
# `npm ping` asks the registry that the user's own settings name, with their proxy and their certificates.
BUILD = r"""
for program in $PROGRAMS; do command -v "$program" >/dev/null || echo "lacks $program"; done
case " $PROGRAMS " in *" npm "* | *" npx "*) ;; *) exit 0 ;; esac
command -v npm >/dev/null || exit 0
echo "npm $(npm --version </dev/null 2>/dev/null)"
echo "node $(node --version </dev/null 2>/dev/null)"
said=$(timeout 30 npm ping --fetch-timeout=10000 --fetch-retries=0 </dev/null 2>&1) ||
  printf 'registry %s: %s\n' "$(npm config get registry)" "$(printf '%s\n' "$said" | grep -v notice | grep -m 1 error)"
"""


def store(session: Session) -> Iterator[Finding]:
    """That a second writer is refused, twice over; with a key of our own, which is removed. Raises StoreError."""
    site = session.inventory
    place = getattr(site.store, "place", None)
    if place:
        # There our own script compares, under a lock; asking it anything would make its folder.
        yield from _folder(session, *place(session))
        return
    opened = session.store
    key = f"check/{uuid.uuid4().hex}"
    try:
        etag = opened.put(key, b"first", absent=True)
        for number in range(2):
            for words in ({"absent": True}, {"etag": f"not-{etag}"}):
                if not _refuses(opened, key, f"{number}".encode(), **words):
                    what = "lets a second writer overwrite the first: a lock would have two holders"
                    yield Finding("store-conditions", CONTROLLER, f"{site.store.preview()} {what}", ELSEWHERE)
                    return
        if opened.get(key) is None:
            raise StoreError(f"{site.store.preview()} does not give back what was written a moment ago")
    except StoreError as exc:
        yield Finding("store-conditions" if "ignores" in exc.message else "store", CONTROLLER, exc.message, ELSEWHERE)
    finally:
        with suppress(StoreError):
            opened.delete(key)


def _folder(session: Session, name: str, folder: str) -> Iterator[Finding]:
    done = session.shell(name).run(Command.shell(NEAREST, env={"FOLDER": folder}), within=ASK_WITHIN)
    if not done.ok:
        host = session.inventory.hosts[name]
        what = f"the store is {folder}, and {host.ssh.user} may not write in {done.text}"
        line = f"sudo install -d -o {quote(host.ssh.user)} -m 700 {quote(folder)}"
        yield Finding("store", name, what, as_admin(host, line))


def _refuses(opened: Store, key: str, data: bytes, *, absent: bool = False, etag: str | None = None) -> bool:
    try:
        opened.put(key, data, absent=absent, etag=etag)
    except ConflictError:
        return True
    return False


def database(session: Session) -> Iterator[Finding]:
    """That its own programs reach it, with the credentials of the inventory."""
    kind = session.inventory.database
    if kind is None:
        return
    server = kind.look(session)
    if not server.properties:
        host = getattr(kind, "runs_on", CONTROLLER)
        yield Finding("database", host, f"the server has no database {kind.name}", f"createdb {kind.name}")


def build(session: Session, engines: Mapping[str, str]) -> Iterator[Finding]:
    """That the machine that builds has the programs of its lines, and reaches its registry."""
    app = session.inventory.app
    where = CONTROLLER if app.build.on == "local" else app.build.on
    parts = [part.split() for line in app.build.run for part in re.split(r"&&|\|\||;", line)]
    words = {part[0] for part in parts if part} - {"cd"}
    programs = {"git"} if where == CONTROLLER else {"tar", "sha256sum", "timeout"}
    programs |= {word for word in words if word.replace("-", "").replace("_", "").isalnum()}
    env: dict[str, Word] = {**app.build.env, "PROGRAMS": " ".join(sorted(programs))}
    done = session.shell(where).run(Command.shell(BUILD, env=env), within=BUILD_WITHIN)
    rows = [line.partition(" ")[::2] for line in done.text.splitlines()]
    host = session.inventory.hosts.get(where)
    for word, text in rows:
        if word == "lacks":
            package = {"npm": "nodejs npm", "npx": "nodejs npm"}.get(text, text)
            line = f"sudo apt-get install -y {package}"
            what = f"releases are built here, and there is no {text}"
            yield Finding("no-program", where, what, as_admin(host, line) if host else line)
        elif word == "registry":
            fix = "npm ping   # says why; another registry: npm config set registry URL; behind a proxy: HTTPS_PROXY=…"
            yield Finding("registry", where, f"releases are built here, and npm does not reach {text}", fix)
        elif word in engines and not allows(engines[word], text):
            line = installing(engines["node"]) if "node" in engines else "npm install -g npm"
            what = f"releases are built here, by {word} {text}, and package.json asks for {engines[word]}"
            yield Finding("version", where, what, as_admin(host, line) if host else line)
