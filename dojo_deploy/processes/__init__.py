"""Process managers: what keeps an application's processes running on a host. Pure: they return Commands."""

KINDS = {
    "command": "dojo_deploy.processes.command:CommandLines",
    "pm2": "dojo_deploy.processes.pm2:Pm2",
    "systemd": "dojo_deploy.processes.systemd:Systemd",
}
