"""How a host is reached: each kind gives an `interfaces.Shell`.

known_hosts, sockets and channels are parts of `ssh`, kept free of its libraries.
"""

KINDS = {
    "ssh": "dojo_deploy.transports.ssh:connect",
    "local": "dojo_deploy.transports.local:LocalShell",
}
