"""The balancer's configuration, as a production host would have it, and the part of it that deployments own.

`<lb home>/nginx/dojo/` belongs to the balancer adapter: `*.conf` is included inside `http` (upstreams, maps), and
`<app>-sandbox/server/*.conf` inside that app's `server`. `seed` puts there what nginx needs before a first deployment.
"""

from __future__ import annotations

import os
import pwd
from pathlib import Path

from .files import write
from .fleet import ENVIRONMENT, App, Fleet

KEEPALIVE = 32

MAIN = """\
{user}worker_processes 1;
pid {folder}/nginx.pid;
error_log {folder}/logs/error.log warn;
worker_shutdown_timeout 20s;
events {{ worker_connections 4096; }}

http {{
    default_type application/octet-stream;
    log_format dojo '$msec $remote_addr "$request" $status $upstream_addr $request_time';
    access_log {folder}/logs/access.log dojo;
    client_body_temp_path {folder}/temp/body;
    proxy_temp_path {folder}/temp/proxy;
    fastcgi_temp_path {folder}/temp/fastcgi;
    uwsgi_temp_path {folder}/temp/uwsgi;
    scgi_temp_path {folder}/temp/scgi;
    client_max_body_size 50m;
    # A worker on its way out keeps idle connections that long: without it a reload cuts some under a request.
    keepalive_min_timeout 3s;

    include {folder}/dojo/*.conf;
    include {folder}/sites/*.conf;
}}
"""

SITE = """\
server {{
    listen 127.0.0.1:{listen};
    server_name _;
    include {folder}/dojo/{app}-{environment}/server/*.conf;
    location / {{
        proxy_pass http://$dojo_{upstream};
        proxy_http_version 1.1;
        proxy_set_header Connection "";
        proxy_set_header Host $host;
        proxy_next_upstream error timeout;
        proxy_connect_timeout 2s;
    }}
}}
"""


def write_all(folder: Path, fleet: Fleet) -> bool:
    """Write the configuration; True when it changed. What a deployment may have written is left alone."""
    for name in ("logs", "temp", "dojo"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    # Workers of a root-run nginx become `nobody` by default, who cannot enter root's folders.
    user = f"user {pwd.getpwuid(0).pw_name};\n" if os.geteuid() == 0 else ""
    changed = write(folder / "nginx.conf", MAIN.format(folder=folder, user=user))
    for app in fleet.apps:
        changed |= seed(folder, app, fleet)
        site = SITE.format(
            folder=folder, app=app.name, environment=ENVIRONMENT, listen=app.listen, upstream=app.upstream
        )
        changed |= write(folder / "sites" / f"{app.name}.conf", site)
    return changed


def seed(folder: Path, app: App, fleet: Fleet) -> bool:
    """An upstream with every host's blue slot down: nginx takes that, and answers 502 until something is deployed."""
    path, chosen = upstream_file(folder, app), f"set $dojo_{app.upstream} {app.upstream};\n"
    server = folder / "dojo" / f"{app.name}-{ENVIRONMENT}" / "server" / "dojo.conf"
    if path.exists() and server.exists() and chosen in server.read_text():
        return False
    servers = "".join(f"    server 127.0.0.1:{host.slots[app.name]['blue']} down;\n" for host in fleet.web)
    server.parent.mkdir(parents=True, exist_ok=True)
    return write(path, f"upstream {app.upstream} {{\n{servers}    keepalive {KEEPALIVE};\n}}\n") | write(server, chosen)


def upstream_file(folder: Path, app: App) -> Path:
    return folder / "dojo" / f"{app.name}-{ENVIRONMENT}.conf"
