"""What runs on the balancer's host: POSIX sh, values through the environment and standard input, nginx as "$@".

A change is one rename, of `<include>/<scope>.conf`, and a reload; or, for a flip, an empty file that comes or goes.
"""

# Exit statuses of CHANGE and TURN; after all of them but 0 the files are as they were and nginx was told nothing.
REFUSED_BEFORE, WOULD_EMPTY, FENCED, REFUSED, UNTOLD, UNWRITTEN, BUSY = 10, 11, 12, 20, 21, 73, 75

# Of what `nginx -T` prints: a line for each `include` that is in effect.
INCLUDED = (
    r"""sed 's/#.*//' | tr -d "\"'" | grep -o 'include[[:space:]][^;]*' | sed 's/^include[[:space:]]*/include /'"""
)

DUMP = r"""
# -T is -t that also prints what nginx was given: test, pid file and logs in one. It may hold secrets: kept 0600.
dump() { (umask 077; "$@" -T >"$work/config" 2>"$work/said" </dev/null 9>&-); }
setting() { awk -v key="$1" '$1 == key { sub(/;$/, "", $2); print $2; exit }' "$work/config"; }
version() { "$@" -v 2>&1 </dev/null 9>&- | sed -n 's/.*nginx\/\([0-9.]*\).*/\1/p'; }
pid_file() {
    path=${PID:-$(setting pid)}
    [ -n "$path" ] || path=$("$@" -V 2>&1 </dev/null 9>&- | tr ' ' '\n' | sed -n 's/^--pid-path=//p')
    echo "$path"
}
# What a reload loses and a file does not, or the other way round; `open_file_cache` makes nginx see a file late.
way() {
    awk -v version="$(version "$@")" -v lossless="$LOSSLESS" -v name="$NAME" '
        function number(text, part) { split(text, part, "."); return part[1] * 1e6 + part[2] * 1e3 + part[3] }
        $1 == "keepalive_min_timeout" && $2 != "0;" { kept = 1 }
        $1 == "open_file_cache" && $2 != "off;" { cached = 1 }
        $1 ~ /^[a-z]+_pass$/ { to = $2; sub(/;.*/, "", to); sub(/^[a-z]*:\/\//, "", to); sub(/\/.*/, "", to)
            if (to == "$dojo_" name) variable = 1; else if (to == name) named = 1 }
        END { if (kept && number(version) >= number(lossless)) print "reload"
            else if (variable && !named && !cached) print "flag"
            else print "lossy" }' "$work/config"
}
"""

ROWS = r"""
generation() { sed -n 's/^# generation //p' "$conf" 2>/dev/null; }
before=$(generation) front=$NAME other=${NAME}_spare
[ ! -e "$base/flags/${before:-0}" ] || { front=${NAME}_spare; other=$NAME; }
# upstream host up|down address slot
rows() {
    [ ! -e "$conf" ] || awk '$1 == "upstream" { bank = $2 } $1 == "server" && NF > 3 && $(NF - 2) == "#" {
        print bank, $(NF - 1), (/ down; # / ? "down" : "up"), $2, $NF }' "$conf"
}
"""

BEGIN = r"""
set -u; umask 022
base=$INCLUDE/$SCOPE conf=$INCLUDE/$SCOPE.conf server=$INCLUDE/$SCOPE/server/dojo.conf work=$INCLUDE/$SCOPE/.work
mkdir -p "$base/server" "$base/flags" "$base/page" || exit 73
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
put() { cat >"$work/new" && mv -f "$work/new" "$1"; }
"""

