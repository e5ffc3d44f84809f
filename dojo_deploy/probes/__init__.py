"""Probes: one question to one target, asked once. What a sick target does is a Reading, never an exception.

Each kind is a frozen dataclass of settings with the method of `interfaces.Probe`; a gate asks them with patience.
"""

KINDS = {
    "command": "dojo_deploy.probes.command:CommandProbe",
    "http": "dojo_deploy.probes.http:HttpProbe",
    "release": "dojo_deploy.probes.release:ReleaseProbe",
    "tcp": "dojo_deploy.probes.tcp:TcpProbe",
}
