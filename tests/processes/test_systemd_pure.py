"""What systemd's adapter returns, before anything runs."""

from __future__ import annotations

from dataclasses import replace

import pytest

from dojo_deploy.errors import ConfigError
from dojo_deploy.inventory import App, Host, Process, Processes
from dojo_deploy.processes.systemd import Systemd
from dojo_deploy.processes.systemd_unit import escape
from dojo_deploy.release import Placement
from dojo_deploy.secrets import Secret
from tests.sites import site

USER, SYSTEM = Systemd(), Systemd(units="system", node="/opt/node", restart="always")
EACH = {
    "web": Process(script="server.js", args=("--x", "a b"), instances=2, port=3000, env={"LEVEL": "50%"}),
    "jobs": Process(start="npm run jobs", stop="npm run drain", stop_within=0.5),
}
PORTS = {"web": {"blue": 3000, "green": 3001, "proof": 3002}}
BLUE = "/srv/shop/slots/blue/shop-production-blue"

WEB = """\
# Written by dojo_deploy: each deployment writes it anew.
[Unit]
Description=shop-production blue web, release r1
StartLimitIntervalSec=0

[Service]
Type=exec
WorkingDirectory=/srv/shop/releases/r1
Environment=INSTANCE=%i
ExecStart=/bin/sh -c "[ ! -f /srv/shop/releases/r1/.dojo/env.sh ] || . /srv/shop/releases/r1/.dojo/env.sh\\n\
export LEVEL=50%% && export APP=shop && export ENVIRONMENT=production && export COLOUR=blue && export RELEASE=r1 && \
export RELEASE_DIR=/srv/shop/releases/r1 && export SHARED_DIR=/srv/shop/shared && export INSTANCES=2 && \
export PORT=3000 && exec node server.js --x 'a b'"
KillMode=mixed
TimeoutStopSec=10000ms
Restart=on-failure
RestartSec=1
SyslogIdentifier=blue-web

[Install]
WantedBy=default.target
"""


def placed(slot: str = "blue", kind: Systemd = USER, **changes: object) -> Placement:
    app = App("shop", environment="production", processes=Processes(kind=kind, each=EACH))
    host = Host("web1", ("web",), "10.0.0.1", "/srv/shop", ports=PORTS)
    return replace(Placement(host, slot, "r1", app), **changes)  # type: ignore[arg-type]


def test_the_unit_of_a_script() -> None:
    assert USER.files(placed())[f"{BLUE}-web@.service"] == WEB


def test_a_system_unit_runs_as_the_deploy_user_and_a_start_line_as_it_is_written() -> None:
    text = SYSTEM.files(placed(kind=SYSTEM, workers="paused"))[f"{BLUE}-jobs@.service"]
    assert "\nUser=deploy\n" in text and "\nAfter=network-online.target\n" in text
    assert text.count(" && export WORKERS=paused && npm run ") == 2
    rows = dict(row.split("=", 1) for row in text.splitlines() if "=" in row)
    assert rows["ExecStart"].endswith(' && npm run jobs"') and rows["ExecStop"].endswith(' && npm run drain"')
    assert (rows["KillMode"], rows["TimeoutStopSec"], rows["Restart"]) == ("control-group", "500ms", "always")
    assert rows["WantedBy"] == "multi-user.target"


def test_a_proof_is_the_web_process_alone_and_never_restarted() -> None:
    ((name, text),) = USER.files(placed("proof")).items()
    assert name == "/srv/shop/slots/proof/shop-production-proof-web@.service"
    assert "\nRestart=no\n" in text and "export INSTANCES=1 && export PORT=3002 && export WORKERS=paused" in text
    assert dict(USER.prove(placed())[0].env)["UNITS"] == "shop-production-proof-web@1.service"
    bare = placed(host=replace(placed().host, ports={}))
    assert (USER.prove(bare), USER.unprove(bare)) == ((), ())


