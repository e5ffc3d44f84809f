"""The store's half that runs on the host: POSIX sh with flock, reading requests from its standard input until it ends.

Request: `ID OP KEY WANT NEW SIZE` on one line, then SIZE bytes. Answer: `ID STATUS SIZE`, then SIZE bytes. ID is
unguessable, so neither a login banner nor an object's content can pass for an answer. The first request may come with
the command, as words, if it has no bytes: that saves a round trip. WANT is an etag, `absent` or
`any`. A put whose NEW etag is there already is `done`: so a put without an answer is simply sent again.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass

# The data is received and synced before the lock is taken: a slow line holds up nobody.
SCRIPT = r"""
umask 077
LC_ALL=C; export LC_ALL
{ mkdir -p "$1/.unfinished" && cd "$1"; } 2>&1 || exit 1
find .unfinished -type f -mtime +1 -exec rm -f {} + 2>/dev/null
say() { printf '%s %s %s\n' "$id" "$1" "${2:-0}"; }
fail() { say failed "${#why}"; printf %s "$why"; }
tell() { say "$1" "$(($(wc -c <"$2")))"; cat "$2"; }
settle() { sync "$@" 2>/dev/null || sync; }
version() {
  have=absent
  [ -f "$key" ] || return 0
  have=$(head -c 160 "$key" | {
    read -r magic write etag rest && [ "$magic" = dojo-store/1 ] && echo "$etag" || echo file
  })
}
publish() {
  folder=.
  case $key in */*) folder=${key%/*};; esac
  new_folder=; [ -d "$folder" ] || new_folder=1
  mkdir -p "$folder" && mv -f "$part" "$key" && settle "$folder" || return 1
  while [ "$new_folder" ] && [ "$folder" != . ]; do
    case $folder in */*) folder=${folder%/*};; *) folder=.;; esac
    settle "$folder"
  done
}
serve() {
  flock -w 15 9 || { say busy; return; }
  case $op in
  get) if [ -f "$key" ]; then tell found "$key"; else say absent; fi ;;
  delete) if why=$(rm -f "$key" 2>&1); then say done; else fail; fi ;;
  list) if why=$(find . -name '.?*' -prune -o -type f -print 2>&1 >"$part"); then tell found "$part"; else fail; fi ;;
  put)
    version
    if [ "$have" = "$new" ]; then say done
    elif [ "$want" != any ] && [ "$want" != "$have" ]; then say conflict
    elif why=$(publish 2>&1); then say done
    else fail
    fi ;;
  esac
}
answer() {
  part=.unfinished/$id.$$
  if [ "$op" = put ]; then
    # What was not received would be read as the next request, so there is none after either failure.
    why=$(head -c "$size" 2>&1 >"$part") || { fail; rm -f "$part"; exit 1; }
    [ "$(($(wc -c <"$part")))" = "$size" ] || { rm -f "$part"; exit 1; }
    settle "$part"
  fi
  serve 9>>.lock
  rm -f "$part"
}
if [ $# -gt 1 ]; then id=$2 op=$3 key=$4 want=$5 new=$6 size=$7; answer; fi
while read -r id op key want new size; do answer; done
"""


@dataclass(frozen=True)
class Request:
    """One question; `etag` is the new one of a put."""

    op: str
    key: str = "-"
    want: str = "any"
    etag: str = "-"
    size: int = 0

    def words(self, identity: str) -> tuple[str, ...]:
        return identity, self.op, self.key, self.want, self.etag, str(self.size)

    def line(self, identity: str) -> bytes:
        return (" ".join(self.words(identity)) + "\n").encode("ascii")


@dataclass(frozen=True)
class Reply:
    """`status`: done, found, absent, conflict, busy, failed (the body says why). `size` bytes follow from `start`."""

    status: str
    size: int
    start: int


def new_identity() -> str:
    return secrets.token_hex(12)


def find_reply(identity: str, output: bytes | bytearray) -> Reply | None:
    """The answer's line in `output`, once all of it is there; what stands before it is noise of a login shell."""
    at = output.find(f"{identity} ".encode("ascii"))
    end = output.find(b"\n", at)
    if at < 0 or end < 0:
        return None
    _, status, size = bytes(output[at:end]).decode("ascii").split(" ")
    return Reply(status, int(size), end + 1)
