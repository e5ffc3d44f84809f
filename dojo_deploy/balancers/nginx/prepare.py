"""What an administrator does once on a balancer host: our folder, our includes, and the right to reload."""

from __future__ import annotations

import re
import shlex
import urllib.parse
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from dojo_deploy.balancers.nginx import files
from dojo_deploy.balancers.nginx.scripts import INCLUDED
from dojo_deploy.command import quote
from dojo_deploy.readings import Preparation
from dojo_deploy.rights import may_run

if TYPE_CHECKING:
    from dojo_deploy.balancers.nginx.balancer import Nginx

CONF = "/etc/nginx/conf.d"
NO_FOLDER = f"{{ echo 'nginx.conf lacks, in http: include {CONF}/*.conf;'; exit 1; }}"

# What is commented out or linked nowhere is not there. Where nginx does not run, it leaves an empty pid file.
READ = r"""{ [ -e /run/nginx.pid ] && was=1 || was=; %s -T 2>/dev/null
[ -n "$was" ] || [ -s /run/nginx.pid ] || rm -f /run/nginx.pid; }"""
# It prints nothing where it refuses its files: then their text is looked through.
INCLUDES = rf"""{READ} | {INCLUDED} | {{ none=1; while read -r _ one; do none=
case %s in "$one" | */"$one") exit 0 ;; esac; done; [ -n "$none" ] && /usr/bin/grep -rqs %s /etc/nginx; }}"""
# A word for each server that answers on port 80; one without `listen` does as well. Debian's page for a fresh nginx is
# nobody's site: it stays what answers for other names.
LISTENS = r"""%s -T 2>/dev/null | sed 's/#.*//' | tr '\n' ' ' | sed 's/[{};]/\n&\n/g' | awk '
$1 == "server" && NF == 1 { inside = 1; told = welcome = passes = 0; found = ""; outer = depth }
$1 == "{" { depth++ }
$1 == "}" { depth--; if (inside && depth == outer) { inside = 0; if (!told) found = "80"
    if (found != "" && !(welcome && !passes)) print found } }
$1 == "root" && $2 == "/var/www/html" { welcome = 1 }
$1 ~ /_pass$/ || $1 == "return" { passes = 1 }
$1 == "listen" { told = 1 }
$1 == "listen" && $2 !~ /^unix:/ && ($2 ~ /(^|:)80$/ || $2 ~ /\]$/ || $2 !~ /^[0-9]+$|:[0-9]+$/) { found = $2 }'"""


def preparations(nginx: Nginx, user: str, scope: str, url: str, programs: Mapping[str, str]) -> Iterator[Preparation]:
    """`url` is that of the site, as users reach it. Raises ConfigError for what cannot stand in nginx's files."""
    files.check(nginx.include, scope, nginx.trusted, ())
    words = shlex.split(nginx.nginx)
    program = programs.get(words[-1], words[-1])
    if not program.startswith("/"):
        return  # it is not installed: `check` tells
    folder = quote(nginx.include)
    yield Preparation(
        f"{nginx.include} belongs to {user}",
        f'[ "$(/usr/bin/stat -c %U {folder})" = {user} ]',
        (f"/usr/bin/mkdir -p -m 755 {folder}", f"/usr/bin/chown {user}: {folder}"),
    )
    if words[0].rpartition("/")[2] == "sudo":
        yield may_run(user, scope, "nginx", tuple(f"{program} {flag}" for flag in ("-T", "-v", "-V", "-s reload")))
    shared, own = f"{nginx.include}/*.conf", f"{nginx.include}/{scope}/server/*.conf"
    yield _file(program, scope, "nginx includes what is written there", f"{CONF}/dojo.conf", shared, "")
    yield _file(
        program,
        scope,
        f"nginx has a server for {', '.join(_names(nginx, url))}",
        f"{CONF}/dojo-{scope}.conf",
        own,
        server(nginx, scope, url),
        # What it refuses it does not print, and something may be served all the same.
        before=(
            f"{program} -t -q",
            f'[ -z "$({LISTENS % program})" ] || {{ echo {quote(_taken(own, files.variable(scope)))}; exit 1; }}',
        ),
    )


def server(nginx: Nginx, scope: str, url: str) -> str:
    """A plain one, that answers 503 until the first deployment; TLS and the rest are its owner's."""
    port = urllib.parse.urlsplit(nginx.url).port or 80
    listen = "    listen 80;\n" + (f"    listen 127.0.0.1:{port};\n" if port != 80 else "")
    name = files.variable(scope)
    return (
        f"server {{\n{listen}    server_name {' '.join(_names(nginx, url))};\n"
        f'    set {name} "";\n    include {nginx.include}/{scope}/server/*.conf;\n'
        f'    if ({name} = "") {{ return 503; }}\n'
        f"    location / {{\n        proxy_pass http://{name};\n        proxy_http_version 1.1;\n"
        '        proxy_set_header Connection "";\n        proxy_set_header Host $host;\n'
        "        proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;\n"
        "        proxy_set_header X-Forwarded-Proto $scheme;\n    }\n}\n"
    )


def _taken(include: str, name: str) -> str:
    """A second server on the port would take the requests of whatever is served there, and answer 503."""
    return (
        "nginx answers on port 80 already, so nothing was added. Into the `server` that is to be the site's belong: "
        f'set {name} "";  include {include};  '
        f"location / {{ proxy_pass http://{name}; proxy_set_header Host $host; }}"
    )


def _file(
    program: str, scope: str, what: str, file: str, include: str, text: str, before: tuple[str, ...] = ()
) -> Preparation:
    """Gone again if nginx does not take it. Anything that includes the same was somebody's own way to say it."""
    content, name = text or f"include {include};\n", files.upstream(scope)
    # Before the first deployment nginx may rightly refuse a site that names what is not there yet.
    waits = f"""*'"dojo_{name}" variable'* | *'upstream "{name}"'*"""
    return Preparation(
        what,
        INCLUDES % (program, quote(include), quote(f"^[^#]*include  *{re.escape(include)};")),
        (
            *before,
            f"/usr/bin/grep -qs '^[^#]*include.*conf[.]d/' /etc/nginx/nginx.conf || {NO_FOLDER}",
            f"printf %s {quote(content)} >{file}",
            f"said=$({program} -t -q 2>&1) || case $said in {waits}) exit 0 ;; "
            f'*) echo "$said"; /usr/bin/rm {file}; exit 1 ;; esac',
            # Where it does not run it reads the file when it does.
            f"[ ! -s /run/nginx.pid ] || {program} -s reload",
        ),
    )


def _names(nginx: Nginx, url: str) -> tuple[str, ...]:
    asked = nginx.name or urllib.parse.urlsplit(nginx.url).netloc
    names = [urllib.parse.urlsplit(url).hostname or "", asked.rpartition("@")[2].partition(":")[0]]
    return tuple(dict.fromkeys(name for name in names if name))
