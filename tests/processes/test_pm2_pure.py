"""What PM2's adapter returns, before anything runs."""

from __future__ import annotations

import json
import re
from dataclasses import replace

import pytest

from dojo_deploy.errors import ConfigError
from dojo_deploy.inventory import App, Host, Process, Processes
from dojo_deploy.processes.pm2 import Pm2
from dojo_deploy.release import Placement
from dojo_deploy.secrets import Secret

PM2 = Pm2()
EACH = {
    "web": Process(script="server.js", args=("--x", "a b"), instances=2, port=3000, env={"LEVEL": "info"}),
    "jobs": Process(script="worker.js", stop_within=30),
}
PORTS = {"web": {"blue": 3000, "green": 3001, "proof": 3002}}


def placed(slot: str = "blue", ports: dict[str, dict[str, int]] | None = None, **each: Process) -> Placement:
    app = App("shop", environment="production", processes=Processes(kind=PM2, each=each or EACH))
    host = Host("web1", ("web",), "10.0.0.1", "/srv/shop", ports=PORTS if ports is None else ports)
    return Placement(host, slot, "r1", app)


def ecosystem(place: Placement) -> list[dict[str, object]]:
    text = PM2.files(place)[f"/srv/shop/slots/{place.slot}/ecosystem.config.js"]
    found = re.fullmatch(r"module\.exports = (.*);\n", text, re.DOTALL)
    assert found
    apps: list[dict[str, object]] = json.loads(found[1])["apps"]
    return apps


def test_commands_are_short_and_readable() -> None:
    place = placed()
    said = [str(command) for verb in (PM2.start, PM2.prove) for command in verb(place)]
    assert said == [
        "timeout -k 5 105 node /srv/shop/slots/blue/pm2.cjs start",
        "timeout -k 5 65 node /srv/shop/slots/proof/pm2.cjs start",
    ]
    if_there = "export NODE=node PROGRAM=/srv/shop/slots/blue/pm2.cjs\n" + '[ ! -f "$PROGRAM" ] || timeout -k 5 {}'
    assert [str(command) for command in (*PM2.stop(place), *PM2.save(place))] == [
        if_there.format('70 "$NODE" "$PROGRAM" stop'),
        if_there.format('20 "$NODE" "$PROGRAM" save'),
    ]


def test_some_processes_of_a_slot_are_started_and_stopped_beside_the_others() -> None:
    place = replace(placed("green"), only=("jobs",), workers="paused")
    assert str(PM2.start(place)[0]).endswith("/slots/green/pm2.cjs start jobs")
    assert str(PM2.stop(place)[0]).endswith('"$PROGRAM" stop jobs')
    files = PM2.files(place)
    assert len(ecosystem(place)) == 2, "what the slot is made of stays the same"
    assert '"WORKERS": "paused"' in files["/srv/shop/slots/green/env.cjs"]
    assert "WORKERS" not in files["/srv/shop/slots/green/ecosystem.config.js"], "PM2 would keep it for ever"
    assert "WORKERS" not in PM2.files(placed("green"))["/srv/shop/slots/green/env.cjs"]


def test_the_configuration_lies_in_the_slot_and_names_the_link_absolutely() -> None:
    web, jobs = ecosystem(placed("green"))
    assert (web["cwd"], web["script"], web["name"]) == (
        "/srv/shop/slots/green/current", "server.js", "shop-production-green-web",
    )  # fmt: skip
    assert (web["exec_mode"], web["instances"], web["listen_timeout"], web["kill_timeout"]) == (
        "cluster",
        2,
        10000,
        10000,
    )
    assert isinstance(web["env"], dict) and web["env"]["PORT"] == "3001" and web["env"]["COLOUR"] == "green"
    assert "RELEASE" not in web["env"] and "WORKERS" not in web["env"]
    assert jobs["exec_mode"] == "fork", "a reload would wait for it to listen"


def test_a_proof_is_one_instance_of_the_web_process_alone() -> None:
    (proof,) = ecosystem(placed("proof"))
    assert (proof["cwd"], proof["instances"], proof["exec_mode"], proof["autorestart"]) == (
        "/srv/shop/releases/r1", 1, "fork", False,
    )  # fmt: skip
    assert isinstance(proof["env"], dict)
    assert (proof["env"]["PORT"], proof["env"]["WORKERS"]) == ("3002", "paused")
    without = placed(ports={"web": {"blue": 3000}})
    assert (PM2.prove(without), PM2.unprove(without)) == ((), ())


def test_a_reload_is_gapless_where_all_that_listens_is_a_cluster() -> None:
    assert PM2.is_gapless(Processes(each=EACH))
    assert not PM2.is_gapless(Processes(each={**EACH, "web": replace(EACH["web"], mode="fork")}))


def test_a_secret_of_one_process_and_a_missing_script_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"app\.processes\.web\.env\.TOKEN"):
        PM2.files(placed(web=replace(EACH["web"], env={"TOKEN": Secret("env", "TOKEN")})))
    with pytest.raises(ConfigError, match=r"app\.processes\.web\.script"):
        PM2.files(placed(web=Process(port=1)))


def test_hostile_values_stay_values() -> None:
    hostile = "'; touch /tmp/x; `id` </script> \u2028"
    place = placed(web=replace(EACH["web"], script=hostile, env={"A": hostile}))
    assert ecosystem(place)[0]["script"] == hostile
    strange = replace(place, host=replace(place.host, root="/srv/a b'c"))
    assert str(PM2.start(strange)[0]).endswith("node '/srv/a b'\\''c/slots/blue/pm2.cjs' start")
