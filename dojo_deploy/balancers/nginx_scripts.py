"""What runs on the balancer's host: POSIX sh, values through the environment and standard input, nginx as "$@"."""

# Exit statuses of CHANGE; after all of them but 0 the files are as they were and nginx was told nothing.
REFUSED_BEFORE, WOULD_EMPTY, FENCED, REFUSED, UNTOLD, BUSY = 10, 11, 12, 20, 21, 75

_DUMP = r"""
# -T is -t that also prints what nginx was given: test, pid file and logs in one. It may hold secrets: kept 0600.
dump() { (umask 077; "$@" -T >"$work/config" 2>"$work/said" </dev/null 9>&-); }
setting() { awk -v key="$1" '$1 == key { sub(/;$/, "", $2); print $2; exit }' "$work/config"; }
pid_file() {
    path=${PID:-$(setting pid)}
    [ -n "$path" ] || path=$("$@" -V 2>&1 </dev/null 9>&- | tr ' ' '\n' | sed -n 's/^--pid-path=//p')
    echo "$path"
}
"""

CHANGE = (
    r"""
set -u; umask 022
base=$INCLUDE/$SCOPE work=$INCLUDE/$SCOPE/.work
mkdir -p "$base/servers" "$base/server" || exit 73
exec 9>>"$INCLUDE/.dojo.lock" || exit 73
flock -w "$LOCK_WITHIN" 9 || { echo "another change has held $INCLUDE/.dojo.lock for $LOCK_WITHIN s"; exit 75; }
# A run that slept while a newer one took over must not undo what that one did; another store counts anew.
if [ -n "$STORE" ]; then
    held= newest=
    [ ! -e "$base/.fence" ] || read -r held newest <"$base/.fence"
    [ "$held" = "$STORE" ] && [ "${newest:-0}" -ge 0 ] || newest=0
    [ "$newest" -le "$LEASE" ] || { echo "generation $newest has changed this site, and this is $LEASE"; exit 12; }
    [ "$newest" = "$LEASE" ] ||
        { echo "$STORE $LEASE" >"$base/.fence.new" && mv -f "$base/.fence.new" "$base/.fence"; } || exit 73
fi
rm -rf "$work"; trap 'rm -rf "$work"' EXIT; mkdir -m 700 "$work" || exit 73
"""
    + _DUMP
    + r"""
put() { cat >"$work/new" && mv -f "$work/new" "$1"; }
listing() {
    awk '$1 == "server" {
        parts = split(FILENAME, path, "/"); host = path[parts]; sub(/\.conf$/, "", host)
        address = $2; sub(/;.*/, "", address)
        print host, ($0 ~ /[ \t]down[ \t]*;/ ? "down" : "up"), address
    }' "$base"/servers/*.conf
}
# What includes is put back before what it needs, as it was written after it: a reload by others never sees a gap.
put_back() {
    [ -z "$FORCE" ] || return 0
    for name in server/dojo.conf "../$SCOPE.conf"; do
        was=$work/was/${name##*/}
        if [ -e "$was" ]; then mv -f "$was" "$base/$name"; else rm -f "$base/$name"; fi
    done
    for file in "$base"/servers/*.conf; do
        [ -e "$work/was/servers/${file##*/}" ] || rm -f "$file"
    done
    [ ! -e "$work/was/servers/$HOST.conf" ] || mv -f "$work/was/servers/$HOST.conf" "$base/servers/$HOST.conf"
}

cat >"$work/pool"
mkdir "$work/was" && cp -Rp "$base/servers" "$work/was/servers" || exit 73
for file in "$base/server/dojo.conf" "$INCLUDE/$SCOPE.conf"; do
    [ ! -e "$file" ] || cp -p "$file" "$work/was/" || exit 73
done
# Before the first change nginx may rightly refuse a site whose upstream is not there yet.
if [ -z "$FORCE" ] && [ -e "$base/server/dojo.conf" ] && ! dump "$@"; then cat "$work/said"; exit 10; fi

while read -r host address slot; do
    [ -e "$base/servers/$host.conf" ] || printf '# %s %s\nserver %s down;\n' "$host" "$slot" "$address" |
        put "$base/servers/$host.conf" || { put_back; exit 73; }
done <"$work/pool"
listing >"$work/state"
was=$(awk -v host="$HOST" '$1 == host { print $2, $3 }' "$work/state")
case $VERB in
drain)
    if [ "$was" = "up $ADDRESS" ] && [ -z "$MAY_EMPTY" ]; then
        others=$(awk -v me="$HOST" 'NR == FNR { pool[$1]; next }
            $1 in pool && $1 != me && $2 == "up" { n++ } END { print n + 0 }' "$work/pool" "$work/state")
        [ "$others" -gt 0 ] || { put_back; exit 11; }
    fi
    # Another slot of the same host may be the one that serves.
    case $was in "up $ADDRESS" | down*) write=1 ;; *) write= ;; esac ;;
*) write=1 ;;
esac
before=$(sed -n 's/^# generation //p' "$base/server/dojo.conf" 2>/dev/null)
generation=$(date +%s)
[ "${before:-0}" -lt "$generation" ] || generation=$((before + 1))
{
    printf '%s' "$HTTP_LEVEL" | put "$INCLUDE/$SCOPE.conf" &&
    { [ -z "$write" ] || printf '# %s\n%s\n' "$NOTE" "$LINE" | put "$base/servers/$HOST.conf"; } &&
    listing | sed 's/.*/    set $dojo_state "${dojo_state}&\\n";/' >"$work/state" &&
    printf '%s' "$SERVER_LEVEL" | sed -e "s/@GENERATION@/$generation/" -e "/@STATE@/r $work/state" -e '/@STATE@/d' |
        put "$base/server/dojo.conf"
} || { put_back; exit 73; }

dump "$@" || { put_back; cat "$work/said"; exit 20; }
named=$(pid_file "$@")
master=$(cat "$named" 2>&1) || { put_back; echo "no pid file: ${master:-nginx names none}"; exit 21; }
# Testing makes an empty pid file where there was none.
[ -r "/proc/${master:-0}/status" ] || { put_back; echo "nginx does not run: pid '$master' in $named"; exit 21; }
old=$(grep -ls "^PPid:[[:space:]]*$master\$" /proc/[0-9]*/status | tr -dc '0-9\n' | tr '\n' ' ')
log=$(setting error_log)
"$@" -s reload >"$work/said" 2>&1 </dev/null 9>&- || { put_back; cat "$work/said"; exit 21; }
printf 'generation %s\nwas %s\nold %s\nlog %s\n' "$generation" "$was" "$old" "$log"
"""
)

