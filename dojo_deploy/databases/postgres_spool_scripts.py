"""A dump in parallel, as POSIX sh: pg_dump's directory format in a folder on the host, on its way as a tar archive.

What is finished goes at once, and leaves the folder, so that as much lies there as the way is slower than the dump.
Words: as in `postgres_scripts`.
"""

from __future__ import annotations

from dojo_deploy.databases.postgres_scripts import NO_ROOM, PROLOGUE, SNAPSHOT

# A folder with so many bytes of room, which goes however the script ends; a folder that a killed machine left goes
# here, unless its lock says that somebody is at work in it.
_FOLDER = rf"""
place=${{DOJO_SPOOL:-/var/tmp}}
folder() {{
  find "$place" -maxdepth 1 -name 'dojo-spool.*' -user "$(id -un)" -mmin +1 \
    -exec sh -c 'exec 8<"$1" && flock -n 8 && rm -rf "$1"' sh {{}} \; 2>/dev/null
  free=$(df -Pk "$place" | tail -n 1 | awk '{{ print $4 }}')
  if ! [ "${{free:-0}}" -ge "$(($1 / 1024))" ]; then
    tell {NO_ROOM} "$place has room for $((${{free:-0}} / 1024)) MB, and this wants $(($1 / 1048576))"
    exit 0
  fi
  SPOOL=$(mktemp -d "$place/dojo-spool.XXXXXX" 2>&1) || {{ tell 1 "$SPOOL"; exit 0; }}
  exec 8<"$SPOOL" && flock -n 8 || exit
  export SPOOL
  trap 'rm -rf "$SPOOL"' EXIT
  trap 'exit 129' HUP INT PIPE TERM
}}
"""

# Runs inside of psql, under its snapshot. pg_dump names on stderr what is whole; the rest, its table of contents above
# all, goes when it has ended well, and last the sums of all of it. A file may get the inode of one that has left: tar,
# which removes what it has packed, then takes it for a link to that one, and stores another table's rows.
_PACKED = r"""
cd "$SPOOL" && touch sums || exit
{
  sh -c 'echo $$ >pid; exec "$@"' sh timeout -k 10 "$DOJO_SECONDS" pg_dump --verbose -Fd -f dump -j "$DOJO_JOBS" \
    --snapshot="$SNAPSHOT" --lock-wait-timeout="$DOJO_LOCK_MS" --no-password $DOJO_COMPRESS </dev/null 2>&1 >/dev/null
  echo "ended $?"
} | {
  while IFS= read -r line; do
    case $line in
      "pg_dump: finished item "*)
        item=${line#pg_dump: finished item }
        for file in dump/"${item%% *}".dat*; do
          [ ! -e "$file" ] || { sha256sum "$file" >>sums && echo "$file"; }
        done ;;
      "ended "*) echo "${line#ended }" >status; rm -f pid ;;
      "pg_dump: error: "*|"pg_dump: warning: "*|"pg_dump: detail: "*|"pg_dump: hint: "*) printf '%s\n' "$line" >&2 ;;
      "pg_dump: "*) ;;
      *) printf '%s\n' "$line" >&2 ;;
    esac
  done
  if [ "$(cat status)" = 0 ]; then
    cut -c 67- sums >sent
    ls dump | sed 's,^,dump/,' | grep -vxFf sent | while IFS= read -r file; do
      sha256sum "$file" >>sums && echo "$file"
    done
    echo sums
  fi
} | tar -cf - --no-recursion --hard-dereference --remove-files -T - >&3 && (exit "$(cat status)")
"""

# Nobody may be left on the other side to take what comes, which is seen only when something comes: so standard input is
# watched, which stays open until the controller has heard all.
DUMP = (
    PROLOGUE
    + _FOLDER
    + rf"""
exec 3>&1 5<&0
size=$(sql -c 'SELECT pg_database_size(current_database())' 2>&1) || {{ tell $? "$size"; exit 0; }}
folder "$(printf '%s\n' "$size" | tail -n 1)"
( IFS= read -r _ <&5 || :; kill "$(cat "$SPOOL/pid")" ) >/dev/null 2>&1 3>&- 8<&- &
dump=$(cat <<'DUMP'
{_PACKED}
DUMP
)
export dump
"""
    + SNAPSHOT
    + """
wait
"""
)

_UNPACKED = (
    PROLOGUE
    + _FOLDER
    + r"""
folder "$1"; shift
said=$(cd "$SPOOL" && {
  timeout -k 10 "$DOJO_SECONDS" tar -xf - && sha256sum --quiet -c sums &&
    { [ "$(ls dump | wc -l)" -eq "$(wc -l <sums)" ] || { echo 'sha256sum: FAILED: a file is missing'; false; } } || exit
} 2>&1) || { tell $? "$said"; exit 0; }
"""
)

READ = (
    _UNPACKED
    + r"""
said=$(timeout -k 10 "$DOJO_SECONDS" pg_restore -f /dev/null "$SPOOL/dump" 2>&1)
tell $? "$said"
"""
)

RESTORE = (
    _UNPACKED
    + r"""
said=$(timeout -k 10 "$DOJO_SECONDS" pg_restore -j "$DOJO_JOBS" --exit-on-error --no-password -d "$@" \
  "$SPOOL/dump" 2>&1)
tell $? "$said"
"""
)
