"""The sample app deployed by hand, over SSH, as the runbook would: git, npm, PM2, nginx."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import paramiko
import pytest

from dojo_deploy.sandbox.waiting import until

from .clients import State, run

pytestmark = pytest.mark.sandbox
Connect = Callable[[str], paramiko.SSHClient]

BUILD = "git clone -q -b {tag} {repository} releases/{tag} && cd releases/{tag} && npm ci && npm test && npm run build"
SWITCH = "ln -sfn releases/{tag} current.new && mv -T current.new current"


def test_two_releases_by_hand(state: State, connect: Connect) -> None:
    host, app = state["hosts"][0], state["apps"][0]
    web, lb = connect("web1"), connect("lb1")
    done(web, BUILD.format(tag="v1", repository=app["repository"]) + " && npm run migrate", database(state))
    done(web, SWITCH.format(tag="v1"))
    with web.open_sftp() as sftp, sftp.open("app.config.json", "w") as file:
        file.write(json.dumps(ecosystem(state, "v1", running=False)))
    done(web, "pm2 start app.config.json")
    assert get(app["url"] + "/health")[0] == 502
    with lb.open_sftp() as sftp, sftp.open(state["nginx"]["upstreams"][app["name"]], "w") as file:
        file.write(
            f"upstream {app['upstream']} {{ server 127.0.0.1:{host['slots'][app['name']]['blue']}; keepalive 32; }}"
        )
    done(lb, "nginx -t && nginx -s reload")
    # A reload returns before the old worker has let go of the port: one good answer does not make the next one good.
    until(lambda: all(get(app["url"] + "/health")[0] == 200 for _ in range(10)), 10, "v1 through nginx")
    health = json.loads(get(app["url"] + "/health")[1])
    assert health == {"status": "ok", "release": "v1", "app": "tcgdojo", "pid": health["pid"], "workers": "paused"}
    until(lambda: get(app["url"] + "/api/database/health")[0] == 200, 10, "the database through nginx")
    assert json.loads(get(app["url"] + "/api/database/health")[1])["status"] == "ok"
    assert "first edition" in get(app["url"] + "/")[1]

    urllib.request.urlopen(urllib.request.Request(app["url"] + "/jobs", method="POST"), timeout=5).close()
    assert json.loads(get(app["url"] + "/jobs")[1]) == {"waiting": 1, "done": 0}

    done(web, BUILD.format(tag="v2", repository=app["repository"]) + " && npm run migrate", database(state))
    done(web, SWITCH.format(tag="v2"))
    with web.open_sftp() as sftp, sftp.open("app.config.json", "w") as file:
        file.write(json.dumps(ecosystem(state, "v2", running=True)))
    done(web, "pm2 reload app.config.json --update-env")
    until(lambda: "v2" in get(app["url"] + "/health")[1], 10, "v2 through nginx")
    assert "second edition" in get(app["url"] + "/")[1]
    until(lambda: json.loads(get(app["url"] + "/jobs")[1]) == {"waiting": 0, "done": 1}, 10, "the worker's job")
    runs = done(web, "psql -At \"$DATABASE_URL\" -c 'SELECT count(*) FROM migration_runs'", database(state))
    assert runs.strip() == "2"
    assert done(web, "psql -At \"$DATABASE_URL\" -c 'SELECT count(*) FROM migrations'", database(state)).strip() == "2"


@pytest.mark.parametrize("tag", ["v3", "v4", "v5", "v6"])
def test_what_is_wrong_with_the_bad_releases(state: State, connect: Connect, tag: str) -> None:
    web, app = connect("web2"), state["apps"][0]
    port = state["hosts"][1]["slots"]["tcgdojo"]["proof"]
    done(web, BUILD.format(tag=tag, repository=app["repository"]))
    out = done(
        web,
        f"cd releases/{tag}; RELEASE={tag} PORT={port} node server.js >../{tag}.log 2>&1 </dev/null & pid=$!\n"
        # Half a second is ten times what a good release needs.
        "for i in 1 2 3 4 5; do\n"
        f"  curl -s -w ' %{{http_code}}' http://127.0.0.1:{port}/health && break; sleep 0.1\n"
        "done\n"
        "kill -0 $pid && echo ' lives'; kill $pid; wait $pid",
    )
    assert "lives" in out
    assert {"v3": " 500", "v4": " 000", "v5": " 000", "v6": '"release":"wrong"'}[tag] in out


def database(state: State) -> dict[str, str]:
    server = state["postgres"]
    password = Path(server["password_file"]).read_text()
    address = f"{server['user']}:{password}@{server['host']}:{server['port']}/{state['apps'][0]['database']}"
    return {"DATABASE_URL": f"postgres://{address}", "REDIS_URL": state["apps"][0]["redis_url"]}


def ecosystem(state: State, release: str, *, running: bool) -> dict[str, Any]:
    host = state["hosts"][0]
    env = {**database(state), "RELEASE": release, "WORKERS": "running" if running else "paused"}
    common = {"cwd": f"{host['home']}/current", "wait_ready": True, "listen_timeout": 8000, "kill_timeout": 5000}
    web = {"name": "web", "script": "server.js", "exec_mode": "cluster", "instances": 1}
    worker = {"name": "worker", "script": "worker.js", "exec_mode": "fork"}
    port = str(host["slots"]["tcgdojo"]["blue"])
    return {"apps": [{**common, **web, "env": {**env, "PORT": port}}, {**common, **worker, "env": env}]}


def done(client: paramiko.SSHClient, script: str, env: dict[str, str] | None = None) -> str:
    """Run a script given on standard input: the environment has a password in it."""
    lines = [f"export {name}='{value}'" for name, value in (env or {}).items()]
    answer = run(client, "/bin/sh -s", "\n".join([*lines, script, ""]).encode())
    assert answer.code == 0 or "kill $pid" in script, answer
    return answer.out.decode()


def get(url: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(url, timeout=5) as response:
            return response.status, response.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, ""