CHANGE = (
    BEGIN
    + ROWS
    + DUMP
    + r"""
# What includes is put back before what it needs, as it was written after it: a reload by others never sees a gap.
put_back() {
    [ -z "$FORCE" ] || return 0
    for file in "$server" "$conf"; do
        if [ -e "$work/was/${file##*/}" ]; then mv -f "$work/was/${file##*/}" "$file"; else rm -f "$file"; fi
    done
    rm -rf "$base/page" && mv "$work/was/page" "$base/page"
}
# The workers of nginx, each with the moment of its start: a pid may be somebody else's later.
workers() {
    for pid in $(grep -ls "^PPid:[[:space:]]*$1\$" /proc/[0-9]*/status | tr -dc '0-9\n'); do
        ! grep -qs "$2" "/proc/$pid/cmdline" || echo "$pid:$(sed 's/.*) //' "/proc/$pid/stat" | cut -d' ' -f20)"
    done | tr '\n' ' '
}
running() {
    named=$(pid_file "$@")
    # Testing makes an empty pid file where there was none.
    master=$(cat "$named" 2>&1) || { echo "no pid file: ${master:-nginx names none}"; return 1; }
    [ -r "/proc/${master:-0}/status" ] || { echo "nginx does not run: pid '$master' in $named"; return 1; }
}
up() { sort "$1" | awk -v bank="$2" '$1 == bank && $3 == "up" { print $2, $4 }'; }
told() {
    printf 'generation %s\nmade %s\nlog %s\n' "$1" "$2" "$(setting error_log)"
    sed -n "s/^$front /was /p" "$work/rows"
}

mkdir "$work/was" && cp -Rp "$base/page" "$work/was/page" || exit 73
for file in "$server" "$conf"; do [ ! -e "$file" ] || cp -p "$file" "$work/was/" || exit 73; done
if [ "$VERB" = close ]; then : >"$work/asked"; cat >"$work/body"; else cat >"$work/asked"; fi
# Before the first change nginx may rightly refuse a site whose upstream is not there yet.
if [ -z "$FORCE" ] && [ -e "$server" ] && ! dump "$@"; then cat "$work/said"; exit 10; fi

rows >"$work/rows"
awk -v front="$front" -v other="$other" -v name="$NAME" -v may_empty="$MAY_EMPTY" '
    function know() { if (!($2 in state)) { order[++n] = $2; state[$2] = "down"; at[$2] = $3; slot[$2] = $4 } }
    function is(what) { state[$2] = what; at[$2] = $3; slot[$2] = $4 }
    stage == "rows" && $1 == front { order[++n] = $2; state[$2] = $3; at[$2] = $4; slot[$2] = $5 }
    stage == "rows" && $1 == other { spare[++m] = $2 " " $3 " " $4 " " $5 }
    stage == "rows" { next }
    $1 == "know" { know(); pool[$2] }
    $1 == "up" { know(); is("up"); chosen[$2] }
    $1 == "put" { know(); is("down") }
    # Another slot of the same host may be the one that serves.
    $1 == "down" { know(); if (state[$2] == "down" || at[$2] == $3) { dropped += state[$2] == "up"; is("down") } }
    $1 == "only" { for (host in state) if (!(host in chosen)) state[host] = "down" }
    $1 == "spare" { if (!fresh++) m = 0; spare[++m] = $2 " up " $3 " " $4 }
    END {
        for (host in pool) left += state[host] == "up"
        if (dropped && !left && !may_empty) exit 11
        for (i = 1; i <= n; i++) print name, order[i], state[order[i]], at[order[i]], slot[order[i]]
        for (i = 1; i <= m; i++) print name "_spare", spare[i]
    }' stage=rows "$work/rows" stage=asked "$work/asked" >"$work/next" || exit

if [ "$VERB" = switch ] && [ -n "$before" ]; then
    up "$work/next" "$NAME" >"$work/wanted"
    up "$work/rows" "$front" >"$work/serving"
    # Also while nginx takes no reload: then what is written here is not in effect, and need not be.
    if printf '%s\n' "$LIVE_UP" | sort | cmp -s - "$work/wanted" && cmp -s "$work/serving" "$work/wanted"; then
        told "$LIVE" nothing; exit
    fi
fi
if [ "$VERB" = switch ] && [ -n "$before" ] && [ "$before" = "$LIVE" ]; then
    up "$work/rows" "$other" | cmp -s - "$work/wanted" && [ "$(way "$@")" = flag ] && flip=1 || flip=
    if [ -n "$flip" ]; then
        running "$@" || exit 21
        away=$(grep -vxFf "$work/wanted" "$work/serving" | cut -d' ' -f2 | tr '\n' ' ')
        printf 'old %s\naway %s\n' "$(workers "$master" "is shutting down")" "$away" | put "$base/.last" || exit 73
        flag=$base/flags/$before
        if [ -e "$flag" ]; then rm -f "$flag" && turned=off; else : >"$flag" && turned=on; fi || exit 73
        told "$before" "flip $turned"; exit
    fi
fi

generation=$(date +%s)
[ "${before:-0}" -lt "$generation" ] || generation=$((before + 1))
[ ! -e "$base/flags/${before:-0}" ] || touch "$base/flags/$before"  # its workers look at it to their end
find "$base/flags" -type f -mtime +1 ! -name "${before:-0}" -exec rm -f {} +
body() {
    printf '%s' "$HTTP_LEVEL" | sed "s/@GENERATION@/$generation/"
    # nginx takes words of 4 kB, and variables a hundred deep.
    { awk '$3 == "up" { print $1, $2, $4 }' "$work/next"; echo end; } | awk -v name="$NAME" '
        { part[k + 0] = part[k + 0] $0 "\\n"; if (length(part[k + 0]) > 2500) k++ }
        END { for (i = 0; i == 0 || i in part; i++) printf "map \"\" $dojo_%s_rows%s {\n    default \"%s%s\";\n}\n",
            name, (i ? "_" i : ""), part[i], ((i + 1) in part ? "${dojo_" name "_rows_" i + 1 "}" : "") }'
    for bank in "$NAME" "${NAME}_spare"; do
        awk -v bank="$bank" -v patience="$PATIENCE" 'BEGIN { print "upstream " bank " {" }
            $1 == bank { print "    server " $4 " " ($3 == "up" ? patience : "down") "; # " $2 " " $5; n++ }
            END { if (!n) print "    server 127.0.0.1:9 down;"
                print "    keepalive 32;\n    keepalive_timeout 2s;\n}" }' "$work/next"
    done
}
page() {
    if [ "$VERB" = unclose ] && [ -e "$base/page.was" ]; then
        rm -rf "$base/page" && mv "$base/page.was" "$base/page" || return
    fi
    for name in allow exempt head; do
        [ "$VERB" = close ] || [ ! -e "$base/page/$name.conf" ] || continue
        case $name in allow) text=$ALLOW ;; exempt) text=$EXEMPT ;; *) text=$HEAD ;; esac
        printf '%s' "$text" | put "$base/page/$name.conf" || return
    done
    [ "$VERB" != close ] || put "$base/page/body" <"$work/body"
}
{
    page && body | put "$conf" &&
        { [ "$(cat "$server" 2>/dev/null)" = "$SERVER_LEVEL" ] || printf '%s\n' "$SERVER_LEVEL" | put "$server"; }
} || { put_back; exit 73; }

dump "$@" || { put_back; cat "$work/said"; exit 20; }
running "$@" || { put_back; exit 21; }
old=$(workers "$master" "^nginx: ")
# Shut before the reload: what the workers of before have under way ends with them, and the new ones see a shut door.
[ -e "$base/closed" ] && door=closed || door=open
[ -z "$SHUT" ] || : >"$base/closed"
if ! "$@" -s reload >"$work/said" 2>&1 </dev/null 9>&-; then
    [ "$door" = closed ] || [ -z "$SHUT" ] || rm -f "$base/closed"
    put_back; cat "$work/said"; exit 21
fi
printf 'old %s\naway\n' "$old" | put "$base/.last"
[ "$VERB" != close ] || { rm -rf "$base/page.was"; mv "$work/was/page" "$base/page.was"; }
told "$generation" reload
printf 'old %s\ndoor %s\n' "$old" "$door"
"""
)

# A flag of this site, there or not: that of the spare upstream, unless the site is of another generation by now, or
# that of the maintenance page.
TURN = (
    BEGIN
    + ROWS
    + r"""
case $FLAG in
closed) file=$base/closed ;;
*) file=$base/flags/$FLAG; [ "$before" = "$FLAG" ] || { echo "the site has been changed since"; exit 21; }
    rm -f "$base/.last" ;;
esac
[ -e "$file" ] && was=1 || was=
if [ -n "$ON" ]; then : >"$file"; else rm -f "$file"; fi || exit 73
echo "was $was"
"""
)
