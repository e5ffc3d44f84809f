"""What an administrator does once on a balancer host: our folder, our includes, and the right to reload."""

from __future__ import annotations

import shlex
import urllib.parse
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from dojo_deploy.balancers.nginx import files
from dojo_deploy.command import quote
from dojo_deploy.readings import Preparation
from dojo_deploy.rights import may_run

if TYPE_CHECKING:
    from dojo_deploy.balancers.nginx.balancer import Nginx

CONF = "/etc/nginx/conf.d"
NO_FOLDER = f"{{ echo 'nginx.conf lacks, in http: include {CONF}/*.conf;'; exit 1; }}"


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
    yield _file(program, "nginx includes what is written there", f"{CONF}/dojo.conf", f"{nginx.include}/*.conf", "")
    yield _file(
        program,
        f"nginx has a server for {', '.join(_names(nginx, url))}",
        f"{CONF}/dojo-{scope}.conf",
        f"{nginx.include}/{scope}/server/*.conf",
        server(nginx, scope, url),
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


def _file(program: str, what: str, file: str, include: str, text: str) -> Preparation:
    """Gone again if nginx does not take it. Anything that includes the same was somebody's own way to say it."""
    content = text or f"include {include};\n"
    undo = f"{{ /usr/bin/rm {file}; exit 1; }}"
    return Preparation(
        what,
        f"/usr/bin/grep -rqsF {quote(f'include {include};')} /etc/nginx",
        (
            f"/usr/bin/grep -qs '^[^#]*include.*conf[.]d/' /etc/nginx/nginx.conf || {NO_FOLDER}",
            f"printf %s {quote(content)} >{file}",
            f"{program} -t -q || {undo}",
            # Where it does not run it reads the file when it does.
            f"[ ! -s /run/nginx.pid ] || {program} -s reload",
        ),
    )


def _names(nginx: Nginx, url: str) -> tuple[str, ...]:
    asked = nginx.name or urllib.parse.urlsplit(nginx.url).netloc
    names = [urllib.parse.urlsplit(url).hostname or "", asked.rpartition("@")[2].partition(":")[0]]
    return tuple(dict.fromkeys(name for name in names if name))
