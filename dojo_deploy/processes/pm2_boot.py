"""What brings PM2 back after a reboot: the unit that `pm2 startup` would write, without PM2 being run by root."""

from __future__ import annotations

from dojo_deploy.command import quote
from dojo_deploy.readings import Preparation

UNIT = """\
[Unit]
Description=PM2 of {user}
After=network.target

[Service]
Type=forking
User={user}
LimitNOFILE=infinity
LimitNPROC=infinity
Environment=PATH={path}
Environment=PM2_HOME={home}
PIDFile={home}/pm2.pid
Restart=on-failure
ExecStart={pm2} resurrect
ExecReload={pm2} reload all
ExecStop={pm2} kill

[Install]
WantedBy=multi-user.target
"""


def boot(user: str, home: str, node: str, pm2: str) -> Preparation:
    """`home` is PM2_HOME, empty for the usual one; the programs are absolute paths."""
    unit = f"/etc/systemd/system/pm2-{user}.service"
    folders = dict.fromkeys([node.rpartition("/")[0], pm2.rpartition("/")[0], "/usr/local/bin", "/usr/bin", "/bin"])
    text = UNIT.format(user=user, path=":".join(folders), home=home or "@HOME@/.pm2", pm2=pm2)
    return Preparation(
        f"PM2 of {user} comes back after a reboot",
        f"[ -e {unit} ] || [ ! -x /usr/bin/systemctl ]",
        (
            f'printf %s {quote(text)} | /usr/bin/sed "s|@HOME@|$(echo ~{user})|" >{unit}',
            "[ ! -d /run/systemd/system ] || /usr/bin/systemctl daemon-reload",
            f"/usr/bin/systemctl --quiet enable pm2-{user}.service",
        ),
    )