def test_commands_say_which_units_and_through_whom() -> None:
    (start,) = USER.start(placed())
    assert dict(start.env) == {
        "SYSTEMCTL": "systemctl --user",
        "SLOT": "/srv/shop/slots/blue",
        "PATTERNS": "shop-production-blue-*@*.service",
        "TEMPLATES": "shop-production-blue-web@.service shop-production-blue-jobs@.service",
        "UNITS": "shop-production-blue-web@1.service shop-production-blue-web@2.service "
        "shop-production-blue-jobs@1.service",
    }
    assert start.line.endswith("$SYSTEMCTL restart $UNITS\n") and "loginctl enable-linger" in start.line
    (system,) = SYSTEM.start(placed(kind=SYSTEM))
    assert dict(system.env)["SYSTEMCTL"] == "sudo -n systemctl"
    assert "linger" not in system.line and "XDG_RUNTIME_DIR" not in system.line
    assert "sudo" not in str(SYSTEM.running(placed())) + str(SYSTEM.evidence(placed())), "to look needs no rights"


def test_some_processes_of_a_slot_are_named_one_by_one() -> None:
    (start,) = USER.start(placed(only=("jobs",)))
    assert dict(start.env)["PATTERNS"] == "shop-production-blue-jobs@*.service"
    assert dict(start.env)["UNITS"] == "shop-production-blue-jobs@1.service"
    (stop,) = USER.stop(placed(only=("web", "jobs")))
    assert dict(stop.env)["PATTERNS"] == "shop-production-blue-web@*.service shop-production-blue-jobs@*.service"


def test_the_journal_is_asked_for_an_end_and_never_followed() -> None:
    lines = str(USER.evidence(placed())).splitlines()
    assert "--user-unit=shop-production-blue-web@2.service" in lines[-4]
    assert lines[-1].startswith("journalctl --quiet --no-pager --output=short-iso --lines=40 $JOURNAL")
    assert "--unit=shop-production-blue-jobs@1.service" in str(SYSTEM.evidence(placed()))


def test_what_listens_is_never_restarted_without_a_gap() -> None:
    assert not USER.is_gapless(Processes(each=EACH))
    assert USER.is_gapless(Processes(each={"jobs": EACH["jobs"]}))


def test_a_start_line_needs_no_running_line_to_be_watched() -> None:
    assert set(Processes(kind=USER, each=EACH).watched) == {"web", "jobs"}
    assert set(Processes(each=EACH).watched) == {"web"}


@pytest.mark.parametrize(
    ("process", "match"),
    [
        (Process(port=1), r"web\.script: .*a script, or a start line"),
        (Process(script="a", env={"TOKEN": Secret("env", "TOKEN")}), r"web\.env\.TOKEN"),
        (Process(script="a", running="pgrep x"), r"web\.running"),
        (Process(script="a\0"), "NUL"),
    ],
)
def test_what_cannot_stand_in_a_unit_is_refused(process: Process, match: str) -> None:
    app = App("shop", environment="production", processes=Processes(kind=USER, each={"web": process}))
    with pytest.raises(ConfigError, match=match):
        USER.files(placed(app=app))


def test_a_folder_that_would_end_its_line_is_refused() -> None:
    with pytest.raises(ConfigError, match="cannot stand in a unit"):
        USER.files(placed(host=replace(placed().host, root="/srv/a\nExecStartPre=/bin/true")))


def test_a_word_that_systemd_would_not_understand_is_found_in_the_file() -> None:
    with pytest.raises(ConfigError, match=r"units: wants user or system"):
        site(app={"name": "a", "root": "/a", "processes": {"kind": {"kind": "systemd", "units": "sytem"}}})


def test_an_exec_line_says_what_systemd_must_not_read() -> None:
    assert escape('a"b\\c\n%i ${X}\x01') == '"a\\"b\\\\c\\n%%i $${X}\\x01"'
