"""Whether an nginx can be changed at all: that it runs, includes our files, and is ours to reload. Changes nothing."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from dojo_deploy.balancers.nginx import files
from dojo_deploy.balancers.nginx.host import NginxHost
from dojo_deploy.balancers.nginx.scripts import DUMP, INCLUDED
from dojo_deploy.errors import TransportError
from dojo_deploy.paste import as_admin, setup
from dojo_deploy.readings import Finding

WITHIN = 30.0

# Where nginx does not run, testing its configuration would leave an empty pid file.
READY = (
    r"""
runs=; for file in /proc/[0-9]*/comm; do
    read -r name 2>/dev/null <"$file" && [ "$name" = nginx ] && runs=yes
done
for last do :; done
found=; for path in "$(command -v "$last")" "/usr/sbin/$last" "/usr/local/sbin/$last"; do
    [ ! -x "$path" ] || found=${found:-$path}
done
echo "runs ${runs:-no}"; echo "found $found"
[ ! -d "$INCLUDE" ] || { [ -w "$INCLUDE" ] && echo "folder ours" || echo "folder foreign"; }
[ -n "$runs" ] || exit 0
work=$(mktemp -d) || exit 73
trap 'rm -rf "$work"' EXIT
"""
    + DUMP
    + r"""
dump "$@" || { sed 's/^/said /' "$work/said"; exit 0; }
echo "dumped yes"
"""
    + f'<"$work/config" {INCLUDED}'
    + r"""
! sed 's/#.*//' "$work/config" |
    grep -q "_pass[[:space:]]\{1,\}[a-z]*://\(\$dojo_\)\{0,1\}$NAME[^A-Za-z0-9_]" || echo "passes yes"
case ${1##*/} in
sudo) sudo=$1; shift; said=$("$sudo" -l "$@" -s reload 2>&1 >/dev/null) ;;
*) said=$(kill -0 "$(cat "$(pid_file "$@")")" 2>&1) ;;
esac || echo "reload ${said:-is not among what sudo allows}"
"""
)


def faults(nginx: NginxHost) -> tuple[Finding, ...]:
    """One balancer host's; that it cannot be reached is for others to tell."""
    with contextlib.suppress(TransportError):
        return tuple(_faults(nginx))
    return ()


def _faults(nginx: NginxHost) -> Iterator[Finding]:
    site, host = nginx.site, nginx.session.inventory.hosts[nginx.host]
    name = files.upstream(site.scope)
    done = nginx.run(READY, {"INCLUDE": site.include, "NAME": name, "PID": site.pid}, within=WITHIN)
    rows = [line.partition(" ")[::2] for line in done.text.splitlines()]
    found = dict(rows)
    said = found.get("said", "")  # its last line
    words = " ".join(site.words)

    def finding(fault: str, what: str, line: str = "") -> Finding:
        return Finding(fault, host.name, what, as_admin(host, line) if line else setup(nginx.session.inventory, host))

    if not found.get("found"):
        yield finding("no-nginx", f"there is no {site.words[-1]}", "sudo apt-get install -y nginx")
    elif found.get("runs") == "no":
        yield finding("nginx-down", "nginx does not run", "sudo systemctl enable --now nginx")
    if found.get("folder") != "ours":
        lack = "is not there" if "folder" not in found else f"is not {host.ssh.user}'s to write in"
        yield finding("nginx-folder", f"nginx: {site.include} {lack}")
    if said and not any(_waits_for_us(text, name) for word, text in rows if word == "said"):
        if site.words[0].rpartition("/")[2] == "sudo" and "nginx:" not in said:
            yield finding("sudo-asks", f"`{words} -T` is refused: {said}")
        else:
            yield finding("nginx-refuses", f"nginx refuses its configuration as it is: {said}", "sudo nginx -t")
    if "dumped" not in found:
        return
    if "reload" in found:
        yield finding("nginx-reload", f"`{words} -s reload` is refused: {found['reload']}")
    yield from _includes(nginx, {text for word, text in rows if word == "include"}, passes="passes" in found)


def _includes(nginx: NginxHost, known: set[str], *, passes: bool) -> Iterator[Finding]:
    site, inventory = nginx.site, nginx.session.inventory
    host = inventory.hosts[nginx.host]
    # A relative one begins where nginx.conf lies.
    both = {kind: f"{site.include}/{path}*.conf" for kind, path in (("http", ""), ("server", f"{site.scope}/server/"))}
    lacks = {kind for kind, path in both.items() if not any(path == one or path.endswith(f"/{one}") for one in known)}
    if "http" in lacks:
        text = f"nginx does not say `include {both['http']};` in `http`"
        yield Finding("nginx-include", host.name, text, setup(inventory, host))
    if "server" in lacks:
        text = f"no `server` of nginx's is this site's: none says `include {both['server']};`"
        yield Finding("nginx-site", host.name, text, setup(inventory, host))
    elif not passes:
        text = "the site's `server` in nginx passes its requests to something else; there belongs:"
        line = f"location / {{ proxy_pass http://{files.variable(site.scope)}; proxy_set_header Host $host; }}"
        yield Finding("nginx-site", host.name, text, line)


def _waits_for_us(said: str, name: str) -> bool:
    """Before the first deployment nginx may rightly refuse a site that names what is not there yet."""
    return f'"dojo_{name}" variable' in said or f'upstream "{name}"' in said
