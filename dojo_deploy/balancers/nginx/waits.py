"""What is asked of the balancer's host without changing anything: POSIX sh, values through the environment."""

from __future__ import annotations

from dojo_deploy.balancers.nginx.scripts import DUMP, ROWS

# A worker is known by its pid and the moment of its start. It is on its way out before its title says so, and takes new
# connections for a moment after the new ones have begun to: with ACCEPTING it is enough that it takes no more.
_LEFT = r"""
left() {
    for one in $1; do
        pid=${one%:*}
        # By its title: a worker goes on without its master.
        grep -qs "^nginx: " "/proc/$pid/cmdline" || continue
        [ "$(sed 's/.*) //' "/proc/$pid/stat" 2>/dev/null | cut -d' ' -f20)" = "${one#*:}" ] || continue
        [ -n "$ACCEPTING" ] && grep -qs "is shutting down" "/proc/$pid/cmdline" || printf ' %s' "$pid"
    done
}
"""

WAIT = (
    _LEFT
    + r"""
end=$(($(date +%s) + WITHIN))
while :; do
    still=$(left "$OLD")
    [ -n "$still" ] || exit 0
    [ "$(date +%s)" -lt "$end" ] || break
    sleep 0.05
done
echo "$still"
exit 1
"""
)

# Whom the file lets serve, whatever nginx made of it: `host address`, line by line.
STANDS = (
    r"""
base=$INCLUDE/$SCOPE conf=$INCLUDE/$SCOPE.conf
"""
    + ROWS
    + r"""
rows | awk -v bank="$front" '$1 == bank && $3 == "up" { print $2, $4 }'
"""
)

RESOLVE = r"""
resolve() {
    host=${1%:*} port=${1##*:}
    case $host in
    \[* | "") echo "$1" ;;
    *[!0-9.]*)
        getent ahosts "$host" |
            awk -v port="$port" '!seen[$1]++ { print ($1 ~ /:/ ? "[" $1 "]" : $1) ":" port }' ;;
    *) echo "$1" ;;
    esac
}
"""

NAMES = RESOLVE + r"""while read -r address; do resolve "$address" | sed "s/^/$address /"; done"""

# After a flip the workers are the same, so what is under way to the old backends is seen in their connections: idle
# ones end by the upstream's keepalive_timeout. The kernel writes addresses in its own byte order.
SETTLE = (
    _LEFT
    + RESOLVE
    + r"""
ACCEPTING= last=$INCLUDE/$SCOPE/.last
[ -e "$last" ] || exit 0
end=$(($(date +%s) + WITHIN))
old=$(sed -n 's/^old //p' "$last")
away=$(for address in $(sed -n 's/^away //p' "$last"); do resolve "$address"; done | awk '
    function padded(text) { return substr("0000" toupper(text), length(text) + 1) }
    {
        port = $0; sub(/.*:/, "", port); host = $0; sub(/:[0-9]*$/, "", host)
        if (host !~ /^\[/) { split(host, b, "."); printf "%02X%02X%02X%02X:%04X\n", b[4], b[3], b[2], b[1], port; next }
        gsub(/[][]/, "", host); halves = split(host, half, "::")
        left = split(half[1], a, ":"); right = halves > 1 ? split(half[2], z, ":") : 0
        for (i = 1; i <= 8; i++) g[i] = padded(i <= left ? a[i] : i > 8 - right ? z[i - 8 + right] : "0")
        for (i = 1; i < 8; i += 2)
            printf "%s%s%s%s", substr(g[i + 1], 3), substr(g[i + 1], 1, 2), substr(g[i], 3), substr(g[i], 1, 2)
        printf ":%04X\n", port
    }' | tr '\n' ' ')
busy() {
    cat /proc/net/tcp /proc/net/tcp6 2>/dev/null | awk -v away="$away" '
        BEGIN { n = split(away, list, " "); for (i = 1; i <= n; i++) gone[list[i]] }
        $3 in gone && $4 ~ /^0[12]$/ { busy++ } END { if (busy) print busy }'
}
while :; do
    still=$(left "$old") connections=
    [ -z "$away" ] || connections=$(busy)
    [ -n "$still$connections" ] || exit 0
    [ "$(date +%s)" -lt "$end" ] || break
    sleep 0.05
done
[ -z "$still" ] || echo "requests by the old configuration still run, in workers$still"
[ -z "$connections" ] || echo "connections to what was taken away: $connections"
exit 1
"""
)

EMERGENCIES = r"""tail -n 200 "$LOG" 2>/dev/null | grep -F '[emerg]' | tail -n 1"""

INSPECT = (
    r"""
base=$INCLUDE/$SCOPE conf=$INCLUDE/$SCOPE.conf
work=$(mktemp -d) || exit 73
trap 'rm -rf "$work"' EXIT
"""
    + DUMP
    + ROWS
    + r"""
dump "$@" || { cat "$work/said"; exit 20; }
echo "version $(version "$@")"
echo "keepalive_min_timeout $(setting keepalive_min_timeout)"
echo "worker_shutdown_timeout $(setting worker_shutdown_timeout)"
echo "way $(way "$@")"
rows | awk -v front="$front" '$1 == front && $3 == "up" { print "server " $2 }'
"""
)