# The pids are those of before the reload: a worker is on its way out before its title says so. With ACCEPTING it is
# enough that they take no new connection, which they do for a moment after the new ones have begun to.
WAIT = r"""
end=$(($(date +%s) + WITHIN))
while :; do
    left=
    for pid in $OLD; do
        # By its title: a worker goes on without its master, and a pid may be somebody else's by now.
        grep -qs "^nginx: " "/proc/$pid/cmdline" || continue
        [ -n "$ACCEPTING" ] && grep -qs "is shutting down" "/proc/$pid/cmdline" || left="$left $pid"
    done
    [ -n "$left" ] || exit 0
    [ "$(date +%s)" -lt "$end" ] || break
    sleep 0.05
done
echo "$left"
exit 1
"""

EMERGENCIES = r"""tail -n 200 "$LOG" 2>/dev/null | grep -F '[emerg]' | tail -n 1"""

INSPECT = (
    r"""
work=$(mktemp -d) || exit 73
trap 'rm -rf "$work"' EXIT
"""
    + _DUMP
    + r"""
dump "$@" || { cat "$work/said"; exit 20; }
"$@" -v 2>&1 </dev/null | sed -n 's/.*nginx\//version /p'
echo "keepalive_min_timeout $(setting keepalive_min_timeout)"
echo "worker_shutdown_timeout $(setting worker_shutdown_timeout)"
for file in "$INCLUDE/$SCOPE"/servers/*.conf; do
    [ ! -e "$file" ] || { name=${file##*/}; echo "server ${name%.conf}"; }
done
"""
)
